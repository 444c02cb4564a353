//! The `[reference]` table: what the data is known by, and how images are shown to the network that compares with it.

use std::path::PathBuf;

use fewstep_fid::Protocol;
use serde::Deserialize;
use toml::Spanned;

use crate::{failure::Result, results::Metric, source::Source};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReference {
    dataset: Option<String>,
    fid: Option<PathBuf>,
    fd_pixel: Option<PathBuf>,
    fd_vit: Option<PathBuf>,
    protocol: Option<Spanned<String>>,
}

/// The table, checked.
pub(super) struct Reference {
    /// Statistics files by metric.
    pub files: Vec<(Metric, PathBuf)>,
    /// Hash of the images behind them.
    pub dataset: Option<String>,
    /// How images are shown to Inception.
    pub protocol: Protocol,
}

impl Source<'_> {
    /// Its names mean something; its files are opened when they are needed.
    pub(super) fn reference(&self, raw: RawReference) -> Result<Reference> {
        let files = [(Metric::Fid, raw.fid), (Metric::FdPixel, raw.fd_pixel), (Metric::FdVit, raw.fd_vit)];
        let files = files.into_iter().filter_map(|(metric, file)| Some((metric, self.beside(file?)))).collect();
        let protocol = match &raw.protocol {
            None => Protocol::default(),
            Some(name) => Protocol::named(name.get_ref()).ok_or_else(|| {
                let known = Protocol::ALL.map(Protocol::name).join(", ");
                self.error(name.span(), format!("no protocol '{}'; expected {known}", name.get_ref()))
            })?,
        };
        Ok(Reference { files, dataset: raw.dataset, protocol })
    }
}
