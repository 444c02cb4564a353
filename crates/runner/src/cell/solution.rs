//! What the ODE itself does to a cell's noise: the network's own solution with many steps, and how far that can be believed.
//!
//! DEIS of order 2 on the quadratic grid, whose steps near the data are small: steps of equal τ end with an error of first order there,
//! on Gaussian data too. A network's output is rough in t on the scale of its time embedding's fastest frequency, a period of 2π
//! timesteps; steps longer than that sample the roughness as if at random, and the error falls as N^−½ whatever the order; once they
//! are shorter it vanishes (results/solution). With N evaluations on this grid the longest step has 2T/N timesteps: 4 for N = T/2.
//! How far the solution can be believed is measured, on its first images, against one with twice the evaluations.

use std::{ops::Range, path::Path};

use burn::tensor::Tensor;
use fewstep_sampler::{Grid, Plan, Request};

use super::{
    curve::long_run,
    distance::squared_error,
    kept::{self, Numbers},
    key::{self, Key},
    load::Loaded,
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

/// [`long_run`] on [`grid`].
pub fn plan(loaded: &Loaded, nfe: usize) -> Result<Plan> {
    Ok(long_run().plan(&Request::new(&loaded.sampler.schedule, &grid(), nfe))?)
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

    /// x_0 of the first of the images `range` of a cell, where its run is the one that they were found with.
    pub fn beginning(&self, cell: &Key, range: &Range<usize>, len: usize) -> &[f32] {
        let end = (range.end * len).min(self.x.len());
        let known = self.x.get(range.start * len..end).filter(|_| self.is_of(cell));
        known.unwrap_or_default()
    }

    /// The key of what [`Solution::find`] gives.
    pub fn key(loaded: &Loaded, spec: &SolutionSpec, seed: u64) -> Result<Key> {
        let Some(nfe) = spec.nfe else {
            return key::exact_solution(&loaded.sampler, &loaded.canary, seed, spec.samples);
        };
        key::solution(&loaded.sampler, &loaded.canary, &plans(loaded, nfe)?, seed, [spec.samples, spec.checked()])
    }

    /// The solution that `spec` asks for, from `folder` where it is there.
    pub fn find(
        loaded: &Loaded,
        spec: &SolutionSpec,
        seed: u64,
        folder: &Path,
        fresh: bool,
        progress: &Progress,
    ) -> Result<Self> {
        let key = Solution::key(loaded, spec, seed)?;
        let Some(nfe) = spec.nfe else { return Solution::exact(loaded, spec, seed) };
        let [plan, finer] = plans(loaded, nfe)?;
        let samples = loaded.experiment.samples;
        let run = Some(key::samples(&loaded.sampler, &loaded.canary, &plan, seed, samples)?);
        let kept = if fresh { None } else { kept::read(folder, NAME, &key, spec.samples * loaded.sampler.len()) };
        if let Some(Numbers { counted, check, values: x }) = kept {
            progress.skip(spec.work());
            return Ok(Solution { run, counted, x, check });
        }
        progress.say(format!("solution with {nfe} evaluations, seed {seed}"));
        let before = loaded.sampler.asked();
        let x = solve(loaded, &plan, seed, spec.samples, progress)?;
        let counted = (loaded.sampler.asked() - before) as f64 / spec.samples as f64;
        let finer = solve(loaded, &finer, seed, spec.checked(), progress)?;
        let len = loaded.sampler.len();
        let check: Vec<f64> = x.chunks(len).zip(finer.chunks(len)).map(|(x, y)| squared_error(x, y)).collect();
        let numbers = Numbers { counted, check, values: x };
        kept::write(folder, NAME, &key, &numbers)?;
        let Numbers { check, values: x, .. } = numbers;
        Ok(Solution { run, counted, x, check })
    }

    fn exact(loaded: &Loaded, spec: &SolutionSpec, seed: u64) -> Result<Self> {
        let mut x = Vec::new();
        loaded.sampler.batches(
            spec.samples,
            |range| exact(loaded, seed, range),
            |_, part| {
                x.extend(part);
                Ok(())
            },
        )?;
        Ok(Solution { run: None, counted: 0.0, x, check: vec![0.0; spec.checked()] })
    }
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

fn solve(loaded: &Loaded, plan: &Plan, seed: u64, samples: usize, progress: &Progress) -> Result<Vec<f32>> {
    let mut x = Vec::with_capacity(samples * loaded.sampler.len());
    let run = |range: Range<usize>| {
        let n = range.len() as u64;
        loaded.sampler.run(plan, seed, range, |_, _| progress.advance(n))
    };
    loaded.sampler.batches(samples, run, |_, part| {
        x.extend(part);
        Ok(())
    })?;
    Ok(x)
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
