//! EDM's own networks: `golden/layouts/edm-*.pkl` are small random ones, made and run by EDM's code (`golden/make_edm.py`); and what
//! files that are damaged, or made to do harm, are answered with.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_conv::Level;
use fewstep_model::{Checkpoint, Classes, CompiledUNet, Conditioning, Levels, Prediction, Predictor, Selected};
use rand_chacha::{
    ChaCha12Rng,
    rand_core::{Rng, SeedableRng},
};
use safetensors::SafeTensors;

/// Asked when it runs: checkouts that share a target directory share this binary.
fn golden(name: &str) -> PathBuf {
    PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap()).join("tests/golden/layouts").join(name)
}

struct Io(Vec<u8>);

impl Io {
    fn of(name: &str) -> Io {
        Io(std::fs::read(golden(&format!("{name}.io.safetensors"))).unwrap())
    }

    fn values(&self, key: &str) -> (Vec<usize>, Vec<f32>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = file.tensor(key).unwrap();
        let (values, _) = tensor.data().as_chunks();
        (tensor.shape().to_vec(), values.iter().map(|&b| f32::from_le_bytes(b)).collect())
    }

    fn tensor(&self, key: &str) -> Tensor<4> {
        let (shape, values) = self.values(key);
        Tensor::from_data(TensorData::new(values, shape), &Device::flex())
    }
}

/// Largest difference, relative to the largest number that was expected.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = |values: &mut dyn Iterator<Item = f32>| values.map(f32::abs).fold(0.0, f32::max);
    largest(&mut found.iter().zip(expected).map(|(a, b)| a - b)) / largest(&mut expected.iter().copied())
}

const NAMES: [&str; 2] = ["edm-uncond", "edm-vp-classes"];
/// Of the images in the fixture.
const CLASSES: [usize; 4] = [3, 0, 4, 1];

fn open(name: &str) -> Checkpoint {
    Checkpoint::read(&golden(&format!("{name}.pkl")), None, None).unwrap()
}

#[test]
fn the_networks_inside_give_what_edms_code_gives() {
    for name in NAMES {
        let (checkpoint, io) = (open(name), Io::of(name));
        assert_eq!((checkpoint.selected, checkpoint.schedule.clone()), (Selected::Ema, None));
        let classes = if checkpoint.config.classes > 0 { &CLASSES[..2] } else { &[] };
        let unet = checkpoint.unet(&Device::flex()).unwrap();
        let ((shape, x), (_, labels), (_, expected)) = (io.values("input"), io.values("label"), io.values("output"));
        let timesteps = Tensor::from_floats(labels.as_slice(), &Device::flex());
        let plain: Vec<f32> = unet.forward_of(io.tensor("input"), timesteps, classes).into_data().try_to_vec().unwrap();
        let off = difference(&plain, &expected);
        let most = plain.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        println!("{name}: {off:e}, at most {most:e}");
        // Measured: 8.6e-7, and compiled 4.0e-6.
        assert!(off < 1e-5, "{name}: {off:e}");
        for level in Level::all() {
            let compiled = CompiledUNet::new(&unet, level);
            let size = [shape[2], shape[3]];
            let images = x.chunks(x.len() / shape[0]).zip(&labels).enumerate();
            let of = |(i, (x, &label)): (usize, (&[f32], &f32))| {
                compiled.forward_of(x, size, label, classes.get(i..i + 1).unwrap_or_default())
            };
            let off = difference(&images.flat_map(of).collect::<Vec<f32>>(), &expected);
            println!("{name} {}: {off:e}", level.name());
            assert!(off < 1e-5, "{name} {}: {off:e}", level.name());
        }
    }
}

/// The noise at levels from 0.002 to 80, for the state of a variance-preserving process whatever its schedule: here one whose time is
/// the level's angle.
#[test]
fn the_noise_is_what_edms_denoised_image_says() {
    let levels =
        || Levels { count: 1000, alpha_bar: Box::new(|tau: f64| (tau * std::f64::consts::FRAC_PI_2).cos().powi(2)) };
    for (name, classes) in [(NAMES[0], None), (NAMES[1], Some(CLASSES))] {
        let io = Io::of(name);
        let ((shape, expected), (_, sigmas)) = (io.values("epsilon"), io.values("sigma"));
        let len = expected.len() / shape[0];
        for (i, sigma) in sigmas.iter().enumerate() {
            let tau = f64::from(*sigma).atan() / std::f64::consts::FRAC_PI_2;
            let class = classes.map(|classes| Classes::One(classes[i]));
            for compiled in [false, true] {
                let network = open(name).of_classes(class).unwrap().build(levels(), &Device::flex()).unwrap();
                let network = if compiled { network.compiled() } else { network };
                let found: Vec<f32> =
                    network.epsilon(io.tensor("x").narrow(0, i, 1), tau).into_data().try_to_vec().unwrap();
                let off = difference(&found, &expected[i * len..(i + 1) * len]);
                println!("{name} at {sigma}: {off:e}");
                // EDM's code adds the denoised image up in single precision: at σ = 0.002 five digits are left of ε (measured: 3.1e-5;
                // elsewhere at most 4.0e-6).
                let bound = if *sigma < 0.01 { 1e-4 } else { 1e-5 };
                assert!(off < bound, "{name} at {sigma}: {off:e}");
                assert_eq!(network.evaluated(), 1);
            }
        }
    }
}

#[test]
fn classes_go_by_image_whatever_the_batch() {
    let levels = || Levels { count: 1000, alpha_bar: Box::new(|tau: f64| 1.0 - 0.99 * tau) };
    let values = |x: Tensor<4>| -> Vec<f32> { x.into_data().try_to_vec().unwrap() };
    let build = |classes, compiled: bool| {
        let network = open(NAMES[1]).of_classes(Some(classes)).unwrap().build(levels(), &Device::flex()).unwrap();
        if compiled { network.compiled() } else { network }
    };
    let one = |image: usize| Io::of(NAMES[1]).tensor("x").narrow(0, image % 4, 1);
    let x = Tensor::cat((0..21).map(one).collect(), 0);
    for compiled in [false, true] {
        let cycle = build(Classes::Cycle, compiled);
        let all = values(cycle.epsilon(x.clone(), 0.4));
        let part = values(cycle.epsilon_of(x.clone().narrow(0, 6, 9), 0.4, 6..15));
        assert!(all[6 * 192..15 * 192] == part);
        for class in 0..5 {
            let own = values(build(Classes::One(class), compiled).epsilon(x.clone(), 0.4));
            for image in 0..21 {
                let same = own[image * 192..][..192] == all[image * 192..][..192];
                assert_eq!(same, image % 5 == class, "image {image} of class {class}");
            }
        }
        let names =
            [Classes::Cycle, Classes::One(0), Classes::One(1)].map(|classes| build(classes, compiled).identity());
        assert!(names[0] != names[1] && names[1] != names[2]);
    }
}

#[test]
fn what_the_files_say_is_read() {
    let checkpoint = open("edm-uncond");
    assert_eq!(checkpoint.conditioning, Conditioning::Edm { sigma_data: 0.5, sigma_max: f64::INFINITY });
    let config = &checkpoint.config;
    assert_eq!((config.model_channels, config.num_res_blocks, config.classes), (8, 1, 0));
    assert_eq!((config.channel_mult.as_slice(), config.attention_ds.as_slice()), (&[2, 1, 2][..], &[2][..]));
    let checkpoint = open("edm-vp-classes");
    assert_eq!(checkpoint.conditioning, Conditioning::Vp { beta_d: 19.9, beta_min: 0.1, steps: 1000.0 });
    // Song et al.'s σ(1) of the continuous process.
    assert!((checkpoint.conditioning.greatest_level() - 152.17).abs() < 0.01);
    assert_eq!(checkpoint.config.classes, 5);
}

fn message(result: fewstep_model::Result<Checkpoint>) -> String {
    result.err().unwrap().to_string()
}

#[test]
fn classes_that_do_not_fit_are_refused() {
    assert!(message(open(NAMES[0]).of_classes(Some(Classes::Cycle))).contains("has no classes; leave class out"));
    assert!(message(open(NAMES[1]).of_classes(None)).contains("has 5 classes; set class = 0 to 4"));
    assert!(message(open(NAMES[1]).of_classes(Some(Classes::One(5)))).contains("class is 5; expected 0 to 4"));
    let path = golden("edm-uncond.pkl");
    let given = message(Checkpoint::read(&path, None, Some(Prediction::Epsilon)));
    assert!(given.contains("leave prediction out"), "{given}");
}

/// A file that is read and then removed.
fn read(bytes: &[u8], name: &str) -> fewstep_model::Result<Checkpoint> {
    let path = std::env::temp_dir().join(format!("fewstep-edm-{}-{name}.pkl", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    let found = Checkpoint::read(&path, None, None);
    std::fs::remove_file(&path).unwrap();
    found
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len() - from.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "{from:?}");
    places.into_iter().for_each(|at| bytes[at..at + from.len()].copy_from_slice(to));
    bytes
}

#[test]
fn damaged_and_foreign_files_get_one_clear_error() {
    let good = std::fs::read(golden("edm-uncond.pkl")).unwrap();
    let change = |from: &str, to: &str| replaced(&good, from.as_bytes(), to.as_bytes());
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("cut", good[..good.len() / 2].to_vec(), "not a pickle: at byte"),
        ("class", change("EDMPrecond", "VEPPrecond"), "the network is a VEPPrecond; expected EDMPrecond or VPPrecond"),
        ("inner", change("SongUNet", "Dhariwal"), "the network inside is a Dhariwal; expected SongUNet"),
        (
            "form",
            change("positional", "positionel"),
            "embedding_type is \"positionel\"; expected \"positional\" (DDPM++)",
        ),
        ("encoder", change("standard", "residual"), "encoder_type is \"residual\"; expected \"standard\""),
        ("name", change("map_layer0", "map_layer9"), "tensor map_layer0.weight is missing"),
        ("tensor", change("_rebuild_tensor_v2", "_rebuild_tensor_v9"), "is no tensor of PyTorch's"),
        ("type", change("FloatStorage", "ShortStorage"), "a storage that is not of F16, BF16, F32 or F64"),
        ("version", replaced(&good, b"version\x94K\x06", b"version\x94K\x07"), "version 7; expected 6"),
        ("data", b"\x80\x04\x95\x09\0\0\0\0\0\0\0}\x8c\x03emaK\x01s.".to_vec(), "no network in this pickle"),
        ("number", b"\x80\x02K\x07.".to_vec(), "no network in this pickle"),
        // posix.system("touch pwned") is data like any other.
        ("evil", b"\x80\x02cposix\nsystem\nX\x0b\0\0\0touch pwned\x85R.".to_vec(), "no network in this pickle"),
        ("huge", b"\x80\x04B\xff\xff\xff\xffab.".to_vec(), "4294967295 bytes are announced, and the file has 3 more"),
        ("empty", b"\x80\x04.".to_vec(), "an operation on what is not there"),
        ("extension", b"\x80\x04\x82\x01.".to_vec(), "operation 0x82, which pickles of data do not have"),
        ("memo", b"\x80\x04h\x05.".to_vec(), "nothing in the memo at 5"),
        ("marks", [b"\x80\x04".to_vec(), vec![b'('; 5000]].concat(), "more than 4096 open containers"),
        ("long", [b"\x80\x04".to_vec(), vec![b'N'; 2 << 20]].concat(), "more than 1048576 operations"),
    ];
    for (name, bytes, expected) in cases {
        let built = read(&bytes, name).and_then(|checkpoint| checkpoint.unet(&Device::flex()));
        let found = built.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(found.contains(expected) && found.contains(".pkl: "), "{name}: {found}");
    }
}

/// A module that holds itself, and sharing that doubles with every level, end.
#[test]
fn cycles_and_doubling_end() {
    let persistent = |state: &[u8]| {
        let mut bytes = b"\x80\x02ctorch_utils.persistence\n_reconstruct_persistent_obj\nq\x63}(".to_vec();
        bytes.extend(b"X\x07\0\0\0versionK\x06X\x0a\0\0\0class_nameX\x0a\0\0\0EDMPrecondX\x05\0\0\0state");
        bytes.extend(state);
        bytes.extend(b"u\x85R.");
        bytes
    };
    // sigma_data, and as 'model' a SongUNet whose 'a' is its own state's owner.
    let mut state = b"}q\x01(X\x0a\0\0\0sigma_dataG\x3f\xe0\0\0\0\0\0\0X\x08\0\0\0_modules}X\x05\0\0\0model".to_vec();
    state.extend(
        b"h\x63}(X\x07\0\0\0versionK\x06X\x0a\0\0\0class_nameX\x08\0\0\0SongUNetX\x05\0\0\0state}q\x02u\x85Rq\x03",
    );
    state.extend(b"sh\x02(X\x08\0\0\0_modules}X\x01\0\0\0ah\x03sX\x0c\0\0\0_init_kwargs}(");
    state.extend(b"X\x0e\0\0\0img_resolutionK\x08X\x0b\0\0\0in_channelsK\x03X\x0c\0\0\0out_channelsK\x03uu0u");
    let cycle = message(read(&persistent(&state), "cycle"));
    assert!(cycle.contains("too many modules in modules"), "{cycle}");

    // Twenty lists, each of the one before twice, as the configuration.
    let mut arguments = b"]".to_vec();
    for level in 0..20u8 {
        arguments.extend([b'q', 10 + level, b'0', b']', b'(', b'h', 10 + level, b'h', 10 + level, b'e']);
    }
    let mut state = b"}q\x01(X\x0a\0\0\0sigma_dataG\x3f\xe0\0\0\0\0\0\0X\x08\0\0\0_modules}X\x05\0\0\0model".to_vec();
    state.extend(b"h\x63}(X\x07\0\0\0versionK\x06X\x0a\0\0\0class_nameX\x08\0\0\0SongUNetX\x05\0\0\0state}X\x0c\0\0\0_init_kwargs");
    state.extend(arguments);
    state.extend(b"su\x85Rsu");
    let doubled = message(read(&persistent(&state), "doubled"));
    assert!(doubled.contains("without its configuration"), "{doubled}");
}

/// What the process has taken at most, in KiB; none where the system does not say.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find(|line| line.starts_with("VmHWM"))?.split_whitespace().nth(1)?.parse().ok()
}

/// Files with bytes that are others, doubled, missing or cut: a network or an error, never a panic, and no more memory than for a
/// good file.
#[test]
fn mutated_files_do_no_harm() {
    let path = std::env::temp_dir().join(format!("fewstep-edm-{}-mutated.pkl", std::process::id()));
    let mut random = ChaCha12Rng::seed_from_u64(11);
    let before = peak();
    let (mut loaded, mut refused) = (0, 0);
    for name in NAMES {
        let good = std::fs::read(golden(&format!("{name}.pkl"))).unwrap();
        for round in 0..600 {
            let mut bytes = good.clone();
            for _ in 0..1 + round % 4 {
                // Half of them where the structure begins: behind it most bytes are numbers of tensors.
                let end = if random.next_u32().is_multiple_of(2) { 6000 } else { bytes.len() };
                let at = random.next_u64() as usize % end.min(bytes.len());
                match random.next_u32() % 8 {
                    0..4 => bytes[at] = random.next_u32() as u8,
                    4 => bytes[at] ^= 1 << (random.next_u32() % 8),
                    5 => drop(bytes.drain(at..(at + 1 + random.next_u32() as usize % 9).min(bytes.len()))),
                    6 => {
                        let again = bytes[at..(at + 30).min(bytes.len())].to_vec();
                        bytes.splice(at..at, again);
                    }
                    _ => bytes.truncate(at.max(bytes.len() - 4000)),
                }
            }
            std::fs::write(&path, &bytes).unwrap();
            let built = Checkpoint::read(&path, None, None).and_then(|checkpoint| checkpoint.unet(&Device::flex()));
            match built {
                Ok(_) => loaded += 1,
                Err(error) => {
                    refused += 1;
                    assert!(error.to_string().len() < 2000, "{error}");
                }
            }
        }
    }
    std::fs::remove_file(&path).unwrap();
    println!("{loaded} loaded, {refused} refused");
    // Changed numbers of tensors are still numbers.
    assert!(loaded > 50 && refused > 500, "{loaded} loaded, {refused} refused");
    if let (Some(before), Some(after)) = (before, peak()) {
        assert!(after - before < 256 << 10, "{} KiB more", after - before);
    }
}

/// Where a file's bytes are damaged beyond all sense, too.
#[test]
fn noise_is_no_pickle() {
    let mut random = ChaCha12Rng::seed_from_u64(12);
    for round in 0..2000 {
        let mut bytes = vec![0x80, 2 + (round % 4) as u8];
        // Mostly operations that mean something.
        let operations = b"(.012NKMJGILFUTCBXVS])}ltdasueghjpqrcRobiPQ\x81\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96";
        for _ in 0..random.next_u32() % 200 {
            let any = random.next_u32() as u8;
            bytes.push(if any < 60 { any } else { operations[usize::from(any) % operations.len()] });
        }
        assert!(read(&bytes, "noise").is_err());
    }
    assert!(Checkpoint::read(Path::new("/nowhere/edm.pkl"), None, None).is_err());
}
