//! EDM's networks through the binary: the experiment that waits for the field's file, one that runs on a small network of the same
//! kind, and what does not fit one.

use std::fs;

use crate::common::{Case, expect_refusals, repository, run, succeed};

const MODEL: &str = "kind = \"unet\"\nsize = 8\nschedule = \"edm\"\nweights = \"net.pkl\"\n";

fn experiment(model: &str) -> String {
    let methods =
        "method = [{ name = \"ipndm\", order = 4 }, { name = \"deis\", order = 3, grid = \"quadratic-to-0.001\" }]";
    let rest = "grid = \"edm-to-0.001\"\nmetrics = [\"ode_rmse\"]\nsolution = { nfe = 40, samples = 3 }\n";
    format!("samples = 3\nbatch = 2\nnfe = [4]\n{rest}{methods}\n\n[model]\n{model}")
}

fn golden(name: &str) -> std::path::PathBuf {
    repository().join("crates/model/tests/golden/layouts").join(name)
}

/// Everything in it is good but for the file that it waits for.
#[test]
fn the_fields_experiment_asks_for_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = repository().join("experiments/edm-cifar10.toml");
    let output = run(folder.path(), &["sweep", path.to_str().unwrap(), "--out", "out"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{message}");
    let expected = "experiments/../data/edm-cifar10-32x32-uncond-vp.pkl: No such file";
    assert!(message.contains(expected), "{message}");
    // Whoever has it not is told whose it is.
    assert!(message.contains("pre-trained models of its project NVlabs/edm"), "{message}");
}

/// What will run once the file is there, on a small network of its kind: every method, grid and threshold of the experiment.
#[test]
fn the_fields_experiment_runs_on_a_network_of_its_kind() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden("edm-uncond.pkl"), folder.path().join("net.pkl")).unwrap();
    let mut text = fs::read_to_string(repository().join("experiments/edm-cifar10.toml")).unwrap();
    for (from, to) in [
        ("samples = 50000", "samples = 3"),
        ("nfe = [3, 4, 5, 6, 7, 8, 9, 10]", "nfe = [3, 4, 10]"),
        ("[\"fid\", \"ode_rmse\"]", "[\"ode_rmse\"]"),
        ("size = 32", "size = 8"),
        ("../data/edm-cifar10-32x32-uncond-vp.pkl", "net.pkl"),
        ("nfe = 1000, samples = 16", "nfe = 1000, samples = 1"),
        ("nfe = 500\nsamples = 64\nfloor = 100", "nfe = 60\nsamples = 3 # "),
        ("\"published/", &format!("\"{}/", repository().join("experiments/published").display())),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let (text, _) = text.split_once("[reference]").unwrap();
    fs::write(folder.path().join("x.toml"), text).unwrap();
    succeed(folder.path(), &["sweep", "x.toml", "--out", "out"]);
    let cells = fs::read_to_string(folder.path().join("out/cells.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(cells.as_bytes());
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let [label, spent, nfe, error] = ["label", "nfe_measured", "nfe", "ode_rmse"].map(column);
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let of = |count: &str| -> Vec<&csv::StringRecord> { rows.iter().filter(|row| &row[nfe] == count).collect() };
    // Heun has no step of three evaluations but of two and one left, DPM-Solver-2 with AFS spends an odd number.
    assert_eq!(of("10").len(), 20, "{cells}");
    assert!(of("3").len() >= 18 && of("4").len() >= 18, "{cells}");
    for row in ["3", "4", "10"].into_iter().flat_map(of) {
        let [asked, made] = [&row[nfe], &row[spent]].map(|count| count.parse::<f64>().unwrap());
        assert!(made <= asked && asked - made <= 1.0, "{row:?}");
        let error: f64 = row[error].parse().unwrap();
        assert!(error.is_finite() && error > 0.0, "{row:?}");
    }
    let afs = of("3").iter().filter(|row| row[label].contains("AFS")).count();
    assert_eq!(afs, 2, "{cells}");
}

#[test]
fn every_file_of_published_figures_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let published = repository().join("experiments/published");
    let mut paths: Vec<_> =
        fs::read_dir(published).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    assert!(paths.len() >= 21, "{paths:?}");
    let list: Vec<String> = paths.iter().map(|path| format!("{path:?}")).collect();
    let text = format!(
        "samples = 2\nnfe = [2]\nmetrics = [\"fd_data\"]\nmethod = [{{ name = \"ddim\" }}]\npublished = [{}]\n[model]\nkind = \"gaussian\"\nsize = 2\nmean = 0\nvariance = 1\n",
        list.join(", ")
    );
    fs::write(folder.path().join("x.toml"), text).unwrap();
    succeed(folder.path(), &["sweep", "x.toml", "--out", "out"]);
    let kept = fs::read_to_string(folder.path().join("out/published.csv")).unwrap();
    assert!(kept.starts_with("source,model,tool,samples,method,grid,afs,threshold,nfe,fid\n"), "{kept}");
    // A row's own before its file's, and what no source says is left open.
    for line in [
        "50000,\"DPM-Solver++(3M), lower order at the end\",log-SNR,no,99.5 %,10,3.0",
        "50000,iPNDM-4,polynomial,no,none,10,2.77",
        "50000,AMED-Solver,time-uniform,yes,,5,7.59",
        "50000,AMED-Solver,time-uniform,no,,10,4.14",
        "50000,GS,fitted,,,10,2.18",
    ] {
        assert!(kept.lines().any(|kept| kept.ends_with(line)), "{line}: {kept}");
    }
    // EPD's evaluations are counted as they are made: what it calls 5 is 8.
    assert!(kept.lines().any(|line| line.contains("EPD-Solver") && line.ends_with(",8,4.33")), "{kept}");
    assert!(kept.lines().any(|line| line.contains("DPM-Solver-v3, NeurIPS") && line.contains("tfgan")), "{kept}");
}

#[test]
fn a_network_of_edms_is_swept_and_says_what_it_is() {
    for (name, class) in [("edm-uncond", ""), ("edm-vp-classes", "class = \"cycle\"\n")] {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(golden(&format!("{name}.pkl")), folder.path().join("net.pkl")).unwrap();
        fs::write(folder.path().join("x.toml"), experiment(&format!("{MODEL}{class}"))).unwrap();
        succeed(folder.path(), &["sweep", "x.toml", "--out", "out"]);
        let provenance = fs::read_to_string(folder.path().join("out/provenance.toml")).unwrap();
        let conditioning = if class.is_empty() { "edm, sigma_data 0.5" } else { "edm vp, beta_d 19.9" };
        for part in [conditioning, "model-weights = \"ema\""] {
            assert!(provenance.contains(part), "{part}: {provenance}");
        }
        assert_eq!(provenance.contains("model-class = \"cycle\""), !class.is_empty(), "{provenance}");
        // In burn's operations the same, last digits apart.
        succeed(folder.path(), &["sweep", "x.toml", "--out", "plain", "--device", "cpu-plain"]);
        let [compiled, plain] = ["out", "plain"].map(|out| {
            let text = fs::read_to_string(folder.path().join(out).join("cells.csv")).unwrap();
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let column = reader.headers().unwrap().iter().position(|name| name == "ode_rmse").unwrap();
            let rows: Vec<f64> = reader.records().filter_map(|row| row.unwrap()[column].parse().ok()).collect();
            rows
        });
        assert_eq!(compiled.len(), 3);
        for (a, b) in compiled.iter().zip(&plain) {
            // The solution's own error is small, and has fewer digits.
            assert!((a - b).abs() < 1e-4 * b + 1e-6, "{name}: {compiled:?} {plain:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    fs::copy(golden("edm-uncond.pkl"), cwd.join("net.pkl")).unwrap();
    fs::copy(golden("edm-vp-classes.pkl"), cwd.join("classes.pkl")).unwrap();
    let good = fs::read(golden("edm-uncond.pkl")).unwrap();
    fs::write(cwd.join("cut.pkl"), &good[..good.len() / 3]).unwrap();
    fs::write(cwd.join("evil.pkl"), b"\x80\x02cposix\nsystem\nX\x0b\0\0\0touch pwned\x85R.").unwrap();
    let model = |from: &str, to: &str, more: &str| experiment(&format!("{}{more}\n", MODEL.replace(from, to)));
    for (name, text) in [
        ("class.toml", model("", "", "class = 1")),
        ("none.toml", model("net.pkl", "classes.pkl", "")),
        ("many.toml", model("net.pkl", "classes.pkl", "class = 5")),
        ("word.toml", model("net.pkl", "classes.pkl", "class = \"all\"")),
        ("level.toml", model("net.pkl", "classes.pkl", "class = 1").replace("\"edm\"", "\"linear\"")),
        ("prediction.toml", model("", "", "prediction = \"epsilon\"")),
        ("size.toml", model("size = 8", "size = 10", "")),
        ("larger.toml", model("size = 8", "size = 16", "")),
        ("cut.toml", model("net.pkl", "cut.pkl", "")),
        ("evil.toml", model("net.pkl", "evil.pkl", "")),
    ] {
        fs::write(cwd.join(name), text).unwrap();
    }
    let sweep = |file| vec!["sweep", file, "--out", "out"];
    let cases: Vec<Case> = vec![
        ("a class of none", &["net.pkl", "no classes; leave class out"], sweep("class.toml")),
        ("no class of five", &["classes.pkl", "has 5 classes; set class = 0 to 4 or \"cycle\""], sweep("none.toml")),
        ("the sixth of five", &["class is 5; expected 0 to 4 or \"cycle\""], sweep("many.toml")),
        (
            "a class by name",
            &["word.toml", "class is \"all\"; expected a number from 0 or \"cycle\""],
            sweep("word.toml"),
        ),
        ("noise beyond what it knows", &["up to 152.16", "begins at 157.4"], sweep("level.toml")),
        (
            "another prediction",
            &["the file says what its network is", "leave prediction out"],
            sweep("prediction.toml"),
        ),
        ("a size that cannot be halved twice", &["sides that are multiples of 4"], sweep("size.toml")),
        (
            "a size that it was not made for",
            &["net.pkl: made for images of 8 × 8", "size = 16; expected 8"],
            sweep("larger.toml"),
        ),
        ("a third of a file", &["cut.pkl: not a pickle: at byte"], sweep("cut.toml")),
        ("a pickle that calls a function", &["evil.pkl: no network in this pickle"], sweep("evil.toml")),
    ];
    expect_refusals(cwd, cases);
    assert!(!cwd.join("pwned").exists());
}
