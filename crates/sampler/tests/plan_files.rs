//! Plan files: what is written is read to the last bit, both variables are one plan, and what is no plan is said to be none.

mod common;

use std::convert::Infallible;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{assert_below, largest};
use fewstep_sampler::{
    Grid, Levels, Method, Normaliser, Plan, PlanFile, Request, Schedule, Step, Threshold, integrate,
};

fn normaliser() -> Normaliser {
    let tau: Vec<f64> = (1..=1000).map(|k| f64::from(k) / 1000.0).collect();
    Normaliser::new(tau.clone(), tau.iter().map(|tau| 0.5 + 0.3 * tau).collect()).unwrap()
}

/// Every method with and without AFS on every schedule and grid: what `see` finds.
fn over_plans(mut see: impl FnMut(&Plan, &Schedule, &str)) {
    let normaliser = normaliser();
    for name in Schedule::NAMES {
        let schedule = Schedule::named(name, 32).unwrap();
        for grid in Grid::examples() {
            for (method, afs) in Method::all().into_iter().flat_map(|method| [(method, false), (method, true)]) {
                let request = Request { normaliser: Some(&normaliser), afs, ..Request::new(&schedule, &grid, 6) };
                match method.plan(&request) {
                    Ok(plan) => see(&plan, &schedule, name),
                    Err(error) => assert!(afs && method.is_stochastic(), "{}: {error}", method.label()),
                }
            }
        }
    }
}

#[test]
fn every_plan_is_read_as_it_was_written() {
    let mut seen = 0;
    over_plans(|plan, schedule, name| {
        let file = PlanFile::of(plan, name);
        if name == "simple-diffusion" {
            let error = PlanFile::parse(&file.to_string()).unwrap_err().to_string();
            return assert!(error.contains("depends on the size of images; expected variable y"), "{error}");
        }
        let read = PlanFile::parse(&file.to_string()).unwrap_or_else(|error| panic!("{error}: {file}"));
        assert_eq!(read, file);
        assert_eq!(&read.plan(schedule, name).unwrap(), plan);
        assert_eq!(read.nfe(), plan.nfe);
        seen += 1;
    });
    assert!(seen > 4000, "{seen}");
}

/// Of every method on every grid, in x and through y; and not once a level is another. Levels of normalised stages hang on the curve,
/// so that they are on no grid.
#[test]
fn plans_are_on_their_grids_and_on_no_other() {
    let (schedule, normaliser, mut seen, mut others, mut own) = (Schedule::linear(), normaliser(), 0, 0, 0);
    for grid in Grid::examples() {
        for method in Method::all() {
            let request = Request { normaliser: Some(&normaliser), ..Request::new(&schedule, &grid, 8) };
            let plan = method.plan(&request).unwrap();
            if method.normalise && !method.solver.is_multistep() {
                own += usize::from(!plan.is_on(&grid, &schedule));
                continue;
            }
            let y = PlanFile::of(&plan, "linear").in_y(&schedule).plan(&schedule, "linear").unwrap();
            assert!(plan.is_on(&grid, &schedule) && y.is_on(&grid, &schedule), "{} on {grid}", method.label());
            // A grid by another name is no other: log-snr takes equal steps down to τ = 0.001 and one more, as
            // log-snr-to-0.001-denoise does. Nor is one where a method has the same levels, as two steps of ρ-RK4 on linspace and log-snr.
            let twin = |other: &Grid| [&grid, other].iter().all(|grid| grid.name().starts_with("log-snr"));
            let on = |other: &Grid| method.plan(&Request { grid: other, ..request }).unwrap().tau;
            let near = |other: &[f64]| largest(plan.tau.iter().zip(other).map(|(a, b)| (a - b).abs())) < 1e-12;
            for other in Grid::examples().into_iter().filter(|other| !twin(other) && !near(&on(other))) {
                others += 1;
                assert!(!plan.is_on(&other, &schedule), "{} on {grid}, and on {other}", method.label());
            }
            for k in 1..plan.steps.len() {
                let mut edited = plan.clone();
                edited.tau[k] *= 1.0 - 1e-6;
                assert!(!edited.is_on(&grid, &schedule), "{} on {grid} without time {k}", method.label());
                seen += 1;
            }
        }
    }
    println!("{own} normalised singlestep plans are on no grid");
    assert!(seen > 3000 && others > 5000 && own > 50, "{seen} {others} {own}");
}

/// ε of Gaussian pixels of mean 0.2 and variance 0.3; what is computed is in double precision.
fn end(plan: &Plan, schedule: &Schedule) -> Vec<f64> {
    let (device, dtype) = (Device::flex(), DType::F64);
    let tensor = |values: Vec<f64>| {
        let shape = [values.len() / 2, 2];
        Tensor::<2>::from_data(TensorData::new(values, shape), (&device, dtype))
    };
    let epsilon = |x: Tensor<2>, tau: f64| {
        let (alpha_bar, sigma) = (schedule.alpha_bar(tau), schedule.sigma(tau));
        Ok::<_, Infallible>((x - alpha_bar.sqrt() * 0.2) * (sigma / (0.3 * alpha_bar + sigma * sigma)))
    };
    let noise = |k: usize| tensor(vec![0.3 + k as f64, -0.7, 0.1, 0.0]);
    let solution = integrate(plan, schedule, tensor(vec![0.5, -1.3, 2.1, 0.05]), epsilon, noise).unwrap();
    assert_eq!(solution.evaluations, plan.nfe);
    solution.x.into_data().iter::<f64>().collect()
}

#[test]
fn both_variables_are_one_plan() {
    let (mut errors, mut on_cosine, mut converted) = (Vec::new(), Vec::new(), 0);
    over_plans(|plan, schedule, name| {
        let y = PlanFile::of(plan, name).in_y(schedule);
        let read = PlanFile::parse(&y.to_string()).unwrap();
        assert!(matches!(read.levels, Levels::Y { .. }) && read == y);
        let back = read.plan(schedule, name).unwrap();
        assert_eq!((back.nfe, back.start, &back.method), (plan.nfe, plan.start, &plan.method));
        let (found, expected) = (end(&back, schedule), end(plan, schedule));
        let scale = largest(expected.iter().map(|x| x.abs())).max(1.0);
        let errors = if name == "cosine" { &mut on_cosine } else { &mut errors };
        errors.push(largest(found.iter().zip(&expected).map(|(x, y)| (x - y).abs() / scale)));
        converted += 1;
    });
    assert!(converted > 5000);
    assert_below(5e-10, largest(errors), "samples by the plan in x and in y");
    // Its noise goes up to ρ = 20 291, and plans on few points of it lose many digits of whatever they are given.
    assert_below(5e-7, largest(on_cosine), "the same on cosine");
}

/// A plan that uses everything a file can say, in y.
const EVERYTHING: &str = r#"{
  "format": "fewstep-plan", "version": 1, "method": "everything", "variable": "y", "threshold": "none",
  "sigma": [80.0, 12.0, 12.0, 1.5, 0.01], "start": 79.0,
  "steps": [
    {"a": 1.0, "c": [-67.5], "afs": 0.98},
    {"a": 0.3, "b": [0.7], "c": [1.0, -2.0], "input": 1.01},
    {"a": 0.0, "b": [1.0, 0.1], "c": [-10.0, 0.5], "at": 9.0, "noise": 0.2},
    {"a": 0.99, "b": [], "c": [-1.4, -0.1, 0.0, 0.3], "at": 1.6, "input": 0.97}],
  "provenance": {"by": ["hand", 1.50, {"n": null}]}
}"#;

/// y and ε as the format's definition says, number by number.
fn by_definition(file: &PlanFile, x_t: f64, z: impl Fn(usize) -> f64) -> f64 {
    let sigma = file.levels.values();
    let mut states = vec![file.start.unwrap() * x_t];
    let mut predictions = Vec::new();
    for (k, step) in file.steps.iter().enumerate() {
        let at = step.at.unwrap_or(sigma[k]);
        // Gaussian data of mean 0.2 and variance 0.3: (y − m) σ/(v + σ²).
        let seen = step.input * states[k];
        predictions.push(step.afs.map_or((seen - 0.2) * at / (0.3 + at * at), |w| w * x_t));
        let older: f64 = step.b.iter().zip(states[..k].iter().rev()).map(|(b, y)| b * y).sum();
        let sum: f64 = step.c.iter().zip(predictions.iter().rev()).map(|(c, e)| c * e).sum();
        states.push(step.a * states[k] + older + sum + step.noise * z(k));
    }
    states[file.steps.len()]
}

#[test]
fn a_plan_does_what_the_format_says() {
    let file = PlanFile::parse(EVERYTHING).unwrap();
    assert_eq!(file.provenance.as_deref(), Some(r#"{"by": ["hand", 1.50, {"n": null}]}"#));
    assert_eq!(PlanFile::parse(&file.to_string()).unwrap(), file);
    for name in Schedule::NAMES.into_iter().filter(|name| *name != "scaled-linear") {
        let schedule = Schedule::named(name, 32).unwrap();
        let plan = file.plan(&schedule, name).unwrap();
        assert_eq!((plan.nfe, plan.steps.len(), plan.evaluated()), (3, 4, vec![1, 2, 3]));
        let scale = schedule.alpha_bar(plan.tau[4]).sqrt();
        let noise = |k: usize, i: usize| [0.3 + k as f64, -0.7, 0.1, 0.0][i];
        let x_t = [0.5, -1.3, 2.1, 0.05];
        let expected: Vec<f64> = (0..4).map(|i| scale * by_definition(&file, x_t[i], |k| noise(k, i))).collect();
        let found = end(&plan, &schedule);
        assert_below(1e-12, largest(found.iter().zip(&expected).map(|(x, y)| (x - y).abs())), name);
    }
    let scaled = Schedule::named("scaled-linear", 32).unwrap();
    let error = file.plan(&scaled, "scaled-linear").unwrap_err().to_string();
    assert!(error.starts_with("sigma[0] is 80.0; the noise of schedule 'scaled-linear' ends at 14.6"), "{error}");
}

#[test]
fn afs_is_one_step_more_whose_prediction_is_the_state() {
    let (schedule, grid) = (Schedule::linear(), Grid::quadratic());
    for method in Method::all().into_iter().filter(|method| !method.is_stochastic() && !method.normalise) {
        let request = |nfe, afs| Request { afs, ..Request::new(&schedule, &grid, nfe) };
        let plan = method.plan(&request(6, true)).unwrap();
        let plain = method.plan(&request(7, false)).unwrap();
        // The same numbers, of which one evaluation is not made.
        assert_eq!((plan.steps.len(), plan.nfe), (plain.steps.len(), plain.nfe - 1), "{}", method.label());
        let mut steps = plain.steps.clone();
        steps[0].afs = Some(1.0);
        assert_eq!((plan.steps, plan.tau), (steps, plain.tau));
    }
    let one = |method: &str| {
        let method = Method::new(method, None).unwrap();
        method.plan(&Request { afs: true, ..Request::new(&schedule, &grid, 1) })
    };
    assert!(one("edm-heun").unwrap_err().to_string().contains("evaluates nothing"));
    assert!(one("ddpm").unwrap_err().to_string().contains("AFS has no meaning for DDPM"));
    assert_eq!(one("ddim").unwrap().nfe, 1);
}

/// The keys of everything that is kept hash steps as JSON: what existing methods' steps are must stay what it was.
#[test]
fn a_step_without_anything_new_is_hashed_as_it_was() {
    let json = |step: &Step| serde_json::to_string(step).unwrap();
    let step = Step { a: 0.5, c: vec![-0.25], ..Step::default() };
    assert_eq!(json(&step), r#"{"a":0.5,"c":[-0.25]}"#);
    let step = Step { b: vec![1.0], noise: 0.125, ..step };
    assert_eq!(json(&step), r#"{"a":0.5,"b":[1.0],"c":[-0.25],"noise":0.125}"#);
    let step = Step { at: Some(0.5), input: 2.0, afs: Some(1.0), ..step };
    let new = r#"{"a":0.5,"b":[1.0],"c":[-0.25],"noise":0.125,"at":0.5,"input":2.0,"afs":1.0}"#;
    assert_eq!(json(&step), new);
}

#[test]
fn what_is_no_plan_is_refused_with_its_place() {
    let good = r#"{"format": "fewstep-plan", "version": 1, "method": "m", "variable": "x", "schedule": "linear",
"tau": [1.0, 0.5, 0.0], "steps": [{"a": 1.0, "c": [-0.5]}, {"a": 0.5, "b": [0.5], "c": [1.0, 2.0]}]}"#;
    PlanFile::parse(good).unwrap();
    let cases = [
        (r#""version": 1"#, r#""version": 2"#, "version is 2; this program reads version 1"),
        (r#""version": 1"#, r#""version": "1""#, "version is '1'; expected a whole number"),
        (r#""version": 1, "#, "", "version is missing"),
        (r#""format": "fewstep-plan", "#, "", "format is missing; expected 'fewstep-plan'"),
        (r#""variable": "x", "#, "", "variable is missing; expected x or y"),
        (r#""tau": [1.0, 0.5, 0.0], "#, "", "tau is missing; expected a list of levels"),
        (r#""linear""#, r#""simple-diffusion""#, "depends on the size of images; expected variable y"),
        (r#""steps""#, r#""other": [], "steps""#, "other: no such field"),
        (r#""steps""#, r#""start": "1", "steps""#, "start is '1'; expected a number"),
        ("fewstep-plan", "other", "format is 'other'; expected 'fewstep-plan'"),
        (r#""method": "m", "#, "", "method is missing"),
        (r#""m""#, r#""a\nb""#, "method is 'a\\nb'; expected one line of 1 to 200 characters"),
        (r#""m""#, r#""""#, "method has 0 characters"),
        (r#""variable": "x""#, r#""variable": "z""#, "variable is 'z'; expected x or y"),
        (r#""variable": "x", "schedule": "linear""#, r#""variable": "y""#, "tau has no meaning for variable 'y'"),
        (r#""schedule": "linear","#, "", "schedule is missing"),
        (r#""linear""#, r#""lineal""#, "no schedule 'lineal'; expected linear, "),
        ("[1.0, 0.5, 0.0]", "[1.0, 0.5]", "tau has 2 entries; 2 steps have 3, the last one the end"),
        ("[1.0, 0.5, 0.0]", "[1.0, 0.5, 0.7]", "tau rises: 0.5 is followed by 0.7 at 2"),
        ("[1.0, 0.5, 0.0]", "[1.5, 0.5, 0.0]", "tau[0] is 1.5; expected 0 to 1"),
        ("[1.0, 0.5, 0.0]", "[1.0, 0.0, 0.0]", "tau[1], where a network is evaluated, is 0.0; expected above 0 to 1"),
        ("[1.0, 0.5, 0.0]", r#"[1.0, "a", 0.0]"#, "tau[1] is 'a'; expected a number"),
        ("[1.0, 0.5, 0.0]", "[1.0, 1e999, 0.0]", "line 2, column 19: a number that is not finite"),
        ("[1.0, 0.5, 0.0]", "[1.0, NaN, 0.0]", "line 2, column 14: expected a JSON value"),
        ("[1.0, 2.0]", "[1.0, 2.0, 3.0]", "steps[1].c has 3 entries; there are 2 predictions so far"),
        (r#""b": [0.5]"#, r#""b": [0.5, 0.1]"#, "steps[1].b has 2 entries; there are 1 earlier states"),
        (r#""a": 1.0, "#, "", "steps[0].a is missing"),
        (r#""c": [-0.5]"#, r#""d": [-0.5]"#, "steps[0].d: no such field; expected a, b, c, "),
        (r#""c": [-0.5]"#, r#""c": -0.5"#, "steps[0].c is -0.5; expected a list"),
        (r#""c": [-0.5]"#, r#""c": [-0.5], "noise": -1"#, "steps[0].noise is -1.0; expected a standard deviation"),
        (r#""c": [-0.5]"#, r#""c": [-0.5], "at": 2"#, "steps[0].at is 2.0; expected above 0 to 1"),
        (r#""c": [-0.5]"#, r#""c": [-0.5], "input": 0"#, "steps[0].input is 0"),
        (r#""steps""#, r#""nfe": 3, "steps""#, "nfe is 3; the steps evaluate the network 2 times"),
        (r#""steps""#, r#""timestep": [999, 400], "steps""#, "timestep[1] is 400.0; expected 499.0"),
        (r#""steps""#, r#""timestep": [999], "steps""#, "timestep has 1 entries"),
        (r#""steps""#, r#""threshold": "cut", "steps""#, "threshold: no threshold 'cut'"),
        (r#""steps""#, r#""stages": 1, "steps""#, "stages: no such field; expected format, "),
        (r#""steps""#, r#""provenance": 1, "steps""#, "provenance is 1.0; expected an object"),
        (r#""steps""#, r#""start": 1, "start": 2, "steps""#, "'start' is there twice"),
        (r#"[{"a": 1.0, "c": [-0.5]}, "#, r#"[{"a": 1.0, "c": [-0.5], "afs": 1}, "#, ""),
        (r#""c": [1.0, 2.0]}]}"#, r#""c": [1.0, 2.0]}]"#, "line 2, column 100: expected ',' or '}'"),
        (r#"{"a": 0.5, "b": [0.5], "c": [1.0, 2.0]}"#, "3", "steps[1] is 3.0; expected an object"),
    ];
    for (from, to, expected) in cases {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        match PlanFile::parse(&text) {
            Ok(_) => assert!(expected.is_empty(), "{text} is a plan"),
            Err(error) => {
                let error = error.to_string();
                assert!(!expected.is_empty() && error.contains(expected), "{to}: {error}, expected {expected}");
                assert!(!error.contains('\n'), "{error}");
            }
        }
    }
    let afs = good.replace("]}, ", r#"], "afs": 1.0}, "#).replace("]}]", r#"], "afs": 1.0}]"#);
    assert!(PlanFile::parse(&afs).unwrap_err().to_string().contains("no step evaluates the network"));
    // A threshold divides by √ᾱ what noise is taken off of; where there is none a stand-in for a prediction has nothing to say.
    let clean = good.replace("0.5, 0.0]", "0.0, 0.0]").replace("2.0]}]", r#"2.0], "afs": 1.0}]"#);
    PlanFile::parse(&clean).unwrap();
    let error =
        PlanFile::parse(&clean.replace(r#""steps""#, r#""threshold": "clip", "steps""#)).unwrap_err().to_string();
    assert!(error.contains("tau[1] is 0; a data prediction that is thresholded expects noise, of afs too"), "{error}");
    for text in ["", "[]", "7", "{}", "null"] {
        assert!(PlanFile::parse(text).is_err());
    }
    let long = vec![r#"{"a": 1.0, "c": []}"#; 4001].join(",");
    let long = format!(
        r#"{{"format": "fewstep-plan", "version": 1, "method": "m", "variable": "y", "sigma": [], "steps": [{long}]}}"#
    );
    assert!(PlanFile::parse(&long).unwrap_err().to_string().contains("steps has 4001 entries; expected 1 to 4000"));
    let file = PlanFile::parse(good).unwrap();
    let error = file.plan(&Schedule::cosine(), "cosine").unwrap_err().to_string();
    assert!(error.contains("in x on schedule 'linear', and cannot run on 'cosine'"), "{error}");
}

#[test]
fn files_are_refused_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.json");
    let message = |path: &std::path::Path| PlanFile::read(path).unwrap_err().to_string();
    assert!(message(&path).starts_with(&path.display().to_string()));
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(message(&path).contains("plan.json: no UTF-8 text"));
    let sparse = std::fs::File::create(&path).unwrap();
    sparse.set_len(1 << 30).unwrap();
    assert!(message(&path).contains("1073741824 bytes are no plan"));
    let file = PlanFile::parse(EVERYTHING).unwrap();
    file.write(&path).unwrap();
    assert_eq!(PlanFile::read(&path).unwrap(), file);
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

/// Whatever is in a file: an error or a plan that runs, and no panic.
#[test]
fn damaged_files_are_errors_or_plans() {
    let method = Method::new("unipc-bh2", Some(2)).unwrap();
    let (schedule, grid) = (Schedule::linear(), Grid::quadratic());
    let plan = method.plan(&Request { threshold: Threshold::Clip, ..Request::new(&schedule, &grid, 4) }).unwrap();
    let sources = [EVERYTHING.to_owned(), PlanFile::of(&plan, "linear").to_string()];
    let pieces: [&[u8]; 12] =
        [b"1e308", b"-1e-320", b"{", b"]", b"\"", b"\\u", b"null", b",", b"0", b"\"afs\": 1,", b"-", b"1e9"];
    let mut random = Random(0x5eed);
    let (mut plans, mut errors) = (0, 0);
    for round in 0..40_000 {
        let mut bytes = sources[round % 2].clone().into_bytes();
        for _ in 0..1 + random.below(4) {
            let (at, piece) = (random.below(bytes.len().max(1)), pieces[random.below(pieces.len())]);
            match random.below(5) {
                _ if bytes.len() < 2 => {}
                0 => bytes[at] = random.below(256) as u8,
                1 => drop(bytes.drain(at..(at + 1 + random.below(8)).min(bytes.len()))),
                2 => drop(bytes.splice(at..at, piece.iter().copied())),
                3 => bytes.truncate(at.max(1)),
                // A digit changes a number and leaves a file.
                _ => bytes
                    .iter_mut()
                    .skip(at)
                    .find(|b| b.is_ascii_digit())
                    .map_or((), |b| *b = b'0' + random.below(10) as u8),
            }
        }
        match PlanFile::parse(&String::from_utf8_lossy(&bytes)) {
            Ok(file) => {
                plans += 1;
                assert_eq!(PlanFile::parse(&file.to_string()).unwrap(), file);
                // A number of an image may become infinite; a step has what it asks for.
                if let Ok(plan) = file.plan(&schedule, "linear") {
                    end(&plan, &schedule);
                }
            }
            Err(_) => errors += 1,
        }
    }
    println!("{plans} plans, {errors} errors");
    assert!(plans > 1000 && errors > 10_000);
}

/// The example of docs/plan-format.md, made by hand.
#[test]
fn the_example_by_hand_runs() {
    let text = include_str!("../../../docs/plan-format.md");
    let example = text.split("```json\n").nth(1).unwrap().split("```").next().unwrap();
    let file = PlanFile::parse(example).unwrap();
    let schedule = Schedule::linear();
    let plan = file.plan(&schedule, "linear").unwrap();
    assert_eq!((plan.nfe, plan.start, plan.is_afs(), plan.steps.len()), (3, 1.0, true, 4));
    // What it says it does, number by number.
    let expected: Vec<f64> = [0.5, -1.3, 2.1, 0.05]
        .into_iter()
        .map(|x: f64| {
            let epsilon = |y: f64, sigma: f64| (y - 0.2) * sigma / (0.3 + sigma * sigma);
            let start = x * 6401f64.sqrt();
            let first = start - 70.0 * start / 6401f64.sqrt();
            let e1 = epsilon(first, 10.0);
            let second = first - 8.0 * e1;
            let e2 = epsilon(second, 2.0);
            let third = second - 1.5 * (1.5 * e2 - 0.5 * e1);
            third - 0.5 * (1.5 * epsilon(third, 0.5) - 0.5 * e2)
        })
        .collect();
    let found = end(&plan, &schedule);
    assert_below(1e-13, largest(found.iter().zip(&expected).map(|(x, y)| (x - y).abs())), "the example");
}
