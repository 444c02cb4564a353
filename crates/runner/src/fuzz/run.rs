//! A process that reads inputs, and the one that looks after it.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::{
    memory,
    mutate::{MAX_INPUT, Mutator},
    own, repository,
    targets::Target,
};
use crate::files;

/// What the process is told by: target, seed, inputs, seconds and the folder that it works in.
const ORDER: &str = "FEWSTEP_FUZZ_ORDER";
/// Seconds that one input may take. Only a hang takes them: the process is ended then, and nothing is measured by it.
const LIMIT: u64 = 30;
/// Inputs that are made others of, at most.
const POOL: usize = 4000;
/// Where in the folder the reader's message lies, and the number of inputs.
const COUNT: &str = "count";

/// So many inputs, or so many seconds, whichever ends first; those of the corpus first.
#[derive(Debug, Clone)]
pub struct Order {
    pub target: String,
    pub seed: u64,
    pub inputs: u64,
    pub seconds: u64,
}

/// What came of an order.
pub enum Outcome {
    /// Every input ended in a value or an error.
    Done { inputs: u64 },
    /// One did not; it is kept.
    Found { reason: String, input: PathBuf },
}

impl Order {
    /// The order to this process, and the folder to work in, where it has one.
    pub fn received() -> Option<(Order, PathBuf)> {
        let text = std::env::var(ORDER).ok()?;
        let mut parts = text.splitn(5, ' ');
        let target = parts.next()?.to_owned();
        let mut number = || parts.next()?.parse().ok();
        let (seed, inputs, seconds) = (number()?, number()?, number()?);
        Some((Order { target, seed, inputs, seconds }, parts.next()?.into()))
    }
}

/// All inputs that are kept of a target: the corpus, and what the repository has in any case.
pub fn pool(target: &Target) -> std::io::Result<Vec<Vec<u8>>> {
    let corpus = PathBuf::from("fuzz/corpus").join(target.name);
    let ending = Path::new(target.file).extension();
    let mut inputs = Vec::new();
    for place in target.seeds.iter().map(PathBuf::from).chain([corpus.clone()]) {
        let place = repository().join(place);
        if place.ends_with(&corpus) && !place.exists() {
            continue;
        }
        let mut paths = vec![place.clone()];
        if place.is_dir() {
            paths = place.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
            paths.retain(|path| path.is_file() && (place.ends_with(&corpus) || path.extension() == ending));
        }
        paths.sort();
        for path in paths {
            inputs.push(std::fs::read(path)?);
        }
    }
    Ok(inputs)
}

/// What the inputs of these are called.
const EXAMPLE: &str = "a";

/// Readers that do what is looked for.
fn example(name: &str) -> Option<Target> {
    // What is there before the call is used behind it, so that each call keeps its own.
    fn deep(depth: usize) -> usize {
        let here = std::hint::black_box([depth; 32]);
        if here[0] == usize::MAX { 0 } else { deep(depth + 1) + std::hint::black_box(here)[1] }
    }
    let read: fn(&Path) -> Result<(), String> = match name {
        "panics" => |_| panic!("as asked"),
        "overflows" => |_| Err(deep(0).to_string()),
        "takes" => |_| Err(std::hint::black_box(vec![1u8; 100_000_000]).len().to_string()),
        "hangs" => |_| loop {
            std::thread::sleep(Duration::from_millis(10));
        },
        _ => return None,
    };
    Some(Target { name: "", file: EXAMPLE, memory: (1 << 20, 1), seeds: &[], read })
}

/// Reads inputs, in this process.
pub fn obey((order, folder): &(Order, PathBuf)) {
    let example = example(&order.target);
    let Some(target) = own::named(&order.target).or(example.as_ref()) else { return };
    let (input, count) = (folder.join("in").join(target.file), folder.join(COUNT));
    std::fs::create_dir_all(folder.join("in")).unwrap();
    // Milliseconds at which the input at hand was begun; 0 between inputs.
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    let start = Instant::now();
    let limit = if example.is_some() { 1 } else { LIMIT };
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(100));
            let begun = BEGUN.load(Ordering::Relaxed);
            if begun > 0 && start.elapsed().as_millis() as u64 > begun + 1000 * limit {
                eprintln!("no end after {limit} s");
                std::process::abort();
            }
        }
    });
    let mut pool = if example.is_some() { vec![Vec::new()] } else { pool(target).unwrap() };
    let (kept, mut mutator, mut known) = (pool.len() as u64, Mutator::new(order.seed), HashSet::new());
    let mut done = 0;
    while done < order.inputs && start.elapsed().as_secs() < order.seconds {
        let bytes = if done < kept { pool[done as usize].clone() } else { mutator.input(&pool) };
        std::fs::write(&input, &bytes).unwrap();
        let allowed = target.memory.0 + target.memory.1 * bytes.len();
        BEGUN.store(1 + start.elapsed().as_millis() as u64, Ordering::Relaxed);
        let read = || catch_unwind(AssertUnwindSafe(|| (target.read)(&input)));
        let Ok(result) = memory::within(allowed, read) else { std::process::exit(101) };
        BEGUN.store(0, Ordering::Relaxed);
        // What is said for the first time comes from where nothing was before: more is made of such inputs.
        let said = shape(&result.err().unwrap_or_default());
        if known.insert(said) && done >= kept && pool.len() < POOL && bytes.len() <= MAX_INPUT {
            pool.push(bytes);
        }
        done += 1;
        if done % 64 == 0 {
            std::fs::write(&count, done.to_string()).unwrap();
        }
    }
    std::fs::write(&count, done.to_string()).unwrap();
}

/// A message without its numbers and what it quotes.
fn shape(message: &str) -> String {
    let mut shape = String::new();
    for (i, part) in message.split('\'').enumerate() {
        let letters = part.chars().filter(|c| !c.is_ascii_digit()).take(200);
        shape.extend(letters.filter(|_| i % 2 == 0));
    }
    shape
}

/// Has a process of its own read inputs.
pub fn order(order: &Order) -> Outcome {
    let (outcome, inputs) = watched(order);
    outcome.map_or(Outcome::Done { inputs }, |(reason, input)| Outcome::Found { reason, input })
}

/// What was found, and how many inputs were read.
fn watched(order: &Order) -> (Option<(String, PathBuf)>, u64) {
    let folder = tempfile::tempdir().unwrap();
    let text = [order.seed, order.inputs, order.seconds].map(|number| number.to_string()).join(" ");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "fuzz::child", "--nocapture", "--test-threads=1"])
        .env(ORDER, format!("{} {text} {}", order.target, folder.path().display()))
        .env_remove("FUZZ_TARGET")
        .output()
        .unwrap();
    let inputs = std::fs::read_to_string(folder.path().join(COUNT)).ok().and_then(|count| count.parse().ok());
    if output.status.success() {
        return (None, inputs.unwrap_or(0));
    }
    let file = own::named(&order.target).map_or(EXAMPLE, |target| target.file);
    let bytes = std::fs::read(folder.path().join("in").join(file)).unwrap_or_default();
    let kept = repository().join("fuzz/findings").join(&order.target);
    std::fs::create_dir_all(&kept).unwrap();
    let kept = kept.join(&files::sha256(&bytes)[..12]);
    std::fs::write(&kept, bytes).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let reason: Vec<&str> = said.lines().filter(|line| !line.is_empty()).take(12).collect();
    (Some((format!("{}: {}", output.status, reason.join("\n")), kept)), inputs.unwrap_or(0))
}

/// Inputs for so many seconds; how many findings, which are kept.
pub fn long(target: &str, seconds: u64, seed: u64) -> u64 {
    let start = Instant::now();
    let (mut inputs, mut findings, mut again) = (0, 0, 0);
    while let Some(left) = seconds.checked_sub(start.elapsed().as_secs()).filter(|left| *left > 0) {
        let order = Order { target: target.into(), seed: seed + again, inputs: u64::MAX, seconds: left };
        let (found, read) = watched(&order);
        inputs += read;
        if let Some((reason, input)) = found {
            findings += 1;
            println!("{target}: {}\n{reason}\n", input.display());
        }
        again += 1;
    }
    println!("{target}: {inputs} inputs, {} s, {findings} findings", start.elapsed().as_secs());
    findings
}
