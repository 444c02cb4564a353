//! Heat maps as SVG and PNG: one value for every solver on every grid, a panel for each number of evaluations.

use std::path::Path;

use plotters::{
    prelude::*,
    style::{colors::colormaps::ViridisRGB, text_anchor::HPos},
};

use super::chart::{Area, Canvas, Drawn, fitting, fonts, width, write_png};
use crate::{
    failure::{Failure, Result},
    files,
    results::Grids,
};

const MARGIN: i32 = 16;
const TITLE: i32 = 20;
const LABEL: i32 = 13;
const NUMBER: i32 = 12;
/// Pixels of a cell.
const CELL: (i32, i32) = (58, 22);
const GAP: i32 = 24;

/// A heat map.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Above it.
    pub title: String,
    /// What is shown of which solver on which grid.
    pub grids: Grids,
    /// What the values are: the metric's title.
    pub metric: String,
}

/// Where everything is, in pixels.
struct Layout {
    size: (i32, i32),
    /// Width of the rows' labels, height of the columns'.
    labels: (i32, i32),
    /// Panels in a row.
    across: usize,
}

impl Layout {
    fn of(map: &HeatMap) -> Self {
        let widest = |labels: &[String]| labels.iter().map(|label| width(label, LABEL)).max().unwrap_or(0);
        let labels = (widest(&map.grids.solvers) + 10, widest(&map.grids.grids) + 10);
        let across = map.grids.nfes.len().clamp(1, 2);
        let down = map.grids.nfes.len().div_ceil(across) as i32;
        let panel = map.panel();
        let body = labels.0 + across as i32 * (panel.0 + GAP) - GAP;
        let height = MARGIN + TITLE + GAP + LABEL + GAP + down * (GAP + labels.1 + panel.1 + GAP);
        Layout { size: (2 * MARGIN + body, height), labels, across }
    }

    /// The upper left corner of a panel's cells.
    fn corner(&self, map: &HeatMap, panel: usize) -> (i32, i32) {
        let (column, row) = ((panel % self.across) as i32, (panel / self.across) as i32);
        let (width, height) = map.panel();
        let top = MARGIN + TITLE + GAP + LABEL + GAP;
        (
            MARGIN + self.labels.0 + column * (width + GAP),
            top + row * (GAP + self.labels.1 + height + GAP) + GAP + self.labels.1,
        )
    }
}

impl HeatMap {
    fn panel(&self) -> (i32, i32) {
        (CELL.0 * self.grids.grids.len() as i32, CELL.1 * self.grids.solvers.len() as i32)
    }

    /// Writes `stem.svg` and `stem.png`.
    pub fn write(&self, stem: &Path) -> Result<()> {
        files::write(&stem.with_extension("svg"), self.svg()?.as_bytes())?;
        let layout = Layout::of(self);
        let (width, height) = layout.size;
        let mut pixels = vec![0; width as usize * height as usize * 3];
        self.draw(&layout, &Canvas::bitmap(&mut pixels, layout.size)).map_err(|error| self.wrong(&error))?;
        write_png(&stem.with_extension("png"), (width as u32, height as u32), pixels)
    }

    fn svg(&self) -> Result<String> {
        fonts()?;
        let layout = Layout::of(self);
        let mut svg = String::new();
        self.draw(&layout, &Canvas::svg(&mut svg, layout.size)).map_err(|error| self.wrong(&error))?;
        Ok(svg)
    }

    fn wrong(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure::run(format!("chart '{}': {error}", self.title))
    }

    fn draw<B: DrawingBackend>(&self, layout: &Layout, canvas: &Canvas<B>) -> Drawn<B> {
        canvas.area.fill(&WHITE)?;
        let room = layout.size.0 - 2 * MARGIN;
        let title = fitting(&self.title, room, 10..=TITLE);
        canvas.text(&self.title, (layout.size.0 / 2, MARGIN + TITLE / 2), title, HPos::Center)?;
        let note = format!(
            "{}; bright is small, colours are logarithmic within a panel. Framed: the best grid of a row; thick: the lowest of all. *: fewer evaluations spent.",
            self.metric
        );
        let size = fitting(&note, room, 8..=LABEL);
        canvas.text(&note, (layout.size.0 / 2, MARGIN + TITLE + GAP), size, HPos::Center)?;
        (0..self.grids.nfes.len()).try_for_each(|panel| self.draw_panel(panel, layout, canvas))?;
        canvas.area.present()
    }

    fn draw_panel<B: DrawingBackend>(&self, panel: usize, layout: &Layout, canvas: &Canvas<B>) -> Drawn<B> {
        let (left, top) = layout.corner(self, panel);
        let (wide, _) = self.panel();
        let nfe = format!("{} NFE", self.grids.nfes[panel]);
        canvas.text(&nfe, (left + wide / 2, top - layout.labels.1 - GAP / 2), LABEL + 3, HPos::Center)?;
        for (i, grid) in self.grids.grids.iter().enumerate() {
            let x = left + CELL.0 * i as i32 + CELL.0 / 2;
            canvas.upwards(grid, (x, top - 5 - width(grid, LABEL) / 2), LABEL)?;
        }
        let all =
            (0..self.grids.solvers.len()).flat_map(|row| (0..self.grids.grids.len()).map(move |column| (row, column)));
        let shades = Shades::of(all.filter_map(|at| self.grids.value(panel, at)).filter(|value| value.is_finite()));
        let best = self.grids.best(panel);
        for (row, solver) in self.grids.solvers.iter().enumerate() {
            let y = top + CELL.1 * row as i32;
            if panel.is_multiple_of(layout.across) {
                canvas.text(solver, (left - 8, y + CELL.1 / 2), LABEL, HPos::Right)?;
            }
            for column in 0..self.grids.grids.len() {
                let (value, x) = (self.grids.value(panel, (row, column)), left + CELL.0 * column as i32);
                let cheaper = self.grids.is_cheaper(panel, (row, column));
                let area = Area { from: (x, y), to: (x + CELL.0 - 1, y + CELL.1 - 1) };
                canvas.cell(area, value, cheaper, &shades)?;
            }
        }
        // Frames above all cells, or a neighbour would cover them.
        for row in 0..self.grids.solvers.len() {
            if let Some(column) = self.grids.best_of(panel, row) {
                let from = (left + CELL.0 * column as i32, top + CELL.1 * row as i32);
                let frame = Area { from, to: (from.0 + CELL.0 - 1, from.1 + CELL.1 - 1) };
                let thick = if best == Some((row, column)) { 4 } else { 1 };
                // Lines: rectangles of SVG have no width of their own.
                let Area { from, to } = frame;
                canvas.line(&[from, (to.0, from.1), to, (from.0, to.1), from], BLACK.stroke_width(thick))?;
            }
        }
        Ok(())
    }
}

/// From values to colours: the smallest brightest.
struct Shades {
    low: f64,
    high: f64,
}

impl Shades {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let logs = values.filter(|value| *value > 0.0).map(f64::ln);
        Shades { low: logs.clone().fold(f64::INFINITY, f64::min), high: logs.fold(f64::NEG_INFINITY, f64::max) }
    }

    fn colour(&self, value: f64) -> RGBColor {
        let share = if self.high > self.low { (value.ln() - self.low) / (self.high - self.low) } else { 0.0 };
        ViridisRGB.get_color(1.0 - share.clamp(0.0, 1.0) as f32)
    }
}

impl<B: DrawingBackend> Canvas<B> {
    /// A value on its colour, with a star where it is of fewer evaluations; nothing where there is none.
    fn cell(&self, area: Area, value: Option<f64>, cheaper: bool, shades: &Shades) -> Drawn<B> {
        let middle = ((area.from.0 + area.to.0) / 2, (area.from.1 + area.to.1) / 2);
        match value {
            None => self.area(area, RGBColor(245, 245, 245).filled()),
            Some(value) if !value.is_finite() => {
                self.area(area, RGBColor(225, 225, 225).filled())?;
                self.text("diverged", middle, NUMBER - 2, HPos::Center)
            }
            Some(value) => {
                let colour = shades.colour(value);
                self.area(area, colour.filled())?;
                let RGBColor(r, g, b) = colour;
                // Luminance (ITU-R BT.709).
                let luminance = 0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b);
                let ink = if luminance > 130.0 { BLACK } else { WHITE };
                let star = if cheaper { "*" } else { "" };
                self.coloured(&format!("{}{star}", number(value)), middle, NUMBER, HPos::Center, ink)
            }
        }
    }
}

/// Three significant digits at most, in few letters.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value if value >= 0.01 => format!("{value:.3}").trim_start_matches('0').to_owned(),
        value => format!("{value:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Metric, Point, Value};

    /// Infinite: diverged. Spends 5 evaluations.
    fn point(value: f64) -> Option<Point> {
        let (mut point, whole) = (Point { spent: 5.0, ..Point::default() }, value.is_finite());
        if whole {
            point.values.insert(0, Value { value, shares: Vec::new() });
        } else {
            point.diverged.insert(0, "image 0".into());
        }
        Some(point)
    }

    fn map() -> HeatMap {
        let grids = Grids {
            solvers: vec!["DDIM".into(), "DEIS-2".into()],
            grids: vec!["quadratic".into(), "edm".into(), "log-snr".into()],
            nfes: vec![5, 10],
            points: vec![
                vec![vec![point(0.2), point(0.1), None], vec![point(0.05), point(f64::INFINITY), point(0.4)]],
                vec![vec![point(0.02), point(0.01), None], vec![point(0.005), point(0.006), point(0.04)]],
            ],
        };
        HeatMap { title: "A title".into(), grids, metric: Metric::OdeRmse.title().into() }
    }

    #[test]
    fn the_smallest_value_is_brightest_and_every_value_is_written() {
        let shades = Shades::of([0.05, 0.1, 0.4].into_iter());
        let light = |value: f64| {
            let RGBColor(r, g, b) = shades.colour(value);
            u32::from(r) + u32::from(g) + u32::from(b)
        };
        assert!(light(0.05) > light(0.1) && light(0.1) > light(0.4));
        let svg = map().svg().unwrap();
        for text in [".200\n", ".100\n", ".050\n", "diverged", "5.0e-3*", "5 NFE", "10 NFE", "DEIS-2", "log-snr"] {
            assert!(svg.contains(text), "{text}");
        }
        // The best of all, framed thick, once a panel.
        assert_eq!(svg.matches("stroke-width=\"4\"").count(), 2);
    }

    #[test]
    fn panels_do_not_overlap_and_lie_within_the_picture() {
        let map = map();
        let layout = Layout::of(&map);
        let (left, right) = (layout.corner(&map, 0), layout.corner(&map, 1));
        assert!(left.0 + map.panel().0 < right.0 && left.1 == right.1);
        assert!(right.0 + map.panel().0 <= layout.size.0 && right.1 + map.panel().1 <= layout.size.1);
    }
}
