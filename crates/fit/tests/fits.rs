//! Fits against what is known of them.

mod formula;

use fewstep_fit::{
    Constraint, Errors, Held, Levels, Normalised, Objective, Points, Problem, Rule, Spec, Stage, Student, Trials,
    canary, path::Cost, search::Valued,
};
use fewstep_sampler::{Grid, Method, Normaliser, Request, Schedule, Step};
use formula::{LEN, bent, bent_teacher, exact, exact_teacher, gaussian, levels, noise, rule, target};

/// With one prediction and a free factor of the state the exact solution of a Gaussian's ODE is a plan: x' = √(ᾱ'/ᾱ) x + c ε, whose c
/// carries the variance on.
#[test]
fn the_exact_plan_of_gaussian_data_is_found() {
    let schedule = Schedule::linear();
    let network = |x: &[f32], tau: f64| gaussian(&schedule, x, tau);
    // From τ = 1, where ρ is 157, one rounding of ε in single precision is 1e-5 of a sample; from 0.5, where it is 3.5, it is not.
    for (from, bound) in [(0.5, 1e-6), (1.0, 2e-5)] {
        let teacher = exact_teacher(&schedule, 8, 100, from);
        for nfe in [1, 2, 5, 10] {
            let times = Grid::quadratic().times(nfe, &schedule).unwrap();
            let tau: Vec<f64> = times.iter().map(|tau| from * tau).collect();
            let levels_of = Levels::of_states(tau.clone());
            let student = Student::fitted(levels_of, &rule(1, Constraint::Free), &teacher, None, &network).unwrap();
            let error = Errors::of(&target(Objective::Rms, &teacher), student.end()).unwrap();
            assert!(error.rmse < bound, "{from} {nfe}: {error:?}");
            for (k, step) in student.steps.iter().enumerate() {
                let ((s, sigma, v), (to, _, w)) = (levels(&schedule, tau[k]), levels(&schedule, tau[k + 1]));
                let c = ((w / v).sqrt() * s - to) * v / (sigma * s);
                assert!((step.a / (to / s) - 1.0).abs() < 100.0 * bound, "{nfe} {k}: {} {}", step.a, to / s);
                assert!((step.c[0] / c - 1.0).abs() < 1000.0 * bound, "{nfe} {k}: {} {c}", step.c[0]);
            }
            // On other noise too.
            let start = noise(3, 0.9);
            let run = Student::run(student.levels, student.steps, &start.clone().into(), None, &network).unwrap();
            let expected = exact(&schedule, &start, from, 0.0);
            let squares = run.end().iter().zip(&*expected).map(|(x, y)| f64::from(x - y).powi(2));
            let rms = (squares.sum::<f64>() / start.len() as f64).sqrt();
            assert!(rms < bound, "{from} {nfe}: {rms}");
        }
    }
}

#[test]
fn between_points_a_trajectory_is_what_it_is() {
    let schedule = Schedule::linear();
    let teacher = exact_teacher(&schedule, 2, 50, 1.0);
    for tau in [0.97, 0.61, 0.333, 0.0501, 0.0011, 0.0003, 1.0, 0.0] {
        let (found, expected) = (teacher.at(tau), exact(&schedule, teacher.start(), 1.0, tau));
        let worst = found.iter().zip(&*expected).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(worst < 2e-5, "{worst} at {tau}");
    }
}

/// Least squares contains every method step by step, from where the fitted plan is; and the end of all steps is no worse here either,
/// which greedy steps do not promise.
#[test]
fn no_method_of_the_same_history_is_nearer() {
    let schedule = Schedule::linear();
    let teacher = bent_teacher(&schedule, 6, 0.0);
    let network = |x: &[f32], tau: f64| bent(&schedule, x, tau);
    let target = target(Objective::Rms, &teacher);
    let mut compared = 0;
    for (grid, nfe) in [("quadratic", 3), ("quadratic", 5), ("quadratic", 8), ("trailing", 5), ("log-snr", 6)] {
        let grid: Grid = grid.parse().unwrap();
        for method in Method::all().into_iter().filter(|method| !method.normalise && !method.is_stochastic()) {
            let Ok(plan) = method.plan(&Request::new(&schedule, &grid, nfe)) else { continue };
            let history = plan.steps.iter().map(|step| step.c.len()).max().unwrap_or(0);
            let own = Grid::times(&grid, nfe, &schedule).unwrap();
            if plan.tau != own || plan.steps.iter().any(|step| !step.b.is_empty()) {
                continue;
            }
            let fitted = |constraint| {
                Student::fitted(Levels::of_plan(&plan), &rule(history, constraint), &teacher, None, &network).unwrap()
            };
            let run =
                Student::run(Levels::of_plan(&plan), plan.steps.clone(), teacher.start(), None, &network).unwrap();
            let (free, theirs) = (fitted(Constraint::Free), Errors::of(&target, run.end()).unwrap().rmse);
            let ours = Errors::of(&target, free.end()).unwrap().rmse;
            assert!(ours <= theirs, "{} at {nfe} on {}: {ours} {theirs}", method.label(), grid.name());
            for (k, step) in plan.steps.iter().enumerate() {
                let error = |step: &Step| {
                    let mut steps = free.steps[..k].to_vec();
                    steps.push(step.clone());
                    let until = Levels { tau: plan.tau[..k + 2].to_vec(), at: plan.tau[..k + 1].to_vec() };
                    let run = Student::run(until, steps, teacher.start(), None, &network).unwrap();
                    let to = teacher.at(plan.tau[k + 1]);
                    run.end().iter().zip(&*to).map(|(x, y)| f64::from(x - y).powi(2)).sum::<f64>().sqrt()
                };
                let (ours, theirs) = (error(&free.steps[k]), error(step));
                assert!(ours <= theirs * (1.0 + 1e-6) + 1e-5, "{} step {k}: {ours} {theirs}", method.label());
            }
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}

/// What least squares on `columns` leaves of `target`: its length, by orthogonalising one column after another.
fn left(columns: &[Vec<f64>], target: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mut basis: Vec<Vec<f64>> = Vec::new();
    let without = |vector: &[f64], basis: &[Vec<f64>]| {
        basis.iter().fold(vector.to_vec(), |rest, unit| {
            let along = dot(&rest, unit);
            rest.iter().zip(unit).map(|(x, u)| x - along * u).collect()
        })
    };
    for column in columns {
        let rest = without(column, &basis);
        let length = dot(&rest, &rest).sqrt();
        basis.push(rest.iter().map(|x| x / length).collect());
    }
    let rest = without(target, &basis);
    dot(&rest, &rest).sqrt()
}

/// Every path of three steps over ten points, one by one.
#[test]
fn the_shortest_path_is_the_shortest() {
    let schedule = Schedule::linear();
    let plan = Method::deis(2).plan(&Request::new(&schedule, &Grid::quadratic(), 10)).unwrap();
    let teacher = fewstep_fit::Teacher::run(&schedule, &plan, noise(4, 0.0), LEN, 1, &|x, tau| bent(&schedule, x, tau));
    let teacher = teacher.unwrap();
    let points = Points::of(&teacher);
    let found = points.shortest(Cost::Euler, &rule(1, Constraint::Free), 3).unwrap();
    let step = |i: usize, j: usize| {
        let (rho, alpha) =
            (|k: usize| schedule.rho(teacher.tau[k]), |k: usize| schedule.alpha_bar(teacher.tau[k]).sqrt());
        let each = (0..teacher.x[0].len()).map(|n| {
            let y = |k: usize| f64::from(teacher.x[k][n]) / alpha(k);
            (y(j) - y(i) - (rho(j) - rho(i)) * f64::from(teacher.epsilon[i][n])).powi(2)
        });
        (each.sum::<f64>() / teacher.x[0].len() as f64).sqrt()
    };
    let mut best = (f64::INFINITY, [0, 0]);
    for i in 1..10 {
        for j in i + 1..10 {
            let sum = step(0, i) + step(i, j) + step(j, 10);
            best = if sum < best.0 { (sum, [i, j]) } else { best };
        }
    }
    let expected: Vec<f64> = [0, best.1[0], best.1[1], 10].map(|k| teacher.tau[k]).into();
    assert_eq!(found, expected);
    // With fitted steps, whose cost depends on the point before: normal equations of at most three unknowns, one by one.
    let fitted = |before: Option<usize>, i: usize, j: usize| {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let mut columns = vec![wide(&teacher.x[i]), wide(&teacher.epsilon[i])];
        columns.extend(before.map(|before| wide(&teacher.epsilon[before])));
        left(&columns, &wide(&teacher.x[j])) / (teacher.x[0].len() as f64).sqrt()
    };
    let sum = |i: usize, j: usize| fitted(None, 0, i) + fitted(Some(0), i, j) + fitted(Some(i), j, 10);
    let pairs = (1..10).flat_map(|i| (i + 1..10).map(move |j| (i, j)));
    let least = pairs.map(|(i, j)| sum(i, j)).fold(f64::INFINITY, f64::min);
    let found = points.shortest(Cost::Fitted, &rule(2, Constraint::Free), 3).unwrap();
    let at = |k: usize| teacher.tau.iter().position(|&tau| tau == found[k]).unwrap();
    assert_eq!((found.len(), at(0), at(3)), (4, 0, 10));
    let own = sum(at(1), at(2));
    assert!(own <= least * (1.0 + 1e-3), "{own} {least}");
    // All points are a path too.
    assert_eq!(points.shortest(Cost::Fitted, &rule(2, Constraint::Free), 10).unwrap(), teacher.tau);
    assert!(
        points.shortest(Cost::Fitted, &rule(2, Constraint::Free), 11).unwrap_err().to_string().contains("10 points")
    );
}

#[test]
fn olss_is_exact_where_predictions_are_linear() {
    let schedule = Schedule::linear();
    let teacher = exact_teacher(&schedule, 8, 60, 1.0);
    let network = |x: &[f32], tau: f64| gaussian(&schedule, x, tau);
    // Two numbers carry a Gaussian's ODE, so that one step's bound is met by the whole way: a path of one step.
    let (levels, steps) = Points::of(&teacher).olss(1).unwrap();
    let student = Student::run(levels, steps, teacher.start(), None, &network).unwrap();
    assert!(Errors::of(&target(Objective::Rms, &teacher), student.end()).unwrap().rmse < 1e-5);
    // On a network that is not, every state is of x_T and all predictions.
    let teacher = bent_teacher(&schedule, 8, 0.0);
    let (levels, steps) = Points::of(&teacher).olss(4).unwrap();
    assert_eq!((levels.tau.len(), steps.len()), (5, 4));
    assert!(steps[0].a != 0.0 && steps[0].c.len() == 1);
    assert!(steps[3].a == 0.0 && steps[3].b[..2] == [0.0, 0.0] && steps[3].b[2] != 0.0 && steps[3].c.len() == 4);
}

fn all_stages(images: usize) -> Vec<fewstep_fit::Outcome> {
    stages(images, &Stage::ALL, (0.0, &[]))
}

fn stages(images: usize, stages: &[Stage], (ridge, ridges): (f64, &[f64])) -> Vec<fewstep_fit::Outcome> {
    let schedule = Schedule::linear();
    let (teacher, other) = (bent_teacher(&schedule, images, 0.0), bent_teacher(&schedule, 8, 0.7));
    let network = |x: &[f32], tau: f64| bent(&schedule, x, tau);
    let (points, fitting) = (Points::of(&teacher), target(Objective::Bands, &teacher));
    let validation = Held { start: other.start().clone(), target: target(Objective::Bands, &other) };
    let problem =
        Problem { teacher: &teacher, points: &points, target: &fitting, validation: &validation, network: &network };
    let spec = Spec {
        rule: Rule { ridge, ..rule(2, Constraint::Free) },
        ridges: ridges.into(),
        grid: Grid::quadratic(),
        grids: vec![Grid::trailing()],
        stages: stages.into(),
        rounds: 5,
    };
    let mut all = Vec::new();
    problem
        .fit(&spec, 4, &(), |outcome| {
            all.push(outcome);
            Ok(())
        })
        .unwrap();
    all
}

/// Of several ridges the one is taken whose plan is nearest on images that nothing was fitted to, for all stages.
#[test]
fn images_for_validation_choose_the_ridge() {
    let ridges = [0.0, 1e-4, 1e-2, 0.3];
    let alone = ridges.map(|ridge| stages(2, &[Stage::Coefficients], (ridge, &[])).remove(0));
    let on_validation = alone.each_ref().map(|outcome| outcome.validation.objective);
    let best = (0..4).min_by(|&a, &b| on_validation[a].total_cmp(&on_validation[b])).unwrap();
    // They differ, or nothing would be chosen.
    assert!(
        on_validation.iter().all(|value| *value <= on_validation[3]) && on_validation[3] > 1.1 * on_validation[best]
    );
    let both = stages(2, &[Stage::Coefficients, Stage::Grid], (ridges[3], &ridges[..3]));
    assert_eq!((both[0].validation, &both[0].plan), (alone[best].validation, &alone[best].plan));
    assert!(both.iter().all(|outcome| outcome.rule.ridge == ridges[best]));
    let said = format!("; ridge {} of those on validation: 0.3 ", ridges[best]);
    assert!(both[0].note.contains(&said) && both[1].note.is_empty(), "{} {}", both[0].note, both[1].note);
    let first = stages(2, &[Stage::Grid], (ridges[3], &ridges[..3])).remove(0);
    assert!(first.note.starts_with(&said[2..]), "{}", first.note);
}

/// Each stage lowers what it minimises, on the images that it is fitted to, and on others.
#[test]
fn every_stage_gains() {
    let all = all_stages(8);
    assert_eq!(all.iter().map(|outcome| outcome.stage).collect::<Vec<_>>(), Stage::ALL);
    for pair in all.windows(2) {
        assert!(pair[1].fit.objective <= pair[0].fit.objective, "{:?}", pair[1].stage);
    }
    let (first, last) = (&all[0], &all[4]);
    assert_eq!((&*first.plan.grid, &*last.plan.grid), ("quadratic", ""));
    assert!(last.fit.objective < 0.5 * first.fit.objective, "{:?} {:?}", first.fit, last.fit);
    assert!(
        last.validation.objective < 0.7 * first.validation.objective,
        "{:?} {:?}",
        first.validation,
        last.validation
    );
}

/// A run that shares what it can with another is the run from the beginning.
#[test]
fn sharing_moves_no_bit() {
    let schedule = Schedule::linear();
    let teacher = bent_teacher(&schedule, 4, 0.0);
    let network = |x: &[f32], tau: f64| bent(&schedule, x, tau);
    let fitted = |tau: &[f64], known: Option<&Student>| {
        let levels = Levels::of_states(tau.to_vec());
        Student::fitted(levels, &rule(3, Constraint::Unit), &teacher, known, &network).unwrap()
    };
    let first = fitted(&[1.0, 0.7, 0.4, 0.1, 0.0], None);
    for tau in
        [[1.0, 0.7, 0.4, 0.2, 0.0], [1.0, 0.6, 0.4, 0.1, 0.0], [0.9, 0.7, 0.4, 0.1, 0.0], [1.0, 0.7, 0.3, 0.1, 0.0]]
    {
        let (alone, shared) = (fitted(&tau, None), fitted(&tau, Some(&first)));
        assert_eq!((&alone.steps, alone.end()), (&shared.steps, shared.end()));
        assert_eq!(alone.condition, shared.condition);
    }
    let valued = Valued { value: 0.0, student: first.clone() };
    let mut steps = first.steps.clone();
    steps[2].c[0] += 0.01;
    let run = |known| Student::run(first.levels.clone(), steps.clone(), teacher.start(), known, &network).unwrap();
    assert_eq!(run(None).end(), run(Some(&valued.student)).end());
    assert_ne!(run(None).end(), first.end());
}

#[test]
fn bits_do_not_depend_on_threads() {
    let with =
        |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| canary().unwrap());
    assert_eq!(with(1), with(3));
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let schedule = Schedule::linear();
    let teacher = exact_teacher(&schedule, 1, 30, 1.0);
    let network = |x: &[f32], tau: f64| gaussian(&schedule, x, tau);
    let (points, fitting) = (Points::of(&teacher), target(Objective::Rms, &teacher));
    let validation = Held { start: teacher.start().clone(), target: fitting.clone() };
    let problem =
        Problem { teacher: &teacher, points: &points, target: &fitting, validation: &validation, network: &network };
    let spec = |stages: &[Stage]| Spec {
        rule: rule(3, Constraint::Free),
        ridges: Vec::new(),
        grid: Grid::quadratic(),
        grids: Vec::new(),
        stages: stages.into(),
        rounds: 1,
    };
    let said = |nfe, problem: &Problem| {
        problem.fit(&spec(&[Stage::Coefficients]), nfe, &(), |_| Ok(())).unwrap_err().to_string()
    };
    assert!(said(10, &problem).contains("too few for 47 unknowns"), "{}", said(10, &problem));
    let broken = |_: &[f32], _: f64| Ok(vec![f32::NAN; LEN]);
    let broken = Problem { network: &broken, ..problem };
    assert!(said(2, &broken).contains("step 0 of a plan of 2"), "{}", said(2, &broken));
    let diverged = fewstep_fit::Teacher::run(
        &schedule,
        &Method::deis(0).plan(&Request::new(&schedule, &Grid::quadratic(), 4)).unwrap(),
        noise(2, 0.0),
        LEN,
        1,
        &|x, tau| Ok(x.iter().map(|x| if tau < 0.3 { f32::NAN } else { *x }).collect()),
    );
    assert!(diverged.unwrap_err().to_string().starts_with("image 0 of the trajectories"));
}

/// The curve that is fitted is at least as good as both that it begins from, and a factor of it changes nothing.
#[test]
fn the_fitted_normaliser_is_no_worse_than_none_or_the_papers() {
    let schedule = Schedule::linear();
    let teacher = bent_teacher(&schedule, 4, 0.0);
    let network = |x: &[f32], tau: f64| bent(&schedule, x, tau);
    let target = target(Objective::Rms, &teacher);
    let mut points: Vec<(f64, f64)> = (0..teacher.epsilon.len())
        .map(|k| {
            let epsilon = &teacher.epsilon[k];
            (teacher.tau[k], epsilon.iter().map(|e| f64::from(e.abs())).sum::<f64>() / epsilon.len() as f64)
        })
        .collect();
    points.reverse();
    let own =
        Normaliser::new(points.iter().map(|point| point.0).collect(), points.iter().map(|point| point.1).collect());
    let grid = Grid::quadratic();
    let normalised = Normalised { method: Method::deis(2), grid: &grid, nfe: &[4, 6] };
    let found = normalised
        .fit(&own.unwrap(), &teacher, &target, &network, &mut Trials::after(Vec::new(), &|_| Ok(())))
        .unwrap();
    let [plain, published, fitted] = found.value;
    assert!(fitted < plain.min(published) - 0.02, "{plain} {published} {fitted}");
    let run = |plan: &fewstep_sampler::Plan| {
        let run = Student::run(Levels::of_plan(plan), plan.steps.clone(), teacher.start(), None, &network).unwrap();
        target.value(run.end()).unwrap().ln()
    };
    let mean = (run(&found.plans[0]) + run(&found.plans[1])) / 2.0;
    assert!((mean - fitted).abs() < 1e-3, "{mean} {fitted}");
}

/// On a grid whose last levels lie below the network's first timestep all numbers but those can still be moved.
#[test]
fn levels_below_the_first_timestep_are_no_obstacle() {
    let schedule = Schedule::linear();
    let (teacher, other) = (bent_teacher(&schedule, 2, 0.0), bent_teacher(&schedule, 2, 0.7));
    let network = |x: &[f32], tau: f64| bent(&schedule, x, tau);
    let (points, fitting) = (Points::of(&teacher), target(Objective::Rms, &teacher));
    let validation = Held { start: other.start().clone(), target: target(Objective::Rms, &other) };
    let problem =
        Problem { teacher: &teacher, points: &points, target: &fitting, validation: &validation, network: &network };
    let grid: Grid = Grid::list(vec![1.0, 0.5, 0.1, 0.0004, 0.0]).unwrap();
    let stages = vec![Stage::Coefficients, Stage::Joint];
    let spec = Spec { rule: rule(2, Constraint::Unit), ridges: Vec::new(), grid, grids: Vec::new(), stages, rounds: 4 };
    let mut values = Vec::new();
    problem
        .fit(&spec, 4, &(), |outcome| {
            values.push(outcome.fit.objective);
            Ok(())
        })
        .unwrap();
    assert!(values[1] < 0.95 * values[0], "{values:?}");
}
