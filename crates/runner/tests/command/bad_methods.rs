//! Methods, grids, schedules, seeds and published figures that make no sense, each given to the binary: exit status 2 and one
//! clear message that names the place.

use std::{fs, path::Path};

use crate::common::{self, Case, expect_refusals, experiment, gaussian_folder, succeed};

fn write_inputs(cwd: &Path) {
    let write = |name: &str, bytes: &[u8]| fs::write(cwd.join(name), bytes).unwrap();
    experiment(cwd, "grid-twice.toml", "grid = \"quadratic\"", "grid = [1, 0.5, 0.5, 0]");
    experiment(cwd, "grid-list.toml", "grid = \"quadratic\"", "grid = [1, 0.5, 0]");
    experiment(cwd, "grid-end.toml", "grid = \"quadratic\"", "grid = \"quadratic-to-1.5\"");
    experiment(cwd, "grid-denoise.toml", "grid = \"quadratic\"", "grid = \"quadratic-denoise\"");
    experiment(cwd, "grid-levels.toml", "grid = \"quadratic\"", "grid = \"levels 5 1 1\"");
    experiment(cwd, "grid-gits.toml", "grid = \"quadratic\"", "grid = \"gits\"");
    experiment(cwd, "ratio.toml", "name = \"ddim\"", "name = \"dc-solver-3\"");
    experiment(cwd, "unic.toml", "name = \"ddim\"", "name = \"deis-unic\"\norder = 4");
    experiment(cwd, "schedule.toml", "kind = \"gaussian\"", "kind = \"gaussian\"\nschedule = \"sigmoid\"");
    experiment(cwd, "normalise-euler.toml", "name = \"euler\"", "name = \"euler\"\nnormalise = true");
    experiment(cwd, "normalise-ddpm.toml", "name = \"euler\"", "name = \"ddpm\"\nnormalise = true");
    experiment(cwd, "eta.toml", "name = \"ddim\"", "name = \"ddim\"\neta = 1.5");
    experiment(cwd, "eta-deis.toml", "name = \"deis\"", "name = \"deis\"\neta = 0.5");
    experiment(cwd, "threshold.toml", "name = \"ddim\"", "name = \"ddim\"\nthreshold = \"soft\"");
    experiment(cwd, "threshold-all.toml", "seed = 3", "seed = 3\nthreshold = \"hard\"");
    experiment(cwd, "threshold-deis.toml", "name = \"deis\"", "name = \"deis\"\nthreshold = \"clip\"");
    experiment(cwd, "reference.toml", "name = \"ddim\"", "name = \"ipndm\"\ncoefficients = \"reference\"");
    experiment(cwd, "rk4.toml", "name = \"ddim\"", "name = \"rho-rk4\"\ngrid = \"quadratic-to-0.01\"");
    let rk4 = fs::read_to_string(cwd.join("rk4.toml")).unwrap();
    write("rk4.toml", rk4.replace("nfe = [5, 10]", "nfe = [3]").as_bytes());
    experiment(cwd, "seeds.toml", "seed = 3", "seeds = [1, 1]");
    experiment(cwd, "seed-seeds.toml", "seed = 3", "seed = 3\nseeds = [1, 2]");
    experiment(cwd, "collect.toml", "nfe = 50,", "nfe = 12,");
    let reference = "name = \"ddim\"\nnormalise = true\ncoefficients = \"reference\"";
    experiment(cwd, "reference-ddim-sn.toml", "name = \"ddim\"", reference);
    experiment(cwd, "solution-many.toml", "nfe = 200", "nfe = 501");
    experiment(cwd, "solution-floor.toml", "nfe = 200", "floor = 5");
    experiment(cwd, "published-absent.toml", "seed = 3", "seed = 3\npublished = [\"absent.toml\"]");
    let one = |name: &str| {
        let text = common::GAUSSIAN.split("[[method]]").next().unwrap().replace("\"fd_pixel\", ", "");
        format!("{text}[[method]]\nname = \"{name}\"\n")
    };
    write("ddpm-alone.toml", one("ddpm").as_bytes());
    write("ddpm-and-ddim.toml", (one("ddpm") + "[[method]]\nname = \"ddim\"\n").as_bytes());
    write("ddim-eta-alone.toml", (one("ddim") + "eta = 0.5\n").as_bytes());
    experiment(cwd, "published-bad.toml", "seed = 3", "seed = 3\npublished = [\"rows.toml\"]");
    write("rows.toml", b"source = \"x\"\ndataset = \"y\"\nmodel = \"z\"\nsamples = 5\n[[row]]\nmethod = \"DDIM\"\nfid = { ten = 5.0 }\n");
}

fn cases() -> Vec<Case> {
    let sweep = |file: &'static str| vec!["sweep", file];
    vec![
        ("times that repeat", &["grid-twice.toml:7:8", "0.5 is followed by 0.5"], sweep("grid-twice.toml")),
        ("times for another nfe", &["grid-list.toml:", "grid of 3 times; 5 steps have 6"], sweep("grid-list.toml")),
        ("end of a grid", &["grid-end.toml:7:8", "no time between 0 and 1"], sweep("grid-end.toml")),
        ("last step without an end", &["grid-denoise.toml:7:8", "needs an end"], sweep("grid-denoise.toml")),
        ("noise levels that repeat", &["grid-levels.toml:7:8", "1 is followed by 1"], sweep("grid-levels.toml")),
        (
            "a list for another nfe",
            &["grid-gits.toml:", "method 'euler' at nfe = 5: a grid of 7 times; 5 steps have 6"],
            sweep("grid-gits.toml"),
        ),
        (
            "a ratio out of range",
            &["ratio.toml:", "ratio is 3; expected a number over 0 and up to 2"],
            sweep("ratio.toml"),
        ),
        ("a corrected method's order", &["unic.toml:", "order is 4; expected 0 to 3"], sweep("unic.toml")),
        ("unknown schedule", &["schedule.toml:", "no schedule 'sigmoid'; expected linear"], sweep("schedule.toml")),
        (
            "normalised Euler",
            &["normalise-euler.toml:", "no meaning for Euler", "cancel"],
            sweep("normalise-euler.toml"),
        ),
        ("normalised DDPM", &["no meaning for DDPM", "posterior"], sweep("normalise-ddpm.toml")),
        ("eta over 1", &["eta.toml:", "eta is 1.5"], sweep("eta.toml")),
        ("eta of DEIS", &["no method 'deis-eta-0.5'"], sweep("eta-deis.toml")),
        ("nothing to measure", &["ddpm-alone.toml:6:12", "'ddpm' solves none"], sweep("ddpm-alone.toml")),
        (
            "nothing of --only to measure",
            &["nothing is measured of what 'method=ddpm' selects"],
            vec!["sweep", "ddpm-and-ddim.toml", "--only", "method=ddpm"],
        ),
        (
            "nothing at all of --only",
            &["of what 'method=ddim,order=2' selects"],
            vec!["sweep", "gaussian.toml", "--only", "method=ddim,order=2"],
        ),
        ("nothing to measure with noise", &["'ddim-eta-0.5' solves none"], sweep("ddim-eta-alone.toml")),
        ("unknown threshold", &["threshold.toml:", "no threshold 'soft'"], sweep("threshold.toml")),
        ("unknown threshold for all", &["threshold-all.toml:3:13", "'hard'"], sweep("threshold-all.toml")),
        ("threshold of DEIS", &["'deis' predicts noise"], sweep("threshold-deis.toml")),
        ("reference iPNDM", &["'ipndm' has no reference coefficients"], sweep("reference.toml")),
        ("reference DDIM on ε/r", &["'ddim-sn' has no reference coefficients"], sweep("reference-ddim-sn.toml")),
        (
            "many evaluations for a solution",
            &["solution-many.toml:", "nfe is 501; expected 1 to 500"],
            sweep("solution-many.toml"),
        ),
        ("floor of an exact solution", &["solution-floor.toml:", "this one is exact"], sweep("solution-floor.toml")),
        ("too few evaluations for RK4", &["nfe is 3", "'rho-rk4' needs more"], sweep("rk4.toml")),
        ("seeds twice", &["seeds.toml:2:", "each once"], sweep("seeds.toml")),
        ("seed and seeds", &["seed-seeds.toml:2:", "either seed or seeds"], sweep("seed-seeds.toml")),
        (
            "too few times for a normaliser",
            &["collect.toml:", "with nfe = 12", "gaps of at most 0.05"],
            sweep("collect.toml"),
        ),
        ("absent published figures", &["absent.toml"], sweep("published-absent.toml")),
        ("bad published figures", &["rows.toml:5:", "ten = 5"], sweep("published-bad.toml")),
        (
            "plan of a repeating list",
            &["0.5 is followed by 0.5"],
            vec!["plan", "--method", "ddim", "--nfe", "3", "--grid", "1,0.5,0.5,0"],
        ),
        ("plan schedule", &["no schedule 'x'"], vec!["plan", "--method", "ddim", "--nfe", "3", "--schedule", "x"]),
        ("plan threshold", &["no threshold 'x'"], vec!["plan", "--method", "ddim", "--nfe", "3", "--threshold", "x"]),
    ]
}

#[test]
fn methods_that_make_no_sense_are_refused_with_one_clear_message() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    // What the broken experiments were made from is good.
    succeed(cwd, &["sweep", "gaussian.toml"]);
    write_inputs(cwd);
    let cases = cases();
    assert!(cases.len() >= 22, "{}", cases.len());
    expect_refusals(cwd, cases);
}
