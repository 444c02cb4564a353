//! The repository's texts against the cells they speak of.

mod common;

use common::{repository, succeed};

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
    // With one seed the error of a Fréchet distance is not known; without a solution nothing covers it.
    let text = common::GAUSSIAN.replace(", \"ode_rmse\"", "").replace("[solution]\nnfe = 200\nsamples = 24\n", "");
    std::fs::write(cwd.join("plain.toml"), text).unwrap();
    succeed(cwd, &["sweep", "plain.toml", "--out", "results/plain"]);
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
