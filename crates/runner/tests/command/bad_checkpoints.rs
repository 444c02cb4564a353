//! Broken checkpoints, oracles, databases and training files, each given to the binary: exit status 2, one clear message
//! that names the place, and what was there before untouched.

#[cfg(target_os = "linux")]
use std::{fs, path::Path};

use crate::common::{self, Case, TRAIN, expect_refusals, npz, pixels, repository, run, succeed};
use crate::database;
use crate::disk;
use lmdb::DatabaseFlags;

const SWEEP: &str = "samples = 2\nnfe = [2]\nmetrics = [\"ode_rmse\"]\nmethod = [{ name = \"ddim\" }]\nsolution = { nfe = 4, samples = 2 }\n";

fn golden(name: &str) -> std::path::PathBuf {
    repository().join("crates/model/tests/golden/layouts").join(name)
}

/// A model folder made from a good one by a change of its configuration.
fn model_folder(cwd: &Path, name: &str, from: &str, to: &str) {
    let folder = cwd.join(name);
    fs::create_dir(&folder).unwrap();
    for file in ["config.json", "scheduler_config.json"] {
        let text = fs::read_to_string(golden("diffusers-old-names").join(file)).unwrap();
        fs::write(folder.join(file), text.replace(from, to)).unwrap();
    }
    let weights = "diffusion_pytorch_model.bin";
    fs::copy(golden("diffusers-old-names").join(weights), folder.join(weights)).unwrap();
}

/// An experiment with a `[model]` table.
fn experiment(cwd: &Path, name: &str, model: &str) {
    fs::write(cwd.join(name), format!("{SWEEP}\n[model]\nsize = 8\n{model}\n")).unwrap();
}

fn training(cwd: &Path, name: &str, from: &str, to: &str) {
    assert!(TRAIN.contains(from), "{from}");
    fs::write(cwd.join(name), TRAIN.replacen(from, to, 1)).unwrap();
}

/// A safetensors file of one-number tensors.
fn safetensors(metadata: &str, names: &[&str]) -> Vec<u8> {
    let tensors = names.iter().enumerate().map(|(i, name)| {
        format!("\"{name}\":{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[{},{}]}}", 4 * i, 4 * i + 4)
    });
    let header = format!("{{\"__metadata__\":{metadata},{}}}", tensors.collect::<Vec<_>>().join(","));
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![0; 4 * names.len()]].concat()
}

fn write_checkpoints(cwd: &Path) {
    let unet = |name: &str, path: &str, more: &str| {
        experiment(cwd, name, &format!("kind = \"unet\"\nweights = \"{path}\"\n{more}"));
    };
    unet("good.toml", golden("diffusers-old-names").to_str().unwrap(), "");
    fs::create_dir(cwd.join("m-empty")).unwrap();
    unet("m-empty.toml", "m-empty", "");
    for (name, from, to) in [
        ("m-json", "{", "["),
        ("m-class", "UNet2DModel", "UNet2DConditionModel"),
        ("m-layers", "\"layers_per_block\": 1", "\"layers_per_block\": 3"),
        ("m-widths", "32,\n  32\n", "64,\n  64\n"),
        ("m-outputs", "\"out_channels\": 3", "\"out_channels\": 7"),
        ("m-heads", "\"attention_head_dim\": null", "\"attention_head_dim\": 7"),
        ("m-betas", "\"beta_end\": 0.02", "\"beta_end\": 0.012"),
        ("m-cosine", "\"beta_schedule\": \"linear\"", "\"beta_schedule\": \"squaredcos_cap_v2\""),
        ("m-sigmoid", "\"beta_schedule\": \"linear\"", "\"beta_schedule\": \"sigmoid\""),
        ("m-prediction", "\"prediction_type\": \"sample\"", "\"prediction_type\": \"flow\""),
        ("m-no-weights", "sample_size", "sample_size"),
        ("m-truncated", "sample_size", "sample_size"),
        ("m-garbage", "sample_size", "sample_size"),
        ("m-evil", "sample_size", "sample_size"),
        ("m-number", "sample_size", "sample_size"),
    ] {
        model_folder(cwd, name, from, to);
        unet(&format!("{name}.toml"), name, "");
    }
    unet(
        "m-config.toml",
        golden("diffusers-old-names").to_str().unwrap(),
        "config = { model_channels = 32, channel_mult = [1], num_res_blocks = 1, attention_ds = [], scale_shift = true }",
    );
    let bin = "diffusion_pytorch_model.bin";
    fs::remove_file(cwd.join("m-no-weights").join(bin)).unwrap();
    let good = fs::read(cwd.join("m-truncated").join(bin)).unwrap();
    fs::write(cwd.join("m-truncated").join(bin), &good[..good.len() - 3000]).unwrap();
    fs::write(cwd.join("m-garbage").join(bin), pixels(5000)).unwrap();
    // posix.system("touch pwned"), and a number.
    fs::write(cwd.join("m-evil").join(bin), b"\x80\x02cposix\nsystem\nX\x0b\0\0\0touch pwned\x85R.").unwrap();
    fs::write(cwd.join("m-number").join(bin), b"\x80\x02K\x07.").unwrap();
    let legacy = fs::read(golden("openai-ema-and-raw.pth")).unwrap();
    fs::write(cwd.join("legacy.pth"), &legacy[..legacy.len() / 2]).unwrap();
    let config = "prediction = \"v\"\nconfig = { model_channels = 32, channel_mult = [1], num_res_blocks = 1, attention_ds = [], num_heads = 2, scale_shift = true }";
    unet("legacy.toml", "legacy.pth", config);
    let first = "time_embed.0.weight";
    let two = [format!("a.{first}"), format!("b.{first}")];
    fs::write(cwd.join("two.safetensors"), safetensors("{}", &[&two[0], &two[1]])).unwrap();
    unet("two.toml", "two.safetensors", config);
    fs::write(cwd.join("flow.safetensors"), safetensors("{\"prediction\":\"flow\"}", &[first])).unwrap();
    unet("flow.toml", "flow.safetensors", "");
    fs::write(cwd.join("config.safetensors"), safetensors("{\"config\":\"small\"}", &[first])).unwrap();
    unet("config.toml", "config.safetensors", "");
}

fn write_oracles(cwd: &Path) {
    experiment(cwd, "o-none.toml", "kind = \"mixture\"");
    experiment(
        cwd,
        "o-variance.toml",
        "kind = \"mixture\"\ncomponent = [{ mean = 0, variance = 1.0 }, { mean = 0.5, variance = -1.0 }]",
    );
    experiment(cwd, "o-weight.toml", "kind = \"mixture\"\ncomponent = [{ weight = 0.0, mean = 0.0, variance = 1.0 }]");
    experiment(cwd, "o-mean.toml", "kind = \"gaussian\"\nmean = [1.0, 2.0]\nvariance = 1.0");
    experiment(cwd, "o-other.toml", "kind = \"gaussian\"\nmean = 0.0\nvariance = 1.0\ndata = \"x\"");
    experiment(cwd, "o-data.toml", "kind = \"ideal\"");
    experiment(cwd, "o-absent.toml", "kind = \"ideal\"\ndata = \"absent\"");
    experiment(cwd, "o-size.toml", "kind = \"ideal\"\ndata = \"images.npz\"");
    experiment(cwd, "o-many.toml", "kind = \"ideal\"\ndata = \"images.npz\"\ncrop = true\nimages = 301");
    let text = |from: &str, to: &str, model: &str| format!("{}\n[model]\nsize = 8\n{model}", SWEEP.replace(from, to));
    let mixture = "kind = \"mixture\"\ncomponent = [{ mean = 0.0, variance = 1.0 }, { mean = 0.5, variance = 1.0 }]\n";
    fs::write(cwd.join("o-solution.toml"), text("nfe = 4, ", "", mixture)).unwrap();
    let ideal = "kind = \"ideal\"\ndata = \"images.npz\"\n";
    fs::write(cwd.join("o-moments.toml"), text("ode_rmse", "fd_data", ideal)).unwrap();
}

fn write_databases(cwd: &Path) {
    let images: Vec<Vec<u8>> = (0..40).map(|i| database::webp(i, 60 + i, 70)).collect();
    database::write(&cwd.join("l-good"), &images);
    let good = fs::read(cwd.join("l-good/data.mdb")).unwrap();
    let changed = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        fs::write(cwd.join(name), bytes).unwrap();
    };
    changed("l-truncated.mdb", &|bytes| bytes.truncate(5 * 4096));
    changed("l-short.mdb", &|bytes| bytes.truncate(100));
    changed("l-magic.mdb", &|bytes| bytes[16] ^= 1);
    changed("l-page.mdb", &|bytes| bytes[40..44].copy_from_slice(&1000u32.to_le_bytes()));
    // The root of the later transaction's meta page, wherever it is.
    changed("l-root.mdb", &|bytes| {
        for meta in [0, 4096] {
            bytes[meta + 128..meta + 136].copy_from_slice(&(1u64 << 40).to_le_bytes());
        }
    });
    // Every page's flags: no branch and no leaf is left.
    changed("l-flags.mdb", &|bytes| bytes.chunks_mut(4096).skip(2).for_each(|page| page[10] = 0));
    // Nodes that point out of their pages.
    changed("l-nodes.mdb", &|bytes| {
        bytes.chunks_mut(4096).skip(2).for_each(|page| {
            if page[10] & 3 != 0 {
                page[16..18].copy_from_slice(&u16::MAX.to_le_bytes());
            }
        });
    });
    database::write(&cwd.join("l-text"), &[b"not an image".to_vec()]);
    database::write(&cwd.join("l-none"), &[]);
    database::write_as(
        &cwd.join("l-several"),
        &images[..2].iter().map(|v| v[..200].to_vec()).collect::<Vec<_>>(),
        DatabaseFlags::DUP_SORT,
        None,
    );
    database::write_as(&cwd.join("l-nested"), &images[..2], DatabaseFlags::empty(), Some("inside"));
}

fn write_trainings(cwd: &Path) {
    fs::write(cwd.join("t-good.toml"), TRAIN).unwrap();
    for (name, from, to) in [
        ("t-key", "steps = 2", "stepps = 2"),
        ("t-steps", "steps = 2", "steps = 0"),
        ("t-rate", "rate = \"cosine\"", "rate = \"linear\""),
        ("t-learning-rate", "learning_rate = 1e-3", "learning_rate = -1e-3"),
        ("t-nan", "learning_rate = 1e-3", "learning_rate = nan"),
        ("t-ema", "ema = 0.9\n", "ema = 1.0\n"),
        ("t-betas", "betas = [0.9, 0.99]", "betas = [0.9, 1.0]"),
        ("t-clip", "clip_norm = 1.0", "clip_norm = 0.0"),
        ("t-decay", "ema = 0.9\n", "ema = 0.9\nweight_decay = -0.1\n"),
        ("t-prediction", "prediction = \"v\"", "prediction = \"flow\""),
        ("t-size", "size = 16", "size = 15"),
        ("t-other-size", "size = 16", "size = 32"),
        ("t-channels", "model_channels = 32", "model_channels = 48"),
        ("t-sigma", "scale_shift = true", "scale_shift = true\nlearn_sigma = true"),
        ("t-data", "images.npz", "absent.npz"),
        ("t-batch", "batch = 2", "batch = 301"),
        ("t-every", "samples = 1", "every = 0"),
        ("t-other", "learning_rate = 1e-3", "learning_rate = 2e-3"),
    ] {
        training(cwd, &format!("{name}.toml"), from, to);
    }
    // What a run left, and the same damaged.
    succeed(cwd, &["train", "t-good.toml", "--out", "run"]);
    let state = fs::read(cwd.join("run/state.safetensors")).unwrap();
    for (name, state) in
        [("run-truncated", &state[..state.len() - 9]), ("run-garbage", &state[..40]), ("run-rows", &state)]
    {
        fs::create_dir(cwd.join(name)).unwrap();
        fs::write(cwd.join(name).join("state.safetensors"), state).unwrap();
        fs::copy(cwd.join("run/loss.csv"), cwd.join(name).join("loss.csv")).unwrap();
    }
    fs::write(cwd.join("run-rows/loss.csv"), "step,images,learning_rate,loss,gradient_norm\n1,2,0.1,1.0,1.0\n")
        .unwrap();
    fs::create_dir(cwd.join("run-model")).unwrap();
    fs::copy(cwd.join("run/model.safetensors"), cwd.join("run-model/state.safetensors")).unwrap();
}

fn cases() -> Vec<Case> {
    let sweep = |file| vec!["sweep", file, "--out", "out/x"];
    let stats = |images| vec!["stats", images, "--crop", "16", "--features", "pixel-8x8", "--out", "s.safetensors"];
    let train = |file| vec!["train", file, "--out", "out/t"];
    let resume = |folder| vec!["train", "t-good.toml", "--out", folder];
    vec![
        ("a folder with nothing", &["m-empty", "no config.json"], sweep("m-empty.toml")),
        ("a configuration that is no JSON", &["m-json/config.json", "not a configuration"], sweep("m-json.toml")),
        ("another class", &["UNet2DConditionModel"], sweep("m-class.toml")),
        ("more layers than weights", &["tensor down_blocks.1.attentions.1", "missing"], sweep("m-layers.toml")),
        ("wider than the weights", &["has shape [32", "expected [64"], sweep("m-widths.toml")),
        ("outputs", &["out_channels is 7"], sweep("m-outputs.toml")),
        ("head width", &["head_channels is 7"], sweep("m-heads.toml")),
        ("another schedule", &["scheduler_config.json", "beta_end is 0.012"], sweep("m-betas.toml")),
        (
            "a schedule that the experiment does not say",
            &["m-cosine", "trained with schedule 'cosine'", "schedule = \"linear\""],
            sweep("m-cosine.toml"),
        ),
        (
            "a schedule without a name",
            &["scheduler_config.json", "'sigmoid'", "squaredcos_cap_v2"],
            sweep("m-sigmoid.toml"),
        ),
        ("another prediction", &["prediction_type is 'flow'"], sweep("m-prediction.toml")),
        ("no weights", &["m-no-weights", "no diffusion_pytorch_model"], sweep("m-no-weights.toml")),
        ("truncated .bin", &["m-truncated/diffusion_pytorch_model.bin"], sweep("m-truncated.toml")),
        ("garbage .bin", &["m-garbage/diffusion_pytorch_model.bin", "neither"], sweep("m-garbage.toml")),
        ("a pickle that calls a function", &["m-evil/diffusion_pytorch_model.bin"], sweep("m-evil.toml")),
        ("a pickle of a number", &["m-number/diffusion_pytorch_model.bin"], sweep("m-number.toml")),
        ("truncated older container", &["legacy.pth"], sweep("legacy.toml")),
        ("two networks", &["two.safetensors", "several networks"], sweep("two.toml")),
        ("metadata's prediction", &["flow.safetensors", "'flow'; expected epsilon, x0 or v"], sweep("flow.toml")),
        ("metadata's configuration", &["config.safetensors", "metadata 'config'"], sweep("config.toml")),
        ("two configurations", &["leave [model.config] out"], sweep("m-config.toml")),
        ("mixture of nothing", &["o-none.toml:9", "needs [[model.component]]"], sweep("o-none.toml")),
        ("negative variance", &["o-variance.toml:10", "variance is -1"], sweep("o-variance.toml")),
        ("weight of nothing", &["weight is 0"], sweep("o-weight.toml")),
        ("two means", &["mean has 2 numbers; expected 1, 3 or 192"], sweep("o-mean.toml")),
        ("a key of another kind", &["takes no data"], sweep("o-other.toml")),
        ("ideal without data", &["needs data"], sweep("o-data.toml")),
        ("ideal of absent data", &["absent"], sweep("o-absent.toml")),
        ("ideal of another size", &["images of 16x16", "size = 8", "crop"], sweep("o-size.toml")),
        ("ideal of too many", &["300 images", "301"], sweep("o-many.toml")),
        ("no exact solution", &["needs nfe"], sweep("o-solution.toml")),
        ("no exact moments", &["'fd_data' needs kind 'gaussian' or 'mixture'"], sweep("o-moments.toml")),
        ("truncated LMDB", &["l-truncated.mdb", "cut short"], stats("l-truncated.mdb")),
        ("short LMDB", &["l-short.mdb", "cut short"], stats("l-short.mdb")),
        ("LMDB without its mark", &["l-magic.mdb", "no LMDB meta page"], stats("l-magic.mdb")),
        ("LMDB of odd pages", &["l-page.mdb", "page size 1000"], stats("l-page.mdb")),
        ("LMDB with its root elsewhere", &["l-root.mdb"], stats("l-root.mdb")),
        ("LMDB of no tree", &["l-flags.mdb", "no branch and no leaf"], stats("l-flags.mdb")),
        ("LMDB with nodes elsewhere", &["l-nodes.mdb", "outside of it"], stats("l-nodes.mdb")),
        ("LMDB of text", &["l-text", "value 0 is not a readable image"], stats("l-text")),
        ("LMDB of nothing", &["l-none", "no images"], stats("l-none")),
        ("LMDB of several values a key", &["l-several", "several values"], stats("l-several")),
        ("LMDB in an LMDB", &["l-nested", "inside"], stats("l-nested")),
        (
            "LMDB images of many sizes",
            &["l-good: images are 60x70", "multiples of 8"],
            vec!["stats", "l-good", "--features", "pixel-8x8", "--out", "s.safetensors"],
        ),
        ("crop to nothing", &["--crop"], vec!["stats", "l-good", "--crop", "0", "--out", "s.safetensors"]),
        ("unknown training key", &["t-key.toml:14", "stepps"], train("t-key.toml")),
        ("no steps", &["t-steps.toml:14", "steps is 0"], train("t-steps.toml")),
        ("unknown rate", &["t-rate.toml:17", "linear"], train("t-rate.toml")),
        (
            "negative learning rate",
            &["t-learning-rate.toml:16", "learning_rate is -0.001"],
            train("t-learning-rate.toml"),
        ),
        ("learning rate not a number", &["learning_rate is NaN"], train("t-nan.toml")),
        ("endless average", &["t-ema.toml:20", "ema is 1"], train("t-ema.toml")),
        ("endless momentum", &["t-betas.toml:18", "betas are"], train("t-betas.toml")),
        ("clip to nothing", &["clip_norm is 0"], train("t-clip.toml")),
        ("negative decay", &["weight_decay is -0.1"], train("t-decay.toml")),
        ("unknown prediction", &["t-prediction.toml:3", "flow"], train("t-prediction.toml")),
        ("odd size", &["at 15"], train("t-size.toml")),
        ("images of another size", &["images.npz", "16x16", "size = 32"], train("t-other-size.toml")),
        ("groups", &["model_channels is 48"], train("t-channels.toml")),
        ("training a variance", &["no learn_sigma"], train("t-sigma.toml")),
        ("absent data", &["absent.npz"], train("t-data.toml")),
        ("fewer images than a batch", &["300 images", "batch of 301"], train("t-batch.toml")),
        ("state never written", &["every is 0"], train("t-every.toml")),
        (
            "state of another run",
            &["run/state.safetensors", "another run"],
            vec!["train", "t-other.toml", "--out", "run"],
        ),
        ("truncated state", &["run-truncated/state.safetensors"], resume("run-truncated")),
        ("garbage state", &["run-garbage/state.safetensors"], resume("run-garbage")),
        ("weights as state", &["run-model/state.safetensors", "not a training state"], resume("run-model")),
        ("loss of fewer steps", &["run-rows/loss.csv", "loss of 2 steps"], resume("run-rows")),
    ]
}

#[test]
fn broken_checkpoints_and_training_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    fs::write(cwd.join("images.npz"), npz("arr_0", "|u1", &[300, 16, 16, 3], &pixels(300 * 16 * 16 * 3))).unwrap();
    write_checkpoints(cwd);
    write_oracles(cwd);
    write_databases(cwd);
    write_trainings(cwd);
    // The controls: what the broken inputs were made from is good.
    succeed(cwd, &["sweep", "good.toml", "--out", "good"]);
    succeed(cwd, &["stats", "l-good", "--crop", "16", "--features", "pixel-8x8", "--out", "good.safetensors"]);
    let before = fs::read(cwd.join("run/state.safetensors")).unwrap();

    let cases = cases();
    assert!(cases.len() >= 60, "{}", cases.len());
    expect_refusals(cwd, cases);
    assert!(!cwd.join("pwned").exists(), "a pickle was executed");
    assert!(before == fs::read(cwd.join("run/state.safetensors")).unwrap(), "a state was touched");
    assert!(!cwd.join("s.safetensors").exists(), "statistics of a broken database were written");
}

/// Needs the right to mount a small file system; without it there is no disk to fill.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_last_state() {
    let folder = tempfile::tempdir().unwrap();
    let cwd = folder.path();
    let Some(mounted) = disk::Disk::mount(cwd.join("disk"), 64) else { return };
    let disk = &mounted.path;
    fs::write(cwd.join("images.npz"), npz("arr_0", "|u1", &[300, 16, 16, 3], &pixels(300 * 16 * 16 * 3))).unwrap();
    let state = |step: usize| {
        training(cwd, "t.toml", "steps = 2", "steps = 4");
        let text = fs::read_to_string(cwd.join("t.toml"))
            .unwrap()
            .replace("samples = 1", &format!("every = {step}\nsamples = 1"));
        fs::write(cwd.join("t.toml"), text).unwrap();
    };
    state(1);
    // Killed after its first steps: the run's state is there.
    let mut child = common::fewstep(cwd, &["train", "t.toml", "--out", "disk/run"]).spawn().unwrap();
    while !disk.join("run/state.safetensors").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let before = fs::read(disk.join("run/state.safetensors")).unwrap();
    // Room for less than one more state.
    mounted.fill(0);
    let output = run(cwd, &["train", "t.toml", "--out", "disk/run"]);
    let (after, message) =
        (fs::read(disk.join("run/state.safetensors")).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    mounted.empty();
    let finished = run(cwd, &["train", "t.toml", "--out", "disk/run"]).status.success();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains("No space left"), "{message}");
    assert!(before == after, "the state was touched");
    assert!(finished, "the run did not go on where it was");
}
