//! Plan files and AFS as methods: everything that a sweep does with a method it does with a file.

use std::{fs, path::Path};

use crate::common::{Case, GAUSSIAN, expect_refusals, gaussian_folder, npz, repository, run, succeed};
use crate::folder::{self, rows, sweep};

/// `gaussian.toml` with these tables in the place of Euler's, as `name`.
fn with_methods(cwd: &Path, name: &str, tables: &str) {
    let text = GAUSSIAN.replace("[[method]]\nname = \"euler\"\n", tables);
    assert_ne!(text, GAUSSIAN);
    fs::write(cwd.join(name), text).unwrap();
}

fn write_plan(cwd: &Path, file: &str, arguments: &[&str]) {
    let text = succeed(cwd, &[&["plan", "--json"], arguments].concat());
    fs::write(cwd.join(file), text).unwrap();
}

fn cell<'a>(rows: &'a [folder::Row], label: &str, nfe: &str) -> &'a folder::Row {
    let is = |row: &&folder::Row| row["label"] == label && row["nfe"] == nfe;
    rows.iter().find(is).unwrap_or_else(|| panic!("{label} at {nfe}"))
}

#[test]
fn a_file_is_swept_as_the_method_that_wrote_it() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    for nfe in ["5", "10"] {
        write_plan(cwd, &format!("deis-{nfe}.json"), &["--method", "deis", "--order", "2", "--nfe", nfe]);
        let y = ["--method", "deis", "--order", "2", "--nfe", nfe, "--variable", "y"];
        write_plan(cwd, &format!("y-{nfe}.json"), &y);
    }
    write_plan(cwd, "noisy.json", &["--method", "ddpm", "--nfe", "5"]);
    let tables = r#"[[method]]
plan = "deis-{nfe}.json"
label = "Mine"

[[method]]
plan = "y-{nfe}.json"
label = "Mine in y"

[[method]]
plan = "noisy.json"
label = "Noisy"

[[method]]
plan = "y-5.json"
label = "Clipped"
threshold = "clip"
"#;
    with_methods(cwd, "planned.toml", tables);
    let swept = sweep(cwd, &["planned.toml"]);
    let rows = rows(&cwd.join("out/planned"));
    for nfe in ["5", "10"] {
        let (own, file, y) = (cell(&rows, "DEIS-2", nfe), cell(&rows, "Mine", nfe), cell(&rows, "Mine in y", nfe));
        // The very same numbers are the very same samples, and have one key.
        for column in ["key", "fd_pixel", "ode_rmse", "nfe_measured"] {
            assert_eq!(own[column], file[column], "{column}");
        }
        let number = |row: &folder::Row, column: &str| row[column].parse::<f64>().unwrap();
        for column in ["fd_pixel", "ode_rmse"] {
            assert!((number(y, column) / number(own, column) - 1.0).abs() < 1e-5, "{column}");
        }
        assert_ne!(own["key"], y["key"]);
        assert_eq!(
            (file["method"].as_str(), file["coefficients"].as_str(), file["grid"].as_str()),
            ("Mine", "given", "quadratic")
        );
        assert!(
            swept.shared.iter().any(|(cell, _)| cell.starts_with(&format!("DEIS-2 at {nfe} NFE"))),
            "{:?}",
            swept.shared
        );
    }
    // One with noise solves no ODE; a file of one number of evaluations has one cell.
    assert!(cell(&rows, "Noisy", "5")["ode_rmse"].is_empty() && !cell(&rows, "Noisy", "5")["fd_pixel"].is_empty());
    assert_eq!(rows.iter().filter(|row| row["label"] == "Noisy").count(), 1);
    assert_eq!(cell(&rows, "Clipped", "5")["threshold"], "clip");
    let table = fs::read_to_string(cwd.join("out/planned/table.md")).unwrap();
    assert!(table.contains("| Mine |") && table.contains("| Clipped clip |"), "{table}");
    let provenance = fs::read_to_string(cwd.join("out/planned/provenance.toml")).unwrap();
    assert!(provenance.contains("\"plan Mine 10\" = \""), "{provenance}");
    // Nothing is measured again, a selection by label is one, and another number is another cell.
    assert_eq!(sweep(cwd, &["planned.toml"]).measured, Vec::<String>::new());
    assert_eq!(sweep(cwd, &["planned.toml", "--only", "method=Mine,nfe=5", "--fresh"]).measured.len(), 2);
    let text = fs::read_to_string(cwd.join("y-5.json")).unwrap();
    let at = text.find("\"c\": [-").unwrap() + 7;
    fs::write(cwd.join("y-5.json"), format!("{}9{}", &text[..at], &text[at + 1..])).unwrap();
    let again = sweep(cwd, &["planned.toml"]).measured;
    assert_eq!(again.len(), 2, "{again:?}");
}

#[test]
fn an_analytic_first_step_has_a_row_of_its_own() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let tables = "[[method]]\nname = \"ddim\"\nafs = true\n\n[[method]]\nname = \"deis-sn\"\norder = 2\nafs = true\n";
    with_methods(cwd, "afs.toml", tables);
    sweep(cwd, &["afs.toml"]);
    let rows = rows(&cwd.join("out/afs"));
    for (label, method) in [("DDIM AFS", "ddim-afs"), ("DEIS-SN-2 AFS", "deis-sn-afs")] {
        for nfe in ["5", "10"] {
            let row = cell(&rows, label, nfe);
            // The model counted no more than it was asked for, although there is a step more.
            assert_eq!(
                (row["method"].as_str(), row["nfe_measured"].parse::<f64>().unwrap()),
                (method, nfe.parse().unwrap())
            );
            assert_ne!(row["ode_rmse"], cell(&rows, label.strip_suffix(" AFS").unwrap(), nfe)["ode_rmse"]);
        }
    }
    assert!(fs::read_to_string(cwd.join("out/afs/table.md")).unwrap().contains("| DDIM AFS |"));
    // And is told apart where it is a file.
    write_plan(cwd, "afs-5.json", &["--method", "ddim", "--nfe", "5", "--afs"]);
    with_methods(cwd, "file.toml", &format!("{tables}\n[[method]]\nplan = \"afs-5.json\"\nlabel = \"Table\"\n"));
    sweep(cwd, &["file.toml"]);
    let rows = folder::rows(&cwd.join("out/file"));
    assert_eq!(cell(&rows, "Table AFS", "5")["key"], cell(&rows, "DDIM AFS", "5")["key"]);
    let output = run(cwd, &["sample", "file.toml", "--method", "Table", "--nfe", "10", "--out", "x.png"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no plan of 'Table' has nfe 10; there is 5"));
    succeed(cwd, &["sample", "file.toml", "--method", "Table", "--nfe", "5", "--samples", "4", "--out", "x.png"]);
    succeed(cwd, &["sample", "file.toml", "--method", "ddim-afs", "--nfe", "5", "--samples", "4", "--out", "y.png"]);
    assert_eq!(fs::read(cwd.join("x.png")).unwrap(), fs::read(cwd.join("y.png")).unwrap());
}

#[test]
fn samples_are_numbers_that_come_from_given_noise() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let sample = |more: &[&str]| {
        succeed(cwd, &[&["sample", "gaussian.toml", "--method", "ddim", "--nfe", "5"], more].concat());
    };
    sample(&["--samples", "20", "--out", "own.npz", "--save-noise", "x_T.npz"]);
    sample(&["--noise", "x_T.npz", "--out", "given.npz"]);
    let read = |name: &str| fs::read(cwd.join(name)).unwrap();
    assert_eq!(read("own.npz"), read("given.npz"));
    assert!(read("own.npz").len() > 20 * 3 * 16 * 16 * 4);
    sample(&["--noise", "x_T.npz", "--samples", "3", "--out", "three.npz"]);
    assert!(read("three.npz").len() < read("given.npz").len());
    // Noise that no seed made. On Gaussian data DDIM's steps are affine, so that the images of −z, 0 and z lie on a line.
    let numbers = |name: &str| -> Vec<f32> {
        let mut archive = zip::ZipArchive::new(fs::File::open(cwd.join(name)).unwrap()).unwrap();
        let npy = npyz::NpyFile::new(archive.by_name("arr_0.npy").unwrap()).unwrap();
        npy.into_vec().unwrap()
    };
    let z = |sign: f32| (0..3 * 16 * 16).map(move |i| sign * (i as f32 * 0.7).sin());
    let bytes: Vec<u8> = [-1.0, 0.0, 1.0].into_iter().flat_map(z).flat_map(f32::to_le_bytes).collect();
    fs::write(cwd.join("line.npz"), npz("arr_0", "<f4", &[3, 3, 16, 16], &bytes)).unwrap();
    sample(&["--noise", "line.npz", "--out", "images.npz", "--save-noise", "again.npz"]);
    assert_eq!(numbers("again.npz"), [-1.0, 0.0, 1.0].into_iter().flat_map(z).collect::<Vec<_>>());
    let images = numbers("images.npz");
    let (below, middle, above) = (&images[..768], &images[768..1536], &images[1536..]);
    assert!(middle.iter().all(|x| (x - middle[0]).abs() < 1e-6));
    // By so much a pixel follows its noise: a standard deviation of the data, 0.5, less what five steps of DDIM lose.
    let slope = (above[2] - below[2]) / (2.0 * 1.4f32.sin());
    assert!((0.35..0.5).contains(&slope), "{slope}");
    for i in 0..768 {
        assert!((above[i] + below[i] - 2.0 * middle[i]).abs() < 2e-6);
        assert!((above[i] - middle[i] - slope * z(1.0).nth(i).unwrap()).abs() < 2e-6);
    }
    let data = vec![0u8; 4 * 3 * 8 * 8];
    fs::write(cwd.join("small.npz"), npz("arr_0", "<f4", &[1, 3, 8, 8], &data)).unwrap();
    fs::write(cwd.join("double.npz"), npz("arr_0", "<f8", &[1, 3, 16, 16], &[data.clone(), data.clone()].concat()))
        .unwrap();
    fs::write(cwd.join("short.npz"), npz("arr_0", "<f4", &[9, 3, 16, 16], &data)).unwrap();
    let case = |noise: &'static str, expected: &'static [&'static str]| -> Case {
        let arguments =
            ["sample", "gaussian.toml", "--method", "ddim", "--nfe", "5", "--out", "x.npz", "--noise", noise];
        (noise, expected, arguments.to_vec())
    };
    let mut cases = vec![
        case("absent.npz", &["absent.npz"]),
        case("gaussian.toml", &["no zip archive", "expected arr_0 of f32 [n, 3, 16, 16]"]),
        case("small.npz", &["arr_0 has shape [1, 3, 8, 8]"]),
        case("double.npz", &["arr_0 has type '<f8'"]),
        case("short.npz", &["claims shape [9, 3, 16, 16]"]),
    ];
    let mut many = case("x_T.npz", &["--samples is 21; expected 1 to 20"]).2;
    many.extend(["--samples", "21"]);
    cases.push(("more than there are", &["--samples is 21; expected 1 to 20"], many));
    expect_refusals(cwd, cases);
}

#[test]
fn plans_that_make_no_sense_are_refused_with_one_clear_message() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    write_plan(cwd, "seven.json", &["--method", "ddim", "--nfe", "7"]);
    write_plan(cwd, "five.json", &["--method", "ddim", "--nfe", "5"]);
    write_plan(cwd, "wrong-5.json", &["--method", "ddim", "--nfe", "7"]);
    write_plan(cwd, "cosine.json", &["--method", "ddim", "--nfe", "5", "--schedule", "cosine"]);
    write_plan(cwd, "noise.json", &["--method", "ddim", "--nfe", "5", "--schedule", "cosine", "--variable", "y"]);
    fs::write(
        cwd.join("version.json"),
        fs::read_to_string(cwd.join("five.json")).unwrap().replace("\"version\": 1", "\"version\": 3"),
    )
    .unwrap();
    let mut cases: Vec<Case> = Vec::new();
    let mut case = |file: &'static str, table: &str, expected: &'static [&'static str]| {
        with_methods(cwd, file, &format!("[[method]]\n{table}\n"));
        cases.push((file, expected, vec!["sweep", file]));
    };
    case("absent.toml", "plan = \"absent.json\"", &["absent.toml:27:8", "absent.json"]);
    case(
        "none.toml",
        "plan = \"mine-{nfe}.json\"",
        &["none.toml:27:8", "no file mine-{nfe}.json for any of nfe = 5, 10"],
    );
    case("seven.toml", "plan = \"seven.json\"", &["seven.json: a plan of 7 evaluations, which nfe has not"]);
    case("wrong.toml", "plan = \"wrong-{nfe}.json\"", &["wrong-5.json: 7 evaluations; its name says 5"]);
    case("cosine.toml", "plan = \"cosine.json\"", &["cosine.json: the plan is in x on schedule 'cosine'", "'linear'"]);
    case("noise.toml", "plan = \"noise.json\"", &["noise.json: sigma[0] is 202", "schedule 'linear' ends at 157"]);
    case("version.toml", "plan = \"version.json\"", &["version.json: version is 3; this program reads version 1"]);
    case("both.toml", "plan = \"five.json\"\nname = \"ddim\"", &["name has no meaning beside plan"]);
    case("grid.toml", "plan = \"five.json\"\ngrid = \"edm\"", &["grid has no meaning beside plan"]);
    case("neither.toml", "order = 2", &["needs name, or plan with a file"]);
    case(
        "label.toml",
        "plan = \"five.json\"\nlabel = \"a,b\"",
        &["label.toml:28:9", "label is 'a,b'; expected 1 to 80"],
    );
    case("labelled.toml", "name = \"euler\"\nlabel = \"a\"", &["label is for a plan"]);
    case("twice.toml", "plan = \"five.json\"", &["method DDIM is there twice; expected another label for the plan"]);
    case("ddpm.toml", "name = \"ddpm\"\nafs = true", &["AFS has no meaning for DDPM"]);
    let lines = [
        ("nothing to plan", &["--method"][..], vec!["plan"]),
        ("file and method", &["cannot be used with"], vec!["plan", "five.json", "--method", "ddim", "--nfe", "5"]),
        ("absent file", &["absent.json"], vec!["plan", "absent.json"]),
        ("absent file of two", &["absent.json"], vec!["plan", "--diff", "five.json", "absent.json"]),
        ("AFS with noise", &["no meaning for DDPM"], vec!["plan", "--method", "ddpm", "--nfe", "5", "--afs"]),
        ("no such noise", &["ends at 157"], vec!["plan", "noise.json", "--variable", "x", "--schedule", "linear"]),
    ];
    cases.extend(lines);
    expect_refusals(cwd, cases);
}

#[test]
fn plans_are_shown_read_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    write_plan(cwd, "a.json", &["--method", "ipndm", "--nfe", "6", "--afs"]);
    write_plan(cwd, "b.json", &["--method", "ddim", "--nfe", "7", "--variable", "y"]);
    // A file is printed as it is, to the last bit.
    assert_eq!(succeed(cwd, &["plan", "a.json", "--json"]), fs::read_to_string(cwd.join("a.json")).unwrap());
    let shown = succeed(cwd, &["plan", "a.json"]);
    assert!(shown.contains("ipndm AFS with 6 NFE on the quadratic grid, in x on schedule linear"), "{shown}");
    assert!(shown.contains("AFS: no evaluation, 1 x_T"), "{shown}");
    let lint = succeed(cwd, &["plan", "--lint", "a.json"]);
    assert!(lint.contains("constant ε: carried exactly to the end") && lint.contains("in steps 0"), "{lint}");
    let json = succeed(cwd, &["plan", "--lint", "--method", "deis-rho", "--order", "2", "--nfe", "6", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((json["usual_order"].as_u64(), json["nfe"].as_u64()), (Some(3), Some(6)));
    let diff = succeed(cwd, &["plan", "--diff", "a.json", "b.json"]);
    assert!(diff.contains("A: ipndm AFS with 6 NFE in 7 steps, in y") && diff.contains("B: ddim with 7 NFE"), "{diff}");
    let same = succeed(cwd, &["plan", "--diff", "a.json", "a.json"]);
    assert!(same.contains("largest differences: 0.00e0 of a level, 0.00e0 of a factor of a state, 0.00e0"), "{same}");
}

/// The experiment of docs/conformance.md, sampled as its command does.
#[test]
fn the_experiment_of_the_conformance_page_runs() {
    let page = fs::read_to_string(repository().join("docs/conformance.md")).unwrap();
    let text = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let network = repository().join("crates/model");
    fs::write(folder.path().join("conformance.toml"), text.replace("crates/model", network.to_str().unwrap())).unwrap();
    let command = page.lines().find(|line| line.starts_with("    fewstep sample conformance.toml")).unwrap();
    let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
    succeed(folder.path(), &arguments);
    let numbers = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len() / 4;
    for name in ["x_T.npz", "samples.npz"] {
        assert!((8 * 3 * 16 * 16..8 * 3 * 16 * 16 + 200).contains(&numbers(name)), "{name}: {}", numbers(name));
    }
}
