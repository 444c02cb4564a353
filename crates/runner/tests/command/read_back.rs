//! A folder of results says the same when it is read back, and holds every cell that was asked for.

use std::{fs, path::Path};

use crate::common::{self, GAUSSIAN, gaussian_folder, npz, pixels, succeed};
use crate::folder::{assert_same, rows, sealed, sweep, unsealed};

/// Sweeps `text`; a report from the files alone gives the same table.
fn assert_reads_back(cwd: &Path, text: &str) {
    fs::write(cwd.join("x.toml"), text).unwrap();
    sweep(cwd, &["x.toml"]);
    let table = || fs::read_to_string(cwd.join("out/x/table.md")).unwrap();
    let swept = table();
    succeed(cwd, &["report", "out/x"]);
    assert_eq!(table(), swept);
}

#[test]
fn a_table_is_the_same_from_its_files() {
    assert_reads_back(gaussian_folder().path(), GAUSSIAN);
}

/// The errors of Fréchet distances over their images, from what `images.parquet` keeps of them: with one seed methods are told apart, and
/// bold is what ties with the lowest.
#[test]
fn errors_of_distances_are_read_back_and_decide() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let text = GAUSSIAN.replace("[solution]\nnfe = 200\nsamples = 24\n", "").replace("\"ode_rmse\"", "\"fd_data\"");
    let text = text
        .replace("size = 16", "size = 8")
        .replace("samples = 40", "samples = 2000")
        .replace("fd_pixel = \"", "fd_pixel = \"8-");
    let images = npz("arr_0", "|u1", &[300, 8, 8, 3], &pixels(300 * 8 * 8 * 3));
    fs::write(cwd.join("8.npz"), images).unwrap();
    succeed(cwd, &["stats", "8.npz", "--features", "pixel-8x8", "--out", "8-pixels.safetensors"]);
    assert_reads_back(cwd, &text);
    let table = fs::read_to_string(cwd.join("out/x/table.md")).unwrap();
    let section = table.split("(`fd_pixel`)").nth(1).unwrap().split("##").next().unwrap();
    assert!(section.contains("± standard error over the images, to first order"), "{section}");
    assert!(section.contains("**") && section.matches(" ± ").count() > 8, "{section}");
    let errors: Vec<f64> = rows(&cwd.join("out/x")).iter().map(|row| row["fd_pixel_error"].parse().unwrap()).collect();
    assert!(errors.iter().all(|error| *error > 0.0 && *error < 1.0), "{errors:?}");
}

/// With two evaluations there is no history for a third order, so that these are one plan, with one key.
#[test]
fn methods_of_one_plan_keep_their_errors() {
    let methods = "[[method]]\nname = \"deis\"\norder = 1\n\n[[method]]\nname = \"deis\"\norder = 3\n";
    let text = GAUSSIAN.split("[[method]]").next().unwrap().replace("nfe = [5, 10]", "nfe = [2, 10]");
    assert_reads_back(gaussian_folder().path(), &(text + methods));
}

/// The cell whose plan is the solution's own is at distance 0 from it; the solution's row says its distance to a finer one.
#[test]
fn the_solutions_own_plan_keeps_its_error() {
    let text = GAUSSIAN.replace("nfe = [5, 10]", "nfe = [5, 60]").replace("nfe = 200", "nfe = 60");
    assert_reads_back(gaussian_folder().path(), &text);
}

/// The row of a solution that has a formula has no number of evaluations.
#[test]
fn a_folder_with_an_exact_solution_is_read() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    assert_reads_back(cwd, &GAUSSIAN.replace("nfe = 200\n", ""));
    assert!(succeed(cwd, &["compare", "out/x", "out/x"]).starts_with("reproduced: 9 of 9 cells"));
    succeed(cwd, &["publish", "out/x", "--force"]);
    assert!(sweep(cwd, &["x.toml"]).stdout.contains("reproduced: 9 of 9 cells"));
}

/// A method that solves no ODE has no distance to its solution; its cell is there all the same, or was refused.
#[test]
fn a_cell_without_a_figure_is_no_gap_in_the_table() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let text = GAUSSIAN.replace("\"fd_pixel\", ", "") + "\n[[method]]\nname = \"ddpm\"\n";
    fs::write(cwd.join("x.toml"), text).unwrap();
    sweep(cwd, &["x.toml"]);
    let provenance: toml::Table = fs::read_to_string(cwd.join("out/x/provenance.toml")).unwrap().parse().unwrap();
    // Four methods at two numbers of evaluations, and the solution; of DDPM nothing is asked for that it has.
    assert_eq!(rows(&cwd.join("out/x")).len(), 9);
    assert_eq!(provenance["cells"].as_integer(), Some(9));
}

/// A solution of fewer images than a cell's has a row of its own images, however much of it is lacking this time.
#[test]
fn the_solutions_row_does_not_depend_on_what_was_kept() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    for (from, to) in [("\"fd_pixel\", ", ""), ("samples = 24", "samples = 23")] {
        fs::write(cwd.join("x.toml"), GAUSSIAN).unwrap();
        sweep(cwd, &["x.toml", "--out", "reused", "--fresh"]);
        fs::write(cwd.join("x.toml"), GAUSSIAN.replace(from, to)).unwrap();
        sweep(cwd, &["x.toml", "--out", "reused"]);
        sweep(cwd, &["x.toml", "--out", "fresh", "--fresh"]);
        assert_same(&cwd.join("reused"), &cwd.join("fresh"), from);
    }
}

/// What `curve` leaves, or a sweep that ended before its first cell, is no table to put in the place of one.
#[test]
fn a_run_without_cells_does_not_replace_a_published_table() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    sweep(cwd, &["gaussian.toml", "--out", "results/gaussian"]);
    succeed(cwd, &["curve", "gaussian.toml"]);
    let output = common::run(cwd, &["publish", "out/gaussian"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(rows(&cwd.join("results/gaussian")).len(), 9);
}

/// A picture is kept with its samples: another cell's, or a part of one, is none of them.
#[test]
fn a_cells_picture_is_of_its_own_samples() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    sweep(cwd, &["gaussian.toml"]);
    let samples = || fs::read(cwd.join("out/gaussian/samples.png")).unwrap();
    let whole = samples();
    let cell = |method: &str| cwd.join(format!("out/gaussian/cells/{method}-quadratic-exact-none-5-seed-3.png"));
    let (own, other) = (fs::read(cell("ddim-0")).unwrap(), fs::read(cell("euler-0")).unwrap());
    assert!(own != other);
    for bytes in [&other[..], &own[..own.len() / 2], &[]] {
        fs::write(cell("ddim-0"), bytes).unwrap();
        let output = common::run(cwd, &["sweep", "gaussian.toml"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("not the one of its samples") && said.contains("cell 1 of 1: DDIM at 5 NFE"), "{said}");
        assert!(samples() == whole && fs::read(cell("ddim-0")).unwrap() == own);
    }
    fs::remove_file(cell("ddim-0")).unwrap();
    assert_eq!(sweep(cwd, &["gaussian.toml"]).measured, ["DDIM at 5 NFE on quadratic, seed 3"]);
    assert!(samples() == whole);
}

/// Earlier versions kept cells without a hash of them, or of their pictures: what is said of one is true of it.
#[test]
fn cells_of_earlier_versions_are_called_so() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    sweep(cwd, &["gaussian.toml"]);
    let path = cwd.join("out/gaussian/cells/ddim-0-quadratic-exact-none-5-seed-3.toml");
    let toml = unsealed(&path);
    let unpictured: String = toml.split_inclusive('\n').filter(|line| !line.starts_with("picture = ")).collect();
    assert_ne!(unpictured, toml);
    for (text, expected) in [
        (toml.clone(), "ddim-0-quadratic-exact-none-5-seed-3.toml: kept by an earlier version, or changed, and not"),
        (sealed(&toml).replace("seconds = ", "seconds = 1"), "toml: not as it was written, and not believed"),
        (sealed(&unpictured), "png: by an earlier version, which kept no hash of it"),
    ] {
        fs::write(&path, text).unwrap();
        let output = common::run(cwd, &["sweep", "gaussian.toml"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected) && said.contains("cell 1 of 1: DDIM at 5 NFE"), "{expected}: {said}");
    }
}

#[test]
fn statistics_of_others_are_not_written_over_unasked() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    let bytes = |name: &str| fs::read(cwd.join(name)).unwrap();
    let before = bytes("pixels.safetensors");
    fs::write(cwd.join("other.npz"), npz("arr_0", "|u1", &[40, 16, 16, 3], &pixels(40 * 16 * 16 * 3))).unwrap();
    fs::write(cwd.join("text.safetensors"), "text").unwrap();
    let stats = |images, out, more: &[&'static str]| {
        [&["stats", images, "--features", "pixel-8x8", "--out", out], more].concat()
    };
    common::expect_refusals(
        cwd,
        vec![
            (
                "other images",
                &["pixels.safetensors: has the statistics of data set", "--replace"],
                stats("other.npz", "pixels.safetensors", &[]),
            ),
            (
                "the same, rounded",
                &["pixels.safetensors: has these images' statistics", "in another precision", "--replace"],
                stats("images.npz", "pixels.safetensors", &["--compact"]),
            ),
            (
                "no statistics",
                &["text.safetensors: is there", "--replace"],
                stats("other.npz", "text.safetensors", &[]),
            ),
        ],
    );
    assert!(bytes("pixels.safetensors") == before && bytes("text.safetensors") == b"text");
    assert!(succeed(cwd, &stats("images.npz", "pixels.safetensors", &[])).contains("there already"));
    succeed(cwd, &stats("other.npz", "pixels.safetensors", &["--replace"]));
    assert!(bytes("pixels.safetensors") != before);
}

/// Figures that nobody measured are drawn as no one's.
#[test]
fn a_table_that_was_changed_by_hand_is_not_drawn() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    sweep(cwd, &["gaussian.toml", "--out", "x"]);
    succeed(cwd, &["report", "x"]);
    let path = cwd.join("x/cells.csv");
    let text = fs::read_to_string(&path).unwrap();
    let (rest, last) = text.trim_end().rsplit_once('\n').unwrap();
    fs::write(&path, format!("{rest}\n{last}\n{last}\n")).unwrap();
    let drawn = fs::read(cwd.join("x/table.md")).unwrap();
    let expected: &[&str] = &["x/cells.csv: not what was measured", "another hash"];
    common::expect_refusals(cwd, vec![("a row twice", expected, vec!["report", "x"])]);
    assert_eq!(fs::read(cwd.join("x/table.md")).unwrap(), drawn);
}

/// One kind of results does not take the place of another's provenance, nor a chart that of the numbers it is of.
#[test]
fn results_do_not_write_over_others() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    sweep(cwd, &["gaussian.toml", "--out", "x"]);
    fs::create_dir(cwd.join("orders")).unwrap();
    fs::write(cwd.join("orders/orders.csv"), "method\n").unwrap();
    fs::create_dir(cwd.join("folder.safetensors")).unwrap();
    fs::create_dir(cwd.join("images")).unwrap();
    let before = crate::folder::tree(cwd);
    let curves = |out| vec!["curves", "gaussian.toml", "--images", "3", "--out", out];
    common::expect_refusals(
        cwd,
        vec![
            ("curves over cells", &["x: other results are there"], curves("x")),
            ("curves over orders", &["orders: other results are there"], curves("orders")),
            ("a chart over its numbers", &["x.svg: its chart"], vec!["curve", "gaussian.toml", "--out", "x.svg"]),
            (
                "statistics over a folder",
                &["folder.safetensors: a folder"],
                vec!["stats", "images", "--features", "pixel-8x8", "--out", "folder.safetensors", "--replace"],
            ),
        ],
    );
    assert_eq!(crate::folder::tree(cwd), before);
}

/// Nobody writes to it: it is no images, and not waited for.
#[cfg(unix)]
#[test]
fn a_pipe_is_no_images() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut command =
        common::fewstep(folder.path(), &["stats", "pipe", "--features", "pixel-8x8", "--out", "x.safetensors"]);
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let begun = std::time::Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begun.elapsed().as_secs() > 60 => {
                child.kill().unwrap();
                panic!("it waits");
            }
            None => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    };
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert!(status.code() == Some(2) && said.contains("pipe: "), "{said}");
}
