//! On how many images one method is closer than another.

use std::fmt::Write;

use crate::results::{Folder, Metric, Wins};

/// On how many images score normalisation is closer, in percent of those that differ, with the sign test's p; none without pairs whose
/// images are known.
pub fn table(results: &Folder, pairs: &[(String, String)], metric: Metric, nfes: &[u32]) -> Option<String> {
    let mut rows = String::new();
    for (normalised, plain) in pairs {
        let found: Vec<Option<Wins>> =
            nfes.iter().map(|&nfe| Wins::between(results, metric, [normalised, plain], nfe)).collect();
        if found.iter().all(Option::is_none) {
            continue;
        }
        // Writing to a string cannot fail.
        _ = write!(rows, "| {normalised} |");
        found.iter().for_each(|wins| _ = write!(rows, " {} |", wins.map_or(String::new(), |wins| cell(&wins))));
        rows.push('\n');
    }
    (!rows.is_empty()).then(|| super::table::header(nfes) + &rows)
}

/// One figure of it.
pub fn cell(wins: &Wins) -> String {
    if wins.won + wins.lost == 0 {
        return "all alike".into();
    }
    format!("{:.1} (p {})", 100.0 * wins.rate(), probability(wins.p()))
}

/// One digit where it is small.
pub fn probability(p: f64) -> String {
    match p {
        p if p < 1e-300 => "< 1e-300".into(),
        p if p < 1e-3 => format!("{p:.0e}"),
        p => format!("{p:.3}"),
    }
}

/// A sentence: `first` against `second`.
pub fn sentence([first, second]: [&str; 2], nfe: u32, wins: &Wins) -> String {
    let Wins { won, lost, tied } = wins;
    let ties = if *tied > 0 { format!(", {tied} alike") } else { String::new() };
    format!(
        "{nfe} NFE: {first} is closer than {second} on {won} of {} images ({:.1} %{ties}; sign test p {})",
        won + lost,
        100.0 * wins.rate(),
        probability(wins.p())
    )
}
