//! What holds of plans from random requests: many, the same ones every time.

mod common;

use common::{assert_below, largest};
use fewstep_sampler::{Coefficients, Grid, Method, Normaliser, Plan, PlanFile, Request, Schedule};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

struct Random(ChaCha8Rng);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end as u64) as usize
    }

    /// Uniform in (0, 1).
    fn unit(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// From 1 to somewhere, falling; seldom by very little.
    fn times(&mut self) -> Vec<f64> {
        let count = 1 + self.below(20);
        let least = if self.below(5) == 0 { 1e-6 } else { 0.01 };
        let mut falls: Vec<f64> = (0..count).map(|_| least + self.unit()).collect();
        let end = if self.below(2) == 0 { 0.0 } else { 0.02 * self.unit() };
        let sum: f64 = falls.iter().sum();
        falls.iter_mut().for_each(|fall| *fall *= (1.0 - end) / sum);
        let mut tau = vec![1.0];
        falls[..count - 1].iter().for_each(|fall| tau.push(tau[tau.len() - 1] - fall));
        tau.push(end);
        tau
    }

    fn grid(&mut self) -> Grid {
        let examples = Grid::examples();
        match self.below(4) {
            0 => Grid::list(self.times()).unwrap(),
            1 => format!("power-{}", 0.2 + 5.0 * self.unit()).parse().unwrap(),
            2 => format!("edm-{}-to-{}", 1.0 + 9.0 * self.unit(), 1e-4 + 0.01 * self.unit()).parse().unwrap(),
            _ => examples[self.below(examples.len())].clone(),
        }
    }

    /// Positive, and as rough as a measured curve is.
    fn normaliser(&mut self) -> Normaliser {
        let tau: Vec<f64> = (1..=1000).map(|k| f64::from(k) / 1000.0).collect();
        let (rise, rough) = (self.unit(), 0.05 * self.unit());
        let r = tau.iter().map(|tau| (0.1 + rise * tau.sqrt()) * (1.0 + rough * (self.unit() - 0.5))).collect();
        Normaliser::new(tau, r).unwrap().with_clip(self.below(10)).unwrap()
    }
}

/// Whether every number is finite, every length is that of its plan, and the file of the plan is one that can be read.
fn check(plan: &Plan, name: &str, schedule: &Schedule, what: &str) {
    let steps = plan.steps.len();
    assert_eq!((plan.tau.len(), plan.timestep.len()), (steps + 1, steps), "{what}");
    assert!(plan.tau.windows(2).all(|pair| pair[1] <= pair[0]), "{what}: {:?}", plan.tau);
    assert!(plan.tau.iter().all(|tau| (0.0..=1.0).contains(tau)), "{what}: {:?}", plan.tau);
    assert_eq!(plan.nfe, plan.evaluated().len(), "{what}");
    for (k, step) in plan.steps.iter().enumerate() {
        let mut numbers = [step.a, step.noise, step.input].into_iter().chain(step.b.iter().chain(&step.c).copied());
        assert!(numbers.all(f64::is_finite) && step.noise >= 0.0, "{what}: step {k} is {step:?}");
        assert!(step.b.len() <= k && step.c.len() <= k + 1, "{what}: step {k} is {step:?}");
    }
    // Simple diffusion's depends on the images' size, and its plans are written in y.
    let file = match PlanFile::of(plan, name) {
        file if name == "simple-diffusion" => file.in_y(schedule),
        file => file,
    };
    assert_eq!(PlanFile::parse(&file.to_string()).unwrap(), file, "{what}");
}

/// On random grids, schedules, normalisers and numbers of evaluations, in either kind of coefficients: what a method does not refuse is
/// whole, costs no more than was asked, and is the same again.
#[test]
fn plans_are_finite_and_consistent() {
    let mut random = Random(ChaCha8Rng::seed_from_u64(14));
    let methods = Method::all();
    let (mut made, mut refused) = (0, 0);
    while made < 1500 {
        let method = methods[random.below(methods.len())];
        let name = Schedule::NAMES[random.below(Schedule::NAMES.len())];
        let (schedule, grid) = (Schedule::named(name, 1 << random.below(9)).unwrap(), random.grid());
        let most = if random.below(8) == 0 { 60 } else { 12 };
        let nfe = 1 + random.below(most);
        let normaliser = random.normaliser();
        let afs = random.below(6) == 0;
        // The reference's sums take longer.
        let coefficients = if random.below(12) == 0 { Coefficients::Reference } else { Coefficients::Exact };
        let request =
            Request { normaliser: Some(&normaliser), coefficients, afs, ..Request::new(&schedule, &grid, nfe) };
        let what = format!("{} on {grid} of {name}, nfe {nfe}, afs {afs}, {coefficients:?}", method.name());
        match method.plan(&request) {
            Ok(plan) => {
                check(&plan, name, &schedule, &what);
                assert!(plan.nfe <= nfe, "{what}: {}", plan.nfe);
                assert_eq!(method.plan(&request).unwrap(), plan, "{what}");
                made += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    // Most requests mean something; a test of refusals alone would be none.
    assert!(refused < 4 * made, "{refused} of {} refused", made + refused);
}

/// A plan through y and back, and on another schedule and back, is the plan.
#[test]
fn plans_survive_their_other_variable() {
    let mut random = Random(ChaCha8Rng::seed_from_u64(41));
    let difference = largest((0..400).filter_map(|_| {
        let name = Schedule::NAMES[random.below(3)];
        let (schedule, times) = (Schedule::named(name, 32).unwrap(), random.times());
        let (grid, order) = (Grid::list(times).unwrap(), random.below(4));
        let plan = Method::deis(order).plan(&Request::new(&schedule, &grid, random.below(20) + 1)).ok()?;
        let there = PlanFile::of(&plan, name).in_y(&schedule);
        let back = there.plan(&schedule, name).ok()?;
        let numbers = |plan: &Plan| -> Vec<f64> {
            plan.steps.iter().flat_map(|step| step.c.iter().copied().chain([step.a])).collect()
        };
        let (before, after) = (numbers(&plan), numbers(&back));
        assert_eq!(before.len(), after.len());
        let scale = largest(before.iter().map(|number| number.abs()));
        Some(largest(before.iter().zip(&after).map(|(a, b)| (a - b).abs() / scale)))
    }));
    assert_below(1e-9, difference, "through y and back");
}
