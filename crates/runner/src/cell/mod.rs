//! One cell: a plan's samples from a network, what is measured of them, and the keys under which both are kept.

mod canary;
mod converged;
mod curve;
mod distance;
mod figures;
mod kept;
mod key;
mod known;
mod load;
mod measure;
mod network;
mod noise;
mod normaliser;
mod parts;
mod pipeline;
mod reuse;
mod sampler;
mod solution;
mod state;
mod targets;
mod trajectories;

pub use curve::{by_image, long_run, plan as curve_plan};
pub use figures::Rows;
pub use kept::Kept;
pub use key::{Key, fitted as fitted_key};
pub use load::{Loaded, inception, statistics, statistics_key, vit};
pub use measure::{Samples, forget, measure, measure_part, picture};
pub use normaliser::{Places, normaliser};
pub use parts::{Clock, Part, Parts, Sink, Widths};
pub use reuse::Reuse;
pub use sampler::{Sampler, images_of, levels_of, values};
pub use solution::Solution;
pub use state::{Cell, Done, Measurement, Wanted};
pub use targets::{Needs, Targets};
pub use trajectories::{Trajectories, network};
