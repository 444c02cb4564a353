//! Line charts as SVG and PNG.

mod axis;
mod canvas;
mod layout;
#[cfg(test)]
mod tests;

use std::{path::Path, sync::OnceLock};

use plotters::{
    prelude::*,
    style::{register_font, text_anchor::HPos},
};

use super::look::{self, Colour};
use crate::{
    failure::{Failure, Result},
    files,
};

use axis::{places, plain};
pub use canvas::{Area, Canvas, Drawn, fitting, width};
use layout::{ENTRY, Frame, LABEL, Layout, MARGIN, SAMPLE, Shapes, TEXT};

/// Colours that stay apart for most kinds of colour vision (Okabe and Ito; after them some of Tol's).
const COLOURS: [RGBColor; 12] = [
    RGBColor(0, 0, 0),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(136, 34, 85),
    RGBColor(153, 153, 51),
    RGBColor(51, 34, 136),
    RGBColor(150, 150, 150),
    RGBColor(102, 37, 6),
];
/// The area where differences say nothing.
const GREY: RGBColor = RGBColor(232, 232, 232);
/// Share of black in a name's colour: letters are thinner than lines.
const INKED: f64 = 0.25;
/// Standard errors that an error bar reaches to either side.
const REACH: f64 = 2.0;

/// A line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub label: String,
    /// (x, y), x ascending.
    pub points: Vec<(f64, f64)>,
    /// Standard errors of y, a point each; empty where none is known.
    pub errors: Vec<f64>,
    /// Whether it is drawn dashed: somebody else's.
    pub dashed: bool,
    /// Its colour in every chart; without one it gets its place's.
    pub colour: Option<Colour>,
}

/// A chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Chart {
    /// Above it.
    pub title: String,
    /// Below it.
    pub x: String,
    /// Beside it.
    pub y: String,
    /// What it shows.
    pub lines: Vec<Line>,
    /// Whether single points are marked.
    pub marks: bool,
    /// Whether the horizontal axis is logarithmic.
    pub log_x: bool,
    /// Whether the vertical axis is logarithmic; it shows zero where it is not.
    pub log_y: bool,
    /// What the exact values are uncertain by: below it, differences say nothing.
    pub floor: Option<f64>,
    /// Whether lines are named where they end, if all of them end at the right; else, and where there are too many, in a legend.
    pub named_at_ends: bool,
}

impl Line {
    /// A solid line without errors.
    pub fn new(label: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Line { label: label.into(), points, errors: Vec::new(), dashed: false, colour: None }
    }

    /// Its points, and the ends of their error bars.
    fn bars(&self) -> impl Iterator<Item = ((f64, f64), Option<(f64, f64)>)> {
        self.points.iter().enumerate().map(|(i, &point)| {
            let reach = self.errors.get(i).map(|error| REACH * error).filter(|reach| reach.is_finite() && *reach > 0.0);
            (point, reach.filter(|_| point.1.is_finite()).map(|reach| (point.1 - reach, point.1 + reach)))
        })
    }

    /// Whether a logarithmic axis has no place for one of its values.
    fn lies_below(&self) -> bool {
        self.points.iter().any(|point| below(point.1))
    }
}

/// Whether a value lies below every logarithmic axis.
fn below(value: f64) -> bool {
    value.is_finite() && !places(value, true) && value < 1.0
}

impl Chart {
    /// Writes `stem.svg` and `stem.png`.
    pub fn write(&self, stem: &Path) -> Result<()> {
        files::write(&stem.with_extension("svg"), self.svg()?.as_bytes())?;
        let layout = Layout::of(self);
        let (width, height) = layout.size;
        let mut pixels = vec![0; width as usize * height as usize * 3];
        self.draw(&layout, &Canvas::bitmap(&mut pixels, layout.size))?;
        write_png(&stem.with_extension("png"), (width as u32, height as u32), pixels)
    }

    fn svg(&self) -> Result<String> {
        // Places depend on how wide texts are.
        fonts()?;
        let layout = Layout::of(self);
        let mut svg = String::new();
        self.draw(&layout, &Canvas::svg(&mut svg, layout.size))?;
        Ok(svg)
    }

    fn draw<B: DrawingBackend>(&self, layout: &Layout, canvas: &Canvas<B>) -> Result<()> {
        let drawn = self.try_draw(layout, canvas).and_then(|()| canvas.area.present());
        drawn.map_err(|error| Failure::run(format!("chart '{}': {error}", self.title)))
    }

    fn try_draw<B: DrawingBackend>(&self, layout: &Layout, canvas: &Canvas<B>) -> Drawn<B> {
        canvas.area.fill(&WHITE)?;
        let (lines, size) = &layout.title;
        for (i, line) in lines.iter().enumerate() {
            let y = MARGIN + layout::line_height(*size) * (2 * i as i32 + 1) / 2;
            canvas.text(line, (layout.size.0 / 2, y), *size, HPos::Center)?;
        }
        self.draw_floor(&layout.frame, canvas)?;
        self.draw_axes(&layout.frame, canvas)?;
        // Bars below all lines, marks above them.
        let shapes: Vec<Shapes> = self.lines.iter().map(|line| layout.frame.shapes(self, line)).collect();
        for (i, shapes) in shapes.iter().enumerate() {
            draw_bars(shapes, self.colour(i), canvas)?;
        }
        for (i, shapes) in shapes.iter().enumerate() {
            self.draw_line(i, shapes, canvas)?;
        }
        self.draw_below(&shapes, canvas)?;
        self.draw_names(layout, canvas)?;
        self.draw_legend(layout, canvas)
    }

    /// The area below the floor; on a linear axis to both sides of zero.
    fn draw_floor<B: DrawingBackend>(&self, frame: &Frame, canvas: &Canvas<B>) -> Drawn<B> {
        let Some(floor) = self.floor().filter(|floor| *floor >= frame.y.low()) else { return Ok(()) };
        let Area { from, to } = frame.area;
        let row = |value: f64| frame.at((0.0, value)).1;
        let bottom = if self.log_y { to.1 } else { row(-floor) };
        canvas.area(Area { from: (from.0, row(floor)), to: (to.0, bottom) }, GREY.filled())?;
        canvas.line(&[(from.0, row(floor)), (to.0, row(floor))], BLACK.mix(0.4).stroke_width(1))
    }

    /// Lines across, labels and names of both axes.
    fn draw_axes<B: DrawingBackend>(&self, frame: &Frame, canvas: &Canvas<B>) -> Drawn<B> {
        let Area { from, to } = frame.area;
        let (faint, strong) = (BLACK.mix(0.15).stroke_width(1), BLACK.stroke_width(1));
        for (value, label) in frame.y.ticks(&[]) {
            let y = frame.at((0.0, value)).1;
            let style = if value == 0.0 { BLACK.mix(0.7).stroke_width(2) } else { faint };
            canvas.line(&[(from.0, y), (to.0, y)], style)?;
            canvas.text(&label, (from.0 - 8, y), LABEL, HPos::Right)?;
        }
        let mut free = 0;
        let drawn = self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.0));
        let drawn: Vec<f64> = drawn.filter(|&x| places(x, self.log_x)).collect();
        for (value, label) in frame.x.ticks(&drawn) {
            let (x, half) = (frame.at((value, frame.y.low())).0, width(&label, LABEL) / 2);
            // Labels must not run into one another.
            if x - half < free {
                continue;
            }
            free = x + half + 8;
            canvas.line(&[(x, from.1), (x, to.1)], faint)?;
            canvas.text(&label, (x, to.1 + 15), LABEL, HPos::Center)?;
        }
        canvas.line(&[from, (from.0, to.1), to], strong)?;
        let (across, up) = (fitting(&self.x, to.0 - from.0, 9..=17), fitting(&self.y, to.1 - from.1, 9..=17));
        canvas.text(&self.x, ((from.0 + to.0) / 2, to.1 + 42), across, HPos::Center)?;
        canvas.upwards(&self.y, (MARGIN + 8, (from.1 + to.1) / 2), up)
    }

    fn draw_line<B: DrawingBackend>(&self, i: usize, shapes: &Shapes, canvas: &Canvas<B>) -> Drawn<B> {
        let colour = self.colour(i);
        for run in &shapes.runs {
            match run.as_slice() {
                // A single point without a mark would not be seen.
                &[at] if !self.marks => canvas.area.draw(&Circle::new(at, 2, colour.filled()))?,
                run => canvas.stroke(run, colour.stroke_width(2), self.lines[i].dashed)?,
            }
        }
        let marked = shapes.runs.iter().flatten().filter(|_| self.marks);
        marked.into_iter().try_for_each(|&at| canvas.mark(at, i % COLOURS.len(), colour))
    }

    fn colour(&self, i: usize) -> RGBColor {
        self.lines[i].colour.map_or(COLOURS[i % COLOURS.len()], |[r, g, b]| RGBColor(r, g, b))
    }

    /// Names at the ends of the lines, each with a thread to its end; below the chart what the grey area is.
    fn draw_names<B: DrawingBackend>(&self, layout: &Layout, canvas: &Canvas<B>) -> Drawn<B> {
        for name in &layout.names {
            let colour = self.colour(name.line);
            canvas.line(&[(name.end.0 + 6, name.end.1), (name.at.0 - 4, name.at.1)], colour.stroke_width(1))?;
            let [r, g, b] = look::mixed([colour.0, colour.1, colour.2], [0; 3], INKED);
            canvas.coloured(&name.text, name.at, layout::NAME, HPos::Left, RGBColor(r, g, b))?;
        }
        match self.entries().get(self.lines.len()) {
            Some(floor) if !layout.names.is_empty() => {
                let (x, y) = (layout.frame.area.from.0, layout.size.1 - layout::NOTE / 2 - 4);
                canvas.area(Area { from: (x, y - 6), to: (x + ENTRY, y + 6) }, GREY.filled())?;
                canvas.area(Area { from: (x, y - 6), to: (x + ENTRY, y + 6) }, BLACK.mix(0.4).stroke_width(1))?;
                canvas.text(floor, (x + SAMPLE, y), layout::NAME, HPos::Left)
            }
            _ => Ok(()),
        }
    }

    /// Points below the chart, those of several lines in one column on top of each other.
    fn draw_below<B: DrawingBackend>(&self, all: &[Shapes], canvas: &Canvas<B>) -> Drawn<B> {
        let mut columns: Vec<i32> = Vec::new();
        for (i, shapes) in all.iter().enumerate() {
            for &(x, y) in &shapes.below {
                let under = columns.iter().filter(|column| column.abs_diff(x) < 6).count() as i32;
                columns.push(x);
                canvas.below((x, y - 12 * under), self.colour(i))?;
            }
        }
        Ok(())
    }

    fn draw_legend<B: DrawingBackend>(&self, layout: &Layout, canvas: &Canvas<B>) -> Drawn<B> {
        let Some(area) = layout.legend else { return Ok(()) };
        if !layout.beside {
            canvas.area(area, WHITE.mix(0.85).filled())?;
            canvas.area(area, BLACK.mix(0.3).stroke_width(1))?;
        }
        for (i, entry) in self.entries().iter().enumerate() {
            let (x, y) = (area.from.0 + 8, area.from.1 + 5 + ENTRY / 2 + ENTRY * i as i32);
            canvas.text(entry, (x + SAMPLE, y), TEXT, HPos::Left)?;
            let Some(line) = self.lines.get(i) else {
                canvas.area(Area { from: (x, y - 6), to: (x + ENTRY, y + 6) }, GREY.filled())?;
                canvas.area(Area { from: (x, y - 6), to: (x + ENTRY, y + 6) }, BLACK.mix(0.4).stroke_width(1))?;
                continue;
            };
            let colour = self.colour(i);
            canvas.stroke(&[(x, y), (x + ENTRY, y)], colour.stroke_width(2), line.dashed)?;
            if self.marks {
                canvas.mark((x + ENTRY / 2, y), i % COLOURS.len(), colour)?;
            }
        }
        Ok(())
    }

    /// Texts of the legend: the lines', then the floor's.
    fn entries(&self) -> Vec<String> {
        let lines = self.lines.iter().map(|line| format!("{}{}", line.label, self.remark(line)));
        let floor =
            self.floor().map(|floor| format!("below {}: less than the solution itself has", plain(rounded(floor))));
        lines.chain(floor).collect()
    }

    /// What the legend says of a line with values that have no place.
    fn remark(&self, line: &Line) -> &'static str {
        if self.log_x && line.points.iter().any(|point| below(point.0)) {
            return if self.log_y && line.lies_below() { " (≤ 0: not drawn)" } else { " (without x ≤ 0)" };
        }
        let below = line.points.iter().filter(|point| self.lies_below(point.1));
        match below.map(|point| point.1).min_by(f64::total_cmp) {
            Some(lowest) if lowest < 0.0 => " (≤ 0: at the lower edge)",
            Some(_) => " (0: at the lower edge)",
            None => "",
        }
    }

    fn lies_below(&self, y: f64) -> bool {
        self.log_y && below(y)
    }

    /// The floor, if it is one.
    fn floor(&self) -> Option<f64> {
        self.floor.filter(|&floor| places(floor, true))
    }
}

/// Writes `stem.svg` and `stem.png` with charts side by side.
pub fn write_beside(stem: &Path, charts: &[Chart]) -> Result<()> {
    fonts()?;
    let layouts: Vec<Layout> = charts.iter().map(Layout::of).collect();
    let width = layouts.iter().map(|layout| layout.size.0).sum::<i32>().max(1);
    let size = (width, layouts.iter().map(|layout| layout.size.1).max().unwrap_or(1));
    let mut svg = String::new();
    draw_beside(charts, &layouts, &Canvas::svg(&mut svg, size))?;
    files::write(&stem.with_extension("svg"), svg.as_bytes())?;
    let mut pixels = vec![0; size.0 as usize * size.1 as usize * 3];
    draw_beside(charts, &layouts, &Canvas::bitmap(&mut pixels, size))?;
    write_png(&stem.with_extension("png"), (size.0 as u32, size.1 as u32), pixels)
}

fn draw_beside<B: DrawingBackend>(charts: &[Chart], layouts: &[Layout], canvas: &Canvas<B>) -> Result<()> {
    let draw = || {
        canvas.area.fill(&WHITE)?;
        let mut left = 0;
        for (chart, layout) in charts.iter().zip(layouts) {
            chart.try_draw(layout, &canvas.part((left, 0), layout.size))?;
            left += layout.size.0;
        }
        canvas.area.present()
    };
    draw().map_err(|error: DrawingAreaErrorKind<B::ErrorType>| Failure::run(format!("charts: {error}")))
}

/// Two significant digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

fn draw_bars<B: DrawingBackend>(shapes: &Shapes, colour: RGBColor, canvas: &Canvas<B>) -> Drawn<B> {
    let style = colour.stroke_width(1);
    for bar in &shapes.bars {
        let cap = |y: i32| [(bar.x - 3, y), (bar.x + 3, y)];
        canvas.line(&[(bar.x, bar.top), (bar.x, bar.bottom.0)], style)?;
        canvas.line(&cap(bar.top), style)?;
        if bar.bottom.1 {
            canvas.line(&cap(bar.bottom.0), style)?;
        }
    }
    Ok(())
}

/// Registers the font that charts are drawn with; no font of the system is used.
pub fn fonts() -> Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let register = || register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular()).is_ok();
    match REGISTERED.get_or_init(register) {
        true => Ok(()),
        false => Err(Failure::run("the built-in font cannot be read")),
    }
}

/// Writes 8-bit RGB pixels.
pub fn write_png(path: &Path, (width, height): (u32, u32), pixels: Vec<u8>) -> Result<()> {
    let image = image::RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| Failure::run(format!("{}: pixels do not fill {width}x{height}", path.display())))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).map_err(Failure::run)?;
    files::write(path, bytes.get_ref())
}
