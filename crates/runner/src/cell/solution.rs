//! What the ODE itself does to a cell's noise: the network's own solution with many steps, and how far that can be believed.
//!
//! DEIS of order 2 on the quadratic grid, whose steps near the data are small: steps of equal τ end with an error of first order there,
//! on Gaussian data too. A network's output is rough in t on the scale of its time embedding's fastest frequency, a period of 2π
//! timesteps; steps longer than that sample the roughness as if at random, and the error falls as N^−½ whatever the order; once they
//! are shorter it vanishes (results/solution). With N evaluations on this grid the longest step has 2T/N timesteps: 4 for N = T/2.
//! How far the solution can be believed is measured, on its first images, against one with twice the evaluations.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Mutex, PoisonError},
};

use burn::tensor::Tensor;
use fewstep_sampler::{Grid, Plan, Request};

use super::{
    curve::long_run,
    distance::squared_error,
    figures::Rows,
    kept::{Kept, Numbers},
    key::{self, Key},
    load::Loaded,
    parts::{Part, Parts, Widths},
    sampler::values,
};
use crate::{
    experiment::SolutionSpec,
    failure::{Failure, Result},
    progress::Progress,
};

/// Images that are solved again with twice the evaluations: their distance is a mean over so many thousand pixels that more
/// would not change what is said of it.
const CHECKED: usize = 8;
const NAME: &str = "solution";

/// x_0 of the first images of a seed.
#[derive(Debug, Clone)]
pub struct Solution {
    /// Of a cell's samples by the very same run; none of a formula.
    run: Option<Key>,
    /// Evaluations an image that the network counted.
    pub counted: f64,
    /// The number of its first image: 0 but in a shard.
    first: usize,
    /// `[samples, 3, size, size]` row-major.
    pub x: Vec<f32>,
    /// Mean squared distance of each of the first images to its solution with twice the evaluations; 0 for a formula.
    pub check: Vec<f64>,
}

/// The grid of solutions.
pub fn grid() -> Grid {
    Grid::quadratic()
}

/// The solution's, and the one that says what it is worth.
fn plans(loaded: &Loaded, nfe: usize) -> Result<[Plan; 2]> {
    Ok([plan(loaded, nfe)?, plan(loaded, 2 * nfe)?])
}

/// Plans of one schedule by their evaluations: every cell's keys ask for the same few, and of 1000 steps one takes tens of milliseconds.
#[derive(Default)]
pub struct Runs(Mutex<BTreeMap<usize, Plan>>);

/// [`long_run`] on [`grid`].
pub fn plan(loaded: &Loaded, nfe: usize) -> Result<Plan> {
    let mut made = loaded.runs.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(plan) = made.get(&nfe) {
        return Ok(plan.clone());
    }
    let plan = long_run().plan(&Request::new(&loaded.sampler.schedule, &grid(), nfe))?;
    Ok(made.entry(nfe).or_insert(plan).clone())
}

impl Solution {
    /// How it is found, for people.
    pub fn describe(spec: &SolutionSpec) -> String {
        match spec.nfe {
            None => "the network's formula".into(),
            Some(nfe) => format!(
                "{} with {nfe} evaluations on the {} grid; its own error is its distance to one with {} on {} images",
                long_run().label(),
                grid().name(),
                2 * nfe,
                spec.checked()
            ),
        }
    }

    /// Whether a cell's samples with this key are of the very same run.
    pub fn is_of(&self, cell: &Key) -> bool {
        self.run.as_ref() == Some(cell)
    }

    /// The number after its last image's.
    pub fn end(&self, len: usize) -> usize {
        self.first + self.x.len() / len
    }

    /// x_0 of the images from number `first` on, of `len` numbers each.
    pub fn from(&self, first: usize, len: usize) -> &[f32] {
        first.checked_sub(self.first).and_then(|skipped| self.x.get(skipped * len..)).unwrap_or_default()
    }

    /// x_0 of the first of the images `range`, as many as there are.
    pub fn of(&self, range: &Range<usize>, len: usize) -> &[f32] {
        let x = self.from(range.start, len);
        &x[..x.len().min(range.len() * len)]
    }

    /// The same of a cell, where its run is the one that they were found with.
    pub fn beginning(&self, cell: &Key, range: &Range<usize>, len: usize) -> &[f32] {
        if self.is_of(cell) { self.of(range, len) } else { &[] }
    }

    /// The key of what [`Solution::find`] gives.
    pub fn key(loaded: &Loaded, spec: &SolutionSpec, seed: u64) -> Result<Key> {
        let Some(nfe) = spec.nfe else {
            return key::exact_solution(&loaded.sampler, &loaded.canary, seed, spec.samples);
        };
        key::solution(&loaded.sampler, &loaded.canary, &plans(loaded, nfe)?, seed, [spec.samples, spec.checked()])
    }

    /// The solution that `spec` asks for, from where it is kept if it is.
    ///
    /// # Errors
    /// As sampling, and where it cannot be kept.
    pub fn find(loaded: &Loaded, spec: &SolutionSpec, seed: u64, kept: &Kept, progress: &Progress) -> Result<Self> {
        let images = 0..spec.samples;
        let Some(nfe) = spec.nfe else { return Solution::exact(loaded, spec, seed, images) };
        let (key, len) = (Solution::key(loaded, spec, seed)?, loaded.sampler.len());
        if let Some(Numbers { counted, check, values: x, .. }) = kept.read(NAME, &key, spec.samples * len) {
            progress.skip(spec.work());
            // A kill may have come between the two.
            for parts in [&key, &key::distance(&key, true, NAME)?] {
                Parts::new(parts.clone(), &kept.folder, &[], Widths::default()).remove()?;
            }
            return Ok(Solution { run: run_key(loaded, nfe, seed)?, counted, first: 0, x, check });
        }
        let (mut solution, parts) = Solution::solved(loaded, nfe, seed, (images, &key), kept, progress)?;
        // By itself, whoever made the images.
        let widths = Widths { x: len, ..Widths::default() };
        let mut own = Parts::new(key::distance(&key, true, NAME)?, &kept.folder, &[], widths);
        let (finer, _) = ran(loaded, &plan(loaded, 2 * nfe)?, seed, 0..spec.checked(), &mut own, progress)?;
        let pairs = solution.x.chunks(len).zip(finer.chunks(len));
        solution.check = pairs.map(|(x, y)| squared_error(x, y)).collect();
        let Solution { counted, x, check, .. } = solution;
        let numbers = Numbers { counted, check, values: x, ..Numbers::default() };
        kept.write(NAME, &key, &numbers)?;
        parts.remove()?;
        own.remove()?;
        let Numbers { check, values: x, .. } = numbers;
        Ok(Solution { x, check, ..solution })
    }

    /// Those of its images that are among `images`, kept as a part; nothing of how far they can be believed.
    ///
    /// # Errors
    /// As [`Solution::find`].
    pub fn part(
        loaded: &Loaded,
        spec: &SolutionSpec,
        seed: u64,
        images: &Range<usize>,
        kept: &Kept,
        progress: &Progress,
    ) -> Result<Self> {
        let images = images.start.min(spec.samples)..images.end.min(spec.samples);
        let Some(nfe) = spec.nfe else { return Solution::exact(loaded, spec, seed, images) };
        let key = Solution::key(loaded, spec, seed)?;
        let (solution, mut parts) = Solution::solved(loaded, nfe, seed, (images, &key), kept, progress)?;
        parts.keep()?;
        Ok(solution)
    }

    fn solved(
        loaded: &Loaded,
        nfe: usize,
        seed: u64,
        (images, key): (Range<usize>, &Key),
        kept: &Kept,
        progress: &Progress,
    ) -> Result<(Self, Parts)> {
        progress.say(format!("solution with {nfe} evaluations, seed {seed}"));
        let mut parts = kept.parts(key.clone(), Widths { x: loaded.sampler.len(), ..Widths::default() });
        let (first, count) = (images.start, images.len().max(1));
        let (x, evaluated) = ran(loaded, &plan(loaded, nfe)?, seed, images, &mut parts, progress)?;
        let counted = evaluated as f64 / count as f64;
        Ok((Solution { run: run_key(loaded, nfe, seed)?, counted, first, x, check: Vec::new() }, parts))
    }

    fn exact(loaded: &Loaded, spec: &SolutionSpec, seed: u64, images: Range<usize>) -> Result<Self> {
        let (first, mut x) = (images.start, Vec::new());
        loaded.sampler.batches_of(
            (images, 1),
            |range| exact(loaded, seed, range),
            |_, part| {
                x.extend(part);
                Ok(())
            },
        )?;
        Ok(Solution { run: None, counted: 0.0, first, x, check: vec![0.0; spec.checked()] })
    }
}

/// x_0 of the images by a plan, as far as `parts` do not have them, and how many evaluations they took.
fn ran(
    loaded: &Loaded,
    plan: &Plan,
    seed: u64,
    images: Range<usize>,
    parts: &mut Parts,
    progress: &Progress,
) -> Result<(Vec<f32>, u64)> {
    let (sampler, evaluations) = (&loaded.sampler, plan.steps.len());
    let mut x = Vec::with_capacity(images.len() * sampler.len());
    let work = |images: Range<usize>| {
        let (n, mut evaluated) = (images.len() as u64, 0);
        let x = sampler.run(plan, seed, images.clone(), |_, _| {
            progress.advance(n);
            evaluated += n;
        })?;
        Ok(Part { images, rows: Rows { x, ..Rows::default() }, evaluated, ..Part::default() })
    };
    let known = |known| progress.skip((known * evaluations) as u64);
    let evaluated = parts.each(sampler, (images, evaluations), known, work, |part| {
        x.extend(&part.rows.x);
        Ok(())
    })?;
    Ok((x, evaluated))
}

/// Of a cell's samples by the run that a solution is.
fn run_key(loaded: &Loaded, nfe: usize, seed: u64) -> Result<Option<Key>> {
    let plan = plan(loaded, nfe)?;
    key::samples(&loaded.sampler, &loaded.canary, &plan, seed, loaded.experiment.samples).map(Some)
}

/// x_0 by the network's formula.
pub fn exact(loaded: &Loaded, seed: u64, range: Range<usize>) -> Result<Vec<f32>> {
    formula(loaded, loaded.sampler.noise(seed, range))
}

/// x_0 of the x_T in `start` by the network's formula.
pub fn formula(loaded: &Loaded, start: Tensor<4>) -> Result<Vec<f32>> {
    let exact = loaded.sampler.predictor.solution(start);
    values(exact.ok_or_else(|| Failure::request("[solution] needs nfe: this model has no exact solution"))?)
}

impl SolutionSpec {
    /// Evaluations of one seed.
    pub fn work(&self) -> u64 {
        self.nfe.map_or(0, |nfe| nfe * (self.samples + 2 * self.checked())) as u64
    }

    /// The solution of all `samples` images of a cell, with the evaluations of those whose Fréchet distances are the floor.
    pub fn of_all(self, samples: usize) -> Self {
        SolutionSpec { nfe: self.floor, samples, floor: self.floor }
    }

    fn checked(&self) -> usize {
        self.samples.min(CHECKED)
    }
}
