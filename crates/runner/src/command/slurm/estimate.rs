//! `fewstep slurm --estimate`: what a sweep takes, by what it counts and the rates that are given.

use crate::{
    cell::Needs,
    cli::Slurm,
    experiment::{Experiment, NormaliserSource, SolutionSpec},
    failure::{Failure, Result},
    results::{Features, Metric, Noise},
};

/// What a sweep evaluates.
#[derive(Default)]
struct Work {
    /// Evaluations that are as many for every image of a cell.
    divided: u64,
    /// Those of the normaliser, which every shard collects for itself.
    normaliser: u64,
    /// Evaluations of each of the images that are solved, which are the first `solved`.
    solution: u64,
    /// See there.
    solved: u64,
    /// Those of the solutions' own errors, which the merge finds.
    merged: u64,
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
    let vit = experiment.metrics.iter().any(|metric| metric.features() == Some(Features::Vit));
    let of_vit = if vit { "; those through the vision transformer are not counted" } else { "" };
    println!(
        "{cells} cells of {} images, {} images through Inception{left_out}{of_vit}",
        experiment.samples, work.images
    );
    println!("\n| shards | evaluations of one | hours of one | hours of all |\n|---:|---:|---:|---:|");
    let mut counts: Vec<u64> = (0..5).map(|power| 8u64.pow(power)).filter(|&n| n < arguments.shards.into()).collect();
    counts.push(arguments.shards.into());
    // On a GPU a shard has whole batches.
    let unit = if arguments.device.is_cpu() { 1 } else { experiment.batch as u64 };
    let samples = experiment.samples as u64;
    let hours = |evaluations: u64, images: u64| {
        (evaluations as f64 / rate + of_images.map_or(0.0, |of_images| images as f64 / of_images)) / 3600.0
    };
    for shards in counts {
        let most = (samples.div_ceil(unit).div_ceil(shards) * unit).min(samples);
        let share = |whole: u64| (u128::from(whole) * u128::from(most) / u128::from(samples)) as u64;
        let own = work.normaliser + work.solution * work.solved.min(most) + if shards == 1 { work.merged } else { 0 };
        let evaluations = share(work.divided) + own;
        let all = work.divided + shards * work.normaliser + work.solution * work.solved + work.merged;
        let (one, all) = (hours(evaluations, share(work.images)), hours(all, work.images));
        println!("| {shards} | {evaluations} | {} | {} |", three(one), three(all));
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
        let mut work = Work::default();
        for (entry, nfe, _) in experiment.cells().filter(|(entry, nfe, _)| experiment.measures(entry, *nfe)) {
            work.divided += nfe as u64 * samples;
            let measured = |metric: &&Metric| !(metric.is_paired() && entry.is_stochastic(nfe));
            let seen = experiment.metrics.iter().filter(measured).any(inception);
            work.images += if seen { samples } else { 0 };
        }
        if let Some(NormaliserSource::Collect(collect)) = experiment.normaliser.as_ref().map(|spec| &spec.source) {
            work.normaliser = (collect.nfe * collect.samples) as u64;
        }
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
            let (nfe, solved) = (spec.nfe.unwrap_or(0) as u64, spec.samples as u64);
            (self.solution, self.solved) = (self.solution + nfe, solved);
            self.merged += spec.work() - nfe * solved;
        }
        if !whole {
            self.divided += if same || frechet { floor } else { 0 };
            self.merged += if same { spec.of_all(experiment.samples).work() - floor } else { 0 };
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
