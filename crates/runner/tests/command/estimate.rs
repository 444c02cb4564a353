//! `fewstep slurm --estimate`: it counts what sweeps count, and docs/clusters.md shows what it prints.

use std::fs;

use crate::common::{GAUSSIAN, gaussian_folder, repository, succeed};
use crate::folder::sweep;

/// Evaluations for one shard of `experiment`, as they are estimated.
fn estimated(cwd: &std::path::Path, experiment: &str) -> u64 {
    let text = succeed(cwd, &["slurm", experiment, "--shards", "1", "--estimate", "1"]);
    let row = text.lines().find_map(|line| line.strip_prefix("| 1 | ")).unwrap();
    row.split(' ').next().unwrap().parse().unwrap()
}

/// Sweeps without reuse evaluate what is estimated. They count from when the normaliser is there: 50 evaluations of 8 images.
#[test]
fn evaluations_are_those_of_a_sweep() {
    let kept = gaussian_folder();
    let cwd = kept.path();
    let metrics = "metrics = [\"fd_pixel\", \"ode_rmse\"]";
    let cases = [
        ("fewer solved than sampled", GAUSSIAN.to_owned()),
        ("all solved", GAUSSIAN.replace("samples = 24", "samples = 40")),
        ("a floor", GAUSSIAN.replace("samples = 24", "samples = 24\nfloor = 60")),
        ("no Fréchet distance", GAUSSIAN.replace(metrics, "metrics = [\"ode_rmse\"]")),
        ("no solution needed", GAUSSIAN.replace(metrics, "metrics = [\"fd_pixel\"]")),
        (
            "no solution",
            GAUSSIAN.replace(metrics, "metrics = [\"fd_data\"]").replace("[solution]\nnfe = 200\nsamples = 24\n", ""),
        ),
        ("a formula", GAUSSIAN.replace("nfe = 200\n", "")),
        ("other noise", GAUSSIAN.replace(metrics, "metrics = [\"fd_pixel_solution\", \"fd_pixel\"]")),
        ("two seeds", GAUSSIAN.replace("seed = 3\nsamples", "seeds = [3, 4]\nsamples")),
        (
            "noise in its steps",
            GAUSSIAN.replace(metrics, "metrics = [\"ode_rmse\"]").replace("\"euler\"", "\"ddim\"\neta = 0.5"),
        ),
    ];
    for (i, (name, text)) in cases.iter().enumerate() {
        let file = format!("case-{i}.toml");
        fs::write(cwd.join(&file), text).unwrap();
        let (made, _) = sweep(cwd, &[&file, "--no-reuse"]).evaluations.unwrap();
        assert_eq!(estimated(cwd, &file), made + 50 * 8, "{name}");
    }
}

/// 4 methods × 114 evaluations × 50 000 images, and 28 cells of as many images through Inception.
#[test]
fn hours_are_counts_by_rates() {
    let root = repository();
    for table in ["experiments/paper-cifar10.toml", "experiments/lsun-church64.toml"] {
        let text = succeed(&root, &["slurm", table, "--shards", "64", "--estimate", "1000,500"]);
        let expected = "28 cells of 50000 images, 1400000 images through Inception\n\n\
                        | shards | evaluations of one | hours of one | hours of all |\n|---:|---:|---:|---:|\n\
                        | 1 | 22800000 | 7.11 | 7.11 |\n\
                        | 8 | 2850000 | 0.889 | 7.11 |\n\
                        | 64 | 356592 | 0.111 | 7.11 |\n";
        assert_eq!(text, expected, "{table}");
    }
    let text = succeed(&root, &["slurm", "experiments/paper-cifar10.toml", "--shards", "1", "--estimate", "1000"]);
    assert!(text.contains("1400000 images through Inception, which the hours are without\n"), "{text}");
    assert!(text.ends_with("| 1 | 22800000 | 6.33 | 6.33 |\n"), "{text}");
    assert!(!root.join("out/paper-cifar10/slurm").exists());
}

#[test]
fn the_page_shows_what_is_printed() {
    let root = repository();
    let page = fs::read_to_string(root.join("docs/clusters.md")).unwrap();
    let mut shown = 0;
    for line in page.lines().filter(|line| line.starts_with("    fewstep slurm ") && line.contains(" --estimate ")) {
        let arguments: Vec<&str> = line.split_whitespace().skip(1).take_while(|word| *word != "#").collect();
        let printed = succeed(&root, &arguments);
        let (_, behind) = page.split_once(line).unwrap();
        assert!(behind.trim_start().starts_with(&printed), "{line}\nprints\n{printed}");
        shown += 1;
    }
    assert!(shown >= 2, "{shown} estimates in docs/clusters.md");
}
