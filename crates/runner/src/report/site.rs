//! The list of the pages of published results.

use std::fmt::Write;

use super::{
    figures::Figures,
    page::{self, STYLE, escaped},
    table::summary,
};
use crate::results::Folder;

/// Its file.
pub const INDEX: &str = "index.html";
const TEMPLATE: &str = include_str!("../../assets/report/index.html");

/// What the list says of a folder.
pub struct Entry {
    name: String,
    title: String,
    finding: String,
    summary: String,
}

impl Entry {
    /// Of the folder called `name`.
    pub fn of(name: String, folder: &Folder) -> Self {
        let title = folder.provenance.title.clone();
        Entry { name, title, finding: page::headline(folder).unwrap_or_default(), summary: summary(folder) }
    }

    /// Of results without cells.
    pub fn of_figures(name: String, figures: &Figures) -> Self {
        let finding = figures.found.first().cloned().unwrap_or_default();
        Entry { name, title: figures.title.clone(), finding, summary: figures.about.clone() }
    }
}

/// The list, in the order of `entries`.
pub fn index(entries: &[Entry]) -> String {
    let mut list = String::new();
    for Entry { name, title, finding, summary } in entries {
        // Writing to a string cannot fail.
        _ = writeln!(
            list,
            "<li><h2><a href=\"{0}.html\">{1}</a></h2><p class=\"lead\">{2}</p><p class=\"muted\"><code>results/{0}</code> · {3}</p></li>",
            escaped(name),
            escaped(title),
            escaped(finding),
            escaped(summary)
        );
    }
    page::fill(TEMPLATE, &[("{{style}}", STYLE.to_owned()), ("{{list}}", list)])
}
