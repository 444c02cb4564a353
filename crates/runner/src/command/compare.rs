//! `fewstep compare`: whether one folder of results is a reproduction of another, or which of two methods is closer.

use std::collections::BTreeSet;

use crate::{
    cli,
    failure::{Failure, Result},
    report::wins::sentence,
    results::{Folder, Metric, Wins, compare, labels},
};

/// Compares cell by cell and prints the verdict; with `--check` a difference is a failure.
pub fn run(arguments: &cli::Compare) -> Result<()> {
    let first = Folder::read(&arguments.first)?;
    if let Some(methods) = &arguments.methods {
        return between(&first, methods, arguments.metric.as_deref());
    }
    let second = arguments.second.as_ref().ok_or_else(|| Failure::request("expected a second folder, or --methods"))?;
    let found = compare(&first, &Folder::read(second)?);
    println!("{found}");
    if arguments.check && !found.is_reproduced() {
        return Err(Failure::run("not reproduced"));
    }
    Ok(())
}

/// Prints on how many images one method of a folder is closer than another.
fn between(folder: &Folder, methods: &str, metric: Option<&str>) -> Result<()> {
    let known: BTreeSet<String> = labels(&folder.records).into_iter().collect();
    let names: Vec<&str> = methods.split(';').map(str::trim).collect();
    let &[first, second] = names.as_slice() else {
        return Err(Failure::Request(format!("--methods '{methods}': expected two methods, `A; B`")));
    };
    if let Some(unknown) = [first, second].into_iter().find(|name| !known.contains(*name)) {
        let known = known.into_iter().collect::<Vec<_>>().join(", ");
        return Err(Failure::Request(format!("--methods: no method '{unknown}'; expected {known}")));
    }
    let of_images: Vec<Metric> = Metric::ALL.into_iter().filter(|metric| !metric.is_frechet()).collect();
    let metrics = match metric {
        None => of_images,
        Some(name) => {
            let found = of_images.iter().find(|metric| metric.name() == name).copied();
            let names = of_images.iter().map(|metric| metric.name()).collect::<Vec<_>>().join(" or ");
            vec![found.ok_or_else(|| Failure::Request(format!("--metric '{name}': expected {names}")))?]
        }
    };
    let nfes: BTreeSet<u32> = folder.records.iter().map(|record| record.nfe).collect();
    let mut lines = Vec::new();
    for metric in metrics {
        for &nfe in &nfes {
            let wins = Wins::between(folder, metric, [first, second], nfe);
            lines.extend(wins.map(|wins| format!("{}, {}", metric.name(), sentence([first, second], nfe, &wins))));
        }
    }
    if lines.is_empty() {
        return Err(Failure::Request(format!("no images of '{first}' and '{second}' at the same NFE and seed")));
    }
    println!("{}", lines.join("\n"));
    Ok(())
}
