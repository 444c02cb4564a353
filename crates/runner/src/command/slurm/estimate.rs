//! `fewstep slurm --estimate`: what a sweep takes, by what it counts and the rates that are given.

use crate::{
    cell::Needs,
    cli::Slurm,
    experiment::{Experiment, NormaliserSource, SolutionSpec},
    failure::{Failure, Result},
    results::{Features, Metric, Noise},
};

/// Evaluations of the network for an image, and images through Inception.
struct Work {
    /// Evaluations of an image of the cells' own, which shards divide.
    divided: u64,
    /// Evaluations for what every shard needs whole: the normaliser, and the solution of the first images.
    repeated: u64,
    /// Images through Inception, which shards divide.
    images: u64,
}

/// Prints hours for 1, 8, 64 … shards and as many as are asked for, as a Markdown table.
pub fn print(experiment: &Experiment, arguments: &Slurm) -> Result<()> {
    let (rate, of_images) = match *arguments.estimate.as_slice() {
        [rate] => (rate, None),
        [rate, images] => (rate, Some(images)),
        _ => {
            return Err(Failure::request(
                "--estimate: expected EVALUATIONS or EVALUATIONS,IMAGES, each a number a second",
            ));
        }
    };
    let work = Work::of(experiment);
    let cells = experiment.cells().filter(|(entry, nfe, _)| experiment.measures(entry, *nfe)).count();
    let left_out = if of_images.is_none() && work.images > 0 { ", which the hours are without" } else { "" };
    println!("{cells} cells of {} images, {} images through Inception{left_out}", experiment.samples, work.images);
    println!("\n| shards | evaluations of one | hours of one | hours of all |\n|---:|---:|---:|---:|");
    let mut counts: Vec<u64> = (0..5).map(|power| 8u64.pow(power)).filter(|&n| n < arguments.shards.into()).collect();
    counts.push(arguments.shards.into());
    for shards in counts {
        // The largest shard.
        let share = |whole: u64| {
            let samples = experiment.samples as u64;
            whole * samples.div_ceil(shards) / samples
        };
        let evaluations = share(work.divided) + work.repeated;
        let hours = |evaluations: u64, images: u64| {
            (evaluations as f64 / rate + of_images.map_or(0.0, |of_images| images as f64 / of_images)) / 3600.0
        };
        let all = hours(work.divided + shards * work.repeated, work.images);
        println!("| {shards} | {evaluations} | {} | {} |", three(hours(evaluations, share(work.images))), three(all));
    }
    Ok(())
}

/// Three digits, or all before the point.
fn three(number: f64) -> String {
    let before = if number > 0.0 { number.log10().floor() as i32 + 1 } else { 1 };
    format!("{number:.*}", usize::try_from(3 - before).unwrap_or(0).min(6))
}

impl Work {
    /// Without taking off what a sweep knows already: the first evaluation of an image, which all methods share, and equal plans.
    fn of(experiment: &Experiment) -> Self {
        let samples = experiment.samples as u64;
        let inception = |metric: &Metric| metric.features() == Some(Features::Inception);
        let (mut divided, mut images) = (0, 0);
        for (entry, nfe, _) in experiment.cells().filter(|(entry, nfe, _)| experiment.measures(entry, *nfe)) {
            divided += nfe as u64 * samples;
            let measured = |metric: &&Metric| !(metric.is_paired() && entry.is_stochastic(nfe));
            images += if experiment.metrics.iter().filter(measured).any(inception) { samples } else { 0 };
        }
        let repeated = match experiment.normaliser.as_ref().map(|spec| &spec.source) {
            Some(NormaliserSource::Collect(collect)) => (collect.nfe * collect.samples) as u64,
            _ => 0,
        };
        let mut work = Work { divided, repeated, images };
        if let Some(spec) = experiment.solution {
            experiment.seeds.iter().for_each(|_| work.add_solution(experiment, &spec));
        }
        work
    }

    /// What a seed's cells are measured from, and the solution's own cell.
    fn add_solution(&mut self, experiment: &Experiment, spec: &SolutionSpec) {
        let (metrics, samples) = (&experiment.metrics, experiment.samples as u64);
        let mut needs = Needs::default();
        metrics.iter().for_each(|metric| needs.add(*metric));
        let floor = spec.floor.unwrap_or(0) as u64 * samples;
        // Then the images that methods are compared with are the converged samples too.
        let whole = spec.samples == experiment.samples && spec.floor == spec.nfe;
        let same = needs.converged.iter().any(|(_, noise)| *noise == Noise::Same);
        let frechet = metrics.iter().any(|metric| metric.is_frechet());
        if needs.solution || whole || !frechet {
            self.repeated += spec.work();
        }
        if same && !whole {
            self.divided += spec.of_all(experiment.samples).work();
        } else if frechet && !whole {
            self.divided += floor;
        }
        for (features, noise) in &needs.converged {
            self.divided += if *noise == Noise::Other { floor } else { 0 };
            self.images += if *features == Features::Inception { samples } else { 0 };
        }
        // The own cell has no distance to itself.
        let own = |metric: &Metric| metric.is_frechet() && *metric != Metric::FidPaired;
        let inception = |metric: &Metric| own(metric) && metric.features() == Some(Features::Inception);
        self.images += if metrics.iter().any(inception) { samples } else { 0 };
    }
}
