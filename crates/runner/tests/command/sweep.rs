//! Whole sweeps on the exact model of Gaussian data: what they write, and that nothing changes it.

use std::{
    collections::BTreeSet,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::common::{GAUSSIAN, fewstep, gaussian_folder, repository, succeed};

/// `cells.csv` without its columns of seconds, which are all that two runs may differ in.
fn cells(folder: &Path) -> Vec<Vec<String>> {
    let mut reader = csv::Reader::from_path(folder.join("cells.csv")).unwrap();
    let timed: Vec<bool> = reader.headers().unwrap().iter().map(|name| name.starts_with("seconds")).collect();
    let row = |record: csv::StringRecord| {
        record.iter().zip(&timed).filter(|(_, timed)| !**timed).map(|(value, _)| value.to_owned()).collect()
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

fn assert_same_results(left: &Path, right: &Path) {
    assert_eq!(cells(left), cells(right));
    for file in [
        "table.md",
        "normaliser.csv",
        "normaliser.svg",
        "normaliser.png",
        "samples.png",
        "fd_pixel.svg",
        "fd_pixel.png",
        "ode_rmse.svg",
        "ode_rmse.png",
    ] {
        let read = |folder: &Path| std::fs::read(folder.join(file)).unwrap();
        assert!(read(left) == read(right), "{file} differs");
    }
}

fn metric(folder: &Path, method: &str, nfe: &str, column: &str) -> f64 {
    let mut reader = csv::Reader::from_path(folder.join("cells.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let row = reader.records().map(Result::unwrap).find(|row| &row[at("method")] == method && &row[at("nfe")] == nfe);
    row.unwrap()[at(column)].parse().unwrap()
}

#[test]
fn a_method_may_have_numbers_of_evaluations_of_its_own() {
    let folder = gaussian_folder();
    let own = "order = 2\nnfe = [10]\n";
    let text = GAUSSIAN.replacen("order = 2\n", own, 1);
    std::fs::write(folder.path().join("own.toml"), &text).unwrap();
    succeed(folder.path(), &["sweep", "own.toml", "--out", "own"]);
    let all = cells(&folder.path().join("own"));
    let of = |method: &str| all.iter().filter(|row| row[1] == method).count();
    assert_eq!((all.len(), of("deis"), of("deis-sn")), (8, 1, 2));
    // Two lists for one method are one with both.
    let twice = text.replacen(own, &format!("{own}\n[[method]]\nname = \"deis\"\norder = 2\nnfe = [5]\n"), 1);
    std::fs::write(folder.path().join("twice.toml"), twice).unwrap();
    let output = fewstep(folder.path(), &["sweep", "twice.toml"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("method DEIS-2 is there twice"), "{said}");
}

#[test]
fn a_sweep_writes_tables_charts_and_provenance() {
    let folder = gaussian_folder();
    let printed = succeed(folder.path(), &["sweep", "gaussian.toml"]);
    let results = folder.path().join("out/gaussian");
    assert!(printed.contains("| DEIS-SN-2 |") && printed.contains("What score normalisation changes"), "{printed}");
    // Eight cells, and the solution's own.
    assert_eq!(cells(&results).len(), 9);
    for (method, nfe) in [("euler", "5"), ("ddim", "10"), ("deis", "10"), ("deis-sn", "5")] {
        assert_eq!(metric(&results, method, nfe, "nfe_measured"), nfe.parse::<f64>().unwrap());
    }
    // The ODE of Gaussian data is solved better by better methods.
    let error = |method| metric(&results, method, "10", "ode_rmse");
    assert!(error("deis") < error("ddim") && error("deis") < error("euler"));
    assert!(error("deis") < 0.02 && error("deis") > 1e-5, "{}", error("deis"));
    for file in ["cells.parquet", "provenance.toml", "samples.png"] {
        assert!(results.join(file).metadata().unwrap().len() > 100, "{file}");
    }
    let provenance = std::fs::read_to_string(results.join("provenance.toml")).unwrap();
    assert!(provenance.contains("experiment_sha256") && provenance.contains("fd_pixel-statistics"));

    // A report from the written cells gives the same charts.
    let chart = std::fs::read(results.join("ode_rmse.svg")).unwrap();
    std::fs::remove_file(results.join("ode_rmse.svg")).unwrap();
    succeed(folder.path(), &["report", "out/gaussian"]);
    assert!(std::fs::read(results.join("ode_rmse.svg")).unwrap() == chart);
}

#[test]
fn batch_size_and_threads_do_not_change_a_byte() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    std::fs::create_dir(cwd.join("other")).unwrap();
    let text = GAUSSIAN.replace("batch = 16", "batch = 7").replace("\"pixels.", "\"../pixels.");
    std::fs::write(cwd.join("other/gaussian.toml"), text).unwrap();
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "a"]);
    let output = fewstep(cwd, &["sweep", "other/gaussian.toml", "--out", "b"]).env("RAYON_NUM_THREADS", "1").output();
    assert!(output.unwrap().status.success());
    assert_same_results(&cwd.join("a"), &cwd.join("b"));
}

/// Methods with stages, with noise, with data predictions and thresholding, over seeds, beside published figures.
const SOLVERS: &str = r#"samples = 40
batch = 16
seeds = [3, 4]
nfe = [6]
metrics = ["fd_pixel", "ode_rmse"]
grid = "quadratic"
threshold = "clip"
published = ["rows.toml"]
model = { kind = "gaussian", size = 16, mean = -0.1, variance = 0.25, schedule = "cosine" }
normaliser = { collect = { nfe = 50, samples = 8, seed = 1, grid = "quadratic" } }
solution = { samples = 24 }
reference = { fd_pixel = "pixels.safetensors" }
method = [
    { name = "rho-heun" },
    { name = "rho-heun", normalise = true },
    { name = "unipc-bh2", order = 3, grid = "log-snr-to-0.01-denoise" },
    { name = "unipc-bh2", order = 3, threshold = "none" },
    { name = "ddpm", threshold = "dynamic" },
    { name = "ddim", eta = 0.5 },
    { name = "ddim", grid = [1, 0.9, 0.7, 0.5, 0.3, 0.1, 0] },
]
"#;

#[test]
fn stages_noise_thresholds_and_seeds_are_measured_and_do_not_depend_on_the_batch() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let rows = "source = \"Somebody 2020\"\ndataset = \"Pixels\"\nmodel = \"theirs\"\ntool = \"their tool\"\nsamples = 50000\nafs = false\n\
                [[row]]\nmethod = \"DDIM\"\nfid = { 10 = 9.5 }\n";
    std::fs::write(cwd.join("rows.toml"), rows).unwrap();
    std::fs::write(cwd.join("solvers.toml"), SOLVERS).unwrap();
    let printed = succeed(cwd, &["sweep", "solvers.toml", "--out", "a"]);
    std::fs::create_dir(cwd.join("other")).unwrap();
    let text = SOLVERS
        .replace("batch = 16", "batch = 7")
        .replace("\"pixels.", "\"../pixels.")
        .replace("\"rows.", "\"../rows.");
    std::fs::write(cwd.join("other/solvers.toml"), text).unwrap();
    let output = fewstep(cwd, &["sweep", "other/solvers.toml", "--out", "b"]).env("RAYON_NUM_THREADS", "1").output();
    assert!(output.unwrap().status.success());
    let results = cwd.join("a");
    assert_eq!(cells(&results), cells(&cwd.join("b")));
    assert_eq!(cells(&results).len(), 16);
    for file in ["table.md", "samples.png", "ode_rmse.svg"] {
        assert!(
            std::fs::read(results.join(file)).unwrap() == std::fs::read(cwd.join("b").join(file)).unwrap(),
            "{file}"
        );
    }

    // Heun's two evaluations a step leave one of six unspent; a stochastic method has no solution to be compared with.
    let mut reader = csv::Reader::from_path(results.join("cells.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
    for row in reader.records().map(Result::unwrap).filter(|row| &row[at("method")] != "solution") {
        let method = &row[at("method")];
        assert_eq!(&row[at("nfe_measured")], if method.starts_with("rho-heun") { "5.0" } else { "6.0" }, "{method}");
        assert_eq!(row[at("ode_rmse")].is_empty(), method == "ddpm" || method.starts_with("ddim-eta"), "{method}");
        let thresholds = ["none", "clip", "dynamic-0.995"];
        assert!(thresholds.contains(&&row[at("threshold")]), "{}", &row[at("threshold")]);
    }
    assert!(printed.contains("seeds 3, 4") && printed.contains(" ± ") && printed.contains(" (5) |"), "{printed}");
    assert!(printed.contains("| ρ-Heun-SN quadratic | "), "{printed}");
    // No FID here to show them beside; they are kept for a table that has one.
    assert!(std::fs::read_to_string(results.join("published.csv")).unwrap().contains("Somebody 2020"));
    assert!(!printed.contains("Somebody"));
    let text = std::fs::read_to_string(results.join("cells.csv")).unwrap();
    std::fs::create_dir(cwd.join("with-fid")).unwrap();
    let row = text.lines().nth(1).unwrap().replacen(",,", ",77.5,", 1);
    let with_fid = |row: &str| {
        let text = format!("{}\n{row}\n", text.lines().next().unwrap());
        std::fs::write(cwd.join("with-fid/cells.csv"), text).unwrap();
    };
    with_fid(&row);
    std::fs::copy(results.join("published.csv"), cwd.join("with-fid/published.csv")).unwrap();
    let report = succeed(cwd, &["report", "with-fid"]);
    assert!(
        report.contains("77.50")
            && report.contains(
                "| DDIM | theirs, Pixels | not stated | no | not stated | their tool | 50000 | Somebody 2020 | 9.5 |"
            ),
        "{report}"
    );
    let drawn = || std::fs::read_to_string(cwd.join("with-fid/fid.svg")).unwrap().contains("DDIM [theirs, Pixels]");
    // FID of 40 images shares no axis with one of 50 000.
    assert!(!drawn());
    with_fid(&row.replace(",40,", ",50000,"));
    succeed(cwd, &["report", "with-fid"]);
    assert!(drawn());
}

#[test]
fn orders_are_measured_and_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let printed = succeed(folder.path(), &["orders", "--out", "r"]);
    assert!(
        printed.contains("| UniPC-3 bh2 | 4 | 3.99 |") && printed.contains("| DPM-Solver++(3M) | 2 | 1.97 |"),
        "{printed}"
    );
    let svg = std::fs::read_to_string(folder.path().join("r/data-multistep-sn.svg")).unwrap();
    assert!(svg.contains("UniPC-3 bh1-SN: 3.99"));
    let methods = |path: &Path| -> BTreeSet<(String, String)> {
        let mut reader = csv::Reader::from_path(path).unwrap();
        reader.records().map(|row| row.unwrap()).map(|row| (row[0].to_owned(), row[1].to_owned())).collect()
    };
    let all = folder.path().join("r/orders.csv");
    assert_eq!(std::fs::read_to_string(&all).unwrap().lines().count(), 1 + 9 * 177);
    // What is published is of every method that there is.
    assert_eq!(methods(&repository().join("results/convergence/orders.csv")), methods(&all));
}

#[test]
fn the_real_network_gives_the_same_bits_whatever_the_batch_the_threads_and_the_shards() {
    let folder = tempfile::tempdir().unwrap();
    let solved = |batch: usize, threads: &str, shards: usize| {
        let cwd = folder.path().join(format!("{batch}-{threads}-{shards}"));
        std::fs::create_dir(&cwd).unwrap();
        let weights = repository().join("models/cifar10-small.safetensors");
        let text = format!(
            "samples = 100\nbatch = {batch}\nnfe = [2]\nmetrics = [\"ode_rmse\"]\nmethod = [{{ name = \"deis\" }}]\n\
             model = {{ kind = \"unet\", size = 32, weights = {weights:?} }}\nsolution = {{ nfe = 3, samples = 100 }}\n"
        );
        std::fs::write(cwd.join("network.toml"), text).unwrap();
        let run = |arguments: &[&str]| {
            let output = fewstep(&cwd, arguments).env("RAYON_NUM_THREADS", threads).output();
            assert!(output.as_ref().unwrap().status.success(), "{output:?}");
        };
        let names: Vec<String> = (1..=shards).map(|index| format!("r/shards/{index}-of-{shards}")).collect();
        for index in 1..=shards {
            run(&["sweep", "network.toml", "--out", "r", "--shard", &format!("{index}/{shards}")]);
        }
        match shards {
            0 => run(&["sweep", "network.toml", "--out", "r"]),
            _ => run(&[&["merge", "r"], &names.iter().map(String::as_str).collect::<Vec<_>>()[..]].concat()),
        }
        // The solution's own bits, and the error measured against it.
        let mut cells = cwd.join("r/cells").read_dir().unwrap().map(|entry| entry.unwrap().path());
        let bits = std::fs::read(cells.find(|path| path.extension().is_some_and(|ending| ending == "f32")).unwrap());
        (bits.unwrap(), metric(&cwd.join("r"), "deis", "2", "ode_rmse"))
    };
    let first = solved(16, "2", 0);
    assert_eq!(first.0.len(), 100 * 3072 * 4);
    // With one thread a batch of 100 is full; batches are of equal size, 25 where 32 are allowed.
    for (batch, threads, shards) in
        [(1, "1", 0), (7, "2", 0), (7, "1", 0), (2, "5", 0), (32, "1", 0), (32, "2", 0), (100, "1", 0), (100, "2", 3)]
    {
        assert!(first == solved(batch, threads, shards), "batch {batch}, {threads} threads, {shards} shards");
    }
}

#[test]
fn a_killed_sweep_continues_and_ends_with_the_same_bytes() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    // Cells that take long enough to be killed in the middle.
    std::fs::write(cwd.join("gaussian.toml"), GAUSSIAN.replace("samples = 40", "samples = 12000")).unwrap();
    let mut child = fewstep(cwd, &["sweep", "gaussian.toml", "--out", "killed"]).spawn().unwrap();
    let finished = || {
        let entries = cwd.join("killed/cells").read_dir().into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "toml")).count()
    };
    let start = Instant::now();
    while finished() < 2 {
        assert!(start.elapsed() < Duration::from_secs(120), "no cell within two minutes");
        sleep(Duration::from_millis(2));
    }
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    let before = finished();
    assert!((2..8).contains(&before), "{before} of 8 cells were done when killed");
    let first = cwd.join("killed/cells/euler-0-quadratic-exact-none-5-seed-3.toml");
    let kept = std::fs::read(&first).unwrap();

    succeed(cwd, &["sweep", "gaussian.toml", "--out", "killed"]);
    assert_eq!(std::fs::read(&first).unwrap(), kept, "a finished cell was measured again");
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "whole"]);
    assert_same_results(&cwd.join("killed"), &cwd.join("whole"));
}

#[test]
fn only_selects_and_a_changed_experiment_measures_again() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let results = cwd.join("out/gaussian");
    succeed(cwd, &["sweep", "gaussian.toml", "--only", "method=deis-sn,nfe=10"]);
    // With the solution's own.
    assert_eq!(cells(&results).len(), 2);
    succeed(cwd, &["sweep", "gaussian.toml", "--only", "method=euler"]);
    // Tables are of all that is known.
    assert_eq!(cells(&results).len(), 4);
    let before = metric(&results, "euler", "5", "fd_pixel");
    std::fs::write(cwd.join("gaussian.toml"), GAUSSIAN.replace("seed = 3", "seed = 4")).unwrap();
    succeed(cwd, &["sweep", "gaussian.toml"]);
    assert_eq!(cells(&results).len(), 9);
    assert_ne!(metric(&results, "euler", "5", "fd_pixel"), before);
}

#[test]
fn curve_and_sample_write_pictures() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["curve", "gaussian.toml", "--out", "r.csv"]);
    succeed(cwd, &["plan", "--method", "deis-sn", "--nfe", "5", "--normaliser", "r.csv", "--json"]);
    assert!(cwd.join("r.png").exists());
    assert!(!std::fs::read_to_string(cwd.join("r.svg")).unwrap().contains("published"));
    // A published curve is drawn beside ours.
    std::fs::copy(cwd.join("r.csv"), cwd.join("theirs.csv")).unwrap();
    std::fs::write(cwd.join("overlaid.toml"), GAUSSIAN.replace("clip = 3", "clip = 3\npublished = \"theirs.csv\""))
        .unwrap();
    succeed(cwd, &["curve", "overlaid.toml", "--out", "r.csv"]);
    assert!(std::fs::read_to_string(cwd.join("r.svg")).unwrap().contains("r, published (theirs)"));
    succeed(cwd, &["sample", "gaussian.toml", "--method", "deis", "--nfe", "5", "--samples", "9", "--out", "x.png"]);
    assert_eq!(image::image_dimensions(cwd.join("x.png")).unwrap(), (48, 48));
}

/// The experiment that `fewstep sweep` runs without an argument, against what the repository holds. A run that was made just before
/// (`FEWSTEP_QUICK`, which CI sets) is taken for one more.
#[test]
#[ignore = "two minutes: the quick sweep itself"]
fn the_quick_sweep_gives_the_committed_figures() {
    let folder = tempfile::tempdir().unwrap();
    let made = std::env::var_os("FEWSTEP_QUICK").map(std::path::PathBuf::from);
    let results = made.unwrap_or_else(|| {
        let results = folder.path().join("quick");
        succeed(&repository(), &["sweep", "--out", results.to_str().unwrap()]);
        results
    });
    let committed = repository().join("results/quick");
    for method in ["euler", "ddim", "deis", "deis-sn"] {
        for nfe in ["5", "6", "8", "10", "15", "20"] {
            for column in ["fd_pixel", "ode_rmse"] {
                let (found, expected) =
                    (metric(&results, method, nfe, column), metric(&committed, method, nfe, column));
                // Another processor may round otherwise; it does not change the third digit.
                assert!(
                    (found / expected - 1.0).abs() < 2e-3,
                    "{method} {nfe} {column}: {found}, committed {expected}"
                );
            }
        }
    }
}

#[test]
fn methods_converge_on_gaussian_data_with_their_orders() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(repository().join("experiments/gaussian.toml")).unwrap();
    let text = text.replace("samples = 10000", "samples = 64").replace("samples = 256", "samples = 64");
    std::fs::write(folder.path().join("gaussian.toml"), text).unwrap();
    succeed(folder.path(), &["sweep", "gaussian.toml"]);
    let results = folder.path().join("out/gaussian");
    let mut reader = csv::Reader::from_path(results.join("cells.csv")).unwrap();
    let headers = reader.headers().unwrap().clone();
    let column = |name: &str| headers.iter().position(|header| header == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let error = |method: &str, order: &str, nfe: &str| -> f64 {
        let row = rows
            .iter()
            .find(|row| (&row[column("method")], &row[column("order")], &row[column("nfe")]) == (method, order, nfe));
        row.unwrap()[column("ode_rmse")].parse().unwrap()
    };
    // The schedule is piecewise, so that high orders fall a little short of order + 1.
    for (method, order, lowest) in
        [("euler", "0", 0.9), ("ddim", "0", 0.9), ("deis", "1", 1.8), ("deis", "2", 2.5), ("deis", "3", 2.6)]
    {
        let slope = (error(method, order, "20") / error(method, order, "50")).ln() / 2.5f64.ln();
        assert!(slope > lowest && slope < lowest + 0.6, "{method} {order}: {slope}");
    }
    // Here ε over its mean magnitude hardly depends on τ.
    assert!(error("deis-sn", "2", "10") < 0.1 * error("deis", "2", "10"));
    assert!(rows.iter().all(|row| row[column("fd_data")].parse::<f64>().unwrap() > 0.0));
    assert!(std::fs::read_to_string(results.join("convergence.svg")).unwrap().contains("slope"));
    let provenance: toml::Table = std::fs::read_to_string(results.join("provenance.toml")).unwrap().parse().unwrap();
    let builds = provenance["builds"].as_table().unwrap();
    assert_eq!(builds.values().map(|count| count.as_integer().unwrap()).sum::<i64>(), rows.len() as i64);
}
