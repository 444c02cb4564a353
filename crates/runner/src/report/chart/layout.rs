//! Where everything of a chart lies, in pixels, before any of it is drawn.

use super::{
    Chart, Line,
    axis::{Axis, places},
    canvas::{Area, At, fitting, shortened, width},
};

/// Pixels of a chart; a legend beside it comes on top.
pub const SIZE: (i32, i32) = (900, 560);
/// More lines than this have their legend beside the chart.
const INSIDE: usize = 8;
/// Room at every edge.
pub const MARGIN: i32 = 14;
/// Room below the chart: labels and the name of the axis.
const BELOW: i32 = 60;
/// Sizes of letters.
pub const TEXT: i32 = 16;
pub const LABEL: i32 = 15;
const TITLE: (i32, i32) = (12, 22);
/// Pixels from one line of the legend to the next, and from an entry's left end to its text.
pub const ENTRY: i32 = 22;
pub const SAMPLE: i32 = 30;
/// Size of letters of names at the ends of lines, pixels from one to the next, and from the chart to those beside it.
pub const NAME: i32 = 14;
const NAMES_STEP: i32 = 18;
const NAMES_GAP: i32 = 22;
/// Pixels from the end of a line within the chart to its name.
const INSIDE_GAP: i32 = 12;
/// Height of the line below a chart that says what its grey area is.
pub const NOTE: i32 = 22;
/// Shares of the chart's height that may stay free for the legend.
const HEADROOM: [f64; 4] = [0.0, 0.1, 0.2, 0.3];
/// An error bar stretches a logarithmic axis down to this share of the lowest value, the floor down to its square.
const DECADE: f64 = 0.1;

/// The rectangle that lines are drawn in, and its axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// The rectangle.
    pub area: Area,
    /// From its left edge to its right.
    pub x: Axis,
    /// From its lower edge to its upper.
    pub y: Axis,
}

/// An error bar: its column, its ends, and whether each is an end or just the edge of the chart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// Column.
    pub x: i32,
    /// Upper end.
    pub top: i32,
    /// Lower end.
    pub bottom: (i32, bool),
}

/// What is drawn of a line.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shapes {
    /// Its points, interrupted where one has no place.
    pub runs: Vec<Vec<At>>,
    /// Its error bars.
    pub bars: Vec<Bar>,
    /// Points that lie below the chart.
    pub below: Vec<At>,
}

/// A chart's places.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Of the whole picture.
    pub size: (i32, i32),
    /// Its title in as many lines as it needs, and the size of its letters.
    pub title: (Vec<String>, i32),
    /// What the lines are drawn in.
    pub frame: Frame,
    /// The legend's rectangle, if there is a legend.
    pub legend: Option<Area>,
    /// Whether it is beside the chart.
    pub beside: bool,
    /// Names at the ends of the lines, in the place of a legend.
    pub names: Vec<Name>,
}

/// A line's name at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Name {
    /// Which line.
    pub line: usize,
    /// Its name, and what must be known of it.
    pub text: String,
    /// Where the line ends.
    pub end: At,
    /// The left end of the text, at half its height.
    pub at: At,
}

impl Layout {
    /// Of a chart.
    pub fn of(chart: &Chart) -> Self {
        let entries = chart.entries();
        let widest = entries.iter().map(|entry| width(entry, TEXT)).max().unwrap_or_default();
        let box_size = (SAMPLE + widest + 16, ENTRY * entries.len() as i32 + 10);
        if entries.is_empty() {
            return Self::with(chart, SIZE, 0.0);
        }
        if let Some(layout) = Self::named(chart, &entries).filter(|_| chart.named_at_ends) {
            return layout;
        }
        if chart.lines.len() <= INSIDE {
            for headroom in HEADROOM {
                let mut layout = Self::with(chart, SIZE, headroom);
                layout.legend = layout.frame.free(chart, box_size);
                if layout.legend.is_some() {
                    return layout;
                }
            }
        }
        let height = SIZE.1.max(box_size.1 + 90);
        let mut layout = Self::with(chart, (SIZE.0 + box_size.0 + MARGIN, height), 0.0);
        let from = (SIZE.0, layout.frame.area.from.1);
        layout.legend = Some(Area { from, to: (from.0 + box_size.0, from.1 + box_size.1) });
        layout.beside = true;
        layout
    }

    /// With names where lines end, beside the chart or, of those that end before the others, in it; nothing where there is no room for all.
    fn named(chart: &Chart, entries: &[String]) -> Option<Self> {
        let texts = &entries[..chart.lines.len()];
        let widest = texts.iter().map(|text| width(text, NAME)).max()?;
        let mut layout = Self::with(chart, (SIZE.0 + NAMES_GAP + widest, SIZE.1), 0.0);
        let frame = &layout.frame;
        let end = |line: &Line| {
            let last = *line.points.last().filter(|(x, y)| places(*x, chart.log_x) && places(*y, chart.log_y))?;
            Some(frame.at(last))
        };
        let ends = chart.lines.iter().map(end).collect::<Option<Vec<At>>>()?;
        let right = ends.iter().map(|end| end.0).max()?;
        let room = frame.area.to.1 - frame.area.from.1;
        let (last, early): (Vec<usize>, Vec<usize>) = (0..ends.len()).partition(|&line| right - ends[line].0 <= 2);
        if NAMES_STEP * (last.len() as i32 - 1) > room {
            return None;
        }
        let name = |line: usize, at: At| Name { line, text: texts[line].clone(), end: ends[line], at };
        let mut names =
            frame.inside(chart, texts, &early.iter().map(|&line| (line, ends[line])).collect::<Vec<_>>())?;
        let at_right: Vec<At> = last.iter().map(|&line| ends[line]).collect();
        let rows = spread(&at_right, (frame.area.from.1, frame.area.to.1));
        names.extend(rows.into_iter().map(|(i, y)| (last[i], (frame.area.to.0 + NAMES_GAP, y))));
        layout.names = names.into_iter().map(|(line, at)| name(line, at)).collect();
        if entries.len() > texts.len() {
            layout.size.1 += NOTE;
        }
        Some(layout)
    }

    fn with(chart: &Chart, size: (i32, i32), headroom: f64) -> Self {
        let title = title(&chart.title, size.0 - 2 * MARGIN);
        let (x, y) = axes(chart);
        let y = y.stretched(0.0, headroom);
        let labels = y.ticks(&[]).iter().map(|(_, label)| width(label, LABEL)).max().unwrap_or_default();
        let from = (MARGIN + 36 + labels, MARGIN + 8 + title.0.len() as i32 * line_height(title.1));
        let area = Area { from, to: (SIZE.0 - MARGIN - 10, size.1 - BELOW) };
        Layout { size, title, frame: Frame { area, x, y }, legend: None, beside: false, names: Vec::new() }
    }
}

/// Rows for names of lines that end at `ends`, from above to below, as near to their ends as there is room for between two rows.
fn spread(ends: &[At], (top, bottom): (i32, i32)) -> Vec<(usize, i32)> {
    let mut rows: Vec<(usize, i32)> = ends.iter().map(|end| end.1).enumerate().collect();
    rows.sort_by_key(|&(line, y)| (y, line));
    let mut least = top;
    for (_, y) in &mut rows {
        *y = least.max(*y);
        least = *y + NAMES_STEP;
    }
    let mut most = bottom;
    for (_, y) in rows.iter_mut().rev() {
        *y = most.min(*y);
        most = *y - NAMES_STEP;
    }
    rows
}

/// Pixels from one line of text to the next.
pub fn line_height(size: i32) -> i32 {
    size * 5 / 4
}

/// A title at the largest size that fits: in one line, else in two, else cut.
fn title(text: &str, room: i32) -> (Vec<String>, i32) {
    let size = fitting(text, room, TITLE.0..=TITLE.1);
    if width(text, size) <= room {
        return (vec![text.to_owned()], size);
    }
    let middle = text.len() / 2;
    let spaces = text.match_indices(' ').map(|(i, _)| i);
    let (first, second) = match spaces.min_by_key(|&i| i.abs_diff(middle)) {
        Some(i) => (&text[..i], &text[i + 1..]),
        None => return (vec![shortened(text, room, size)], size),
    };
    let size = fitting(first, room, TITLE.0..=16).min(fitting(second, room, TITLE.0..=16));
    (vec![shortened(first, room, size), shortened(second, room, size)], size)
}

/// Ranges of both axes, with some room around what is drawn.
fn axes(chart: &Chart) -> (Axis, Axis) {
    let points = || chart.lines.iter().flat_map(|line| line.points.iter().copied()).filter(|point| point.1.is_finite());
    let x = Axis::of(points().map(|point| point.0), chart.log_x).stretched(0.03, 0.03);
    let bars = || chart.lines.iter().flat_map(Line::bars).filter_map(|(_, bar)| bar);
    let mut values: Vec<f64> = points().map(|point| point.1).chain(bars().map(|bar| bar.1)).collect();
    if !chart.log_y {
        values.push(0.0);
        values.extend(bars().map(|bar| bar.0));
        values.extend(chart.floor().into_iter().flat_map(|floor| [-floor, floor]));
        return (x, Axis::of(values.into_iter(), false).stretched(0.04, 0.04));
    }
    // Neither bars that reach almost to zero nor a floor far below everything may squeeze the lines together.
    let placed = || points().map(|point| point.1).filter(|&value| places(value, true));
    let lowest = placed().fold(f64::INFINITY, f64::min);
    values.extend(bars().map(|bar| bar.0).filter(|&low| places(low, true)).map(|low| low.max(DECADE * lowest)));
    values.extend(chart.floor().filter(|floor| lowest.is_infinite() || *floor >= DECADE * DECADE * lowest));
    // A marker at the lower edge, and the area below a floor, need room.
    let below = if chart.floor().is_some() || chart.lines.iter().any(|line| line.lies_below()) { 0.09 } else { 0.04 };
    (x, Axis::of(values.into_iter(), true).stretched(below, 0.04))
}

impl Frame {
    /// Where a point lies.
    pub fn at(&self, (x, y): (f64, f64)) -> At {
        let Area { from, to } = self.area;
        let along = |from: i32, to: i32, share: f64| (f64::from(from) + share * f64::from(to - from)).round() as i32;
        (along(from.0, to.0, self.x.share(x)), along(to.1, from.1, self.y.share(y)))
    }

    /// What is drawn of a line.
    pub fn shapes(&self, chart: &Chart, line: &Line) -> Shapes {
        let mut shapes = Shapes::default();
        let mut interrupted = true;
        for &(x, y) in &line.points {
            let here = places(x, chart.log_x) && places(y, chart.log_y);
            if here && interrupted {
                shapes.runs.push(Vec::new());
            }
            interrupted = !here;
            match shapes.runs.last_mut() {
                Some(run) if here => run.push(self.at((x, y))),
                _ if places(x, chart.log_x) && chart.lies_below(y) => {
                    shapes.below.push((self.at((x, self.y.low())).0, self.area.to.1));
                }
                _ => {}
            }
        }
        shapes.bars = self.bars(chart, line);
        shapes
    }

    fn bars(&self, chart: &Chart, line: &Line) -> Vec<Bar> {
        let bar = |((x, _), bar): ((f64, f64), Option<(f64, f64)>)| {
            let (low, high) = bar.filter(|bar| places(x, chart.log_x) && places(bar.1, chart.log_y))?;
            let ends = places(low, chart.log_y) && low >= self.y.low();
            let (x, top) = self.at((x, high));
            let bottom = if ends { self.at((0.0, low)).1 } else { self.area.to.1 };
            Some(Bar { x, top, bottom: (bottom, ends) })
        };
        let mut bars: Vec<Bar> = line.bars().filter_map(bar).collect();
        // Bars that touch one another would hide the line.
        if bars.len() > 40 {
            bars.dedup_by(|next, kept| next.x.abs_diff(kept.x) < 8);
        }
        bars
    }

    /// Places for the names of lines that end within the chart, right of their ends; nothing where one has none that is free.
    fn inside(&self, chart: &Chart, texts: &[String], ends: &[(usize, At)]) -> Option<Vec<(usize, At)>> {
        if ends.is_empty() {
            return Some(Vec::new());
        }
        let lines = || chart.lines.iter().flat_map(|line| self.shapes(chart, line).pixels());
        let mut taken: Vec<At> = lines().collect();
        let mut named: Vec<(usize, At)> = Vec::new();
        for &(line, (x, y)) in ends {
            let half = NAMES_STEP / 2;
            let area = |at: At| Area { from: (at.0, at.1 - half), to: (at.0 + width(&texts[line], NAME), at.1 + half) };
            let is_free = |at: &At| {
                let area = area(*at);
                let corners = [area.from, area.to];
                corners.iter().all(|&corner| self.area.holds(corner)) && !taken.iter().any(|&pixel| area.holds(pixel))
            };
            let places = [0, NAMES_STEP, -NAMES_STEP, 2 * NAMES_STEP, -2 * NAMES_STEP];
            let at = places.map(|down| (x + INSIDE_GAP, y + down)).into_iter().find(is_free)?;
            let Area { from, to } = area(at);
            taken.extend((from.0..=to.0).step_by(4).flat_map(|x| [from.1 + 1, at.1, to.1 - 1].map(|y| (x, y))));
            named.push((line, at));
        }
        Some(named)
    }

    /// The first place for a rectangle of `size` where no line, mark or bar is.
    fn free(&self, chart: &Chart, size: (i32, i32)) -> Option<Area> {
        let Area { from, to } = self.area.grown(-8);
        let middle = (from.0 + to.0 - size.0) / 2;
        let (left, right, top, bottom) = (from.0, to.0 - size.0, from.1, to.1 - size.1);
        let mut places = [(right, top), (left, top), (left, bottom), (right, bottom), (middle, top), (middle, bottom)];
        if chart.log_x {
            // Where errors fall as a power, this corner is empty.
            places.swap(0, 2);
        }
        let taken: Vec<At> = chart.lines.iter().flat_map(|line| self.shapes(chart, line).pixels()).collect();
        let area = |at: At| Area { from: at, to: (at.0 + size.0, at.1 + size.1) };
        let fits = left <= right && top <= bottom;
        let is_free = |area: &Area| fits && !taken.iter().any(|&at| area.grown(8).holds(at));
        places.into_iter().map(area).find(is_free)
    }
}

impl Shapes {
    /// Pixels that it covers, every few.
    fn pixels(&self) -> Vec<At> {
        let bars = self.bars.iter().flat_map(|bar| dotted(&[(bar.x, bar.top), (bar.x, bar.bottom.0)]));
        let below = self.below.iter().map(|&(x, y)| (x, y - 5));
        self.runs.iter().flat_map(|run| dotted(run)).chain(bars).chain(below).collect()
    }
}

/// Points of a path that are at most four pixels apart.
fn dotted(path: &[At]) -> Vec<At> {
    let between = |pair: &[At]| {
        let (from, (dx, dy)) = (pair[0], (pair[1].0 - pair[0].0, pair[1].1 - pair[0].1));
        let parts = dx.abs().max(dy.abs()) / 4 + 1;
        (0..parts).map(move |i| (from.0 + dx * i / parts, from.1 + dy * i / parts)).collect::<Vec<_>>()
    };
    path.windows(2).flat_map(between).chain(path.last().copied()).collect()
}
