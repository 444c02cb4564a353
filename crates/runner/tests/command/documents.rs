//! The repository's texts against the cells they speak of.

use std::collections::BTreeMap;

use crate::common::{self, repository, succeed};
use sha2::{Digest, Sha256};

#[test]
fn tables_and_figures_in_texts_are_what_the_cells_say() {
    let printed = succeed(&repository(), &["documents", "--check"]);
    assert_eq!(printed.matches("as the cells say").count(), 3, "{printed}");
    // A text without blocks would always be as the cells say.
    for (text, blocks) in [("README.md", 5), ("results/README.md", 15), ("benches/README.md", 1)] {
        let text = std::fs::read_to_string(repository().join(text)).unwrap();
        assert!(text.matches("<!-- end -->").count() >= blocks);
    }
}

/// Tables and drawings beside cells are what this version makes of these cells, and there are no others. (Of drawings those in SVG: PNGs come
/// of the same. The normaliser's is another command's.)
#[test]
fn published_tables_and_charts_are_what_report_makes_of_their_cells() {
    let made = |folder: &std::path::Path| -> BTreeMap<String, Vec<u8>> {
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let made = files.filter(|file| {
            let name = file.file_name().unwrap().to_string_lossy();
            (name.ends_with(".md") || name.ends_with(".svg")) && !name.starts_with("normaliser")
        });
        made.map(|file| (file.file_name().unwrap().to_string_lossy().into(), std::fs::read(file).unwrap())).collect()
    };
    let mut compared = 0;
    for folder in std::fs::read_dir(repository().join("results")).unwrap().map(|entry| entry.unwrap().path()) {
        if !folder.join("cells.csv").is_file() {
            continue;
        }
        let (copy, published) = (tempfile::tempdir().unwrap(), made(&folder));
        for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = file.file_name().unwrap();
            // Tables of the first builds have their titles, which are read.
            if name == "table.md" || !published.contains_key(&*name.to_string_lossy()) {
                std::fs::copy(&file, copy.path().join(name)).unwrap();
            }
        }
        succeed(&repository(), &["report", copy.path().to_str().unwrap()]);
        let again = made(copy.path());
        let names = |of: &BTreeMap<String, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&published), names(&again), "{}", folder.display());
        for (name, bytes) in &published {
            assert!(again[name] == *bytes, "{}: `fewstep report` makes another {name}", folder.display());
        }
        compared += published.len();
    }
    assert!(compared > 100, "{compared}");
}

/// By solver, order and number of evaluations: the lowest mean over seeds, whether with score normalisation, and the grid.
type Best = BTreeMap<(String, String, u64), (f64, bool, String)>;

fn best(results: &str) -> Best {
    type Sums = BTreeMap<(String, String, bool, String, u64), (f64, usize)>;
    let mut sums = Sums::new();
    let mut diverged = Vec::new();
    let mut reader = csv::Reader::from_path(repository().join("results").join(results).join("cells.csv")).unwrap();
    for row in reader.deserialize().map(|row: csv::Result<BTreeMap<String, String>>| row.unwrap()) {
        if row["method"] == "solution" {
            continue;
        }
        let nfe: u64 = row["nfe"].parse().unwrap();
        let key = (row["solver"].clone(), row["order"].clone(), row["normalised"] == "true", row["grid"].clone(), nfe);
        match row["ode_rmse"].parse::<f64>() {
            Ok(value) => {
                let sum = sums.entry(key).or_default();
                *sum = (sum.0 + value, sum.1 + 1);
            }
            Err(_) => diverged.push(key),
        }
    }
    let mut best = Best::new();
    for (key, (sum, count)) in sums.into_iter().filter(|(key, _)| !diverged.contains(key)) {
        let (solver, order, normalised, grid, nfe) = key;
        let mean = sum / count as f64;
        let own = best.entry((solver, order, nfe)).or_insert((f64::INFINITY, false, String::new()));
        if mean < own.0 {
            *own = (mean, normalised, grid);
        }
    }
    best
}

/// The methods of cross-fid.toml are each solver's nearest of cross, at the numbers of evaluations that it has; and the ten nearest with an
/// analytic first step at 5 and 10.
#[test]
fn the_best_of_each_row_are_those_of_the_cross() {
    let [plain, afs] = ["cross", "cross-afs"].map(best);
    let text = std::fs::read_to_string(repository().join("experiments/cross-fid.toml")).unwrap();
    let experiment: toml::Table = text.parse().unwrap();
    let numbers = |value: &toml::Value| -> Vec<u64> {
        value.as_array().unwrap().iter().map(|nfe| nfe.as_integer().unwrap() as u64).collect()
    };
    let all = numbers(&experiment["nfe"]);
    let mut found = 0;
    let mut begun = BTreeMap::<u64, Vec<f64>>::new();
    for method in experiment["method"].as_array().unwrap() {
        let text = |key: &str| method[key].as_str().unwrap().to_owned();
        let order = method.get("order").map_or(0, |order| order.as_integer().unwrap()).to_string();
        let is = |key: &str| method.get(key).is_some_and(|value| value.as_bool().unwrap());
        for nfe in method.get("nfe").map_or(all.clone(), numbers) {
            let (best, name) = if is("afs") { (&afs, text("name") + "-afs") } else { (&plain, text("name")) };
            let (mean, of, grid) = &best[&(name, order.clone(), nfe)];
            assert_eq!((*of, grid), (is("normalise"), &text("grid")), "{method} at {nfe}");
            if is("afs") { begun.entry(nfe).or_default().push(*mean) } else { found += 1 }
        }
    }
    assert_eq!(found, plain.keys().filter(|(_, _, nfe)| all.contains(nfe)).count());
    assert_eq!(begun.keys().copied().collect::<Vec<_>>(), [5, 10]);
    for (nfe, of) in begun {
        let mut means: Vec<f64> = afs.iter().filter(|((_, _, of), _)| *of == nfe).map(|(_, best)| best.0).collect();
        means.sort_by(f64::total_cmp);
        let furthest = of.iter().copied().fold(0.0, f64::max);
        assert_eq!((of.len(), furthest), (10, means[9]), "{nfe}");
    }
}

/// `fewstep verify` takes an experiment in the very text that results were measured by, comments too.
#[test]
fn published_results_are_of_the_experiments_that_are_here() {
    let mut found = 0;
    for folder in std::fs::read_dir(repository().join("results")).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(text) = std::fs::read_to_string(folder.join("provenance.toml")) else { continue };
        let provenance: toml::Table = text.parse().unwrap();
        let hash = provenance.get("experiment_sha256").and_then(toml::Value::as_str).unwrap_or_default();
        let name = provenance["experiment"].as_str().unwrap_or_default();
        // Orders and curves are of no experiment, or of several.
        if hash.is_empty() {
            continue;
        }
        let text = std::fs::read(repository().join(format!("experiments/{name}.toml"))).unwrap();
        assert_eq!(format!("{:x}", Sha256::digest(&text)), hash, "experiments/{name}.toml");
        found += 1;
    }
    assert!(found >= 18, "{found}");
}

#[test]
#[cfg(unix)]
fn a_changed_figure_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let results = repository().join("results");
    std::os::unix::fs::symlink(&results, folder.path().join("results")).unwrap();
    let row = text.lines().find(|line| line.starts_with("| DEIS-2 | ")).unwrap();
    let other = row.replacen("0.1", "0.2", 1);
    std::fs::write(folder.path().join("README.md"), text.replace(row, &other)).unwrap();
    let output = common::run(folder.path(), &["documents", "README.md", "--check"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    let line = 1 + text.lines().position(|line| line == row).unwrap();
    assert!(message.contains(&format!("README.md:{line}: not what the cells say")), "{message}");
}

/// A text in a folder with one experiment's results, and what `documents` makes of it.
fn rewritten(cwd: &std::path::Path, text: &str) -> (Option<i32>, String, String) {
    std::fs::write(cwd.join("TEXT.md"), text).unwrap();
    let output = common::run(cwd, &["documents", "TEXT.md"]);
    let message = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), message, std::fs::read_to_string(cwd.join("TEXT.md")).unwrap())
}

#[test]
fn a_change_is_of_one_method_at_one_nfe_and_in_brackets_where_it_is_not_decided() {
    let folder = common::gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "results/gaussian"]);
    let one = "results=gaussian | metric=ode_rmse | method=DEIS-SN-2 | nfe=5";
    for keys in [
        // No cell has this metric, all have that one, and every cell of a method is several.
        "results=gaussian | metric=fid",
        "results=gaussian | metric=ode_rmse",
        "results=gaussian | metric=ode_rmse | method=DEIS-SN-2",
        "results=gaussian | metric=ode_rmse | method=DEIS-SN-2 | nfe=5,10",
        "results=gaussian | metric=ode_rmse | methods=DEIS-SN-2; DEIS-2 | nfe=5",
    ] {
        let (status, message, _) = rewritten(cwd, &format!("a\n<!-- change: {keys} --><!-- end -->\n"));
        assert_eq!(status, Some(2), "{keys}: {message}");
        assert!(message.contains("TEXT.md:2: a change is of one method at one nfe"), "{keys}: {message}");
    }
    let (status, message, text) = rewritten(cwd, &format!("<!-- change: {one} --><!-- end -->"));
    assert_eq!(status, Some(0), "{message}");
    let decided = text.split(" -->").nth(1).unwrap();
    assert!(decided.starts_with(['−', '+']) && decided.contains(" %<!--"), "{text}");
    // With one seed the error of a Fréchet distance is not known where its images' influences are not, as in folders of earlier versions;
    // without a solution nothing covers it.
    let text = common::GAUSSIAN.replace(", \"ode_rmse\"", "").replace("[solution]\nnfe = 200\nsamples = 24\n", "");
    std::fs::write(cwd.join("plain.toml"), text).unwrap();
    succeed(cwd, &["sweep", "plain.toml", "--out", "results/plain"]);
    std::fs::remove_file(cwd.join("results/plain/images.parquet")).unwrap();
    let other = one.replace("ode_rmse", "fd_pixel").replace("gaussian", "plain");
    let (_, message, text) = rewritten(cwd, &format!("<!-- change: {other} --><!-- end -->"));
    let undecided = text.split(" -->").nth(1).unwrap();
    assert!(undecided.starts_with('(') && undecided.contains(" %)<!--"), "{text} {message}");
}

#[test]
fn times_are_ratios_of_the_values() {
    let folder = common::gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "results/gaussian"]);
    let of = "results=gaussian | metric=ode_rmse";
    let value = |method: &str| -> f64 {
        let (status, message, text) =
            rewritten(cwd, &format!("<!-- value: {of} | method={method} | nfe=5 --><!-- end -->"));
        assert_eq!(status, Some(0), "{message}");
        text.split(" -->").nth(1).unwrap().split('<').next().unwrap().parse().unwrap()
    };
    let (status, message, text) =
        rewritten(cwd, &format!("<!-- times: {of} | methods=DDIM; DEIS-2 | over=DEIS-2 | nfe=5 --><!-- end -->"));
    assert_eq!(status, Some(0), "{message}");
    let expected = format!("| DDIM | × {:.2} |\n| DEIS-2 | × 1.00 |\n", value("DDIM") / value("DEIS-2"));
    assert!(value("DDIM") > 1.5 * value("DEIS-2") && text.contains(&expected), "{text} {expected}");
    for (keys, expected) in [
        ("times: {of}", "times needs over= and a method"),
        ("times: {of} | over=DEIS-7", "no method 'DEIS-7'"),
        ("table: {of} | over=DEIS-2", "over is for grids and times"),
    ] {
        let (status, message, _) = rewritten(cwd, &format!("<!-- {} --><!-- end -->", keys.replace("{of}", of)));
        assert!(status == Some(2) && message.contains(expected), "{keys}: {message}");
    }
}

#[test]
fn the_pages_of_published_results_are_what_the_cells_say() {
    let printed = succeed(&repository(), &["site", "--check"]);
    let folders = std::fs::read_dir(repository().join("results")).unwrap();
    // One that tells, of each kind of folder that has a page.
    let telling = ["cells.csv", "curves.csv", "orders.csv", "peers.csv", "loss.csv", "fit.csv"];
    let shown = |folder: &std::path::Path| telling.iter().any(|name| folder.join(name).exists());
    let shown = folders.filter(|folder| shown(&folder.as_ref().unwrap().path())).count();
    assert!(printed.contains(&format!("docs: {} pages as the files say", shown + 1)), "{printed}");
    let index = std::fs::read_to_string(repository().join("docs/index.html")).unwrap();
    assert_eq!(index.matches("<li><h2>").count(), shown);
}

#[test]
fn pages_follow_the_cells_and_other_files_stay() {
    let folder = common::gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["sweep", "gaussian.toml", "--out", "results/gaussian"]);
    // The run's own page, and the site's, are one.
    let own = std::fs::read(cwd.join("results/gaussian/report.html")).unwrap();
    std::fs::create_dir(cwd.join("docs")).unwrap();
    std::fs::write(cwd.join("docs/mine.html"), "<!doctype html>").unwrap();
    succeed(cwd, &["site"]);
    assert!(std::fs::read(cwd.join("docs/gaussian.html")).unwrap() == own);
    succeed(cwd, &["report", "results/gaussian"]);
    assert!(std::fs::read(cwd.join("results/gaussian/report.html")).unwrap() == own, "another page of the same folder");
    succeed(cwd, &["site", "--check"]);
    // Results that are gone have no page, and what this program did not write is left alone.
    std::fs::rename(cwd.join("results/gaussian"), cwd.join("results/other")).unwrap();
    let output = common::run(cwd, &["site", "--check"]);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && message.contains("run `fewstep site`"), "{message}");
    let printed = succeed(cwd, &["site"]);
    assert!(printed.contains("docs/gaussian.html: of no published results, and removed"), "{printed}");
    assert!(cwd.join("docs/mine.html").exists() && cwd.join("docs/other.html").exists());
}

#[test]
fn the_page_has_every_cell_and_ends_no_script() {
    let folder = common::gaussian_folder();
    let cwd = folder.path();
    let text = common::GAUSSIAN.replace("title = \"Gaussian\"", "title = \"</script><b>Gaussian\"");
    std::fs::write(cwd.join("gaussian.toml"), text).unwrap();
    succeed(cwd, &["sweep", "gaussian.toml"]);
    let page = std::fs::read_to_string(cwd.join("out/gaussian/report.html")).unwrap();
    assert!(page.contains("<title>&lt;/script&gt;&lt;b&gt;Gaussian</title>") && page.matches("</script>").count() == 3);
    let (_, data) = page.split_once("<script id=\"data\" type=\"application/json\">").unwrap();
    let data: serde_json::Value = serde_json::from_str(data.split_once("</script>").unwrap().0).unwrap();
    assert_eq!(data["title"], "</script><b>Gaussian");
    let metrics: Vec<&str> = data["metrics"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert_eq!(metrics, ["ode_rmse", "fd_pixel"]);
    // Eight cells and the solution's own: every figure of a table names its cell, by its place in cells.csv.
    let labels = &data["cells"]["label"];
    let label = |cell: usize| {
        let rows = labels["rows"].as_array().map_or(cell as u64, |rows| rows[cell].as_u64().unwrap());
        labels["values"].as_array().or(labels.as_array()).unwrap()[rows as usize].as_str().unwrap().to_owned()
    };
    let mut seen = 0;
    for row in data["metrics"][0]["rows"].as_array().unwrap() {
        let method = row["method"].as_u64().unwrap() as usize;
        for entry in row["entries"].as_array().unwrap() {
            let cells = entry["cells"].as_array().unwrap();
            assert_eq!(cells.len(), 1);
            assert_eq!(label(cells[0].as_u64().unwrap() as usize), data["methods"][method]["label"].as_str().unwrap());
            seen += 1;
        }
    }
    assert_eq!(seen, 8);
    let pictures = data["samples"]["pictures"].as_array().unwrap().iter().flat_map(|row| row.as_array().unwrap());
    assert_eq!(pictures.filter(|picture| picture.is_string()).count(), 9);
    assert!(data["curve"]["tau"].as_array().unwrap().len() == 50);
}
