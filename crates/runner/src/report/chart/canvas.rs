//! The shapes that charts are made of, in pixels.

use plotters::{
    coord::Shift,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

/// A pixel: to the right, and downwards.
pub type At = (i32, i32);
/// Whether something could be drawn.
pub type Drawn<B> = Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Pixels of a dash and of the gap after it.
const DASH: (f64, f64) = (6.0, 4.0);
/// Shapes of marks, which tell lines apart without colour.
pub const MARKS: usize = 6;

/// A rectangle, edges included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Area {
    /// Its upper left corner.
    pub from: At,
    /// Its lower right corner.
    pub to: At,
}

impl Area {
    /// With `by` more on every side.
    pub fn grown(self, by: i32) -> Self {
        Area { from: (self.from.0 - by, self.from.1 - by), to: (self.to.0 + by, self.to.1 + by) }
    }

    /// Whether `at` is in it.
    pub fn holds(&self, at: At) -> bool {
        (self.from.0..=self.to.0).contains(&at.0) && (self.from.1..=self.to.1).contains(&at.1)
    }
}

/// What is drawn on.
pub struct Canvas<B: DrawingBackend> {
    /// All of it.
    pub area: DrawingArea<B, Shift>,
    /// Share of their size that letters are moved down by.
    drop: f64,
}

impl<'a> Canvas<SVGBackend<'a>> {
    /// An SVG.
    pub fn svg(text: &'a mut String, (width, height): At) -> Self {
        let backend = SVGBackend::with_string(text, (width as u32, height as u32));
        Canvas { area: backend.into_drawing_area(), drop: 0.0 }
    }
}

impl<'a> Canvas<BitMapBackend<'a>> {
    /// 8-bit RGB pixels. What plotters' bitmaps take for the middle of letters is too high by this share.
    pub fn bitmap(pixels: &'a mut [u8], (width, height): At) -> Self {
        let backend = BitMapBackend::with_buffer(pixels, (width as u32, height as u32));
        Canvas { area: backend.into_drawing_area(), drop: 0.19 }
    }
}

impl<B: DrawingBackend> Canvas<B> {
    /// A rectangle of it, with its own corner.
    pub fn part(&self, from: At, size: At) -> Self {
        Canvas { area: self.area.clone().shrink(from, size), drop: self.drop }
    }

    /// A line through `points`.
    pub fn line(&self, points: &[At], style: ShapeStyle) -> Drawn<B> {
        self.area.draw(&PathElement::new(points, style))
    }

    /// A line through `points` that the legend shows alike.
    pub fn stroke(&self, points: &[At], style: ShapeStyle, dashed: bool) -> Drawn<B> {
        if dashed {
            dashes(points).iter().try_for_each(|dash| self.line(dash, style))
        } else {
            self.line(points, style)
        }
    }

    /// A rectangle.
    pub fn area(&self, area: Area, style: ShapeStyle) -> Drawn<B> {
        self.area.draw(&Rectangle::new([area.from, area.to], style))
    }

    /// The mark of line `i`.
    pub fn mark(&self, at: At, i: usize, colour: RGBColor) -> Drawn<B> {
        let (filled, (x, y)) = (colour.filled(), at);
        match i % MARKS {
            0 => self.area.draw(&Circle::new(at, 4, filled)),
            1 => self.area.draw(&TriangleMarker::new(at, 6, filled)),
            2 => self.area.draw(&Cross::new(at, 5, colour.stroke_width(2))),
            3 => self.area.draw(&Circle::new(at, 5, colour.stroke_width(2))),
            4 => self.area(Area { from: at, to: at }.grown(4), filled),
            _ => self.line(&[(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y), (x, y - 6)], colour.stroke_width(2)),
        }
    }

    /// What stands for a point that lies below the chart: a hollow triangle whose lower corner is at `at`.
    pub fn below(&self, (x, y): At, colour: RGBColor) -> Drawn<B> {
        self.line(&[(x, y), (x - 6, y - 10), (x + 6, y - 10), (x, y)], colour.stroke_width(1))
    }

    /// Text whose left end, middle or right end is at `at`, at half its height.
    pub fn text(&self, text: &str, at: At, size: i32, end: HPos) -> Drawn<B> {
        self.coloured(text, at, size, end, BLACK)
    }

    /// The same in a colour.
    pub fn coloured(&self, text: &str, at: At, size: i32, end: HPos, colour: RGBColor) -> Drawn<B> {
        let style = ("sans-serif", size).into_font().color(&colour).pos(Pos::new(end, VPos::Center));
        self.area.draw(&Text::new(text, (at.0, at.1 + self.drop(size)), style))
    }

    /// Text that runs upwards, its middle at `at`.
    pub fn upwards(&self, text: &str, at: At, size: i32) -> Drawn<B> {
        let font = ("sans-serif", size).into_font().transform(FontTransform::Rotate270);
        let style = font.color(&BLACK).pos(Pos::new(HPos::Center, VPos::Center));
        self.area.draw(&Text::new(text, (at.0 + self.drop(size), at.1), style))
    }

    fn drop(&self, size: i32) -> i32 {
        (self.drop * f64::from(size)).round() as i32
    }
}

/// Pixels that a text takes.
pub fn width(text: &str, size: i32) -> i32 {
    let font = ("sans-serif", size).into_font();
    font.box_size(text).map_or(size * text.chars().count() as i32, |(width, _)| width as i32)
}

/// The largest of `sizes` at which a text fits into `room`; the smallest where none does.
pub fn fitting(text: &str, room: i32, sizes: std::ops::RangeInclusive<i32>) -> i32 {
    let smallest = *sizes.start();
    sizes.rev().find(|&size| width(text, size) <= room).unwrap_or(smallest)
}

/// A text cut so that it fits into `room`.
pub fn shortened(text: &str, room: i32, size: i32) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut kept: Vec<char> = text.chars().collect();
    let joined = |kept: &[char]| kept.iter().collect::<String>() + "…";
    while !kept.is_empty() && width(&joined(&kept), size) > room {
        kept.pop();
    }
    joined(&kept)
}

/// `points` cut into dashes, which run on around corners.
pub fn dashes(points: &[At]) -> Vec<Vec<At>> {
    let (mut all, mut dash) = (Vec::new(), Vec::from_iter(points.first().copied()));
    let (mut on, mut left) = (true, DASH.0);
    for pair in points.windows(2) {
        let ((x, y), (dx, dy)) = (pair[0], (f64::from(pair[1].0 - pair[0].0), f64::from(pair[1].1 - pair[0].1)));
        let (length, mut done) = (dx.hypot(dy), 0.0);
        while length - done > left {
            done += left;
            let share = done / length;
            dash.push((x + (share * dx).round() as i32, y + (share * dy).round() as i32));
            if on {
                all.push(std::mem::take(&mut dash));
            }
            (on, left) = if on { (false, DASH.1) } else { (true, DASH.0) };
        }
        left -= length - done;
        if on {
            dash.push(pair[1]);
        }
    }
    if on && dash.len() > 1 {
        all.push(dash);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_run_on_around_corners() {
        assert_eq!(dashes(&[(0, 0), (22, 0)]), [[(0, 0), (6, 0)], [(10, 0), (16, 0)], [(20, 0), (22, 0)]]);
        assert_eq!(dashes(&[(0, 0), (4, 0), (4, 4)]), [[(0, 0), (4, 0), (4, 2)]]);
        // Points closer than a dash are no reason for a solid line.
        let dense: Vec<At> = (0..=100).map(|x| (x, 0)).collect();
        assert_eq!(dashes(&dense).len(), 10);
        assert!(dashes(&[]).is_empty() && dashes(&[(3, 3)]).is_empty());
    }

    #[test]
    fn texts_are_fitted_and_shortened() {
        super::super::fonts().unwrap();
        let text = "a title with many words in it";
        assert_eq!(fitting(text, 10_000, 12..=22), 22);
        assert_eq!(fitting(text, 10, 12..=22), 12);
        let cut = shortened(text, 100, 12);
        assert!(cut.ends_with('…') && width(&cut, 12) <= 100 && width(&cut, 12) > 80, "{cut}");
        assert_eq!(shortened(text, 10_000, 12), text);
    }
}
