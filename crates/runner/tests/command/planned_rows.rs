//! Rows of plan files in tables: what they are called, which grid they are on, and what is measured of them.

use std::{fs, path::Path};

use crate::common::{Case, GAUSSIAN, expect_refusals, gaussian_folder, succeed};
use crate::folder::{Row, assert_same, rows, sweep};

/// [`GAUSSIAN`] with DDIM and these tables, as `name`.
fn with_plans(cwd: &Path, name: &str, tables: &str) {
    let text = GAUSSIAN.split("[[method]]").next().unwrap();
    fs::write(cwd.join(name), format!("{text}[[method]]\nname = \"ddim\"\n\n{tables}\n")).unwrap();
}

fn table(file: &str, more: &str) -> String {
    format!("[[method]]\nplan = \"{file}\"\n{more}\n\n")
}

fn write_plan(cwd: &Path, file: &str, arguments: &[&str]) {
    fs::write(cwd.join(file), succeed(cwd, &[&["plan", "--json"], arguments].concat())).unwrap();
}

fn cell<'a>(rows: &'a [Row], label: &str, nfe: &str) -> &'a Row {
    let is = |row: &&Row| row["label"] == label && row["nfe"] == nfe;
    rows.iter().find(is).unwrap_or_else(|| panic!("{label} at {nfe}: {rows:?}"))
}

#[test]
fn names_that_are_taken_are_refused() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    write_plan(cwd, "five.json", &["--method", "deis", "--nfe", "5"]);
    let text = fs::read_to_string(cwd.join("five.json")).unwrap();
    fs::write(cwd.join("solution.json"), text.replace("\"deis\"", "\"solution\"")).unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut case = |file: &'static str, tables: String, expected: &'static [&'static str]| {
        with_plans(cwd, file, &tables);
        cases.push((file, expected, vec!["sweep", file]));
    };
    case(
        "a.toml",
        table("five.json", "label = \"solution\""),
        &["a.toml:31:9", "'solution', which no method is called"],
    );
    case(
        "b.toml",
        table("solution.json", ""),
        &["b.toml:30:8: solution.json: method is 'solution', which is no label"],
    );
    case("g.toml", table("five.json", "label = \"Mine AFS\""), &["label 'Mine AFS' says AFS, which five.json has not"]);
    case("c.toml", table("five.json", "label = \"Floor\""), &["c.toml:31:9", "'Floor', which no method is called"]);
    let mine = |label: &str, threshold: &str| table("five.json", &format!("label = \"{label}\"{threshold}"));
    case(
        "d.toml",
        mine("Mine", "\nthreshold = \"clip\"") + &mine("Mine clip", ""),
        &["d.toml:34:1", "two methods are called 'Mine clip' in tables; expected another label"],
    );
    for (file, methods) in [("e.toml", table("five.json", "")), ("f.toml", String::new())] {
        with_plans(cwd, file, &methods);
        let text = fs::read_to_string(cwd.join(file)).unwrap().replace("grid = \"quadratic\"\n\n", "grids = []\n\n");
        fs::write(cwd.join(file), text).unwrap();
    }
    cases.push(("no grids beside a plan", &["e.toml:7:9", "grids is empty"], vec!["sweep", "e.toml"]));
    cases.push(("no grids", &["f.toml:7:9", "grids is empty"], vec!["sweep", "f.toml"]));
    expect_refusals(cwd, cases);
}

#[test]
fn of_a_pattern_every_file_is_judged_alone() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    write_plan(cwd, "mixed-5.json", &["--method", "ddpm", "--nfe", "5"]);
    write_plan(cwd, "mixed-10.json", &["--method", "ddim", "--nfe", "10"]);
    write_plan(cwd, "some-5.json", &["--method", "ddim", "--nfe", "5", "--afs"]);
    write_plan(cwd, "some-10.json", &["--method", "ddim", "--nfe", "10"]);
    let tables = table("mixed-{nfe}.json", "label = \"Mixed\"")
        + &table("some-{nfe}.json", "label = \"Some\"")
        + &table("some-5.json", "label = \"AFSE solver\"")
        + &table("some-5.json", "label = \"My AFS\"");
    with_plans(cwd, "mixed.toml", &tables);
    sweep(cwd, &["mixed.toml"]);
    let rows = rows(&cwd.join("out/mixed"));
    assert!(cell(&rows, "Mixed", "5")["ode_rmse"].is_empty() && !cell(&rows, "Mixed", "5")["fd_pixel"].is_empty());
    assert_eq!(cell(&rows, "Mixed", "10")["ode_rmse"], cell(&rows, "DDIM", "10")["ode_rmse"]);
    for nfe in ["5", "10"] {
        assert_eq!(cell(&rows, "Some (AFS at 5 NFE)", nfe)["method"], "Some");
    }
    assert_eq!(cell(&rows, "AFSE solver AFS", "5")["key"], cell(&rows, "My AFS", "5")["key"]);
}

#[test]
fn a_grid_is_called_what_it_is() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    write_plan(cwd, "quadratic.json", &["--method", "unipc-bh2", "--nfe", "5", "--variable", "y"]);
    let text = fs::read_to_string(cwd.join("quadratic.json")).unwrap();
    let third = text.split("\"sigma\": [").nth(1).unwrap().split(", ").nth(2).unwrap();
    let edited = format!("{:?}", third.parse::<f64>().unwrap() * 1.01);
    fs::write(cwd.join("edited.json"), text.replace(third, &edited)).unwrap();
    fs::write(cwd.join("odd.json"), text.replace("\"grid\": \"quadratic\"", "\"grid\": \"a|b,c<d\"")).unwrap();
    let tables = table("quadratic.json", "label = \"A\"")
        + &table("edited.json", "label = \"B\"")
        + &table("odd.json", "label = \"C\"");
    with_plans(cwd, "named.toml", &tables);
    sweep(cwd, &["named.toml", "--only", "method=A,method=B,method=C,method=ddim,nfe=5"]);
    let rows = rows(&cwd.join("out/named"));
    let grid = |label: &str| cell(&rows, label, "5")["grid"].clone();
    assert_eq!([grid("DDIM"), grid("A"), grid("B"), grid("C")], ["quadratic", "quadratic", "own", "own"]);
    assert_eq!(sweep(cwd, &["named.toml", "--only", "grid=own", "--fresh"]).measured.len(), 3);
    let table = fs::read_to_string(cwd.join("out/named/table.md")).unwrap();
    assert!(table.contains("| B own |") && table.contains("| C own |") && !table.contains("a|b"), "{table}");
}

/// Everything that makes a first evaluation another than that of x_T: each figure against the definition, with reuse and without.
#[test]
fn what_no_method_has_is_swept_as_the_format_says() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    // The same levels once evaluated as every method does, once with a factor and another time, once analytically.
    let file = |name: &str, start: &str, first: &str| {
        let text = format!(
            r#"{{"format": "fewstep-plan", "version": 1, "method": "{name}", "variable": "x", "schedule": "linear",
"tau": [0.9, 0.8, 0.6, 0.3, 0.1, 0.0], "start": {start}, "steps": [{first}, {{"a": 1.5, "c": [-0.4]}},
{{"a": 1.7, "c": [-0.5], "input": 1.2, "at": 0.7}}, {{"a": 1.3, "c": [-0.3, 0.02]}}, {{"a": 1.1, "c": [-0.1]}}]}}"#
        );
        fs::write(cwd.join(format!("{name}.json")), text).unwrap();
        table(&format!("{name}.json"), "")
    };
    let tables = file("plain", "1.0", r#"{"a": 1.2, "c": [-0.3]}"#)
        + &file("start", "1.3", r#"{"a": 1.2, "c": [-0.3]}"#)
        + &file("input", "1.0", r#"{"a": 1.2, "c": [-0.3], "input": 1.2}"#)
        + &file("at", "1.0", r#"{"a": 1.2, "c": [-0.3], "at": 0.7}"#)
        + &file("all", "1.3", r#"{"a": 1.2, "c": [-0.3], "input": 1.2, "at": 0.7}"#)
        + &file("analytic", "1.3", r#"{"a": 1.2, "c": [-0.3], "afs": 1.0}"#);
    with_plans(cwd, "all.toml", &tables);
    let text = fs::read_to_string(cwd.join("all.toml")).unwrap();
    // AFS leaves four evaluations.
    fs::write(cwd.join("all.toml"), text.replace("nfe = [5, 10]", "nfe = [4, 5]")).unwrap();
    let reused = sweep(cwd, &["all.toml"]).evaluations.unwrap();
    let fresh = sweep(cwd, &["all.toml", "--no-reuse", "--out", "out/fresh"]).evaluations.unwrap();
    assert!(reused.1 > 0 && fresh.1 == 0 && reused.0 + reused.1 == fresh.0, "{reused:?} {fresh:?}");
    assert_same(&cwd.join("out/all"), &cwd.join("out/fresh"), "with reuse and without");
    let rows = rows(&cwd.join("out/all"));
    // N(−0.1, 0.25): ε = σ (x − √ᾱ m)/(ᾱ v + σ²), and what a run makes of x_T = 1 less what it makes of 0 is its slope. The ODE's
    // own from τ = 1, in x, is √(v/(ᾱ v + σ²)); ode_rmse has both errors, of the mean and of the slope, over the images' x_T.
    let alpha_bar = |tau: f64| fewstep_sampler::Schedule::linear().alpha_bar(tau);
    let epsilon = |x: f64, tau: f64| {
        let alpha_bar = alpha_bar(tau);
        (x + 0.1 * alpha_bar.sqrt()) * (1.0 - alpha_bar).sqrt() / (0.25 * alpha_bar + 1.0 - alpha_bar)
    };
    let run = |x_t: f64, start: f64, first: &dyn Fn(f64) -> f64| {
        let x = start * x_t;
        let x = 1.2 * x - 0.3 * first(x);
        let x = 1.5 * x - 0.4 * epsilon(x, 0.8);
        let seen = epsilon(1.2 * x, 0.7);
        let x = 1.7 * x - 0.5 * seen;
        let x = 1.3 * x - 0.3 * epsilon(x, 0.3) + 0.02 * seen;
        1.1 * x - 0.1 * epsilon(x, 0.1)
    };
    let solution = |x_t: f64| {
        let a = alpha_bar(1.0);
        -0.1 + (x_t + 0.1 * a.sqrt()) * (0.25 / (0.25 * a + 1.0 - a)).sqrt()
    };
    type First<'a> = Box<dyn Fn(f64, f64) -> f64 + 'a>;
    let cases: [(&str, &str, f64, First); 6] = [
        ("plain", "5", 1.0, Box::new(|x, _| epsilon(x, 0.9))),
        ("start", "5", 1.3, Box::new(|x, _| epsilon(x, 0.9))),
        ("input", "5", 1.0, Box::new(|x, _| epsilon(1.2 * x, 0.9))),
        ("at", "5", 1.0, Box::new(|x, _| epsilon(x, 0.7))),
        ("all", "5", 1.3, Box::new(|x, _| epsilon(1.2 * x, 0.7))),
        ("analytic AFS", "4", 1.3, Box::new(|_, x_t| x_t)),
    ];
    // The sample moments of x_T, from the figures of two of the rows, are what the others are held to: of 24 · 768 numbers the mean
    // is within 0.03 of 0 and the variance within 0.04 of 1.
    for (label, nfe, start, first) in cases {
        let error = |x_t: f64| run(x_t, start, &|x| first(x, x_t)) - solution(x_t);
        let (constant, slope) = (error(0.0), error(1.0) - error(0.0));
        let expected = (constant * constant + slope * slope).sqrt();
        let found: f64 = cell(&rows, label, nfe)["ode_rmse"].parse().unwrap();
        assert!((found / expected - 1.0).abs() < 0.03, "{label}: {found}, by the definition {expected}");
    }
}
