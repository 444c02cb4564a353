//! Figures that others published, as a table and, where ours are comparable, as lines.

use std::collections::BTreeMap;

use super::chart::Line;
use crate::results::published::Row;

/// Images from which on an FID of ours may share an axis with a published one.
const COMPARABLE: u64 = 50_000;

/// One dashed line a source, method and model; none beside cells of fewer images, whose FID is biased upwards.
pub fn lines(rows: &[Row], samples: u64) -> Vec<Line> {
    let mut lines: Vec<(&str, Line)> = Vec::new();
    for row in rows.iter().filter(|_| samples >= COMPARABLE) {
        let label = format!("{} [{}]", row.label(), row.model);
        let point = (f64::from(row.nfe), row.fid);
        match lines.iter_mut().find(|(source, line)| *source == row.source && line.label == label) {
            Some((_, line)) => line.points.push(point),
            None => lines.push((&row.source, Line { dashed: true, ..Line::new(label, vec![point]) })),
        }
    }
    lines.into_iter().map(|(_, line)| line).collect()
}

/// A table of its own, for figures of other networks.
pub fn table(rows: &[Row]) -> String {
    let mut nfes: Vec<u32> = rows.iter().map(|row| row.nfe).collect();
    nfes.sort_unstable();
    nfes.dedup();
    let mut text =
        "\n### Published by others, with their own networks\n\n| method | model | grid | AFS | threshold | FID by | images | source |"
            .to_owned();
    nfes.iter().for_each(|nfe| text.push_str(&format!(" {nfe} |")));
    text.push_str("\n|---|---|---|---|---|---|---:|---|");
    nfes.iter().for_each(|_| text.push_str("---:|"));
    // By source; the rest of the row tells methods apart.
    let mut lines: BTreeMap<(&str, String), BTreeMap<u32, f64>> = BTreeMap::new();
    for Row { source, model, tool, samples, method, grid, afs, threshold, nfe, fid } in rows {
        let [grid, afs, threshold, tool] =
            [grid, afs, threshold, tool].map(|word| if word.is_empty() { "not stated" } else { word });
        let row = format!("\n| {method} | {model} | {grid} | {afs} | {threshold} | {tool} | {samples} | {source} |");
        lines.entry((source, row)).or_default().insert(*nfe, *fid);
    }
    for ((_, row), values) in lines {
        text.push_str(&row);
        nfes.iter().for_each(|nfe| match values.get(nfe) {
            Some(fid) => text.push_str(&format!(" {fid} |")),
            None => text.push_str(" |"),
        });
    }
    text.push('\n');
    text
}
