//! Protocols of showing images to Inception, in commands and experiments: what each depends on, and what is refused.

use std::{fs, io::Read, path::Path, process::Output};

use crate::common::{self, npz, pixels, repository, zip};

/// Runs with the user's cache.
fn cached(cwd: &Path, arguments: &[&str]) -> Output {
    common::fetched(cwd, arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn refused(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{text}");
    text
}

fn json(cwd: &Path, arguments: &[&str]) -> serde_json::Value {
    serde_json::from_str(&said(&cached(cwd, &[arguments, &["--json"]].concat()))).unwrap()
}

/// Two sets of eight images.
fn images(cwd: &Path) {
    let all = pixels(16 * 3072);
    for (name, part) in [("a.npz", &all[..8 * 3072]), ("b.npz", &all[8 * 3072..])] {
        fs::write(cwd.join(name), npz("arr_0", "|u1", &[8, 32, 32, 3], part)).unwrap();
    }
}

#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn a_distance_names_its_protocol_and_takes_no_statistics_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    images(cwd);
    let fid = |protocol: &str| json(cwd, &["fid", "a.npz", "b.npz", "--protocol", protocol])["fid"].as_f64().unwrap();
    let all = ["pytorch-fid", "tensorflow", "clean"].map(fid);
    assert!(all[0] > 0.0 && all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
    assert_eq!(json(cwd, &["fid", "a.npz", "b.npz"])["fid"].as_f64(), Some(all[0]));

    // Statistics that know theirs.
    said(&cached(cwd, &["stats", "b.npz", "--protocol", "clean", "--out", "b.safetensors"]));
    let kept = refused(&cached(cwd, &["stats", "b.npz", "--out", "b.safetensors"]));
    assert!(kept.contains("they are of protocol 'clean'") && kept.contains("--replace"), "{kept}");
    let known = json(cwd, &["fid", "a.npz", "b.safetensors", "--protocol", "clean"]);
    assert!((known["fid"].as_f64().unwrap() / all[2] - 1.0).abs() < 1e-9, "{known}");
    assert_eq!((known["protocol"].as_str(), known["reference"]["features"].as_str()), (Some("clean"), Some("known")));
    let other = refused(&cached(cwd, &["fid", "a.npz", "b.safetensors"]));
    assert!(
        other.contains("b.safetensors: statistics do not match: they are of protocol 'clean', expected 'pytorch-fid'"),
        "{other}"
    );

    // And that do not.
    let unsaid = refused(&cached(cwd, &["fid", "--save-stats", "b.npz", "s.npz", "--protocol", "tensorflow"]));
    assert!(
        unsaid.contains("s.npz: an .npz says no protocol") && unsaid.contains("stats --protocol tensorflow"),
        "{unsaid}"
    );
    said(&cached(cwd, &["fid", "--save-stats", "b.npz", "s.npz"]));
    let taken = json(cwd, &["fid", "a.npz", "s.npz"]);
    assert!((taken["fid"].as_f64().unwrap() / all[0] - 1.0).abs() < 1e-9, "{taken}");
    assert_eq!(taken["reference"]["features"].as_str(), Some("assumed"));
    let output = cached(cwd, &["fid", "a.npz", "s.npz", "--protocol", "tensorflow"]);
    assert!(said(&output).ends_with("\nprotocol: tensorflow\n"));
    let note = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(note.contains("s.npz: names no protocol; taken to be of tensorflow"), "{note}");
    assert!(!note.contains("has images too"), "{note}");
    // guided-diffusion's reference batches have both.
    let mut archive = zip::ZipArchive::new(fs::File::open(cwd.join("s.npz")).unwrap()).unwrap();
    let mut array = |name: &str| {
        let mut bytes = Vec::new();
        archive.by_name(name).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    };
    let (mu, sigma) = (array("mu.npy"), array("sigma.npy"));
    fs::write(cwd.join("both.npz"), zip(&[("mu.npy", &mu), ("sigma.npy", &sigma), ("arr_0.npy", b"images")])).unwrap();
    let output = cached(cwd, &["fid", "a.npz", "both.npz"]);
    assert!(said(&output).starts_with(&format!("FID:  {}", taken["fid"])), "{}", said(&output));
    let note = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(note.contains("both.npz: has images too (arr_0); its mu and sigma are taken"), "{note}");
}

#[test]
#[ignore = "needs `fewstep fetch inception`"]
fn sfid_is_beside_fid_and_a_score_needs_the_last_layer() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    images(cwd);
    let same = json(cwd, &["fid", "a.npz", "a.npz", "--sfid"]);
    assert!(same["sfid"].as_f64().unwrap().abs() < 1e-6, "{same}");
    assert!(json(cwd, &["fid", "a.npz", "b.npz", "--sfid"])["sfid"].as_f64().unwrap() > 1e-3);
    let lacking = refused(&cached(cwd, &["fid", "a.npz", "b.npz", "--is", "--is-splits", "2"]));
    assert!(lacking.contains("--is: the Inception weights lack their last layer (fc.weight)"), "{lacking}");
}

/// Cells keep what they were measured by: with another protocol everything in Inception's features is measured again, and tables say so.
#[test]
#[ignore = "needs `fewstep fetch inception`; a minute"]
fn an_experiments_protocol_is_in_its_keys_and_tables() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    let text = format!(
        r#"samples = 8
nfe = [3]
metrics = ["fid_paired", "ode_rmse"]
grid = "quadratic"
solution = {{ nfe = 6, samples = 8 }}
model = {{ kind = "unet", size = 32, weights = "{}/models/cifar10-tiny.safetensors" }}
method = [{{ name = "ddim" }}]
"#,
        repository().display()
    );
    fs::write(cwd.join("x.toml"), &text).unwrap();
    let mut seen = Vec::new();
    for protocol in ["pytorch-fid", "clean", "clean"] {
        fs::write(cwd.join("x.toml"), format!("{text}\n[reference]\nprotocol = \"{protocol}\"\n")).unwrap();
        said(&cached(cwd, &["sweep", "x.toml", "--out", "x"]));
        let mut cells = csv::Reader::from_path(cwd.join("x/cells.csv")).unwrap();
        let headers = cells.headers().unwrap().clone();
        let rows: Vec<_> = cells.records().map(Result::unwrap).collect();
        let value = |name: &str| {
            let at = |name: &str| headers.iter().position(|header| header == name).unwrap();
            let row = rows.iter().find(|row| &row[at("method")] == "ddim").unwrap();
            row[at(name)].to_owned()
        };
        assert_eq!(value("protocol"), protocol);
        let table = fs::read_to_string(cwd.join("x/table.md")).unwrap();
        let title = "FID to the network's converged samples from the same noise";
        let named = if protocol == "clean" {
            format!("## {title} (protocol clean) (`fid")
        } else {
            format!("## {title} (`fid")
        };
        assert!(table.contains(&named), "{table}");
        seen.push([value("fid_paired"), value("ode_rmse")]);
    }
    assert_ne!(seen[0][0], seen[1][0]);
    assert_eq!((&seen[0][1], &seen[1]), (&seen[1][1], &seen[2]));
}
