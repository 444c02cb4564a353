//! Formulas as data: linear expressions in the states and the noise predictions so far.

use std::{
    collections::BTreeMap,
    ops::{Add, Mul, Sub},
};

use crate::Step;

/// What an expression is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Term {
    /// x_k, the state that evaluation k saw.
    State(usize),
    /// ε_k, what it gave.
    Epsilon(usize),
    /// Fresh standard normal noise.
    Noise,
}

/// Σ_k (a_k x_k + c_k ε_k) + s z.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Linear(BTreeMap<Term, f64>);

impl Linear {
    pub(crate) fn state(k: usize) -> Self {
        Linear([(Term::State(k), 1.0)].into())
    }

    pub(crate) fn epsilon(k: usize) -> Self {
        Linear([(Term::Epsilon(k), 1.0)].into())
    }

    pub(crate) fn noise() -> Self {
        Linear([(Term::Noise, 1.0)].into())
    }

    /// The step that makes this expression x_{k+1} of evaluations 0 … k.
    pub(crate) fn step(&self, k: usize) -> Step {
        let coefficient = |term: Term| self.0.get(&term).copied().unwrap_or(0.0);
        let oldest = |is: fn(&Term) -> Option<usize>| {
            self.0.iter().filter(|(_, value)| **value != 0.0).filter_map(|(term, _)| is(term)).min()
        };
        let state = |term: &Term| if let Term::State(k) = term { Some(*k) } else { None };
        let epsilon = |term: &Term| if let Term::Epsilon(k) = term { Some(*k) } else { None };
        Step {
            a: coefficient(Term::State(k)),
            b: oldest(state).map_or(vec![], |first| (first..k).rev().map(|j| coefficient(Term::State(j))).collect()),
            c: oldest(epsilon)
                .map_or(vec![], |first| (first..=k).rev().map(|j| coefficient(Term::Epsilon(j))).collect()),
            noise: coefficient(Term::Noise),
            ..Step::default()
        }
    }
}

impl Add for Linear {
    type Output = Linear;

    fn add(mut self, other: Linear) -> Linear {
        for (term, value) in other.0 {
            *self.0.entry(term).or_insert(0.0) += value;
        }
        self
    }
}

impl Sub for Linear {
    type Output = Linear;

    fn sub(self, other: Linear) -> Linear {
        self + other * -1.0
    }
}

impl Sub for &Linear {
    type Output = Linear;

    fn sub(self, other: &Linear) -> Linear {
        self.clone() - other.clone()
    }
}

impl Mul<f64> for Linear {
    type Output = Linear;

    fn mul(mut self, factor: f64) -> Linear {
        self.0.values_mut().for_each(|value| *value *= factor);
        self
    }
}

impl Mul<f64> for &Linear {
    type Output = Linear;

    fn mul(self, factor: f64) -> Linear {
        self.clone() * factor
    }
}
