//! Our side of `just bench-peers`: a process that loads one thing, and then times it as it is told, line by line.
//!
//!     speed unet WEIGHTS | inception ARCHIVE | frechet A.npz B.npz
//!
//! answer lines on standard input, each a JSON object, as `benches/peers/worker.py` answers them for the peer:
//! `{"do": "output", "variant", "batch", "input", "output"}` computes one batch from a file of numbers into another, and
//! `{"do": "time", "variant", "batch", "seconds"}` counts how much is done in so many seconds; what was
//! not computed before is computed once without counting.
//!
//!     speed peak SECONDS
//!     speed noise SEED cell|normaliser IMAGES FILE
//!
//! measure what the machine can do at most, and write the noise that cells start from.

use std::{
    collections::BTreeSet,
    hint::black_box,
    io::{BufRead, Write},
    path::{Path, PathBuf},
    time::Instant,
};

use burn::tensor::{Device, Tensor, TensorData};
use fewstep_fid::{Extractor, Gaussian, Identity, Images, Inception, Statistics, frechet_distance};
use fewstep_model::{Checkpoint, Levels, Network, Predictor};
use fewstep_sampler::Schedule;
use pulp::{Arch, Simd, WithSimd};
use rand_chacha::{ChaCha12Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde_json::{Value, json};

const SIDE: usize = 32;
const LEN: usize = 3 * SIDE * SIDE;
const TAU: f64 = 0.5;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["unet", weights] => serve(&UNet::open(Path::new(weights))?),
        ["inception", archive] => serve(&Features(Inception::compiled(Path::new(archive))?)),
        ["frechet", a, b] => serve(&Distance(moments(Path::new(a))?, moments(Path::new(b))?)),
        ["peak", seconds] => {
            println!("{}", peak(seconds.parse()?));
            Ok(())
        }
        ["noise", seed, use_, images, file] => noise(seed.parse()?, use_, images.parse()?, Path::new(file)),
        other => Err(format!("no work {other:?}; the file's first lines say what there is").into()),
    }
}

/// Something to time.
trait Work {
    /// What one batch is computed from.
    type Input;

    /// From a file's bytes.
    fn input(&self, bytes: &[u8], batch: usize) -> Result<Self::Input, Failure>;

    /// Bytes of an input where only the time matters.
    fn any(&self, batch: usize) -> Vec<u8>;

    /// One batch.
    fn run(&self, input: &Self::Input, variant: &str) -> Result<Vec<u8>, Failure>;
}

/// Answers lines until there are no more.
fn serve(work: &impl Work) -> Result<(), Failure> {
    let mut warm = BTreeSet::new();
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        println!("{}", answer(work, &asked, &mut warm)?);
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// `warm`: variants and batches that were computed before.
fn answer(work: &impl Work, asked: &Value, warm: &mut BTreeSet<(String, usize)>) -> Result<Value, Failure> {
    let text = |key: &str| asked[key].as_str().ok_or_else(|| format!("'{key}' is missing"));
    let (variant, batch) = (text("variant")?, asked["batch"].as_u64().ok_or("'batch' is missing")? as usize);
    let cold = warm.insert((variant.to_owned(), batch));
    if text("do")? == "output" {
        let input = work.input(&std::fs::read(text("input")?)?, batch)?;
        std::fs::write(text("output")?, work.run(&input, variant)?)?;
        return Ok(json!({}));
    }
    let seconds = asked["seconds"].as_f64().ok_or("'seconds' is missing")?;
    let input = work.input(&work.any(batch), batch)?;
    if cold {
        black_box(work.run(&input, variant)?);
    }
    let (mut count, start) = (0, Instant::now());
    while count == 0 || start.elapsed().as_secs_f64() < seconds {
        black_box(work.run(&input, variant)?);
        count += batch;
    }
    Ok(json!({ "count": count, "seconds": start.elapsed().as_secs_f64() }))
}

/// Noise predictions at one time. `whole`: the batch in one call; `split`: an equal part on every thread, as a sweep has its batches
/// side by side.
struct UNet(Network);

impl UNet {
    fn open(weights: &Path) -> Result<Self, Failure> {
        let schedule = Schedule::linear();
        let levels = Levels { count: schedule.levels(), alpha_bar: Box::new(move |tau| schedule.alpha_bar(tau)) };
        Ok(UNet(Checkpoint::read(weights, None, None)?.build(levels, &Device::flex())?.compiled()))
    }

    fn predict(&self, x: &[f32]) -> Vec<u8> {
        let x = TensorData::new(x.to_vec(), [x.len() / LEN, 3, SIDE, SIDE]);
        self.0.epsilon(Tensor::from_data(x, &Device::flex()), TAU).into_data().bytes().to_vec()
    }
}

impl Work for UNet {
    type Input = Vec<f32>;

    fn input(&self, bytes: &[u8], batch: usize) -> Result<Vec<f32>, Failure> {
        let values: Vec<f32> = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        if values.len() == batch * LEN { Ok(values) } else { Err("the input is not a batch".into()) }
    }

    fn any(&self, batch: usize) -> Vec<u8> {
        numbers(0, 0, batch).into_iter().flat_map(f32::to_le_bytes).collect()
    }

    fn run(&self, x: &Vec<f32>, variant: &str) -> Result<Vec<u8>, Failure> {
        match variant {
            "whole" => Ok(self.predict(x)),
            "split" => {
                let images = (x.len() / LEN).div_ceil(rayon::current_num_threads());
                let parts: Vec<Vec<u8>> = x.par_chunks(images * LEN).map(|part| self.predict(part)).collect();
                Ok(parts.concat())
            }
            other => Err(format!("no variant '{other}'").into()),
        }
    }
}

/// Features of 8-bit images of 32×32; there is one variant.
struct Features(Inception);

impl Work for Features {
    type Input = Images;

    fn input(&self, bytes: &[u8], batch: usize) -> Result<Images, Failure> {
        if bytes.len() == batch * LEN {
            Ok(Images::new(SIDE, SIDE, bytes.to_vec())?)
        } else {
            Err("the input is not a batch".into())
        }
    }

    fn any(&self, batch: usize) -> Vec<u8> {
        (0..batch * LEN).map(|i| (i * 7919 % 251) as u8).collect()
    }

    fn run(&self, images: &Images, _: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.0.features(images)?.into_iter().flat_map(f32::to_le_bytes).collect())
    }
}

/// The distance of two sets of moments, neither factored before; there is one variant, and the batch is 1.
struct Distance(Gaussian, Gaussian);

fn moments(path: &Path) -> Result<Gaussian, Failure> {
    let nothing = Identity { extractor: String::new(), weights: String::new(), preparation: String::new() };
    Ok(Statistics::read(path, &nothing)?.gaussian)
}

impl Work for Distance {
    type Input = ();

    fn input(&self, _: &[u8], _: usize) -> Result<(), Failure> {
        Ok(())
    }

    fn any(&self, _: usize) -> Vec<u8> {
        Vec::new()
    }

    fn run(&self, (): &(), _: &str) -> Result<Vec<u8>, Failure> {
        // What is cloned has no factor yet; copying takes 2 % of the time, and is counted.
        Ok(frechet_distance(&self.0.clone(), &self.1.clone())?.to_le_bytes().to_vec())
    }
}

/// x_T of a cell's images, or of a normaliser's: the numbers of the runner's `noise.rs`.
fn noise(seed: u64, of: &str, images: usize, file: &Path) -> Result<(), Failure> {
    let draw = match of {
        "cell" => 0,
        "normaliser" => 1 << 32,
        other => return Err(format!("no noise '{other}'; expected cell or normaliser").into()),
    };
    let bytes: Vec<u8> = numbers(seed, draw, images).into_iter().flat_map(f32::to_le_bytes).collect();
    Ok(std::fs::write(PathBuf::from(file), bytes)?)
}

/// Standard normal numbers of images 0, 1, …
fn numbers(seed: u64, draw: u64, images: usize) -> Vec<f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&draw.to_le_bytes());
    let image = |k: usize| {
        let mut random = ChaCha12Rng::from_seed(key);
        random.set_stream(k as u64);
        (0..LEN).map(move |_| StandardNormal.sample(&mut random))
    };
    (0..images).flat_map(image).collect()
}

/// What all cores do at most: multiply-adds on registers in f32 and f64, and a copy of memory, each the best of many short runs.
fn peak(seconds: f64) -> Value {
    let threads = rayon::current_num_threads();
    let best = |mut run: Box<dyn FnMut() -> f64>| {
        let (start, mut best) = (Instant::now(), 0.0f64);
        while start.elapsed().as_secs_f64() < seconds / 3.0 {
            best = best.max(run());
        }
        best
    };
    let f32 = best(Box::new(move || threads as f64 * slowest(|| Arch::new().dispatch(Single(black_box(0.5))))));
    let f64 = best(Box::new(move || threads as f64 * slowest(|| Arch::new().dispatch(Double(black_box(0.5))))));
    let (from, mut to) = (vec![1.0f32; COPIED], vec![0.0f32; COPIED]);
    let copied = best(Box::new(move || {
        let start = Instant::now();
        to.par_chunks_mut(COPIED.div_ceil(threads))
            .zip(from.par_chunks(COPIED.div_ceil(threads)))
            .for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&to);
        2.0 * size_of_val(from.as_slice()) as f64 / start.elapsed().as_secs_f64() / 1e9
    }));
    json!({ "threads": threads, "f32_gflops": f32, "f64_gflops": f64, "copy_gb_per_s": copied })
}

/// Numbers that are copied: far more than a cache holds.
const COPIED: usize = 64 << 20;
/// Steps of a loop, a few milliseconds.
const STEPS: usize = 4 << 20;
/// Chains of multiply-adds: more than two units with a latency of four keep busy, and few enough for 16 registers.
const CHAINS: usize = 12;

/// The slowest core's rate while all run.
fn slowest(rate: impl Fn() -> f64 + Sync) -> f64 {
    rayon::broadcast(|_| rate()).into_iter().fold(f64::INFINITY, f64::min)
}

/// GFLOP/s of one core. Every chain begins with another number, and none can be foreseen: nothing can be left out.
struct Single(f32);

impl WithSimd for Single {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (factor, term) = (simd.splat_f32s(self.0), simd.splat_f32s(self.0 + 1.0));
        let mut sums = std::array::from_fn::<_, CHAINS, _>(|k| simd.splat_f32s(k as f32));
        let start = Instant::now();
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, term);
            }
        }
        let sum = sums.into_iter().fold(term, |all, sum| simd.add_f32s(all, sum));
        black_box(simd.reduce_sum_f32s(sum));
        rate(size_of::<S::f32s>() / size_of::<f32>(), start)
    }
}

/// As [`Single`], in double precision.
struct Double(f64);

impl WithSimd for Double {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        let (factor, term) = (simd.splat_f64s(self.0), simd.splat_f64s(self.0 + 1.0));
        let mut sums = std::array::from_fn::<_, CHAINS, _>(|k| simd.splat_f64s(k as f64));
        let start = Instant::now();
        for _ in 0..STEPS {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f64s(*sum, factor, term);
            }
        }
        let sum = sums.into_iter().fold(term, |all, sum| simd.add_f64s(all, sum));
        black_box(simd.reduce_sum_f64s(sum));
        rate(size_of::<S::f64s>() / size_of::<f64>(), start)
    }
}

fn rate(lanes: usize, start: Instant) -> f64 {
    (2 * lanes * CHAINS * STEPS) as f64 / start.elapsed().as_secs_f64() / 1e9
}
