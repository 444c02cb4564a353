//! What several of these tests need.

/// The largest of some errors; infinite where one is no number, so that no bound holds.
pub fn largest(errors: impl IntoIterator<Item = f64>) -> f64 {
    errors.into_iter().fold(0.0, |largest, error| if error.is_nan() { f64::INFINITY } else { largest.max(error) })
}

/// Says what was found, so that a bound can be seen to be close to it.
pub fn assert_below(bound: f64, found: f64, what: &str) {
    println!("{what}: {found:.1e}");
    assert!(found < bound, "{what}: {found:e}");
}
