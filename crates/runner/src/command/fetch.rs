//! `fewstep fetch`: data and weights into the user's cache.

use crate::{
    assets,
    failure::{Failure, Result},
};

/// Fetches what is named, or everything.
pub fn run(names: &[String]) -> Result<()> {
    if let Some(unknown) = names.iter().find(|name| !assets::NAMES.contains(&name.as_str())) {
        return Err(Failure::Request(format!("no asset '{unknown}'; expected {}", assets::NAMES.join(", "))));
    }
    let all: Vec<&str> =
        if names.is_empty() { assets::NAMES.to_vec() } else { names.iter().map(String::as_str).collect() };
    all.into_iter().try_for_each(assets::fetch)
}
