//! Broken inputs, each given to the binary: exit status 2, one clear message that names the place, and earlier
//! results untouched.

mod common;

use std::{fs, path::Path};

use common::{
    Case, GAUSSIAN, authors_pt, expect_refusals, experiment, fewstep, gaussian_folder, npz, pixels, repository,
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

fn cases() -> Vec<Case> {
    let sweep = |file: &'static str| vec!["sweep", file];
    let plan = |normaliser: &'static str| vec!["plan", "--method", "deis-sn", "--nfe", "5", "--normaliser", normaliser];
    let stats = |images: &'static str| vec!["stats", images, "--features", "pixel-8x8", "--out", "s.safetensors"];
    vec![
        ("absent experiment", &["absent.toml"], sweep("absent.toml")),
        ("experiment is a folder", &["no-images"], sweep("no-images")),
        ("empty experiment", &["empty.toml:1:1", "samples"], sweep("empty.toml")),
        ("syntax", &["syntax.toml:1:"], sweep("syntax.toml")),
        ("not text", &["binary.toml"], sweep("binary.toml")),
        ("nfe 0", &["nfe-0.toml:5:11", "nfe is 0", "1 to 1000"], sweep("nfe-0.toml")),
        ("nfe 1001", &["nfe is 1001"], sweep("nfe-large.toml")),
        ("nfe -5", &["nfe-negative.toml:5:"], sweep("nfe-negative.toml")),
        ("nfe twice", &["nfe 5 is there twice"], sweep("nfe-twice.toml")),
        ("nfe empty", &["nfe is empty"], sweep("nfe-none.toml")),
        ("nfe text", &["nfe-text.toml:5:7"], sweep("nfe-text.toml")),
        ("order 9", &["order-9.toml:", "order is 9", "0 to 3"], sweep("order-9.toml")),
        ("order of ddim", &["'ddim' takes no order"], sweep("order-ddim.toml")),
        ("unknown key", &["unknown-key.toml:2:1", "sead"], sweep("unknown-key.toml")),
        ("unknown method", &["unknown-method.toml:", "no method 'dpm'"], sweep("unknown-method.toml")),
        ("unknown metric", &["unknown-metric.toml:6:", "no metric 'is'"], sweep("unknown-metric.toml")),
        ("unknown grid", &["unknown-grid.toml:7:", "cubic"], sweep("unknown-grid.toml")),
        ("unknown kind", &["no model kind 'magic'"], sweep("unknown-kind.toml")),
        ("duplicate method", &["duplicate-method.toml:", "Euler is there twice"], sweep("duplicate-method.toml")),
        ("one sample", &["samples is 1"], sweep("samples-1.toml")),
        ("too many samples", &["samples is 99999999999"], sweep("samples-huge.toml")),
        ("batch 0", &["batch is 0"], sweep("batch-0.toml")),
        (
            "memory of a batch",
            &[
                "memory-batch.toml:4:9: batch is 4096; so many images of 1024x1024",
                "51.5 GB of memory; expected at most 34.4",
            ],
            sweep("memory-batch.toml"),
        ),
        (
            "memory of a solution",
            &["memory-solution.toml:", "samples in [solution] is 2000;", "would take 25.2 GB of memory"],
            sweep("memory-solution.toml"),
        ),
        (
            "memory of an ideal denoiser",
            &["memory-images.toml:13:", "images in [model] is 1000000;", "would take 6291.5 GB of memory"],
            sweep("memory-images.toml"),
        ),
        (
            "memory of a mixture",
            &[
                "memory-components.toml:10:",
                "1024 [[model.component]] tables of 1024x1024",
                "would take 51.5 GB of memory",
            ],
            sweep("memory-components.toml"),
        ),
        ("variance", &["variance is -0.25"], sweep("variance.toml")),
        ("no weights", &["needs weights"], sweep("no-weights.toml")),
        ("no solution", &["'ode_rmse' needs a [solution] table"], sweep("no-solution.toml")),
        (
            "no converged samples",
            &["no-converged.toml:6:", "'fd_pixel_solution' needs a [solution]"],
            sweep("no-converged.toml"),
        ),
        (
            "no reference of a limit",
            &["'fid_infinity' needs fid in a [reference] table"],
            sweep("limit-reference.toml"),
        ),
        (
            "too few for a limit",
            &["limit-few.toml:6:", "needs at least 8 samples; there are 7"],
            sweep("limit-few.toml"),
        ),
        ("no reference", &["'fd_pixel' needs"], sweep("no-reference.toml")),
        ("solution larger than cell", &["samples is 41"], sweep("solution-samples.toml")),
        ("clip beyond the curve", &["clip is 50", "50 entries"], sweep("clip.toml")),
        ("sides that do not pool", &["12x12", "multiples of 8"], sweep("size.toml")),
        ("other data set", &["pixels.safetensors", "data set hash"], sweep("wrong-data.toml")),
        ("absent statistics", &["absent.safetensors"], sweep("no-statistics.toml")),
        (
            "truncated statistics",
            &["truncated-stats.safetensors", "expected a statistics file"],
            sweep("bad-statistics.toml"),
        ),
        (
            "statistics of another extractor",
            &["extractor is 'pixel-9x9'", "'pixel-8x8'"],
            sweep("other-statistics.toml"),
        ),
        ("statistics with NaN", &["nan-stats.safetensors", "not finite"], sweep("nan-statistics.toml")),
        ("fid without statistics", &["'fid' needs"], sweep("fid.toml")),
        ("fid without weights", &["fewstep fetch inception"], sweep("no-inception.toml")),
        ("truncated weights", &["w-truncated.safetensors"], sweep("w-truncated.toml")),
        ("empty weights", &["w-empty.safetensors"], sweep("w-empty.toml")),
        ("garbage weights", &["w-garbage.safetensors"], sweep("w-garbage.toml")),
        ("huge header", &["w-huge-header.safetensors"], sweep("w-huge-header.toml")),
        ("NaN weights", &["w-nan.safetensors", "NaN"], sweep("w-nan.toml")),
        ("missing tensors", &["w-few.safetensors", "time_embed.0.weight is missing"], sweep("w-few.toml")),
        ("integer weights", &["w-integers.safetensors", "I64"], sweep("w-integers.toml")),
        ("weights of another shape", &["w-good.safetensors", "tensor "], sweep("w-shape.toml")),
        ("heads", &["num_heads is 5"], sweep("w-heads.toml")),
        ("channels", &["model_channels is 31"], sweep("w-channels.toml")),
        ("image size", &["multiples of 2", "size = 15"], sweep("w-size.toml")),
        ("no configuration", &["no 'config' in the metadata"], sweep("w-no-config.toml")),
        ("normaliser with a zero", &["r-zero.csv", "tau = 0.07 is 0"], plan("r-zero.csv")),
        ("normaliser with NaN", &["r-nan.csv", "NaN"], plan("r-nan.csv")),
        ("normaliser with text", &["r-text.csv", "line 8", "'x'"], plan("r-text.csv")),
        ("normaliser columns", &["r-columns.csv", "tau,mean_abs_eps"], plan("r-columns.csv")),
        ("normaliser with a gap", &["r-gap.csv", "no point between tau = 0.29 and 0.4"], plan("r-gap.csv")),
        ("normaliser ends early", &["r-short.csv", "last tau is 0.9"], plan("r-short.csv")),
        ("normaliser out of order", &["r-order.csv", "does not ascend"], plan("r-order.csv")),
        ("normaliser row too short", &["r-ragged.csv"], plan("r-ragged.csv")),
        ("empty normaliser", &["r-empty.csv"], plan("r-empty.csv")),
        ("truncated .pt", &["r-truncated.pt"], plan("r-truncated.pt")),
        ("garbage .pt", &["r-garbage.pt"], plan("r-garbage.pt")),
        (".pt without a pickle", &["r-no-pickle.pt"], plan("r-no-pickle.pt")),
        (".pt with unequal lengths", &["r-lengths.pt", "100 values"], plan("r-lengths.pt")),
        (".pt that runs a command", &["r-evil.pt"], plan("r-evil.pt")),
        ("clip of a plan", &["clip is 100"], [plan("r-good.csv"), vec!["--clip", "100"]].concat()),
        ("no normaliser", &["needs a normaliser"], vec!["plan", "--method", "deis-sn", "--nfe", "5"]),
        ("plan order 9", &["order is 9"], vec!["plan", "--method", "deis", "--nfe", "5", "--order", "9"]),
        ("plan nfe 0", &["nfe is 0"], vec!["plan", "--method", "deis", "--nfe", "0"]),
        ("plan grid", &["no grid 'cubic'"], vec!["plan", "--method", "deis", "--nfe", "5", "--grid", "cubic"]),
        ("no images", &["no images in this folder"], stats("no-images")),
        ("absent images", &["absent"], stats("absent")),
        ("truncated PNG", &["b.png", "not a readable image"], stats("bad-png")),
        ("short CIFAR-10", &["data_batch_1.bin", "3073 bytes"], stats("short-cifar")),
        ("array of three dimensions", &["i-shape.npz", "[10, 16, 16]"], stats("i-shape.npz")),
        ("array of floats", &["i-type.npz", "<f4"], stats("i-type.npz")),
        ("array of another name", &["i-name.npz", "arr_0"], stats("i-name.npz")),
        ("array that claims too much", &["i-claims.npz", "2000000000"], stats("i-claims.npz")),
        ("array of no images", &["i-none.npz", "no images"], stats("i-none.npz")),
        ("truncated npz", &["i-truncated.npz"], stats("i-truncated.npz")),
        (
            "features of an earlier layer",
            &["--dims 64", "only the 2048 features of pool3"],
            vec!["fid", "images.npz", "images.npz", "--dims", "64", "--batch-size", "10", "--num-workers", "2"],
        ),
        (
            "statistics over a file",
            &["images.npz: is there already"],
            vec!["fid", "--save-stats", "images.npz", "images.npz"],
        ),
        (
            "statistics of another kind",
            &["expected a file name that ends in .npz"],
            vec!["fid", "--save-stats", "images.npz", "s.bin"],
        ),
        (
            "statistics of statistics",
            &["s-shape.npz: statistics already"],
            vec!["fid", "--save-stats", "s-shape.npz", "new.npz"],
        ),
        (
            "KID of statistics",
            &["pixels.safetensors: statistics; --kid and --prdc need the images"],
            vec!["fid", "images.npz", "pixels.safetensors", "--kid", "--kid-subset-size", "9"],
        ),
        (
            "KID of few images",
            &["images.npz: 300 images; KID's subsets have 1000"],
            vec!["fid", "images.npz", "images.npz", "--kid"],
        ),
        (
            "neighbours of few images",
            &["images.npz: 300 images; there is no neighbour number 300"],
            vec!["fid", "images.npz", "images.npz", "--prdc", "--nearest", "300"],
        ),
        ("statistics without sigma", &["fewstep fetch inception"], vec!["fid", "s-shape.npz", "s-shape.npz"]),
        ("statistics file name", &["ends in .safetensors"], vec!["stats", "images.npz", "--out", "s.npz"]),
        (
            "unknown features",
            &["no features 'lpips'"],
            vec!["stats", "images.npz", "--features", "lpips", "--out", "s.safetensors"],
        ),
        ("output in no folder", &["absent"], vec!["stats", "images.npz", "--out", "absent/s.safetensors"]),
        ("results under a file", &["a-file"], vec!["sweep", "gaussian.toml", "--out", "a-file/x"]),
        ("unknown only key", &["no key 'color'"], vec!["sweep", "gaussian.toml", "--only", "color=red"]),
        ("only selects nothing", &["nfe = 7"], vec!["sweep", "gaussian.toml", "--only", "nfe=7"]),
        (
            "device not built in",
            &["--device cuda", "this build has cpu", "--features cuda"],
            vec!["sweep", "gaussian.toml", "--device", "cuda"],
        ),
        ("unknown device", &["tpu"], vec!["sweep", "gaussian.toml", "--device", "tpu"]),
        ("unknown asset", &["no asset 'imagenet'"], vec!["fetch", "imagenet"]),
        ("report of nothing", &["cells.csv"], vec!["report", "no-cells"]),
        ("report of other columns", &["cells.csv"], vec!["report", "bad-cells"]),
        ("site of no folder", &["no-results"], vec!["site", "--results", "no-results"]),
        (
            "sample of another method",
            &["no method 'dpm'"],
            vec!["sample", "gaussian.toml", "--method", "dpm", "--nfe", "5", "--out", "x.png"],
        ),
        (
            "sample to no picture",
            &["ends in .png"],
            vec!["sample", "gaussian.toml", "--method", "ddim", "--nfe", "5", "--out", "x.gif"],
        ),
        (
            "sample nfe 0",
            &["nfe is 0"],
            vec!["sample", "gaussian.toml", "--method", "ddim", "--nfe", "0", "--out", "x.png"],
        ),
        ("unknown command", &["swep"], vec!["swep"]),
    ]
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

    let cases = cases();
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
