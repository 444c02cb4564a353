//! The commands behind the command line.

use std::path::Path;

use fewstep_fid::{Extractor, Identity, Pixel8, Precision, Statistics, frechet_distance};
use fewstep_sampler::{Coefficients, Grid, Method, Normaliser, Request, Schedule};
use serde_json::json;

use crate::{
    assets,
    cli::{self, Command, DeviceName},
    device,
    experiment::{Experiment, MethodEntry, NormaliserSource},
    failure::{Failure, Result},
    files, mosaic, orders,
    prepare::{self, Prepared},
    progress, report, sampling, sweep, training,
};

/// Side of the images that `plan` takes for granted where a schedule depends on it: CIFAR-10's.
const PLAN_SIZE: usize = 32;
/// Images that go through a feature extractor together.
const BATCH: usize = 64;

/// Runs a command.
pub fn run(command: Command) -> Result<()> {
    match command {
        Command::Sweep(arguments) => sweep::run(&arguments),
        Command::Curve(arguments) => curve(&arguments),
        Command::Plan(arguments) => plan(&arguments),
        Command::Fid(arguments) => fid(&arguments),
        Command::Stats(arguments) => stats(&arguments),
        Command::Sample(arguments) => sample(&arguments),
        Command::Train(arguments) => training::run(&arguments),
        Command::Fetch { assets } => fetch(&assets),
        Command::Orders { out } => orders::run(&out),
        Command::Report { results } => {
            let name = results.canonicalize().map_err(Failure::file(&results))?;
            let name = name.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // The title that the sweep gave, where its table is still there.
            let table = std::fs::read_to_string(results.join("table.md")).unwrap_or_default();
            let title = table.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or(&name);
            report::write(&results, title)
        }
    }
}

fn curve(arguments: &cli::Curve) -> Result<()> {
    let experiment = Experiment::read(&arguments.experiment)?;
    let collects =
        experiment.normaliser.as_ref().is_some_and(|spec| matches!(spec.source, NormaliserSource::Collect(_)));
    if !collects {
        let path = arguments.experiment.display();
        return Err(Failure::Request(format!("{path}: no [normaliser.collect] table says how to collect a curve")));
    }
    let default = Path::new("results").join(&experiment.name).join("normaliser.csv");
    let out = arguments.out.clone().unwrap_or(default);
    let prepared = Prepared::model(experiment, arguments.device)?;
    // Collected in a folder of its own, since the name is the user's.
    let folder = files::parent(&out);
    std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
    let work = tempfile::TempDir::new_in(&folder).map_err(Failure::file(&folder))?;
    let Some(normaliser) = prepared.normaliser(work.path(), true)? else { return Ok(()) };
    report::normaliser(work.path(), &normaliser, &prepared)?;
    for ending in ["csv", "svg", "png"] {
        let (from, to) = (work.path().join("normaliser").with_extension(ending), out.with_extension(ending));
        let to = if ending == "csv" { out.clone() } else { to };
        std::fs::rename(&from, &to).map_err(Failure::file(&to))?;
    }
    println!("{}", out.display());
    Ok(())
}

fn plan(arguments: &cli::Plan) -> Result<()> {
    let method = Method::new(&arguments.method, arguments.order)?;
    let grid: Grid = arguments.grid.parse()?;
    let Some(schedule) = Schedule::named(&arguments.schedule, PLAN_SIZE) else {
        let known = Schedule::NAMES.join(", ");
        return Err(Failure::Request(format!("no schedule '{}'; expected {known}", arguments.schedule)));
    };
    let coefficients =
        [Coefficients::Exact, Coefficients::Reference].into_iter().find(|c| c.name() == arguments.coefficients);
    let coefficients = coefficients.ok_or_else(|| {
        Failure::Request(format!("no coefficients '{}'; expected exact or reference", arguments.coefficients))
    })?;
    let normaliser = match &arguments.normaliser {
        Some(path) => Some(Normaliser::read(path)?.with_clip(arguments.clip.unwrap_or(0))?),
        None if arguments.clip.is_some() => return Err(Failure::request("--clip needs --normaliser")),
        None => None,
    };
    let threshold = arguments.threshold.parse()?;
    let request = Request {
        coefficients,
        normaliser: normaliser.as_ref(),
        threshold,
        ..Request::new(&schedule, &grid, arguments.nfe)
    };
    let plan = method.plan(&request)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&plan).map_err(Failure::run)?);
        return Ok(());
    }
    println!("{} with {} NFE on the {} grid", method.label(), plan.nfe, plan.grid);
    if plan.nfe < arguments.nfe {
        println!("(asked for {}: this method cannot spend more of them here)", arguments.nfe);
    }
    println!("{:>4} {:>10} {:>10} {:>14}  c (newest first)", "step", "tau", "timestep", "a");
    let numbers = |values: &[f64]| values.iter().map(|c| format!("{c:.9}")).collect::<Vec<_>>().join(" ");
    for (i, step) in plan.steps.iter().enumerate() {
        let mut line = format!("{i:>4} {:>10.6} {:>10.3} {:>14.9}  ", plan.tau[i], plan.timestep[i], step.a);
        line.push_str(&numbers(&step.c));
        if !step.b.is_empty() {
            line.push_str(&format!("   earlier states {}", numbers(&step.b)));
        }
        if step.noise != 0.0 {
            line.push_str(&format!("   noise {:.9}", step.noise));
        }
        println!("{line}");
    }
    println!("{:>4} {:>10.6}", "end", plan.tau[plan.nfe]);
    Ok(())
}

fn fid(arguments: &cli::Fid) -> Result<()> {
    let both = [&arguments.images, &arguments.reference];
    let given: Vec<bool> = both.iter().map(|path| Statistics::is_file(path)).collect();
    // Images are opened first: a wrong path is said before the network is loaded.
    let images = both
        .iter()
        .zip(&given)
        .map(|(path, &statistics)| {
            if statistics { Ok(None) } else { assets::images(path, arguments.crop.map(|crop| crop as usize)).map(Some) }
        })
        .collect::<Result<Vec<_>>>()?;
    let extractor = prepare::inception(&device::open(arguments.device)?, arguments.device)?;
    let mut statistics = Vec::new();
    for (path, images) in both.into_iter().zip(images) {
        statistics.push(match images {
            Some(images) => collect(&extractor, &images, &path.display().to_string())?,
            None => prepare::statistics(path, &extractor.identity())?,
        });
    }
    let fid = frechet_distance(&statistics[0].gaussian, &statistics[1].gaussian)?;
    if arguments.json {
        let describe = |path: &Path, s: &Statistics| json!({"path": path, "images": s.count, "dataset": s.dataset});
        let Identity { extractor, weights, preparation } = extractor.identity();
        println!(
            "{}",
            json!({
                "fid": fid,
                "images": describe(&arguments.images, &statistics[0]),
                "reference": describe(&arguments.reference, &statistics[1]),
                "extractor": extractor, "weights": weights, "preparation": preparation,
                "device": arguments.device.name(),
            })
        );
    } else {
        println!("FID {fid:.6}");
    }
    Ok(())
}

fn collect(extractor: &dyn Extractor, images: &fewstep_fid::ImageSet, name: &str) -> Result<Statistics> {
    let bar = progress::bar(images.len() as u64, "images");
    bar.set_message(name.to_owned());
    let statistics = Statistics::collect(extractor, images, BATCH, |done| bar.set_position(done as u64))
        .map_err(|error| Failure::Request(format!("{name}: {error}")))?;
    bar.finish_and_clear();
    Ok(statistics)
}

fn stats(arguments: &cli::Stats) -> Result<()> {
    if arguments.out.extension().is_none_or(|ending| ending != "safetensors") {
        return Err(Failure::Request(format!(
            "{}: expected a file name that ends in .safetensors",
            arguments.out.display()
        )));
    }
    assets::check_writable(&arguments.out)?;
    let images = assets::images(&arguments.images, arguments.crop.map(|crop| crop as usize))?;
    let extractor: Box<dyn Extractor> = match arguments.features.as_str() {
        "fid-inception-pool3" => Box::new(prepare::inception(&device::open(arguments.device)?, arguments.device)?),
        "pixel-8x8" if arguments.device == DeviceName::Cpu => Box::new(Pixel8),
        "pixel-8x8" => return Err(Failure::request("pixel-8x8 is computed on the cpu alone")),
        other => {
            return Err(Failure::Request(format!("no features '{other}'; expected fid-inception-pool3 or pixel-8x8")));
        }
    };
    let statistics = collect(extractor.as_ref(), &images, &arguments.images.display().to_string())?;
    statistics.write(&arguments.out, if arguments.compact { Precision::F32 } else { Precision::F64 })?;
    println!("{} ({} images, data set {})", arguments.out.display(), statistics.count, statistics.dataset);
    Ok(())
}

fn sample(arguments: &cli::Sample) -> Result<()> {
    mosaic::check_png(&arguments.out)?;
    let mut experiment = Experiment::read(&arguments.experiment)?;
    let asked = |entry: &&MethodEntry| {
        entry.method.name() == arguments.method && arguments.order.is_none_or(|order| order == entry.method.order())
    };
    let Some(entry) = experiment.methods.iter().find(asked).cloned() else {
        let known: Vec<String> = experiment.methods.iter().map(|entry| entry.method.label()).collect();
        let order = arguments.order.map_or(String::new(), |order| format!(" of order {order}"));
        return Err(Failure::Request(format!(
            "{}: no method '{}'{order}; it has {}",
            arguments.experiment.display(),
            arguments.method,
            known.join(", ")
        )));
    };
    if !(1..=10_000).contains(&arguments.samples) {
        return Err(Failure::Request(format!("--samples is {}; expected 1 to 10000", arguments.samples)));
    }
    if !entry.method.normalise {
        experiment.normaliser = None;
    }
    let clip = experiment.normaliser.as_ref().map_or(0, |spec| spec.clip);
    let folder = Path::new("results").join(&experiment.name);
    let prepared = Prepared::model(experiment, arguments.device)?;
    // A request that cannot be planned is refused before a normaliser is collected for it.
    MethodEntry { method: Method::plain(entry.method.solver), ..entry.clone() }.plan(
        &prepared.sampler.schedule,
        arguments.nfe,
        None,
    )?;
    let normaliser = prepared.normaliser(&folder, false)?.map(|normaliser| normaliser.with_clip(clip)).transpose()?;
    let plan = entry.plan(&prepared.sampler.schedule, arguments.nfe, normaliser.as_ref())?;
    let bar = progress::bar((arguments.samples * plan.nfe) as u64, "evaluations");
    let mut x = Vec::new();
    let sampler = &prepared.sampler;
    sampler.batches(
        arguments.samples,
        |range| sampler.run(&plan, prepared.experiment.seeds[0], range.clone(), |_, _| bar.inc(range.len() as u64)),
        |_, part| {
            x.extend(part);
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    mosaic::write(&arguments.out, &sampling::to_images(&x, sampler.size)?)?;
    println!("{}", arguments.out.display());
    Ok(())
}

fn fetch(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !assets::NAMES.contains(&name.as_str())) {
        return Err(Failure::Request(format!("no asset '{unknown}'; expected {}", assets::NAMES.join(", "))));
    }
    let all: Vec<&str> =
        if names.is_empty() { assets::NAMES.to_vec() } else { names.iter().map(String::as_str).collect() };
    all.into_iter().try_for_each(assets::fetch)
}
