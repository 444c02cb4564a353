//! Which factors a step may have.

use fewstep_sampler::{Schedule, Step};
use serde::{Deserialize, Serialize};

use crate::solve::Freedom;

/// What holds of a step's factors whatever the data are. With y = x/√ᾱ, in which the ODE is dy/dρ = ε:
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Constraint {
    /// A constant ε is carried exactly: factors of states of y add up to 1 and of predictions to the step in ρ, as of every method
    /// that solves an ODE.
    Consistent,
    /// Factors of states of y add up to 1; those of predictions are free.
    Unit,
    /// All are free.
    Free,
}

impl Constraint {
    /// All of them.
    pub const ALL: [Constraint; 3] = [Constraint::Consistent, Constraint::Unit, Constraint::Free];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Constraint::Consistent => "consistent",
            Constraint::Unit => "unit",
            Constraint::Free => "free",
        }
    }
}

/// What a step is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Predictions that a step may use.
    pub history: usize,
    /// Earlier states that it may use besides its own.
    pub states: usize,
    /// What holds of the factors.
    pub constraint: Constraint,
    /// Added to the normal equations, whose diagonal is 1.
    pub ridge: f64,
}

impl Rule {
    /// Predictions and earlier states of step `k`.
    pub fn counts(&self, k: usize) -> (usize, usize) {
        (self.history.min(k + 1), self.states.min(k))
    }

    /// Numbers of a step that are free.
    pub fn unknowns(&self, k: usize) -> usize {
        let (predictions, states) = self.counts(k);
        match self.constraint {
            Constraint::Consistent => predictions - 1 + states,
            Constraint::Unit => predictions + states,
            Constraint::Free => predictions + states + 1,
        }
    }

    /// Of step `k` over the levels `tau`: factors of x_k, earlier states (newest first), predictions (newest first), in x, and what is
    /// free of them, in units in which the unknowns have no dimension.
    pub fn freedom(&self, k: usize, tau: &[f64], schedule: &Schedule) -> Freedom {
        let (predictions, states) = self.counts(k);
        let alpha = |tau: f64| schedule.alpha_bar(tau).sqrt();
        let (to, step) = (alpha(tau[k + 1]), schedule.rho(tau[k + 1]) - schedule.rho(tau[k]));
        // A factor of 1 of a state of y, and one of the whole step of a prediction.
        let of_state = |j: usize| to / alpha(tau[k - j]);
        let of_prediction = to * step;
        let (count, unknowns) = (1 + states + predictions, self.unknowns(k));
        let mut freedom = Freedom { matrix: vec![vec![0.0; unknowns]; count], offset: vec![0.0; count] };
        let mut next = 0;
        let mut free = |freedom: &mut Freedom, moves: &[(usize, f64)]| {
            moves.iter().for_each(|&(factor, by)| freedom.matrix[factor][next] = by);
            next += 1;
        };
        if self.constraint == Constraint::Free {
            free(&mut freedom, &[(0, of_state(0))]);
        } else {
            freedom.offset[0] = of_state(0);
        }
        for j in 1..=states {
            let balance = (0, -of_state(0));
            let moves = [(j, of_state(j)), balance];
            free(&mut freedom, if self.constraint == Constraint::Free { &moves[..1] } else { &moves });
        }
        let first = 1 + states;
        if self.constraint == Constraint::Consistent {
            freedom.offset[first] = of_prediction;
        } else {
            free(&mut freedom, &[(first, of_prediction)]);
        }
        for j in 1..predictions {
            let moves = [(first + j, of_prediction), (first, -of_prediction)];
            let balanced = self.constraint == Constraint::Consistent;
            free(&mut freedom, if balanced { &moves } else { &moves[..1] });
        }
        freedom
    }

    /// The unknowns p of a step, as [`Rule::freedom`] has them, where the step holds to the constraint.
    pub fn unknowns_of(&self, k: usize, step: &Step, freedom: &Freedom) -> Vec<f64> {
        let factors: Vec<f64> = std::iter::once(&step.a).chain(&step.b).chain(&step.c).copied().collect();
        // Of every unknown the first factor that it moves, which no unknown before it moves.
        let of = |p: usize| {
            let own = |i: &usize| {
                freedom.matrix[*i][p] != 0.0 && freedom.matrix[*i].iter().filter(|m| **m != 0.0).count() == 1
            };
            let factor = (0..factors.len()).rev().find(own);
            factor.map_or(0.0, |i| (factors[i] - freedom.offset[i]) / freedom.matrix[i][p])
        };
        (0..self.unknowns(k)).map(of).collect()
    }

    /// The step of the unknowns p.
    pub fn step_of(&self, k: usize, p: &[f64], freedom: &Freedom) -> Step {
        let factor = |(row, offset): (&Vec<f64>, &f64)| offset + row.iter().zip(p).map(|(m, p)| m * p).sum::<f64>();
        let factors: Vec<f64> = freedom.matrix.iter().zip(&freedom.offset).map(factor).collect();
        self.step(k, &factors)
    }

    /// The step with these factors, in [`Rule::freedom`]'s order.
    pub fn step(&self, k: usize, factors: &[f64]) -> Step {
        let (_, states) = self.counts(k);
        let (a, rest) = (factors[0], &factors[1..]);
        Step { a, b: rest[..states].to_vec(), c: rest[states..].to_vec(), ..Step::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the unknowns, the sums are what the constraint says.
    #[test]
    fn constraints_are_those_of_y() {
        let schedule = Schedule::linear();
        let tau = [1.0, 0.6, 0.3, 0.1, 0.0];
        for constraint in Constraint::ALL {
            let rule = Rule { history: 3, states: 1, constraint, ridge: 0.0 };
            for k in 0..4 {
                let freedom = rule.freedom(k, &tau, &schedule);
                let p: Vec<f64> = (0..rule.unknowns(k)).map(|i| 0.3 + 0.2 * i as f64).collect();
                let factor =
                    |i: usize| freedom.offset[i] + freedom.matrix[i].iter().zip(&p).map(|(m, p)| m * p).sum::<f64>();
                let factors: Vec<f64> = (0..freedom.offset.len()).map(factor).collect();
                let step = rule.step(k, &factors);
                let back = rule.unknowns_of(k, &step, &freedom);
                assert!(back.iter().zip(&p).all(|(back, p)| (back - p).abs() < 1e-12), "{back:?} {p:?}");
                assert_eq!(rule.step_of(k, &p, &freedom), step);
                let alpha = |tau: f64| schedule.alpha_bar(tau).sqrt();
                let of_y = |factor: f64, from: usize| factor * alpha(tau[from]) / alpha(tau[k + 1]);
                let states = of_y(step.a, k) + step.b.iter().enumerate().map(|(j, &b)| of_y(b, k - 1 - j)).sum::<f64>();
                let predictions = step.c.iter().sum::<f64>() / alpha(tau[k + 1]);
                let whole = schedule.rho(tau[k + 1]) - schedule.rho(tau[k]);
                let holds = [(states - 1.0).abs() < 1e-12, (predictions / whole - 1.0).abs() < 1e-12];
                let expected = match constraint {
                    Constraint::Consistent => [true, true],
                    Constraint::Unit => [true, false],
                    Constraint::Free => [false, false],
                };
                assert_eq!(holds, expected, "{constraint:?} at step {k}: {states} {}", predictions / whole);
            }
        }
    }
}
