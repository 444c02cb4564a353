//! Which points of a trajectory to step on, by dynamic programming: from inner products alone, without another evaluation.

use fewstep_sampler::{Schedule, Step};

use crate::{
    Error, Result,
    rule::Rule,
    solve::{Freedom, least_squares},
    student::Levels,
    teacher::Teacher,
    vectors::Gram,
};

/// Most points that a path is sought among: the cube of their number is solved for.
pub const MOST: usize = 96;

/// What a step from one point to another leaves undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Of Euler's step in ρ, in y: GITS (Chen et al. 2024, arXiv 2405.11326, equation 10).
    Euler,
    /// Of the step that the rule allows, fitted to the teacher's own states and at most its last two predictions, in x.
    Fitted,
}

/// A trajectory's points and the inner products of all that is known there.
#[derive(Debug, Clone)]
pub struct Points {
    schedule: Schedule,
    /// From 1 to the end.
    pub tau: Vec<f64>,
    /// Of x at every point, then of ε at all but the last.
    gram: Gram,
    /// Images times numbers.
    numbers: f64,
}

impl Points {
    /// At most [`MOST`] of a teacher's, the first and the last among them.
    pub fn of(teacher: &Teacher) -> Self {
        let last = teacher.tau.len() - 1;
        let count = last.min(MOST - 1);
        let chosen: Vec<usize> = (0..=count).map(|i| i * last / count).collect();
        let mut vectors: Vec<&[f32]> = chosen.iter().map(|&i| &*teacher.x[i]).collect();
        vectors.extend(chosen[..count].iter().map(|&i| &*teacher.epsilon[i]));
        Points {
            schedule: teacher.schedule().clone(),
            tau: chosen.iter().map(|&i| teacher.tau[i]).collect(),
            gram: Gram::of(&vectors, teacher.len),
            numbers: teacher.x[0].len() as f64,
        }
    }

    fn end(&self) -> usize {
        self.tau.len() - 1
    }

    fn epsilon(&self, i: usize) -> usize {
        self.tau.len() + i
    }

    /// Root of the mean square of what these vectors leave of x at `to`, and their factors.
    fn fit(&self, vectors: &[usize], to: usize, freedom: &Freedom, ridge: f64) -> Result<(f64, Vec<f64>)> {
        let all: Vec<usize> = vectors.iter().copied().chain([to]).collect();
        let fitted = least_squares(&self.gram.select(&all), freedom, ridge)?;
        Ok(((fitted.squared / self.numbers).sqrt(), fitted.factors))
    }

    /// y_j − y_i − (ρ_j − ρ_i) ε_i.
    fn euler(&self, i: usize, j: usize) -> f64 {
        let [one, two] = [i, j].map(|point| 1.0 / self.schedule.alpha_bar(self.tau[point]).sqrt());
        let step = self.schedule.rho(self.tau[j]) - self.schedule.rho(self.tau[i]);
        let parts = [(j, two), (i, -one), (self.epsilon(i), -step)];
        let square: f64 =
            parts.iter().flat_map(|(u, f)| parts.iter().map(move |(v, g)| f * g * self.gram.at(*u, *v))).sum();
        (square.max(0.0) / self.numbers).sqrt()
    }

    /// Of the step from i, before which was `before`, to j.
    fn cost(&self, cost: Cost, rule: &Rule, before: Option<usize>, i: usize, j: usize) -> Result<f64> {
        if cost == Cost::Euler {
            return Ok(self.euler(i, j));
        }
        let rule = Rule { history: rule.history.min(2), states: 0, ..*rule };
        let before = before.filter(|_| rule.history > 1);
        let levels: Vec<f64> = before.into_iter().chain([i, j]).map(|point| self.tau[point]).collect();
        let freedom = rule.freedom(levels.len() - 2, &levels, &self.schedule);
        let vectors: Vec<usize> =
            [i, self.epsilon(i)].into_iter().chain(before.map(|before| self.epsilon(before))).collect();
        Ok(self.fit(&vectors, j, &freedom, rule.ridge)?.0)
    }

    /// The path of `steps` steps whose costs have the least sum.
    ///
    /// # Errors
    /// Where there are fewer points than steps.
    pub fn shortest(&self, cost: Cost, rule: &Rule, steps: usize) -> Result<Vec<f64>> {
        use rayon::prelude::*;
        let end = self.end();
        if steps == 0 || steps > end {
            return Err(Error::Request(format!(
                "{steps} steps over {end} points of the trajectories; expected at most as many"
            )));
        }
        // cost[i][before][j], with `before` = i for none.
        let costs: Vec<Vec<Vec<f64>>> = (0..end)
            .into_par_iter()
            .map(|i| {
                let of = |before: usize| {
                    let row =
                        (i + 1..=end).map(|j| self.cost(cost, rule, Some(before).filter(|&before| before < i), i, j));
                    row.collect::<Result<Vec<f64>>>()
                };
                // Euler's does not depend on what was before.
                let befores = 0..=i;
                match cost {
                    Cost::Euler => of(i).map(|row| befores.map(|_| row.clone()).collect()),
                    Cost::Fitted => befores.map(of).collect(),
                }
            })
            .collect::<Result<_>>()?;
        let of = |before: usize, i: usize, j: usize| costs[i][before][j - i - 1];
        // The least sum over k steps that end with before → i, and what was before that.
        let mut tables: Vec<Vec<Vec<(f64, usize)>>> = Vec::new();
        let first: Vec<Vec<(f64, usize)>> = (0..=end)
            .map(|i| (0..i).map(|before| if before == 0 { (of(0, 0, i), 0) } else { (f64::INFINITY, 0) }).collect())
            .collect();
        tables.push(first);
        for _ in 1..steps {
            let last = &tables[tables.len() - 1];
            let next = (0..=end).map(|j| {
                let best = |i: usize| {
                    let sums = (0..i).map(|before| (last[i][before].0 + of(before, i, j), before));
                    sums.fold((f64::INFINITY, 0), |best, one| if one.0 < best.0 { one } else { best })
                };
                (0..j).map(best).collect()
            });
            let next = next.collect();
            tables.push(next);
        }
        let last = &tables[steps - 1][end];
        let (mut before, _) =
            (0..end).fold((0, f64::INFINITY), |best, i| if last[i].0 < best.1 { (i, last[i].0) } else { best });
        let mut path = vec![end, before];
        let mut at = end;
        for table in tables[1..].iter().rev() {
            let earlier = table[at][before].1;
            (at, before) = (before, earlier);
            path.push(before);
        }
        path.reverse();
        Ok(path.into_iter().map(|i| self.tau[i]).collect())
    }

    /// OLSS as its authors' code has it (Duan et al. 2023, arXiv 2305.14677): every state a least-squares combination of x_T and
    /// all predictions so far, the teacher's own; the levels by the smallest bound on a step's squared error under which a path that
    /// steps as far as the bound allows arrives, found by halving.
    ///
    /// # Errors
    /// Where no path of so many steps arrives.
    pub fn olss(&self, steps: usize) -> Result<(Levels, Vec<Step>)> {
        let (mut low, mut high) = (0.0, 10.0);
        for _ in 0..HALVINGS {
            let middle = (low + high) / 2.0;
            match self.greedy(steps, middle)? {
                None => low = middle,
                Some(_) => high = middle,
            }
        }
        let path = self.greedy(steps, high)?.filter(|path| path.len() == steps).ok_or_else(|| {
            Error::Request(format!(
                "OLSS finds no path of {steps} steps over {} points of the trajectories",
                self.end()
            ))
        })?;
        let of_step = |k: usize| {
            let to = path.get(k + 1).copied().unwrap_or(self.end());
            let vectors: Vec<usize> =
                std::iter::once(0).chain(path[..=k].iter().rev().map(|&i| self.epsilon(i))).collect();
            let (_, factors) = self.fit(&vectors, to, &Freedom::all(k + 2), 0.0)?;
            let (of_start, c) = (factors[0], factors[1..].to_vec());
            // x_T is the newest state of the first step and the oldest of the others.
            let b = (0..k).map(|j| if j + 1 == k { of_start } else { 0.0 }).collect();
            Ok(Step { a: if k == 0 { of_start } else { 0.0 }, b, c, ..Step::default() })
        };
        let levels = path.iter().chain([&self.end()]).map(|&i| self.tau[i]).collect();
        Ok((Levels::of_states(levels), (0..steps).map(of_step).collect::<Result<_>>()?))
    }

    /// The points on which evaluations are, where the end is reached in `steps`.
    fn greedy(&self, steps: usize, bound: f64) -> Result<Option<Vec<usize>>> {
        let (mut path, end) = (vec![0], self.end());
        loop {
            let at = path[path.len() - 1];
            let vectors: Vec<usize> = std::iter::once(at).chain(path.iter().rev().map(|&i| self.epsilon(i))).collect();
            let freedom = Freedom::all(vectors.len());
            // The farthest within the bound, as if the error grew with the distance.
            let (mut low, mut high) = (at + 1, end);
            while low < high {
                let middle = (low + high).div_ceil(2);
                let error = self.fit(&vectors, middle, &freedom, 0.0)?.0;
                if error * error > bound { high = middle - 1 } else { low = middle }
            }
            if low == end {
                return Ok(Some(path));
            }
            path.push(low);
            if path.len() > steps {
                return Ok(None);
            }
        }
    }
}

/// Of OLSS's bound, as its authors have it.
const HALVINGS: usize = 30;
