//! Broken inputs, each given to the binary: exit status 2, one clear message that names the place, and earlier
//! results untouched.

mod cases;

use std::{fs, path::Path};

use crate::common::{
    GAUSSIAN, TRAIN, authors_pt, expect_refusals, experiment, fewstep, gaussian_folder, npz, pixels, repository,
    succeed, zip,
};

const NETWORK: &str = r#"samples = 2
nfe = [2]
metrics = ["ode_rmse"]
model = { kind = "unet", size = 16, weights = "WEIGHTS", prediction = "epsilon", config = { model_channels = 32, channel_mult = [1, 2], num_res_blocks = 2, attention_ds = [2], num_heads = 4, scale_shift = true } }
method = [{ name = "ddim" }]
solution = { nfe = 4, samples = 2 }
"#;

/// A safetensors file with one tensor or header as given.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

fn curve_csv(change: impl Fn(usize, f64) -> Option<String>) -> String {
    let rows = (1..=100).filter_map(|k| {
        let tau = k as f64 / 100.0;
        change(k, tau).or_else(|| Some(format!("{tau},0.7"))).filter(|row| !row.is_empty())
    });
    format!("tau,mean_abs_eps\n{}\n", rows.collect::<Vec<_>>().join("\n"))
}

fn write_inputs(cwd: &Path) {
    let fid = GAUSSIAN.replace("metrics = [\"fd_pixel\"", "metrics = [\"fid\"").replace("fd_pixel = ", "fid = ");
    let write = |name: &str, bytes: &[u8]| fs::write(cwd.join(name), bytes).unwrap();
    write("few.npz", &npz("arr_0", "|u1", &[5, 16, 16, 3], &pixels(5 * 768)));
    write("one.npz", &npz("arr_0", "|u1", &[1, 16, 16, 3], &pixels(768)));

    // Experiments.
    write("empty.toml", b"");
    write("syntax.toml", b"samples = = 3\n");
    write("binary.toml", &[0xff, 0xfe, 0x00, 0x80]);
    experiment(cwd, "nfe-0.toml", "nfe = [5, 10]", "nfe = [5, 0]");
    experiment(cwd, "nfe-large.toml", "nfe = [5, 10]", "nfe = [5, 1001]");
    experiment(cwd, "nfe-negative.toml", "nfe = [5, 10]", "nfe = [-5]");
    experiment(cwd, "nfe-twice.toml", "nfe = [5, 10]", "nfe = [5, 5]");
    experiment(cwd, "nfe-none.toml", "nfe = [5, 10]", "nfe = []");
    experiment(cwd, "nfe-text.toml", "nfe = [5, 10]", "nfe = \"ten\"");
    experiment(cwd, "order-9.toml", "order = 2", "order = 9");
    experiment(cwd, "order-ddim.toml", "name = \"ddim\"", "name = \"ddim\"\norder = 1");
    experiment(cwd, "unknown-key.toml", "seed = 3", "sead = 3");
    experiment(cwd, "unknown-method.toml", "name = \"ddim\"", "name = \"dpm\"");
    experiment(cwd, "unknown-metric.toml", "\"ode_rmse\"]", "\"is\"]");
    experiment(cwd, "unknown-grid.toml", "grid = \"quadratic\"", "grid = \"cubic\"");
    experiment(cwd, "unknown-kind.toml", "kind = \"gaussian\"", "kind = \"magic\"");
    experiment(cwd, "duplicate-method.toml", "name = \"ddim\"", "name = \"euler\"");
    experiment(cwd, "protocol.toml", "[reference]", "[reference]\nprotocol = \"legacy\"");
    experiment(cwd, "samples-1.toml", "samples = 40", "samples = 1");
    experiment(cwd, "samples-huge.toml", "samples = 40", "samples = 99999999999");
    experiment(cwd, "batch-0.toml", "batch = 16", "batch = 0");
    let large = GAUSSIAN.replace("size = 16", "size = 1024");
    write("memory-batch.toml", large.replace("batch = 16", "batch = 4096").as_bytes());
    let many = large.replace("samples = 40", "samples = 4000").replace("samples = 24", "samples = 2000");
    write("memory-solution.toml", many.as_bytes());
    let gaussian = "kind = \"gaussian\"\nsize = 1024\nmean = -0.1\nvariance = 0.25";
    let ideal = "kind = \"ideal\"\nsize = 1024\ndata = \"images.npz\"\nimages = 1_000_000";
    write("memory-images.toml", large.replace(gaussian, ideal).as_bytes());
    let component = "{ mean = 0.0, variance = 1.0 }";
    let mixture = format!("kind = \"mixture\"\nsize = 1024\ncomponent = [{}]", [component; 1024].join(", "));
    write("memory-components.toml", large.replace(gaussian, &mixture).as_bytes());
    let training = |name: &str, changes: &[(&str, &str)]| {
        let change = |text: String, (from, to): &(&str, &str)| text.replacen(from, to, 1);
        write(name, changes.iter().fold(TRAIN.to_owned(), change).as_bytes());
    };
    // Of so many levels the last has few pixels, each of which heeds every other.
    let large = [("size = 16", "size = 1024\ncrop = true"), ("[1, 1]", "[1, 1, 1, 1, 1, 1, 1, 1]")];
    training("train-weights.toml", &[("model_channels = 32", "model_channels = 4096")]);
    training("train-batch.toml", &[&large[..], &[("batch = 2", "batch = 65536")]].concat());
    training("train-parts.toml", &[("batch = 2", "batch = 65536\npart = 1")]);
    training("train-part.toml", &[("size = 16", "size = 1024")]);
    training("train-images.toml", &[&large[..], &[("images.npz", "many.npz")]].concat());
    write("many.npz", &npz("arr_0", "|u1", &[12_000, 16, 16, 3], &pixels(12_000 * 768)));
    experiment(cwd, "variance.toml", "variance = 0.25", "variance = -0.25");
    experiment(
        cwd,
        "no-weights.toml",
        "kind = \"gaussian\"\nsize = 16\nmean = -0.1\nvariance = 0.25",
        "kind = \"unet\"\nsize = 16",
    );
    experiment(cwd, "no-solution.toml", "[solution]\nnfe = 200\nsamples = 24\n", "");
    let no_solution = GAUSSIAN.replace("\"ode_rmse\"]", "\"fd_pixel_solution\"]");
    write("no-converged.toml", no_solution.replace("[solution]\nnfe = 200\nsamples = 24\n", "").as_bytes());
    experiment(cwd, "limit-reference.toml", "\"fd_pixel\", ", "\"fid_infinity\", ");
    write(
        "limit-few.toml",
        fid.replace("\"fid\"", "\"fid_infinity\"")
            .replace("samples = 40", "samples = 7")
            .replace("samples = 24", "samples = 7")
            .as_bytes(),
    );
    experiment(cwd, "no-reference.toml", "fd_pixel = \"pixels.safetensors\"", "");
    experiment(cwd, "solution-samples.toml", "samples = 24", "samples = 41");
    experiment(cwd, "clip.toml", "clip = 3", "clip = 50");
    experiment(cwd, "size.toml", "size = 16", "size = 12");
    experiment(cwd, "wrong-data.toml", "fd_pixel =", "dataset = \"0000\"\nfd_pixel =");
    experiment(cwd, "no-statistics.toml", "\"pixels.safetensors\"", "\"absent.safetensors\"");
    experiment(cwd, "bad-statistics.toml", "\"pixels.safetensors\"", "\"truncated-stats.safetensors\"");
    experiment(cwd, "other-statistics.toml", "\"pixels.safetensors\"", "\"other-stats.safetensors\"");
    experiment(cwd, "nan-statistics.toml", "\"pixels.safetensors\"", "\"nan-stats.safetensors\"");
    experiment(cwd, "fid.toml", "metrics = [\"fd_pixel\"", "metrics = [\"fid\"");
    write("no-inception.toml", fid.as_bytes());

    // Features.
    experiment(cwd, "vit-none.toml", "\"fd_pixel\", ", "\"fd_vit_solution\", ");
    let vit = |weights: &str| {
        let named = format!("[features]\nweights = \"{weights}\"\n\n[model]");
        GAUSSIAN.replace("\"fd_pixel\", ", "\"fd_vit_solution\", ").replacen("[model]", &named, 1)
    };
    write("vit-absent.toml", vit("absent.safetensors").as_bytes());
    fs::create_dir(cwd.join("vit")).unwrap();
    write("vit/config.json", br#"{"model_type": "dinov2"}"#);
    write("vit-other.toml", vit("vit/w-good.safetensors").as_bytes());

    // Statistics.
    let good = fs::read(cwd.join("pixels.safetensors")).unwrap();
    write("truncated-stats.safetensors", &good[..good.len() / 2]);
    let text = |from: &str, to: &str| {
        let at = good.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
        [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
    };
    write("other-stats.safetensors", &text("pixel-8x8", "pixel-9x9"));
    let mut nan = good.clone();
    let end = nan.len();
    nan[end - 8..].copy_from_slice(&f64::NAN.to_le_bytes());
    write("nan-stats.safetensors", &nan);

    // Checkpoints.
    let network = fs::read(repository().join("crates/model/tests/golden/openai-cifar-tiny.safetensors")).unwrap();
    let with_weights = |name: &str, bytes: &[u8]| {
        write(&format!("{name}.safetensors"), bytes);
        write(&format!("{name}.toml"), NETWORK.replace("WEIGHTS", &format!("{name}.safetensors")).as_bytes());
    };
    with_weights("w-good", &network);
    write("vit/w-good.safetensors", &network);
    with_weights("w-truncated", &network[..network.len() - 100]);
    with_weights("w-empty", b"");
    with_weights("w-garbage", &pixels(4096));
    with_weights("w-huge-header", &[&u64::MAX.to_le_bytes()[..], b"{}"].concat());
    let mut nan = network.clone();
    let end = nan.len();
    nan[end - 2..].copy_from_slice(&[0x00, 0x7e]); // f16 NaN
    with_weights("w-nan", &nan);
    with_weights("w-few", &safetensors(r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]));
    with_weights(
        "w-integers",
        &safetensors(r#"{"time_embed.0.weight":{"dtype":"I64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8]),
    );
    let shape = NETWORK.replace("WEIGHTS", "w-good.safetensors");
    write("w-shape.toml", shape.replace("num_res_blocks = 2", "num_res_blocks = 1").as_bytes());
    write("w-heads.toml", shape.replace("num_heads = 4", "num_heads = 5").as_bytes());
    write("w-channels.toml", shape.replace("model_channels = 32", "model_channels = 31").as_bytes());
    write("w-size.toml", shape.replace("size = 16", "size = 15").as_bytes());
    write(
        "w-no-config.toml",
        format!(
            "{}\n",
            shape
                .lines()
                .map(|line| match line.split_once(", config") {
                    Some((model, _)) => format!("{model} }}\n"),
                    None => format!("{line}\n"),
                })
                .collect::<String>()
        )
        .as_bytes(),
    );

    // Normalisers.
    write("r-good.csv", curve_csv(|_, _| None).as_bytes());
    write("r-zero.csv", curve_csv(|k, tau| (k == 7).then(|| format!("{tau},0"))).as_bytes());
    write("r-nan.csv", curve_csv(|k, tau| (k == 7).then(|| format!("{tau},NaN"))).as_bytes());
    write("r-text.csv", curve_csv(|k, tau| (k == 7).then(|| format!("{tau},x"))).as_bytes());
    write("r-columns.csv", b"t,r\n0.5,1\n1,1\n");
    write("r-gap.csv", curve_csv(|k, _| (30..40).contains(&k).then(String::new)).as_bytes());
    write("r-short.csv", curve_csv(|k, _| (k > 90).then(String::new)).as_bytes());
    write("r-order.csv", curve_csv(|k, _| (k == 50).then(|| "0.2,0.7".into())).as_bytes());
    write("r-ragged.csv", b"tau,mean_abs_eps\n0.5\n");
    write("r-empty.csv", b"");
    let (score, sigma) = (vec![0.8f32; 100], vec![1.0f32; 100]);
    let pt = authors_pt(&score, &sigma);
    write("r-truncated.pt", &pt[..pt.len() / 2]);
    write("r-garbage.pt", &pixels(500));
    write("r-no-pickle.pt", &zip(&[("n/version", b"3\n")]));
    write("r-lengths.pt", &authors_pt(&score, &sigma[..50]));
    // A pickle that asks to run a command.
    write("r-evil.pt", &zip(&[("n/data.pkl", b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."), ("n/version", b"3\n")]));

    // Images.
    fs::create_dir(cwd.join("no-images")).unwrap();
    write("no-images/readme.txt", b"nothing");
    for folder in ["bad-png", "sizes", "short-cifar"] {
        fs::create_dir(cwd.join(folder)).unwrap();
    }
    let png = |path: &str, side: u32| image::RgbImage::new(side, side).save(cwd.join(path)).unwrap();
    png("sizes/a.png", 16);
    png("sizes/b.png", 24);
    png("bad-png/a.png", 16);
    png("bad-png/b.png", 16);
    let whole = fs::read(cwd.join("bad-png/b.png")).unwrap();
    write("bad-png/b.png", &whole[..whole.len() / 2]);
    write("short-cifar/data_batch_1.bin", &[0; 3073]);
    write("i-shape.npz", &npz("arr_0", "|u1", &[10, 16, 16], &pixels(2560)));
    write("i-type.npz", &npz("arr_0", "<f4", &[2, 16, 16, 3], &pixels(6144)));
    write("i-name.npz", &npz("images", "|u1", &[2, 16, 16, 3], &pixels(1536)));
    write("i-claims.npz", &npz("arr_0", "|u1", &[2_000_000_000, 16, 16, 3], &pixels(1536)));
    write("i-none.npz", &npz("arr_0", "|u1", &[0, 16, 16, 3], &[]));
    let images = fs::read(cwd.join("images.npz")).unwrap();
    write("i-truncated.npz", &images[..images.len() / 2]);
    write("s-shape.npz", &npz("mu", "<f8", &[3], &[0; 24]));

    // Results.
    fs::create_dir(cwd.join("no-cells")).unwrap();
    fs::create_dir(cwd.join("bad-cells")).unwrap();
    write("bad-cells/cells.csv", b"method,nfe\neuler,5\n");
    write("a-file", b"");
}

#[test]
fn broken_inputs_are_refused_with_one_clear_message() {
    let folder = gaussian_folder();
    let cwd = folder.path();
    succeed(cwd, &["sweep", "gaussian.toml"]);
    write_inputs(cwd);
    let results = cwd.join("out/gaussian");
    let snapshot = || {
        let mut files: Vec<_> = results.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.is_file());
        files.sort();
        files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect::<Vec<_>>()
    };
    let before = snapshot();
    // The controls: what the broken inputs were made from is good.
    succeed(cwd, &["sweep", "w-good.toml"]);
    succeed(cwd, &["plan", "--method", "deis-sn", "--nfe", "5", "--normaliser", "r-good.csv"]);

    let cases = cases::cases();
    assert!(cases.len() >= 65, "{}", cases.len());
    expect_refusals(cwd, cases);
    assert!(before == snapshot(), "earlier results were touched");
}

#[test]
fn the_authors_file_and_csv_give_the_same_plan() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    // From τ = 1 down: |s| and σ whose product is the curve of the CSV.
    let tau = |k: usize| (100 - k) as f64 / 100.0;
    let sigma: Vec<f32> = (0..100).map(|k| tau(k).sqrt() as f32).collect();
    let score: Vec<f32> = (0..100).map(|k| ((0.4 + 0.4 * tau(k)) / f64::from(sigma[k])) as f32).collect();
    fs::write(cwd.join("r.pt"), authors_pt(&score, &sigma)).unwrap();
    fs::write(cwd.join("r.csv"), curve_csv(|_, tau| Some(format!("{tau},{}", 0.4 + 0.4 * tau)))).unwrap();
    for coefficients in ["exact", "reference"] {
        let plan = |file: &str| -> serde_json::Value {
            let arguments =
                ["plan", "--method", "deis-sn", "--nfe", "5", "--coefficients", coefficients, "--clip", "2", "--json"];
            serde_json::from_str(&succeed(cwd, &[&arguments[..], &["--normaliser", file]].concat())).unwrap()
        };
        let (pt, csv) = (plan("r.pt"), plan("r.csv"));
        assert_eq!((csv["nfe"].as_u64(), csv["steps"].as_array().unwrap().len()), (Some(5), 5));
        for (a, b) in pt["steps"].as_array().unwrap().iter().zip(csv["steps"].as_array().unwrap()) {
            for (a, b) in a["c"].as_array().unwrap().iter().zip(b["c"].as_array().unwrap()) {
                assert!((a.as_f64().unwrap() / b.as_f64().unwrap() - 1.0).abs() < 1e-5, "{a} {b}");
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn read_only_and_unreadable_paths_are_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = gaussian_folder();
    let cwd = folder.path();
    let mode = |path: &str, mode: u32| fs::set_permissions(cwd.join(path), fs::Permissions::from_mode(mode)).unwrap();
    fs::create_dir(cwd.join("locked")).unwrap();
    fs::write(cwd.join("secret.toml"), GAUSSIAN).unwrap();
    mode("locked", 0o555);
    mode("secret.toml", 0o000);
    // The superuser may do all this; then there is nothing to see.
    if fs::write(cwd.join("locked/probe"), b"").is_err() {
        for arguments in [["sweep", "gaussian.toml", "--out", "locked/results"], ["sweep", "secret.toml", "--out", "x"]]
        {
            let output = fewstep(cwd, &arguments).output().unwrap();
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{message}");
            assert!(message.contains("locked") || message.contains("secret.toml"), "{message}");
        }
    }
    mode("locked", 0o755);
}
