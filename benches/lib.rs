//! Benches of fewstep; `just bench` runs them. They need no library of their own.
