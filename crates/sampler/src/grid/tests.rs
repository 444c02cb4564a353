use super::*;

#[test]
fn grids_descend_from_one_to_their_end_and_keep_their_names() {
    for schedule in Schedule::examples() {
        for grid in Grid::examples() {
            assert_eq!(grid.name().parse::<Grid>().unwrap(), grid);
            for steps in [1, 2, 3, 7, 10, 50, 333] {
                let times = grid.times(steps, &schedule).unwrap();
                assert_eq!((times.len(), times[steps]), (steps + 1, grid.end()), "{grid}");
                assert!(times[0] == 1.0 || grid.name() == "leading");
            }
            assert!(grid.times(0, &schedule).is_err() && grid.times(1001, &schedule).is_err());
        }
    }
}

#[test]
fn every_form_with_every_ending_is_read_and_every_plain_name_is_a_form() {
    for form in Grid::FORMS {
        for ending in ["", Grid::ENDINGS[0], Grid::ENDINGS[1]] {
            let name = format!("{form}{ending}").replace("-P", "-3").replace("TAU", "0.01");
            assert_eq!(name.parse::<Grid>().unwrap().name(), name);
        }
    }
    assert!(PLAIN.iter().all(|(name, _)| Grid::FORMS.contains(name)));
}

#[test]
fn halves_round_to_even() {
    // 1000 · (1 − 1/16) = 937.5 and 1000 · (1 − 3/16) = 812.5.
    let times = Grid::trailing().times(16, &Schedule::linear()).unwrap();
    assert_eq!((times[1], times[3]), (0.938, 0.812));
}

/// diffusers 0.42.1, DDIMScheduler(timestep_spacing=…).set_timesteps(6): timesteps, which are τT − 1.
#[test]
fn spacings_are_those_of_diffusers() {
    let timesteps = |name: &str| -> Vec<f64> {
        let times = name.parse::<Grid>().unwrap().times(6, &Schedule::linear()).unwrap();
        times[..6].iter().map(|tau| (tau * 1000.0 - 1.0).round()).collect()
    };
    assert_eq!(timesteps("leading"), [830.0, 664.0, 498.0, 332.0, 166.0, 0.0]);
    assert_eq!(timesteps("linspace"), [999.0, 799.0, 599.0, 400.0, 200.0, 0.0]);
    assert_eq!(timesteps("trailing"), [999.0, 832.0, 666.0, 499.0, 332.0, 166.0]);
}

#[test]
fn grids_in_noise_levels_are_even_there() {
    let schedule = Schedule::linear();
    let even = |name: &str, level: &dyn Fn(f64) -> f64, points: usize| {
        let times = name.parse::<Grid>().unwrap().times(8, &schedule).unwrap();
        let levels: Vec<f64> = times[..points].iter().map(|&tau| level(schedule.rho(tau))).collect();
        let step = (levels[points - 1] - levels[0]) / (points - 1) as f64;
        for pair in levels.windows(2) {
            assert!(((pair[1] - pair[0]) / step - 1.0).abs() < 1e-13, "{name}: {levels:?}");
        }
    };
    even("log-snr", &f64::ln, 8);
    even("log-snr-to-0.01", &f64::ln, 9);
    even("edm", &|rho| rho.powf(1.0 / 7.0), 8);
    even("edm-1-to-0.1", &|rho| rho, 9);
    even("cosine", &f64::atan, 9);
}

/// `StepOptim.get_ts_lambdas(N, 1e-3, "unif")` of github.com/scxue/DM-NonUniform, with its `truncNum` at N and p as
/// given, for its linear schedule: λ and t to what SciPy's `trust-constr` leaves.
#[test]
fn dmn_is_the_authors_list_where_errors_of_steps_do_not_cancel() {
    let schedule = Schedule::named("continuous", 32).unwrap();
    for (name, expected) in [
        ("dmn-to-0.001", vec![1.0, 0.486246, 0.210409, 0.001]),
        ("dmn-to-0.001", vec![1.0, 0.649656, 0.486673, 0.291522, 0.072505, 0.001]),
        (
            "dmn-to-0.001",
            vec![1.0, 0.767443, 0.640507, 0.525532, 0.406009, 0.288967, 0.184755, 0.115206, 0.065365, 0.024961, 0.001],
        ),
        ("dmn-2-to-0.001", vec![1.0, 0.711859, 0.552408, 0.411819, 0.252727, 0.079987, 0.001]),
    ] {
        let times = name.parse::<Grid>().unwrap().times(expected.len() - 1, &schedule).unwrap();
        for (time, expected) in times.iter().zip(&expected) {
            assert!((time - expected).abs() < 2e-6, "{name}: {times:?} {expected}");
        }
    }
}

#[test]
fn dmn_makes_grids_of_up_to_50_steps_on_every_schedule() {
    for schedule in Schedule::examples() {
        for name in ["dmn", "dmn-2", "dmn-to-0.001", "dmn-to-0.01-denoise"] {
            let grid: Grid = name.parse().unwrap();
            assert_eq!(grid.name(), name);
            for steps in [1, 2, 3, 5, 20] {
                let times = grid.times(steps, &schedule).unwrap();
                assert_eq!((times[0], times[steps], times.len()), (1.0, grid.end(), steps + 1), "{name}");
            }
        }
    }
    let dmn = Grid { spacing: Spacing::Dmn(1.0), end: 0.0, denoise: false };
    assert!(dmn.times(50, &Schedule::linear()).is_ok());
    assert!(dmn.times(51, &Schedule::linear()).unwrap_err().to_string().contains("up to 50 steps, got 51"));
}

/// GITS's list and levels by hand are the same levels on every schedule that reaches them.
#[test]
fn lists_of_noise_levels_have_those_levels() {
    let grid: Grid = "gits".parse().unwrap();
    assert_eq!((grid.name().as_str(), grid.end()), ("gits", 0.002));
    assert_eq!("levels 80, 10.9836,3.8811 1.584 0.5666 0.1698 0.002".parse::<Grid>().unwrap(), grid);
    for schedule in [Schedule::linear(), Schedule::named("continuous", 32).unwrap(), Schedule::cosine()] {
        for (tau, level) in grid.times(6, &schedule).unwrap().iter().zip(GITS) {
            assert!((schedule.rho(*tau) / level - 1.0).abs() < 1e-9, "{tau} {level}");
        }
    }
    let own: Grid = "levels 20 1 0".parse().unwrap();
    assert_eq!(own.name().parse::<Grid>().unwrap(), own);
    assert_eq!(own.times(2, &Schedule::linear()).unwrap()[2], 0.0);
    let message = |text: &str| text.parse::<Grid>().unwrap_err().to_string();
    assert!(message("levels 1 2").contains("noise levels does not descend: 1 is followed by 2"));
    assert!(message("levels 1 nan").contains("has NaN; expected numbers from 0 up"));
    assert!(message("levels 1").contains("at least 2"));
    assert!(message("levels 1 x").contains("no grid 'levels 1 x'"));
    let low = grid.times(6, &Schedule::scaled_linear()).unwrap_err().to_string();
    assert!(low.contains("outside [0, 1]"), "{low}");
    assert!(grid.times(5, &Schedule::linear()).unwrap_err().to_string().contains("5 steps have 6"));
}

#[test]
fn what_does_not_descend_is_refused() {
    let message = |text: &str| text.parse::<Grid>().unwrap_err().to_string();
    assert!(message("1 0.5 0.5 0").contains("0.5 is followed by 0.5"));
    assert!(message("1,0.2,0.5").contains("0.2 is followed by 0.5"));
    assert!(message("1 -0.5").contains("outside [0, 1]"));
    assert!(message("1").contains("at least 2"));
    assert!(message("cubic").contains("no grid 'cubic'"));
    assert!(message("quadratic-denoise").contains("needs an end"));
    assert!(message("quadratic-to-2").contains("no time between"));
    let list: Grid = "1 0.5 0".parse().unwrap();
    assert!(list.times(5, &Schedule::linear()).unwrap_err().to_string().contains("5 steps have 6"));
    // A power so high that the first times are equal after rounding to T levels does not exist: points stay apart; too
    // many steps for a leading grid, however, repeat none either. A list is where repeats come from.
    assert_eq!(list.times(2, &Schedule::linear()).unwrap(), [1.0, 0.5, 0.0]);
}
