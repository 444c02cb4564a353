//! Levels by coordinate search: one after another is moved by so much of ln ρ, down and up, and stays where that helps.

use fewstep_sampler::Schedule;

use crate::{
    Result,
    student::{Levels, Student},
    trials::Trials,
};

/// How far levels are moved, in ln ρ, one after another.
const MOVES: [f64; 5] = [0.4, 0.2, 0.1, 0.05, 0.025];
/// How often all are tried with one distance.
const PASSES: usize = 3;
/// How near two levels may come, in ln ρ.
const GAP: f64 = 0.02;

/// What is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// States, and their evaluations with them.
    States,
    /// Evaluations alone.
    Evaluations,
}

/// A plan and what it is worth.
#[derive(Debug, Clone)]
pub struct Valued {
    /// The plan.
    pub student: Student,
    /// The less the better.
    pub value: f64,
}

/// Moves levels of `begin` as long as that lowers the value; `fitted` gives a plan on other levels, which shares what it can with the
/// best one so far, or none where that diverges.
///
/// # Errors
/// Those of `fitted`; where a trial cannot be kept.
pub fn search(
    begin: Valued,
    moved: Moved,
    schedule: &Schedule,
    trials: &mut Trials,
    mut fitted: impl FnMut(Levels, &Student) -> Result<Option<Valued>>,
) -> Result<Valued> {
    let mut best = begin;
    let steps = best.student.levels.steps();
    for distance in MOVES {
        for _ in 0..PASSES {
            let before = best.value;
            for k in 1..steps {
                for by in [-distance, distance] {
                    while let Some(levels) = shifted(&best.student.levels, moved, k, by, schedule) {
                        match trials.better(levels, &best, &mut fitted)?.1 {
                            Some(better) => best = better,
                            None => break,
                        }
                    }
                }
            }
            if best.value >= before * (1.0 - 1e-3) {
                break;
            }
        }
    }
    Ok(best)
}

/// With level `k` moved by so much of ln ρ, where that keeps the order.
fn shifted(levels: &Levels, moved: Moved, k: usize, by: f64, schedule: &Schedule) -> Option<Levels> {
    let log = |tau: f64| schedule.rho(tau).ln();
    // Below the first level of the network's own steps nothing was ever learned.
    let least = log(1.0 / schedule.levels() as f64);
    let mut shifted = levels.clone();
    let ratio = log(levels.at[k]) - log(levels.tau[k]);
    let place = match moved {
        Moved::States => log(levels.tau[k]) + by,
        Moved::Evaluations => log(levels.at[k]) + by,
    };
    let time = |log: f64| schedule.tau_of_rho(log.exp());
    let inside = |log: f64| (least..=schedule.rho(1.0).ln()).contains(&log);
    if !inside(place) {
        return None;
    }
    if moved == Moved::Evaluations {
        shifted.at[k] = time(place);
        return Some(shifted);
    }
    let next = levels.tau[k + 1];
    let ordered = place < log(levels.tau[k - 1]) - GAP && (next == 0.0 || place > log(next) + GAP);
    if !ordered || !inside(place + ratio) {
        return None;
    }
    shifted.tau[k] = time(place);
    shifted.at[k] = if ratio == 0.0 { shifted.tau[k] } else { time(place + ratio) };
    Some(shifted)
}
