//! Where all cells of a folder come from, for the page.

use serde::Serialize;

use crate::results::Provenance;

/// Names and values under a heading.
#[derive(Serialize)]
pub struct Section {
    title: &'static str,
    entries: Vec<(String, String)>,
}

/// What `provenance.toml` says, but for the hashes of the tables, which hold times.
pub fn sections(provenance: &Provenance) -> Vec<Section> {
    let Provenance { experiment, experiment_sha256, fewstep, burn, network, .. } = provenance;
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let counted = |(name, count): (&String, &usize)| (name.clone(), format!("{count} cells"));
    let pair = |(name, value): (&String, &String)| (name.clone(), value.clone());
    let all = [
        (
            "Experiment",
            vec![
                named("name", experiment),
                named("SHA-256 of its file", experiment_sha256),
                named("fewstep", fewstep),
                named("burn", burn),
                named("network: hash of its tensors, shape, prediction and schedule", network),
            ],
        ),
        ("What was read", provenance.assets.iter().map(pair).collect()),
        ("What the program did on a small canary", provenance.canary.iter().map(pair).collect()),
        ("Builds", provenance.builds.iter().map(counted).collect()),
        ("Devices", provenance.devices.iter().map(counted).collect()),
    ];
    let filled = |(title, mut entries): (&'static str, Vec<(String, String)>)| {
        entries.retain(|(_, value)| !value.is_empty());
        (!entries.is_empty()).then_some(Section { title, entries })
    };
    all.into_iter().filter_map(filled).collect()
}
