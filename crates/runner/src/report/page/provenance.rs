//! Where all cells of a folder come from, for the page.

use serde::Serialize;

use crate::results::Provenance;

/// Names and values under a heading.
#[derive(Serialize)]
pub struct Section {
    title: String,
    entries: Vec<(String, String)>,
}

impl Section {
    /// With those entries that say something; none where nothing does.
    pub fn new(title: impl Into<String>, mut entries: Vec<(String, String)>) -> Option<Self> {
        entries.retain(|(_, value)| !value.is_empty());
        (!entries.is_empty()).then(|| Section { title: title.into(), entries })
    }
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
    all.into_iter().filter_map(|(title, entries)| Section::new(title, entries)).collect()
}
