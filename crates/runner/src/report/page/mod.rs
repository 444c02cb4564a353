//! One page of a results folder that needs nothing else: its data as JSON, what draws it, and the pictures, in one HTML file that
//! opens without a network. Everything that is said or decided (means, errors, ties, changes, sentences) is computed here; the page's
//! script only shows it. The same folder gives the same bytes.

mod cells;
mod finding;
pub mod provenance;
mod samples;
mod score;
mod tables;

use std::path::Path;

use serde::Serialize;

use self::{cells::Columns, finding::Part, samples::Sheet, score::Curve, tables::Table};
use super::table::summary;
use crate::{
    failure::{Failure, Result},
    results::{Folder, published},
};

/// The file's name.
pub const FILE: &str = "report.html";

/// What the page shows.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    experiment: &'a str,
    summary: String,
    methods: Vec<tables::Shown>,
    metrics: Vec<Table>,
    /// One a row of `cells.csv`, which figures refer to by their place.
    cells: Columns,
    provenance: Vec<provenance::Section>,
    published: &'a [published::Row],
    samples: Option<Sheet>,
    curve: Option<Curve>,
}

/// The page of what lies in `folder`.
///
/// # Errors
/// Where a picture or the normaliser cannot be read.
pub fn html(folder: &Path, results: &Folder) -> Result<String> {
    let Folder { records, provenance, published, .. } = results;
    let groups = tables::groups(records);
    let page = Page {
        title: &provenance.title,
        experiment: &records[0].experiment,
        summary: summary(results),
        methods: groups.iter().map(|group| group.shown(records)).collect(),
        metrics: tables::all(results, &groups),
        cells: cells::columns(records)?,
        provenance: provenance::sections(provenance),
        published,
        samples: samples::sheet(folder, results)?,
        curve: score::curve(folder, provenance)?,
    };
    let json = serde_json::to_string(&page).map_err(Failure::run)?;
    Ok(filled(&provenance.title, &json, &SCRIPTS))
}

/// The headline of each metric's finding, in words: for a list of pages.
pub fn headline(results: &Folder) -> Option<String> {
    let groups = tables::groups(&results.records);
    let table = tables::all(results, &groups).into_iter().next()?;
    Some(table.finding.first()?.iter().map(Part::text).collect())
}

const TEMPLATE: &str = include_str!("../../../assets/report/page.html");
const SCRIPTS: [&str; 7] = [
    include_str!("../../../assets/report/dom.js"),
    include_str!("../../../assets/report/chart.js"),
    include_str!("../../../assets/report/provenance.js"),
    include_str!("../../../assets/report/table.js"),
    include_str!("../../../assets/report/figures.js"),
    include_str!("../../../assets/report/samples.js"),
    include_str!("../../../assets/report/main.js"),
];
/// Of pages without cells.
pub const FIGURES: [&str; 5] = [
    include_str!("../../../assets/report/dom.js"),
    include_str!("../../../assets/report/chart.js"),
    include_str!("../../../assets/report/provenance.js"),
    include_str!("../../../assets/report/table.js"),
    include_str!("../../../assets/report/plain.js"),
];
const LIBRARY: &str = include_str!("../../../assets/report/uplot/uPlot.iife.min.js");
const LICENCE: &str = include_str!("../../../assets/report/uplot/LICENSE");
const LIBRARYS_STYLE: &str = include_str!("../../../assets/report/uplot/uPlot.min.css");
/// What all pages look like.
pub const STYLE: &str = include_str!("../../../assets/report/page.css");
/// What every page begins with.
pub const MARK: &str = "<!doctype html>\n<!-- written by fewstep -->";

/// A page of `json` that `scripts` show.
pub fn filled(title: &str, json: &str, scripts: &[&str]) -> String {
    // Within a script element only this sign could end it.
    let json = json.replace('<', "\\u003c");
    let library = format!("/* uPlot, bundled as published.\n{LICENCE}*/\n{LIBRARY}");
    let style = [LIBRARYS_STYLE, STYLE].join("\n");
    let parts = [
        ("{{title}}", escaped(title)),
        ("{{style}}", style),
        ("{{library}}", library),
        ("{{script}}", scripts.join("\n")),
        ("{{data}}", json),
    ];
    fill(TEMPLATE, &parts)
}

/// `template` with contents for its marks, in one pass: nothing that is filled in is looked at again.
pub fn fill(template: &str, parts: &[(&str, String)]) -> String {
    let (mut out, mut rest) = (String::new(), template);
    while let Some((at, (mark, content))) =
        parts.iter().filter_map(|part| Some((rest.find(part.0)?, part))).min_by_key(|(at, _)| *at)
    {
        out.push_str(&rest[..at]);
        out.push_str(content);
        rest = &rest[at + mark.len()..];
    }
    out + rest
}

/// Text of HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_ends_no_element_and_is_not_filled_again() {
        let page = filled("a < b & {{data}}", "{\"title\":\"</script>{{style}}\"}", &SCRIPTS);
        assert!(page.contains("<title>a &lt; b &amp; {{data}}</title>"));
        assert!(page.contains("{\"title\":\"\\u003c/script>{{style}}\"}"));
        assert!(page.matches("</script>").count() == TEMPLATE.matches("</script>").count());
    }

    /// Nothing of the page is fetched: no address but the names of XML's spaces.
    #[test]
    fn the_page_names_no_address() {
        let page = filled("x", "{}", &[SCRIPTS.as_slice(), &FIGURES].concat());
        for scheme in ["http://", "https://", "//cdn", "@import", "url("] {
            let found = page.match_indices(scheme).map(|(at, _)| page[at..].split('\n').next().unwrap_or_default());
            // The library names its home in its first line.
            let known = ["http://www.w3.org/", "https://github.com/leeoniya/uPlot (v"];
            let foreign: Vec<&str> = found.filter(|text| !known.iter().any(|known| text.starts_with(known))).collect();
            assert!(foreign.is_empty(), "{foreign:?}");
        }
    }
}
