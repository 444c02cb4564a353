use super::{canvas::MARKS, *};

/// The colour of the second line: nothing else has it.
const SECOND: &str = "#56B4E9";

fn chart(lines: Vec<Line>) -> Chart {
    Chart {
        title: "A title".into(),
        x: "NFE".into(),
        y: "FID".into(),
        lines,
        marks: true,
        log_x: false,
        log_y: true,
        floor: None,
        named_at_ends: false,
    }
}

fn falling() -> Line {
    Line::new("falling", [5.0, 10.0, 20.0, 50.0].iter().map(|&x| (x, 40.0 / x)).collect())
}

/// A path of an SVG: its width, and its points.
type Path = (u32, Vec<(i32, i32)>);

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn paths(svg: &str, colour: &str) -> Vec<Path> {
    let of_colour = svg.lines().filter(|tag| tag.starts_with("<polyline") && attribute(tag, "stroke") == Some(colour));
    let point = |pair: &str| pair.split_once(',').map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).unwrap();
    let path = |tag: &str| {
        let points = attribute(tag, "points").unwrap().split_whitespace().map(point).collect();
        (attribute(tag, "stroke-width").unwrap().parse().unwrap(), points)
    };
    of_colour.map(path).collect()
}

/// Draws, and checks that everything is at a place in the picture.
fn drawn(chart: &Chart) -> (String, Layout) {
    let (svg, layout) = (chart.svg().unwrap(), Layout::of(chart));
    for word in ["NaN", "inf"] {
        assert!(!svg.contains(word), "{word} in the picture");
    }
    for tag in svg.lines().filter(|tag| tag.starts_with('<')) {
        let of = |names: &[&str]| -> Vec<i32> {
            names.iter().filter_map(|name| attribute(tag, name)).map(|value| value.parse().unwrap()).collect()
        };
        assert!(of(&["x", "cx", "x1", "x2"]).iter().all(|x| (0..=layout.size.0).contains(x)), "{tag}");
        assert!(of(&["y", "cy", "y1", "y2"]).iter().all(|y| (0..=layout.size.1).contains(y)), "{tag}");
    }
    let area = layout.frame.area;
    for shapes in chart.lines.iter().map(|line| layout.frame.shapes(chart, line)) {
        assert!(shapes.runs.iter().flatten().all(|&at| area.holds(at)));
    }
    (svg, layout)
}

#[test]
fn zero_on_a_logarithmic_axis_is_marked_at_the_lower_edge_and_interrupts_the_line() {
    let points = vec![(5.0, 1.0), (10.0, 0.5), (20.0, 0.0), (40.0, 0.1), (50.0, 0.05)];
    let chart = chart(vec![falling(), Line::new("exact", points)]);
    let (svg, layout) = drawn(&chart);
    let bottom = layout.frame.area.to.1;
    let column = layout.frame.at((20.0, 1.0)).0;
    let paths = paths(&svg, SECOND);
    let markers: Vec<&Path> = paths.iter().filter(|(width, _)| *width == 1).collect();
    assert_eq!(
        markers,
        [&(1, vec![(column, bottom), (column - 6, bottom - 10), (column + 6, bottom - 10), (column, bottom)])]
    );
    let legend = layout.legend.unwrap();
    let runs = paths.iter().filter(|(width, path)| *width == 2 && !legend.holds(path[0]));
    let runs: Vec<&Vec<(i32, i32)>> = runs.map(|(_, path)| path).collect();
    assert_eq!(runs.iter().map(|run| run.len()).collect::<Vec<_>>(), [2, 2]);
    assert!(runs[0][1].0 < column && column < runs[1][0].0);
    // A mark for every point that has a place, and one in the legend.
    let marks = svg.lines().filter(|tag| tag.starts_with("<polygon") && attribute(tag, "fill") == Some(SECOND));
    assert_eq!(marks.count(), 4 + 1);
    assert!(svg.contains("exact (0: at the lower edge)") && !svg.contains("falling ("));
}

#[test]
fn negative_values_and_places_are_told_from_zero() {
    let below = Line::new("below", vec![(5.0, 1.0), (10.0, -0.5)]);
    let (svg, _) = drawn(&chart(vec![falling(), below.clone()]));
    assert!(svg.contains("below (≤ 0: at the lower edge)"));
    let linear = Chart { log_y: false, ..chart(vec![falling(), below]) };
    assert!(!drawn(&linear).0.contains("at the lower edge"));
    let start = Line::new("start", vec![(0.0, 1.0), (10.0, 0.5), (20.0, 0.3)]);
    let logarithmic = Chart { log_x: true, ..chart(vec![falling(), start]) };
    assert!(drawn(&logarithmic).0.contains("start (without x ≤ 0)"));
}

#[test]
fn what_has_no_number_is_left_out() {
    let points =
        vec![(5.0, 1.0), (10.0, f64::NAN), (20.0, 2.0), (f64::INFINITY, 2.0), (30.0, f64::INFINITY), (50.0, 3.0)];
    let errors = vec![f64::NAN, 1.0, f64::INFINITY, 1.0, 1.0, -1.0];
    let line = Line { errors, ..Line::new("gaps", points) };
    let chart = chart(vec![falling(), line]);
    let (svg, layout) = drawn(&chart);
    let shapes = layout.frame.shapes(&chart, &chart.lines[1]);
    assert_eq!(shapes.runs.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    assert!(shapes.below.is_empty() && shapes.bars.is_empty());
    assert!(svg.contains("gaps\n"));
}

#[test]
fn nothing_to_draw_is_drawn() {
    let lines = [vec![], vec![(5.0, f64::NAN)], vec![(5.0, 0.0), (10.0, -1.0)], vec![(5.0, 3.0)], vec![(0.0, 0.0)]];
    for points in lines {
        for (log_x, log_y, floor) in [(false, true, None), (true, true, Some(1e-3)), (false, false, Some(f64::NAN))] {
            drawn(&Chart { log_x, log_y, floor, ..chart(vec![Line::new("a", points.clone())]) });
            drawn(&Chart { log_x, log_y, floor, marks: false, ..chart(vec![]) });
        }
    }
    let extreme = vec![(1.0, 1e-300), (2.0, 1e300), (3.0, f64::MIN_POSITIVE), (4.0, f64::MAX), (5.0, -f64::MAX)];
    drawn(&chart(vec![Line { errors: vec![f64::MAX; 5], ..Line::new("extreme", extreme.clone()) }]));
    drawn(&Chart { log_y: false, ..chart(vec![Line::new("extreme", extreme)]) });
}

#[test]
fn dashed_lines_are_dashed_in_both_legends() {
    let dashed = Line { dashed: true, ..Line::new("published", vec![(5.0, 3.0), (50.0, 0.5)]) };
    let mut chart = chart(vec![falling(), dashed]);
    for beside in [false, true] {
        let (svg, layout) = drawn(&chart);
        assert_eq!(layout.beside, beside);
        let legend = layout.legend.unwrap();
        let (inside, outside): (Vec<Path>, Vec<Path>) =
            paths(&svg, SECOND).into_iter().partition(|(_, path)| legend.holds(path[0]));
        // 22 pixels of 6 and gaps of 4.
        assert_eq!(inside.len(), 3);
        assert!(outside.len() > 50);
        let solid = paths(&svg, "#D55E00").into_iter().filter(|(_, path)| legend.holds(path[0]) && path.len() == 2);
        assert!(solid.into_iter().all(|(_, path)| path[1].0 - path[0].0 == ENTRY || !beside));
        chart.lines.extend((0..8).map(|i| Line::new(format!("more {i}"), falling().points)));
    }
}

#[test]
fn error_bars_reach_two_standard_errors_or_the_lower_edge() {
    let line = Line { errors: vec![0.5, 0.7, 0.0], ..Line::new("noisy", vec![(5.0, 3.0), (10.0, 1.0), (20.0, 2.0)]) };
    let chart = chart(vec![falling(), line]);
    let (svg, layout) = drawn(&chart);
    let row = |y: f64| layout.frame.at((5.0, y)).1;
    let thin: Vec<Path> = paths(&svg, SECOND).into_iter().filter(|(width, _)| *width == 1).collect();
    let (first, second) = (layout.frame.at((5.0, 1.0)).0, layout.frame.at((10.0, 1.0)).0);
    let cap = |x: i32, y: i32| (1, vec![(x - 3, y), (x + 3, y)]);
    let expected = [
        (1, vec![(first, row(4.0)), (first, row(2.0))]),
        cap(first, row(4.0)),
        cap(first, row(2.0)),
        // From 2.4 to −0.4, which has no lower end.
        (1, vec![(second, row(2.4)), (second, layout.frame.area.to.1)]),
        cap(second, row(2.4)),
    ];
    assert_eq!(thin, expected);
    let tall = Line { errors: vec![30.0], ..Line::new("tall", vec![(5.0, 1.0)]) };
    let (_, layout) = drawn(&self::chart(vec![falling(), tall]));
    assert!(layout.frame.y.share(61.0) < 1.0 && layout.frame.y.share(1.0) < 0.8);
}

#[test]
fn a_linear_axis_has_both_signs_and_a_zero_line() {
    let line = Line { errors: vec![1.0; 3], ..Line::new("change", vec![(5.0, -12.0), (10.0, -3.0), (20.0, 4.0)]) };
    let chart = Chart { log_y: false, floor: Some(1.0), ..chart(vec![line]) };
    let (svg, layout) = drawn(&chart);
    let (area, zero) = (layout.frame.area, layout.frame.at((5.0, 0.0)).1);
    assert!(area.from.1 < zero && zero < area.to.1);
    let lines = paths(&svg, "#000000");
    assert!(lines.contains(&(2, vec![(area.from.0, zero), (area.to.0, zero)])));
    assert!(svg.contains("\n−10\n") || svg.contains("−10\n"), "no negative label");
    let run = &layout.frame.shapes(&chart, &chart.lines[0]).runs[0];
    assert!(run[0].1 > run[1].1 && run[1].1 > zero && zero > run[2].1);
    // The floor is to both sides of zero.
    let grey = svg.lines().find(|tag| attribute(tag, "fill") == Some("#E8E8E8")).unwrap();
    let (y, height) = (attribute(grey, "y").unwrap(), attribute(grey, "height").unwrap());
    assert_eq!(y.parse(), Ok(layout.frame.at((5.0, 1.0)).1));
    assert_eq!(height.parse(), Ok(layout.frame.at((5.0, -1.0)).1 - layout.frame.at((5.0, 1.0)).1));
}

#[test]
fn a_floor_is_an_area_up_to_the_lower_edge_and_an_entry_of_the_legend() {
    let chart = Chart { floor: Some(0.3), ..chart(vec![falling()]) };
    let (svg, layout) = drawn(&chart);
    let (area, row) = (layout.frame.area, layout.frame.at((5.0, 0.3)).1);
    assert!(row < area.to.1 - 10);
    let greys = svg.lines().filter(|tag| attribute(tag, "fill") == Some("#E8E8E8"));
    let grey = greys.into_iter().next().unwrap();
    assert_eq!(attribute(grey, "y").unwrap().parse(), Ok(row));
    assert_eq!(attribute(grey, "height").unwrap().parse(), Ok(area.to.1 - row));
    assert!(svg.contains("below 0.3: less than the solution itself has"));
    // Far below everything it squeezes nothing.
    let far = Chart { floor: Some(1e-9), ..chart };
    let (svg, layout) = drawn(&far);
    assert!(layout.frame.y.low() > 0.1);
    assert_eq!(svg.lines().filter(|tag| attribute(tag, "fill") == Some("#E8E8E8")).count(), 1);
}

#[test]
fn a_legend_covers_no_line() {
    let flat = |y: f64| Line::new(format!("flat at {y}"), vec![(5.0, y), (50.0, y)]);
    let everywhere = Line::new("everywhere", (0..200).map(|i| (f64::from(i), f64::from(1 + i * 97 % 101))).collect());
    let everywhere = vec![everywhere; 6];
    let rising = Line::new("rising", falling().points.iter().map(|&(x, y)| (x, 10.0 / y)).collect());
    let tall = Line { errors: vec![0.0, 0.0, 0.0, 2.0], ..falling() };
    let charts = [
        vec![falling()],
        vec![rising.clone()],
        vec![falling(), rising],
        vec![flat(1.0), flat(2.0)],
        vec![tall],
        everywhere,
    ];
    let mut beside = 0;
    for lines in charts {
        let chart = chart(lines);
        let (_, layout) = drawn(&chart);
        let legend = layout.legend.unwrap();
        beside += usize::from(layout.beside);
        assert_eq!(layout.frame.area.grown(8).holds(legend.from), !layout.beside);
        for shapes in chart.lines.iter().map(|line| layout.frame.shapes(&chart, line)) {
            assert!(!shapes.runs.iter().flatten().any(|&at| legend.grown(4).holds(at)));
            assert!(!shapes.bars.iter().any(|bar| legend.holds((bar.x, bar.top))));
        }
        assert!(legend.to.0 <= layout.size.0 && legend.to.1 <= layout.size.1);
    }
    assert_eq!(beside, 1);
    // Thirty entries need a taller picture.
    let (_, layout) = drawn(&chart((0..30).map(|i| Line { label: format!("line {i}"), ..falling() }).collect()));
    assert!(layout.beside && layout.legend.unwrap().to.1 < layout.size.1);
}

#[test]
fn lines_are_named_where_they_end() {
    let flat = |label: &str, y: f64| Line::new(label, vec![(5.0, 2.0), (50.0, y)]);
    // Three ends close together and one far off.
    let lines = vec![flat("a", 1.0), flat("b", 1.05), flat("c", 0.95), flat("d", 0.1)];
    let chart = Chart { named_at_ends: true, floor: Some(0.2), ..chart(lines) };
    let (svg, layout) = drawn(&chart);
    assert!(layout.legend.is_none() && svg.contains("below 0.2: less than the solution itself has"));
    let names: Vec<&str> = layout.names.iter().map(|name| name.text.as_str()).collect();
    assert_eq!(names, ["b", "a", "c", "d"]);
    let rows: Vec<i32> = layout.names.iter().map(|name| name.at.1).collect();
    assert!(rows.windows(2).all(|pair| pair[1] - pair[0] >= 18), "{rows:?}");
    assert_eq!(layout.names[3].at.1, layout.names[3].end.1);
    assert!(layout.names.iter().all(
        |name| name.at.0 > layout.frame.area.to.0 && name.end == layout.frame.at(chart.lines[name.line].points[1])
    ));
    // Two that end before the others, in one place: each has its name beside its end, on no line and not on the other's.
    let short = |label: &str| Line::new(label, vec![(5.0, 1.0), (20.0, 0.3)]);
    let early = Chart { lines: [chart.lines.clone(), vec![short("e"), short("f")]].concat(), ..chart.clone() };
    let (_, layout) = drawn(&early);
    let inside: Vec<_> = layout.names.iter().filter(|name| name.line >= 4).collect();
    assert!(layout.legend.is_none() && layout.names.len() == 6 && inside.len() == 2);
    assert!(inside[0].at.1.abs_diff(inside[1].at.1) >= 18 && inside.iter().all(|name| name.end == inside[0].end));
    for name in inside {
        let area = Area { from: (name.at.0, name.at.1 - 9), to: (name.at.0 + 10, name.at.1 + 9) };
        assert!(name.at.0 > name.end.0 && layout.frame.area.holds(area.from) && layout.frame.area.holds(area.to));
        let on = |line: &Line| layout.frame.shapes(&early, line).runs.iter().flatten().any(|&at| area.holds(at));
        assert!(!early.lines.iter().any(on));
    }
    // A name that has no place there, and more than there is room for, have a legend.
    let long = "a name that is far too long to be beside the end of a line that ends within the chart, at any size of its letters";
    let short = Chart { lines: [chart.lines.clone(), vec![short(long)]].concat(), ..chart.clone() };
    assert!(drawn(&short).1.names.is_empty() && drawn(&short).1.legend.is_some());
    let many = Chart { lines: (0..40).map(|i| flat(&format!("{i}"), 1.0 + f64::from(i))).collect(), ..chart.clone() };
    assert!(drawn(&many).1.names.is_empty());
    // Twenty in one place are moved apart within the chart.
    let same = Chart { lines: (0..20).map(|i| flat(&format!("{i}"), 0.1)).collect(), ..chart };
    let (_, layout) = drawn(&same);
    let area = layout.frame.area;
    assert!(layout.names.len() == 20 && layout.names.iter().all(|name| (area.from.1..=area.to.1).contains(&name.at.1)));
}

#[test]
fn a_line_keeps_its_own_colour() {
    let mut chart = chart(vec![falling(), Line { colour: Some([1, 2, 3]), ..falling() }]);
    let (svg, _) = drawn(&chart);
    assert!(!paths(&svg, "#010203").is_empty() && paths(&svg, SECOND).is_empty());
    chart.lines.swap(0, 1);
    assert!(!paths(&drawn(&chart).0, "#010203").is_empty());
}

#[test]
fn lines_differ_in_colour_and_most_neighbours_in_their_mark() {
    let mut colours: Vec<(u8, u8, u8)> = COLOURS.iter().map(|colour| (colour.0, colour.1, colour.2)).collect();
    colours.sort_unstable();
    colours.dedup();
    assert_eq!((colours.len(), MARKS), (12, 6));
    let lines = (0..14).map(|i| Line { label: format!("line {i}"), ..falling() }).collect();
    drawn(&chart(lines));
}

#[test]
fn long_titles_are_broken_and_not_cut_off() {
    let mut chart = chart(vec![falling()]);
    chart.title = "many words of a title ".repeat(8).trim().to_owned();
    let (_, layout) = drawn(&chart);
    let (lines, size) = &layout.title;
    assert_eq!(lines.join(" "), chart.title);
    assert!(lines.len() == 2 && lines.iter().all(|line| width(line, *size) <= layout.size.0 - 2 * MARGIN));
    chart.title = "x".repeat(1000);
    let (_, layout) = drawn(&chart);
    assert!(width(&layout.title.0[0], layout.title.1) <= layout.size.0 - 2 * MARGIN);
}

#[test]
fn the_same_chart_is_the_same_bytes() {
    let line = Line { errors: vec![0.1; 4], dashed: true, ..falling() };
    let chart = Chart { floor: Some(0.5), ..chart(vec![falling(), line]) };
    let folder = tempfile::tempdir().unwrap();
    let files = |name: &str| {
        let stem = folder.path().join(name);
        chart.write(&stem).unwrap();
        ["svg", "png"].map(|ending| std::fs::read(stem.with_extension(ending)).unwrap())
    };
    assert_eq!(files("a"), files("b"));
}
