//! A folder of finished cells: what was measured of each, where it came from, and how two folders compare. Nothing here
//! knows a network.

mod compare;
mod figure;
mod folder;
mod grids;
mod metric;
mod provenance;
pub mod published;
mod record;
mod series;
mod sign_test;

pub use compare::compare;
pub use folder::{Folder, PerImage};
pub use grids::{Grids, Overall, Times, lowest};
pub use metric::{Features, Metric, Noise};
pub use provenance::{BUILD, BURN, FILE as PROVENANCE, FITTED_TO, NORMALISER_ASSET, Provenance, VIT_ASSET, count};
pub use record::{Record, SOLUTION};
#[cfg(test)]
pub use series::Value;
pub use series::{Difference, FEW, Point, Series, image_error, labels, normalised_pairs, series};
pub use sign_test::Wins;

/// Names in a sentence.
pub fn in_words(all: impl IntoIterator<Item = String>) -> String {
    let mut all: Vec<String> = all.into_iter().collect();
    match (all.pop(), all.is_empty()) {
        (Some(last), false) => format!("{} and {last}", all.join(", ")),
        (last, _) => last.unwrap_or_default(),
    }
}
