//! Exact noise predictors, by which a sampler is judged without a network's error.

mod ideal;
mod mixture;

pub use ideal::Ideal;
pub use mixture::{Component, Mixture};
