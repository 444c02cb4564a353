//! Line charts with a logarithmic value axis, as SVG and PNG.

use std::{path::Path, sync::Once};

use plotters::{
    coord::{
        Shift,
        ranged1d::{Ranged, ValueFormatter},
    },
    prelude::*,
    style::register_font,
};

use crate::{
    failure::{Failure, Result},
    files,
};

/// Pixels of a chart.
const SIZE: (u32, u32) = (900, 560);
/// More lines than this have their legend beside the chart.
const INSIDE: usize = 8;
/// Colours that stay apart for most kinds of colour vision (Okabe and Ito; after them some of Tol's).
const COLOURS: [RGBColor; 11] = [
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
];

/// A line of a chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its name in the legend.
    pub label: String,
    /// (x, y), x ascending, y positive.
    pub points: Vec<(f64, f64)>,
    /// Whether it is somebody else's, and drawn dashed.
    pub published: bool,
}

/// A chart.
#[derive(Debug, Clone)]
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
    /// Whether the horizontal axis is logarithmic too.
    pub log_x: bool,
}

impl Chart {
    /// Writes `stem.svg` and `stem.png`.
    pub fn write(&self, stem: &Path) -> Result<()> {
        fonts()?;
        let size = (SIZE.0 + self.room(), SIZE.1);
        let mut svg = String::new();
        self.draw(SVGBackend::with_string(&mut svg, size).into_drawing_area())?;
        files::write(&stem.with_extension("svg"), svg.as_bytes())?;
        let mut pixels = vec![0; (size.0 * size.1 * 3) as usize];
        self.draw(BitMapBackend::with_buffer(&mut pixels, size).into_drawing_area())?;
        write_png(&stem.with_extension("png"), size, pixels)
    }

    fn beside(&self) -> bool {
        self.lines.len() > INSIDE && !self.log_x
    }

    /// Pixels that a legend beside the chart needs.
    fn room(&self) -> u32 {
        let longest = self.lines.iter().map(|line| line.label.chars().count() as u32).max().unwrap_or(0);
        if self.beside() { 44 + 8 * longest } else { 0 }
    }

    fn draw<B: DrawingBackend>(&self, area: DrawingArea<B, Shift>) -> Result<()>
    where
        B::ErrorType: 'static,
    {
        self.try_draw(area).map_err(|error| Failure::run(format!("chart '{}': {error}", self.title)))
    }

    fn try_draw<B: DrawingBackend>(
        &self,
        area: DrawingArea<B, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>>
    where
        B::ErrorType: 'static,
    {
        let (x, y) = self.ranges();
        area.fill(&WHITE)?;
        let mut builder = ChartBuilder::on(&area);
        // So small that a long title is not cut off.
        let font_size = (1650 / self.title.chars().count().max(1)).clamp(12, 22) as i32;
        builder.caption(&self.title, ("sans-serif", font_size)).margin(14).x_label_area_size(46).y_label_area_size(76);
        if self.beside() {
            builder.margin_right(self.room());
        }
        let vertical = (y.0..y.1).log_scale().with_key_points(ticks(y));
        if self.log_x {
            let mut keys: Vec<f64> =
                self.lines.iter().flat_map(|line| line.points.iter().map(|point| point.0)).collect();
            keys.sort_by(f64::total_cmp);
            // Labels closer than this would run into one another.
            keys.dedup_by(|next, kept| *next < *kept * 1.12);
            self.fill(builder.build_cartesian_2d((x.0..x.1).log_scale().with_key_points(keys), vertical)?)?;
        } else {
            self.fill(builder.build_cartesian_2d(x.0..x.1, vertical)?)?;
        }
        if self.beside() {
            self.legend(&area)?;
        }
        area.present()
    }

    /// The legend beside the chart, where plotters puts none.
    fn legend<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>>
    where
        B::ErrorType: 'static,
    {
        let font = ("sans-serif", 16).into_font();
        for (i, line) in self.lines.iter().enumerate() {
            let (x, y) = (SIZE.0 as i32, 60 + 22 * i as i32);
            let colour = COLOURS[i % COLOURS.len()];
            let (style, middle) = (colour.stroke_width(2), (x + 11, y));
            area.draw(&PathElement::new([(x, y), (x + 22, y)], style))?;
            match i % 4 {
                0 => area.draw(&Circle::new(middle, 4, colour.filled()))?,
                1 => area.draw(&TriangleMarker::new(middle, 6, colour.filled()))?,
                2 => area.draw(&Cross::new(middle, 5, style))?,
                _ => area.draw(&Circle::new(middle, 5, style))?,
            }
            area.draw(&Text::new(line.label.clone(), (x + 30, y - 9), font.clone()))?;
        }
        Ok(())
    }

    fn fill<'a, B: DrawingBackend + 'a, X, Y>(
        &self,
        mut chart: ChartContext<'a, B, Cartesian2d<X, Y>>,
    ) -> std::result::Result<(), DrawingAreaErrorKind<B::ErrorType>>
    where
        B::ErrorType: 'static,
        X: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        chart
            .configure_mesh()
            .x_desc(&self.x)
            .y_desc(&self.y)
            .axis_desc_style(("sans-serif", 17))
            .label_style(("sans-serif", 15))
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.15))
            .y_label_formatter(&|value| plain(*value))
            .x_label_formatter(&|value| plain(*value))
            .draw()?;
        for (i, line) in self.lines.iter().enumerate() {
            let colour = COLOURS[i % COLOURS.len()];
            let style = colour.stroke_width(2);
            let points = line.points.iter().copied().filter(|point| point.1 > 0.0);
            let series = match line.published {
                true => chart.draw_series(DashedLineSeries::new(points, 3, 5, style))?,
                false => chart.draw_series(LineSeries::new(points, style))?,
            };
            let series = series.label(&line.label);
            let stroke = move |at| EmptyElement::at(at) + PathElement::new([(0, 0), (22, 0)], style);
            if !self.marks {
                series.legend(stroke);
                continue;
            }
            // The mark's shape tells the lines apart without colour.
            let (points, middle, filled) = (line.points.iter().copied(), (11, 0), colour.filled());
            match i % 4 {
                0 => {
                    series.legend(move |at| stroke(at) + Circle::new(middle, 4, filled));
                    chart.draw_series(points.map(|point| Circle::new(point, 4, filled)))?
                }
                1 => {
                    series.legend(move |at| stroke(at) + TriangleMarker::new(middle, 6, filled));
                    chart.draw_series(points.map(|point| TriangleMarker::new(point, 6, filled)))?
                }
                2 => {
                    series.legend(move |at| stroke(at) + Cross::new(middle, 5, style));
                    chart.draw_series(points.map(|point| Cross::new(point, 5, style)))?
                }
                _ => {
                    series.legend(move |at| stroke(at) + Circle::new(middle, 5, style));
                    chart.draw_series(points.map(|point| Circle::new(point, 5, style)))?
                }
            };
        }
        if self.beside() {
            return Ok(());
        }
        chart
            .configure_series_labels()
            .position(if self.log_x { SeriesLabelPosition::LowerLeft } else { SeriesLabelPosition::UpperRight })
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .label_font(("sans-serif", 16))
            .draw()
    }

    /// Ranges of both axes with some room.
    fn ranges(&self) -> ((f64, f64), (f64, f64)) {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied()).filter(|point| point.1 > 0.0);
        let extent = |values: &mut dyn Iterator<Item = f64>| {
            values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
        };
        let (x, y) = (extent(&mut points().map(|point| point.0)), extent(&mut points().map(|point| point.1)));
        if !(x.0.is_finite() && y.0.is_finite()) {
            return ((0.0, 1.0), (0.1, 1.0));
        }
        let margin = 0.03 * (x.1 - x.0).max(1e-3);
        let x = if self.log_x { (x.0 / 1.05, x.1 * 1.05) } else { (x.0 - margin, x.1 + margin) };
        // The legend in the upper corner gets room of its own: lines may run along the whole width there.
        let legend = if self.log_x || self.beside() { 0.0 } else { (0.05 * self.lines.len() as f64).min(0.4) };
        let room = 1.15 * (y.1 / y.0).powf(legend);
        (x, (y.0 / 1.15, y.1 * room))
    }
}

/// Values to label between two positive ones: more per decade where there are fewer decades.
fn ticks((low, high): (f64, f64)) -> Vec<f64> {
    let decades = (high / low).log10();
    let mantissas: &[f64] = match decades {
        d if d < 0.4 => &[1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 7.0, 8.0, 9.0],
        d if d < 1.2 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
        d if d < 3.0 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let all = (first..=last).flat_map(|power| mantissas.iter().map(move |mantissa| mantissa * 10f64.powi(power)));
    all.filter(|value| (low..=high).contains(value)).collect()
}

/// A number without needless digits.
fn plain(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 {
        return format!("{value:e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Registers the font that charts are drawn with; no font of the system is used.
pub fn fonts() -> Result<()> {
    static REGISTERED: Once = Once::new();
    let mut failed = false;
    REGISTERED.call_once(|| {
        failed = register_font("sans-serif", FontStyle::Normal, dejavu::sans::regular()).is_err();
    });
    if failed { Err(Failure::run("the built-in font cannot be read")) } else { Ok(()) }
}

/// Writes 8-bit RGB pixels.
pub fn write_png(path: &Path, (width, height): (u32, u32), pixels: Vec<u8>) -> Result<()> {
    let image = image::RgbImage::from_raw(width, height, pixels)
        .ok_or_else(|| Failure::run(format!("{}: pixels do not fill {width}x{height}", path.display())))?;
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).map_err(Failure::run)?;
    files::write(path, bytes.get_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_range_has_labels() {
        for (low, high) in [(1.35, 5.2), (74.0, 360.0), (0.0095, 0.41), (0.1, 0.11), (0.3, 120.0), (1e-9, 1.0)] {
            let ticks = ticks((low, high));
            assert!((1..=14).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
        }
        assert_eq!(ticks((1.35, 5.2)), [1.5, 2.0, 3.0, 4.0, 5.0]);
    }
}
