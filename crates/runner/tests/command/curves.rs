//! `fewstep curves`: several networks' curves in one figure.

use std::{fs, path::Path};

use crate::common::{GAUSSIAN, gaussian_folder, run, succeed};

/// At τ = 1 there is hardly any data left in x, and ε is N(0, 1): mean |ε| is √(2/π).
#[test]
fn a_curve_has_its_value_error_and_number_of_images() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    fs::write(cwd.join("theirs.csv"), theirs()).unwrap();
    let printed =
        succeed(cwd, &["curves", "gaussian.toml", "--published", "theirs.csv", "--images", "12", "--out", "c"]);
    assert!(printed.contains("| gaussian | 12 images, 50 NFE, quadratic |"), "{printed}");
    assert!(printed.contains("| theirs | a source | 0.5000 | 0.5000 | 0.5000 | 0.5000 | 0.5000 |  |  |"), "{printed}");
    let rows: Vec<Vec<String>> = fs::read_to_string(cwd.join("c/curves.csv"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect();
    let ours: Vec<&Vec<String>> = rows.iter().filter(|row| row[0] == "gaussian").collect();
    assert_eq!((ours.len(), rows.len()), (50, 50 + 1000));
    let number = |row: &[String], at: usize| row[at].parse::<f64>().unwrap();
    for row in &ours {
        // r = σ|s|; and as a part of r an error of √(π/2 − 1)/√(12·768) = 0.0079, as all numbers are independent, so that 1 % takes 7.4 images.
        assert!((number(row, 2) * number(row, 5) / number(row, 3) - 1.0).abs() < 1e-12);
        assert!((0.003..0.02).contains(&(number(row, 4) / number(row, 3))), "{row:?}");
        assert!((2.0..48.0).contains(&number(row, 6)), "{row:?}");
    }
    let last = ours.last().unwrap();
    assert!(
        (number(last, 1) - 1.0).abs() < 1e-12 && (number(last, 3) - (2.0 / std::f64::consts::PI).sqrt()).abs() < 0.02
    );
    // The same bytes again, whatever the batch.
    let text = GAUSSIAN.replace("batch = 16", "batch = 5");
    fs::write(cwd.join("gaussian.toml"), text).unwrap();
    succeed(cwd, &["curves", "gaussian.toml", "--published", "theirs.csv", "--images", "12", "--out", "d"]);
    for name in ["curves.csv", "summary.csv", "table.md", "curves.svg", "curves.png"] {
        assert!(fs::read(cwd.join("c").join(name)).unwrap() == fs::read(cwd.join("d").join(name)).unwrap(), "{name}");
    }
    assert!(fs::read_to_string(cwd.join("c/provenance.toml")).unwrap().contains("\"published theirs\" = "));
}

fn theirs() -> String {
    let rows: Vec<String> = (1..=1000).map(|k| format!("{},0.5\n", f64::from(k) / 1000.0)).collect();
    format!("# a source\ntau,mean_abs_eps\n{}", rows.concat())
}

fn refused(cwd: &Path, arguments: &[&str], said: &str) {
    let output = run(cwd, arguments);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && message.contains(said), "{arguments:?}: {message}");
    assert!(!cwd.join("out").exists(), "{arguments:?}");
}

#[test]
fn what_cannot_be_compared_is_refused_before_anything_is_measured() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    refused(cwd, &["curves"], "<EXPERIMENTS>");
    refused(cwd, &["curves", "none.toml"], "none.toml");
    refused(cwd, &["curves", "gaussian.toml", "--published", "none.csv"], "none.csv");
    refused(cwd, &["curves", "gaussian.toml", "gaussian.toml"], "two curves called gaussian");
    refused(cwd, &["curves", "gaussian.toml", "--images", "1"], "--images");
    fs::write(cwd.join("bad.csv"), "tau,mean_abs_eps\n0.5,-1\n").unwrap();
    refused(cwd, &["curves", "gaussian.toml", "--published", "bad.csv"], "bad.csv");
}
