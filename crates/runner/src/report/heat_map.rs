//! Heat maps as SVG and PNG: one value for every solver on every grid, a panel for each number of evaluations or one for all.

use std::path::Path;

use plotters::{
    prelude::*,
    style::{colors::colormaps::ViridisRGB, text_anchor::HPos},
};

use super::chart::{Area, Canvas, Drawn, fitting, fonts, width, write_png};
use crate::{
    failure::{Failure, Result},
    files,
    results::{Grids, Overall, Times, lowest},
};

const MARGIN: i32 = 16;
const TITLE: i32 = 20;
const LABEL: i32 = 13;
const NUMBER: i32 = 12;
/// From a line of the note to the next.
const LINE: i32 = 17;
/// Pixels of a cell.
const CELL: (i32, i32) = (58, 22);
const GAP: i32 = 24;

/// A heat map.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Above it.
    pub title: String,
    /// What the values and the marks behind them are, in lines.
    note: Vec<String>,
    rows: Vec<String>,
    columns: Vec<String>,
    panels: Vec<Panel>,
}

#[derive(Debug, Clone, PartialEq)]
struct Panel {
    title: String,
    /// `[row][column]`; none where there is no cell.
    cells: Vec<Vec<Option<Shown>>>,
}

#[derive(Debug, Clone, PartialEq)]
struct Shown {
    /// Infinite: diverged.
    value: f64,
    /// Behind it.
    mark: &'static str,
}

/// Behind values of fewer evaluations than were asked for.
const CHEAPER: &str = "*";

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
        let labels = (widest(&map.rows) + 10, widest(&map.columns) + 10);
        let across = map.panels.len().clamp(1, 2);
        let down = map.panels.len().div_ceil(across) as i32;
        let panel = map.panel();
        let body = labels.0 + across as i32 * (panel.0 + GAP) - GAP;
        let height = map.top() + down * (GAP + labels.1 + panel.1 + GAP);
        Layout { size: (2 * MARGIN + body, height), labels, across }
    }

    /// The upper left corner of a panel's cells.
    fn corner(&self, map: &HeatMap, panel: usize) -> (i32, i32) {
        let (column, row) = ((panel % self.across) as i32, (panel / self.across) as i32);
        let (width, height) = map.panel();
        let top = map.top();
        (
            MARGIN + self.labels.0 + column * (width + GAP),
            top + row * (GAP + self.labels.1 + height + GAP) + GAP + self.labels.1,
        )
    }
}

impl HeatMap {
    /// A panel for each number of evaluations; `metric`: what the values are.
    pub fn by_nfe(title: String, grids: &Grids, metric: &str) -> Self {
        let shown = |panel: usize, at: (usize, usize)| {
            let mark = if grids.is_cheaper(panel, at) { CHEAPER } else { "" };
            grids.value(panel, at).map(|value| Shown { value, mark })
        };
        let row = |panel: usize, row: usize| (0..grids.grids.len()).map(|column| shown(panel, (row, column))).collect();
        let panel = |(i, nfe): (usize, &u32)| Panel {
            title: format!("{nfe} NFE"),
            cells: (0..grids.solvers.len()).map(|solver| row(i, solver)).collect(),
        };
        let note = vec![format!(
            "{metric}; bright is small, colours are logarithmic within a panel. Framed: the best grid of a row; thick: the lowest of all. *: fewer evaluations spent."
        )];
        let panels = grids.nfes.iter().enumerate().map(panel).collect();
        HeatMap { title, note, rows: grids.solvers.clone(), columns: grids.grids.clone(), panels }
    }

    /// One panel for all numbers of evaluations.
    pub fn overall(title: String, overall: &Overall, metric: &str) -> Self {
        let shown = |times: &Option<Times>| {
            times.map(|times| Shown {
                value: times.value,
                mark: match (times.normalised, times.cheaper) {
                    (false, false) => "",
                    (true, false) => "n",
                    (false, true) => CHEAPER,
                    (true, true) => "n*",
                },
            })
        };
        let cells = overall.times.iter().map(|row| row.iter().map(shown).collect()).collect();
        let mut note = vec![
            metric.to_owned(),
            "how many times the lowest of all at each NFE: geometric mean over these".into(),
            "n: score normalised, where that mean is lower; errors are in the table".into(),
            "framed: the best grid of a row; *: fewer evaluations spent".into(),
        ];
        if overall.left_out > 0 {
            note.push(format!("left out: {}, which have not all NFE on any grid", overall.left_out));
        }
        let panels = vec![Panel { title: "all NFE".into(), cells }];
        HeatMap { title, note, rows: overall.solvers.clone(), columns: overall.grids.clone(), panels }
    }

    /// Where panels begin.
    fn top(&self) -> i32 {
        MARGIN + TITLE + GAP + self.note.len().max(1) as i32 * LINE - LINE + LABEL + GAP
    }

    fn panel(&self) -> (i32, i32) {
        (CELL.0 * self.columns.len() as i32, CELL.1 * self.rows.len() as i32)
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
        for (i, line) in self.note.iter().enumerate() {
            let at = (layout.size.0 / 2, MARGIN + TITLE + GAP + i as i32 * LINE);
            canvas.text(line, at, fitting(line, room, 8..=LABEL), HPos::Center)?;
        }
        (0..self.panels.len()).try_for_each(|panel| self.draw_panel(panel, layout, canvas))?;
        canvas.area.present()
    }

    fn draw_panel<B: DrawingBackend>(&self, panel: usize, layout: &Layout, canvas: &Canvas<B>) -> Drawn<B> {
        let (left, top) = layout.corner(self, panel);
        let (wide, _) = self.panel();
        let Panel { title, cells } = &self.panels[panel];
        canvas.text(title, (left + wide / 2, top - layout.labels.1 - GAP / 2), LABEL + 3, HPos::Center)?;
        for (i, grid) in self.columns.iter().enumerate() {
            let x = left + CELL.0 * i as i32 + CELL.0 / 2;
            canvas.upwards(grid, (x, top - 5 - width(grid, LABEL) / 2), LABEL)?;
        }
        let all = cells.iter().flatten().flatten().map(|shown| shown.value);
        let shades = Shades::of(all.filter(|value| value.is_finite()));
        let area = |row: usize, column: usize| {
            let from = (left + CELL.0 * column as i32, top + CELL.1 * row as i32);
            Area { from, to: (from.0 + CELL.0 - 1, from.1 + CELL.1 - 1) }
        };
        for (row, solver) in self.rows.iter().enumerate() {
            if panel.is_multiple_of(layout.across) {
                canvas.text(solver, (left - 8, area(row, 0).from.1 + CELL.1 / 2), LABEL, HPos::Right)?;
            }
            for (column, shown) in cells[row].iter().enumerate() {
                canvas.cell(area(row, column), shown.as_ref(), &shades)?;
            }
        }
        // Frames above all cells, or a neighbour would cover them.
        let value = |shown: &Option<Shown>| shown.as_ref().map(|shown| shown.value);
        let best: Vec<Option<usize>> = cells.iter().map(|row| lowest(row.iter().map(value))).collect();
        let of_row = |(row, column): (usize, &Option<usize>)| column.and_then(|column| value(&cells[row][column]));
        let first = lowest(best.iter().enumerate().map(of_row));
        for (row, column) in best.iter().enumerate().filter_map(|(row, column)| Some((row, (*column)?))) {
            let thick = if first == Some(row) { 4 } else { 1 };
            // Lines: rectangles of SVG have no width of their own.
            let Area { from, to } = area(row, column);
            canvas.line(&[from, (to.0, from.1), to, (from.0, to.1), from], BLACK.stroke_width(thick))?;
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
    /// A value on its colour, with its mark; nothing where there is none.
    fn cell(&self, area: Area, shown: Option<&Shown>, shades: &Shades) -> Drawn<B> {
        let middle = ((area.from.0 + area.to.0) / 2, (area.from.1 + area.to.1) / 2);
        match shown {
            None => self.area(area, RGBColor(245, 245, 245).filled()),
            Some(Shown { value, .. }) if !value.is_finite() => {
                self.area(area, RGBColor(225, 225, 225).filled())?;
                self.text("diverged", middle, NUMBER - 2, HPos::Center)
            }
            Some(&Shown { value, mark }) => {
                let colour = shades.colour(value);
                self.area(area, colour.filled())?;
                let RGBColor(r, g, b) = colour;
                // Luminance (ITU-R BT.709).
                let luminance = 0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b);
                let ink = if luminance > 130.0 { BLACK } else { WHITE };
                self.coloured(&format!("{}{mark}", number(value)), middle, NUMBER, HPos::Center, ink)
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
            plain: vec![None, None],
            points: vec![
                vec![vec![point(0.2), point(0.1), None], vec![point(0.05), point(f64::INFINITY), point(0.4)]],
                vec![vec![point(0.02), point(0.01), None], vec![point(0.005), point(0.006), point(0.04)]],
            ],
        };
        HeatMap::by_nfe("A title".into(), &grids, Metric::OdeRmse.title())
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
    fn one_panel_for_all_numbers_of_evaluations_marks_what_is_normalised() {
        let times = |value: f64, normalised: bool| Some(Times { value, normalised, cheaper: false });
        let overall = Overall {
            solvers: vec!["UniPC".into(), "DEIS-2".into()],
            grids: vec!["quadratic".into(), "edm".into()],
            times: vec![vec![times(1.0, false), times(f64::INFINITY, false)], vec![times(1.25, true), None]],
            left_out: 2,
        };
        let svg = HeatMap::overall("A title".into(), &overall, "RMS distance").svg().unwrap();
        for text in ["1.00\n", "1.25n\n", "diverged", "all NFE", "geometric mean", "left out: 2"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg.matches("stroke-width=\"4\"").count(), 1);
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
