//! What a method looks like, wherever it is drawn: a colour of its solver, darker with its order and lighter under score normalisation,
//! and the family that tables fold it into.

use crate::files;
use fewstep_sampler::{Lowered, Method, Predictor, Solver, Variable};

/// Red, green and blue.
pub type Colour = [u8; 3];

/// A method's family and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its family's name.
    pub family: &'static str,
    /// Its colour on white.
    pub colour: Colour,
}

/// What no solver of this program is: a plan file's table.
const PLANS: &str = "Plan files";
/// Hues of these, and lightnesses of each: a label has its colour in every chart.
const HUES: u32 = 24;
const LIGHTNESS: [f64; 2] = [0.34, 0.52];
const SATURATION: f64 = 0.72;
/// In front of a label that is hashed; by it the labels of `results/` that are drawn together are well apart.
const SALT: &str = "plan 9779 ";
/// The same of the networks whose curves `results/curves` has.
const NETWORKS_SALT: &str = "network 22590 ";
/// Share of white that score normalisation mixes in: a pair is told from others by its hue, and within by its lightness.
const LIGHTER: f64 = 0.42;

/// Shares of white by order, or of black where they are negative, of solvers that come in several.
const TONES: [f64; 5] = [0.4, 0.22, 0.0, -0.3, -0.45];

/// Of the solver that records call `solver`, with the order in its name.
pub fn of(solver: &str, order: u32, normalised: bool) -> Look {
    // With an analytic first step it is the same method.
    let solver = solver.strip_suffix("-afs").unwrap_or(solver);
    let look = Method::new(solver, None).map_or_else(|_| planned(solver), |method| plain(method.solver));
    let several = Method::recommended_order(solver).is_some();
    let tone = TONES.get(order as usize).copied().filter(|_| several).unwrap_or_default();
    let colour = mixed(look.colour, if tone < 0.0 { [0; 3] } else { [255; 3] }, tone.abs());
    Look { colour: if normalised { mixed(colour, [255; 3], LIGHTER) } else { colour }, ..look }
}

/// Of a plan file's label.
fn planned(label: &str) -> Look {
    Look { family: PLANS, colour: hashed(SALT, label) }
}

/// Of a network, or of a published curve, by its name.
pub fn network(name: &str) -> Colour {
    hashed(NETWORKS_SALT, name)
}

fn hashed(salt: &str, label: &str) -> Colour {
    let hash = u32::from_str_radix(&files::sha256(format!("{salt}{label}").as_bytes())[..8], 16).unwrap_or_default();
    let hue = f64::from(hash % HUES) / f64::from(HUES);
    let lightness = LIGHTNESS[(hash / HUES) as usize % LIGHTNESS.len()];
    hsl(hue, SATURATION, lightness)
}

/// Red, green and blue of a hue from 0 to 1, a saturation and a lightness.
fn hsl(hue: f64, saturation: f64, lightness: f64) -> Colour {
    let reach = saturation * lightness.min(1.0 - lightness);
    [0.0, 8.0, 4.0].map(|offset: f64| {
        let k = (offset + 12.0 * hue).rem_euclid(12.0);
        (255.0 * (lightness - reach * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0))).round() as u8
    })
}

/// `share` of `other` in `colour`.
pub fn mixed(colour: Colour, other: Colour, share: f64) -> Colour {
    let mix = |a: u8, b: u8| (f64::from(a) + share * (f64::from(b) - f64::from(a))).round() as u8;
    [0, 1, 2].map(|i| mix(colour[i], other[i]))
}

/// Hues by family, so that what is drawn together can be told apart; within one, another lightness for another solver.
fn plain(solver: Solver) -> Look {
    let look = |family, colour| Look { family, colour };
    match solver {
        Solver::Euler => look("Euler and DDIM", [125, 85, 60]),
        Solver::Ddim => look("Euler and DDIM", [35, 35, 35]),
        Solver::StochasticDdim { .. } => look("DDPM and DDIM with noise", [175, 165, 140]),
        Solver::Ddpm => look("DDPM and DDIM with noise", [150, 140, 120]),
        Solver::Deis { variable: Variable::Time, .. } => look("DEIS", [0, 90, 170]),
        Solver::Deis { variable: Variable::Rho, .. } => look("DEIS in ρ", [30, 130, 150]),
        Solver::Deis { variable: Variable::LogRho, .. } => look("DEIS in ρ", [70, 100, 120]),
        Solver::RhoRk(_) => look("ρRK-DEIS", [120, 115, 0]),
        Solver::Ipndm { .. } => look("iPNDM", [10, 125, 60]),
        Solver::IpndmV { .. } => look("iPNDM", [90, 150, 20]),
        Solver::DpmSolver { .. } => look("DPM-Solver", [200, 100, 0]),
        Solver::DpmSolverM { .. } => look("DPM-Solver", [150, 75, 20]),
        Solver::DpmSolverPpM { .. } => look("DPM-Solver++", [195, 25, 40]),
        Solver::DpmSolverPpS => look("DPM-Solver++", [225, 95, 85]),
        Solver::UniPc { b: fewstep_sampler::B::H, .. } => look("UniPC", [105, 55, 165]),
        Solver::UniPc { b: fewstep_sampler::B::Exp, .. } => look("UniPC", [190, 30, 130]),
        Solver::DcSolver { .. } => look("UniPC", [140, 100, 160]),
        Solver::LowerOrderFinal { of, .. } => plain(match of {
            Lowered::DpmSolverM => Solver::DpmSolverM { order: 2 },
            Lowered::DpmSolverPpM => Solver::DpmSolverPpM { order: 2 },
            Lowered::UniPc(b) => Solver::UniPc { order: 3, b },
        }),
        Solver::UniC { predictor, .. } => Look { family: "Corrected by UniC", ..plain(corrected(predictor)) },
        Solver::RxDdim { .. } => look("RX-DDIM and PFDiff", [0, 95, 90]),
        Solver::PfDiff { .. } => look("RX-DDIM and PFDiff", [60, 150, 135]),
        Solver::EdmEuler => look("EDM", [165, 120, 80]),
        Solver::EdmHeun => look("EDM", [135, 80, 30]),
    }
}

fn corrected(predictor: Predictor) -> Solver {
    let deis = |variable| Solver::Deis { order: 2, variable };
    match predictor {
        Predictor::Deis => deis(Variable::Time),
        Predictor::DeisRho => deis(Variable::Rho),
        Predictor::DeisLogRho => deis(Variable::LogRho),
        Predictor::Ipndm => Solver::Ipndm { order: 4 },
        Predictor::IpndmV => Solver::IpndmV { order: 4 },
        Predictor::DpmSolver => Solver::DpmSolver { order: 3 },
        Predictor::DpmSolverM => Solver::DpmSolverM { order: 2 },
        Predictor::DpmSolverPpM => Solver::DpmSolverPpM { order: 2 },
        Predictor::DpmSolverPpS => Solver::DpmSolverPpS,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Of the name in records, whatever the order, and of names with numbers in them.
    #[test]
    fn every_solver_is_found_by_its_name() {
        for solver in Solver::all() {
            let name = solver.traits().name;
            assert_eq!(of(&name, 2, false), plain(solver), "{name}");
        }
        assert_eq!(of("ddim-eta-0.3", 0, false), of("ddim-eta-0.5", 0, false));
        assert_eq!(of("dc-solver-0.4", 0, false).family, "UniPC");
        assert_eq!(of("by hand", 0, false).family, PLANS);
        assert_eq!(of("ddim-afs", 0, false), of("ddim", 0, false));
    }

    fn distance(a: Colour, b: Colour) -> i32 {
        (0..3).map(|i| (i32::from(a[i]) - i32::from(b[i])).abs()).sum()
    }

    /// By CSS's hsl() in a browser.
    #[test]
    fn hues_become_colours() {
        assert_eq!(hsl(0.0, 1.0, 0.5), [255, 0, 0]);
        assert_eq!(hsl(1.0 / 3.0, 1.0, 0.25), [0, 128, 0]);
        assert_eq!(hsl(0.58, 0.72, 0.34), [24, 89, 149]);
    }

    /// Those of `results/curve-swap`, which were once all of one colour.
    #[test]
    fn plan_files_that_are_drawn_together_differ_in_colour() {
        let curves = [
            "Gaussian data's",
            "the authors' CIFAR-10",
            "the authors' LSUN-Church",
            "the ideal denoiser's",
            "the tiny network's",
        ];
        let colours = curves.map(|name| of(&format!("DEIS-SN-2 by {name} curve"), 0, false).colour);
        for (i, &a) in colours.iter().enumerate() {
            assert!(colours[..i].iter().all(|&b| distance(a, b) >= 80), "{colours:?}");
        }
    }

    /// Those of `results/curves`.
    #[test]
    fn networks_that_are_drawn_together_differ_in_colour() {
        let names = [
            "cifar10-small",
            "cifar10-tiny",
            "gaussian",
            "mixture",
            "ideal-cifar10",
            "xia-2023-cifar10",
            "xia-2023-lsun-church64",
        ];
        let colours = names.map(network);
        for (i, &a) in colours.iter().enumerate() {
            assert!(colours[..i].iter().all(|&b| distance(a, b) >= 130), "{colours:?}");
        }
    }

    /// In CIE Lab's terms two colours are told apart from a distance of some ten on; here in plain numbers of 0 to 255.
    #[test]
    fn solvers_that_are_drawn_together_differ_in_colour() {
        let names =
            ["euler", "ddim", "deis", "ipndm", "dpm-solver", "dpm-solver++m", "unipc-bh1", "unipc-bh2", "rho-heun"];
        let mut colours = BTreeMap::new();
        for name in names {
            for normalised in [false, true] {
                let order = if name.contains("unipc") || name == "ipndm" { 3 } else { 2 };
                colours.insert((name, normalised), of(name, order, normalised).colour);
            }
        }
        for (a, x) in &colours {
            for (b, y) in &colours {
                assert!(a == b || distance(*x, *y) >= 50, "{a:?} {b:?}: {x:?} {y:?}");
            }
        }
        assert_eq!(mixed([0, 100, 255], [255; 3], 0.5), [128, 178, 255]);
    }
}
