//! Benches of fewstep; see `benches/`.
