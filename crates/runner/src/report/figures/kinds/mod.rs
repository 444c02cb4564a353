//! What is shown of each kind of results without cells, which a file of theirs tells.

mod bench;
mod curves;
mod fit;
mod orders;
mod training;

use std::{ops::Range, path::Path};

use super::{Csv, Curve, Figures, Picture, Plot, Table};
use crate::failure::Result;

type Read = fn(&Path, &Csv) -> Result<Figures>;

/// The files that tell, and what is made of them.
pub const ALL: [(&str, Read); 5] = [
    ("curves.csv", curves::read),
    ("orders.csv", orders::read),
    ("peers.csv", bench::read),
    ("loss.csv", training::read),
    ("fit.csv", fit::read),
];

/// Places of equal values of a column that stand together, in the file's order.
fn groups<'a>(column: &[&'a str]) -> Vec<(&'a str, Range<usize>)> {
    let mut all: Vec<(&str, Range<usize>)> = Vec::new();
    for (i, &value) in column.iter().enumerate() {
        match all.last_mut() {
            Some((last, range)) if *last == value => range.end = i + 1,
            _ => all.push((value, i..i + 1)),
        }
    }
    all
}
