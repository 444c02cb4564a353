//! Options of `fewstep plan` and `fewstep sample`: none is ignored, and nothing is chosen silently.

use std::{fs, path::Path};

use crate::common::{Case, expect_refusals, experiment, gaussian_folder, repository, run, succeed};

fn write_plan(cwd: &Path, file: &str, arguments: &[&str]) {
    fs::write(cwd.join(file), succeed(cwd, &[&["plan", "--json"], arguments].concat())).unwrap();
}

#[test]
fn no_option_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    write_plan(cwd, "x.json", &["--method", "ddim", "--nfe", "3"]);
    write_plan(cwd, "y.json", &["--method", "ddim", "--nfe", "3", "--variable", "y"]);
    let file = |name: &str, sigma: &str, more: &str, second: &str| {
        let steps = format!(r#"[{{"a": 1, "c": [-1]}}, {{"a": 1, "c": [-1]{second}}}]"#);
        let text = format!(
            r#"{{"format": "fewstep-plan", "version": 1, "method": "m", "variable": "y", "sigma": {sigma}{more}, "steps": {steps}}}"#
        );
        std::fs::write(cwd.join(name), text).unwrap();
    };
    file("tiny.json", "[80, 1e-160, 0]", "", "");
    file("afs.json", "[80, 0, 0]", r#", "threshold": "clip""#, r#", "afs": 1"#);
    file("called.json", "[80, 2, 0]", r#", "grid": "quadratic""#, "");
    let refused = |more: &[&'static str], expected: &'static [&'static str]| -> Case {
        ("", expected, [&["plan"], more].concat())
    };
    let sized = &["depends on the size of images", "expected --variable y"];
    let cases = vec![
        refused(&["x.json", "--grid", "edm"], &["cannot be used with"]),
        refused(&["x.json", "--coefficients", "reference"], &["cannot be used with"]),
        refused(&["x.json", "--threshold", "clip"], &["cannot be used with"]),
        refused(&["x.json", "--schedule", "cosine"], &["--schedule is cosine; the file is in x on schedule 'linear'"]),
        refused(&["y.json", "--schedule", "cosine"], &["--schedule has no meaning for a file in y"]),
        refused(&["y.json", "--schedule", "cosine", "--variable", "y"], &["--schedule has no meaning"]),
        refused(
            &["tiny.json", "--variable", "x"],
            &["sigma[1] is 1e-160, where a network is evaluated; schedule 'linear' has no time"],
        ),
        refused(
            &["afs.json"],
            &["afs.json: sigma[1] is 0; a data prediction that is thresholded expects noise, of afs too"],
        ),
        refused(&["x.json", "--size", "64"], &["--size is for schedule simple-diffusion"]),
        refused(&["--diff", "x.json", "y.json", "--variable", "x"], &["expected --variable y"]),
        refused(&["--diff", "x.json", "y.json", "--schedule", "cosine"], &["cannot be used with"]),
        refused(&["--diff", "x.json", "y.json", "--grid", "edm"], &["cannot be used with"]),
        refused(&["--diff", "x.json", "y.json", "--nfe", "3"], &["cannot be used with"]),
        refused(
            &["--method", "ddim", "--nfe", "3", "--schedule", "simple-diffusion", "--variable", "x", "--json"],
            sized,
        ),
    ];
    expect_refusals(cwd, cases);
    succeed(cwd, &["plan", "x.json", "--schedule", "linear"]);
    // A grid is believed where the levels are its.
    assert!(succeed(cwd, &["plan", "called.json"]).contains("on levels of its own, which it calls quadratic"));
    assert!(succeed(cwd, &["plan", "x.json"]).contains("on the quadratic grid"));
    // What is analytic is not the network's error.
    let by_hand = repository().join("experiments/plans/by-hand.json");
    let lint = succeed(cwd, &["plan", "--lint", by_hand.to_str().unwrap()]);
    assert!(lint.contains("by up to 20.0000") && lint.contains("most in step 1"), "{lint}");
    // Levels of files in y have times by a schedule that is asked for, and named.
    assert!(succeed(cwd, &["plan", "--lint", "y.json"]).contains("schedule linear, which the file does not say"));
    let lint = succeed(cwd, &["plan", "--lint", "y.json", "--schedule", "cosine", "--json"]);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&lint).unwrap()["schedule"], "cosine");
}

/// ρ(1) of simple diffusion is e^7.5 d/64 (arXiv 2301.11093).
#[test]
fn simple_diffusion_depends_on_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    for (size, expected) in [("64", 7.5f64.exp()), ("256", 7.5f64.exp() * 4.0)] {
        let plan =
            ["plan", "--method", "ddim", "--nfe", "3", "--schedule", "simple-diffusion", "--size", size, "--json"];
        let file: serde_json::Value = serde_json::from_str(&succeed(cwd, &plan)).unwrap();
        let sigma = file["sigma"][0].as_f64().unwrap();
        assert!(file["variable"] == "y" && (sigma / expected - 1.0).abs() < 1e-12, "{sigma} {expected}");
    }
}

#[test]
fn plans_that_differ_are_said_to_differ() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    let text = r#"{"format": "fewstep-plan", "version": 1, "method": "m", "variable": "x", "schedule": "linear",
"tau": [1.0, 0.5, 0.0], "start": 1.0, "threshold": "none", "steps": [{"a": 1, "c": [0]}, {"a": 1, "c": [-0.5]}]}"#;
    fs::write(cwd.join("a.json"), text).unwrap();
    let diff = |from: &str, to: &str| {
        assert!(text.contains(from));
        fs::write(cwd.join("b.json"), text.replacen(from, to, 1)).unwrap();
        succeed(cwd, &["plan", "--diff", "a.json", "b.json"])
    };
    let same = diff("none", "none");
    assert!(!same.contains("they differ") && same.contains("0.00e0 of a level, 0.00e0 of a factor of a state, 0.00e0"));
    let threshold = diff("\"none\"", "\"clip\"");
    assert!(threshold.contains("they differ in threshold: A none, B clip"), "{threshold}");
    let start = diff("\"start\": 1.0", "\"start\": 1.25");
    assert!(start.contains("B: m with 2 NFE in 2 steps, in x on schedule linear, from 1.250000000 x_T"), "{start}");
    assert!(start.contains("2.00e-1 of a factor of a state"), "{start}");
    let afs = diff("\"c\": [0]", "\"c\": [0], \"afs\": 0");
    assert!(afs.contains("they differ in evaluations: A 2, B 1"), "{afs}");
    assert!(afs.contains("they differ in analytic predictions: A none, B in 0"), "{afs}");
    succeed(cwd, &["plan", "--diff", "a.json", "b.json", "--variable", "y"]);
    assert!(succeed(cwd, &["plan", "--diff", "a.json", "b.json", "--variable", "y"]).contains("in y, from 157."));
}

#[test]
fn an_ambiguous_method_is_not_sampled() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    experiment(cwd, "grids.toml", "grid = \"quadratic\"", "grids = [\"quadratic\", \"edm\"]");
    let text = fs::read_to_string(cwd.join("grids.toml")).unwrap();
    let more =
        "\n[[method]]\nname = \"ddim\"\ncoefficients = \"reference\"\n\n[[method]]\nname = \"ddim\"\nafs = true\n";
    fs::write(cwd.join("grids.toml"), text + more + "\n[[method]]\nname = \"ddim\"\nthreshold = \"clip\"\n").unwrap();
    let base = ["sample", "grids.toml", "--nfe", "5", "--samples", "2", "--out", "x.npz", "--method"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    let cases: Vec<Case> = vec![
        (
            "several",
            &["6 methods are 'ddim'", "ddim --grid edm --coefficients reference --threshold none", "--threshold clip"],
            with(&["ddim"]),
        ),
        (
            "still two",
            &["2 methods are 'ddim' --coefficients exact --threshold none"],
            with(&["ddim", "--threshold", "none", "--coefficients", "exact"]),
        ),
        ("none", &["no method 'euler' --grid log-snr", "ddim-afs --grid edm"], with(&["euler", "--grid", "log-snr"])),
        ("a label", &["no method 'DDIM AFS'", "ddim-afs --grid quadratic"], with(&["DDIM AFS"])),
    ];
    expect_refusals(cwd, cases);
    let output = run(cwd, &with(&["ddim", "--grid", "edm", "--coefficients", "exact", "--threshold", "none"]));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("2 samples of ddim --grid edm --coefficients exact --threshold none at 5 NFE"), "{said}");
    succeed(cwd, &with(&["ddim-afs", "--grid", "edm"]));
}

/// Files of a method that is Adams–Bashforth in σ converge as that does, to the last digit shown; and what is no set of files is refused.
#[test]
fn plan_files_converge_as_their_method() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    for nfe in ["20", "80", "320"] {
        let plan =
            succeed(cwd, &["plan", "--method", "deis-rho", "--order", "1", "--nfe", nfe, "--grid", "edm", "--json"]);
        fs::write(cwd.join(format!("mine-{nfe}.json")), plan).unwrap();
    }
    let text = succeed(cwd, &["orders", "mine-{nfe}.json"]);
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.iter().map(|row| row[1]).collect::<Vec<_>>(), ["20", "80", "320"]);
    for row in &rows {
        // Columns: nfe, error, order, and those two of each of four orders.
        assert_eq!(row[2..4], row[6..8], "{text}");
    }
    let order: f64 = rows[2][3].parse().unwrap();
    assert!((order - 2.0).abs() < 0.1, "{text}");
    let ddpm = succeed(cwd, &["plan", "--method", "ddpm", "--nfe", "5", "--json"]);
    for (nfe, schedule) in [("5", "linear"), ("6", "cosine")] {
        let plan = succeed(cwd, &["plan", "--method", "ddim", "--nfe", nfe, "--schedule", schedule, "--json"]);
        fs::write(cwd.join(format!("mix-{nfe}.json")), plan).unwrap();
    }
    for name in ["noisy-5", "noisy-6"] {
        fs::write(cwd.join(format!("{name}.json")), &ddpm).unwrap();
    }
    fs::copy(cwd.join("mine-20.json"), cwd.join("alone-20.json")).unwrap();
    let cases: Vec<Case> = vec![
        ("no pattern", &["mine-20.json: expected {nfe} in the name"], vec!["orders", "mine-20.json"]),
        ("one file", &["alone-{nfe}.json: 1 files"], vec!["orders", "alone-{nfe}.json"]),
        ("noise", &["noisy-5.json: noise in its steps"], vec!["orders", "noisy-{nfe}.json"]),
        (
            "schedules",
            &["mix-6.json: schedule 'cosine'; the files before have 'linear'"],
            vec!["orders", "mix-{nfe}.json"],
        ),
        ("both", &["cannot be used with"], vec!["orders", "mine-{nfe}.json", "--out", "r"]),
    ];
    expect_refusals(cwd, cases);
}
