//! Texts whose tables and figures are made of cells: what stands between `<!-- kind: key=value | … -->` and `<!-- end -->`.
//!
//! Kinds: `table` (rows methods, columns NFE), `changes` (what score normalisation changes, in percent), `wins` (on how many images it is closer), `grids` (every
//! solver on its best grid), `grid-counts` (how many of them are best on which), `afs` (how many are closer with an analytic first step than in the results `without`), `metrics` (rows methods, columns the `metrics` with commas between, at one `nfe`), `times` (how many times the value of the method `over` each is at; of `grids` too where `over` is there), and within a sentence `value` (one
//! figure) and `change` (one change, of the method under score normalisation; in brackets where it is not beyond its error). Keys:
//! `results`, a folder below `results/`; `metric`; `nfe`, with commas between; `methods`, by their names in the table with semicolons
//! between; `method` of a value or a change. And `csv`, columns of any file: `file`, below `results/`, and `columns` with commas between; and `build`, the
//! commits of the programs that measured `results`, shortened.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::Path,
};

use super::{
    csv_table::csv_table,
    table::{self, Floor},
};
use crate::{
    failure::{Failure, Result},
    results::{Folder, Grids, Metric, Provenance, Series, normalised_pairs, series},
};

const OPEN: &str = "<!-- ";
const CLOSE: &str = " -->";
const END: &str = "<!-- end -->";
const KINDS: [&str; 12] =
    ["table", "changes", "wins", "grids", "grid-counts", "afs", "metrics", "times", "value", "change", "csv", "build"];

/// `text` with every block written anew; `results` holds the folders.
///
/// # Errors
/// Naming the line of a block that cannot be read, or whose figures there are none of.
pub fn rewrite(text: &str, path: &Path, results: &Path) -> Result<String> {
    let mut folders = BTreeMap::new();
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, block)) = next(rest) {
        let line = 1 + text[..text.len() - rest.len() + before.len()].matches('\n').count();
        let wrong = |reason: &str| Failure::Request(format!("{}:{line}: {reason}", path.display()));
        let (open, after) = block.split_once(CLOSE).ok_or_else(|| wrong("a block without its ' -->'"))?;
        let (old, after) = after.split_once(END).ok_or_else(|| wrong("a block without its '<!-- end -->'"))?;
        if next(old).is_some() {
            return Err(wrong("a block without its '<!-- end -->': another begins before one"));
        }
        let content = content(&open[OPEN.len()..], results, &mut folders).map_err(|error| wrong(&error.to_string()))?;
        out.extend([before, open, CLOSE, &content, END]);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// What comes before the next block, and what begins with it.
fn next(text: &str) -> Option<(&str, &str)> {
    let begins = |at: &usize| KINDS.iter().any(|kind| text[at + OPEN.len()..].starts_with(&format!("{kind}: ")));
    let at = text.match_indices(OPEN).map(|(at, _)| at).find(begins)?;
    Some(text.split_at(at))
}

fn content(open: &str, results: &Path, folders: &mut BTreeMap<String, Folder>) -> Result<String> {
    let (kind, arguments) = open.split_once(": ").unwrap_or((open, ""));
    let mut keys = BTreeMap::new();
    for pair in arguments.split(" | ") {
        let (key, value) =
            pair.split_once('=').ok_or_else(|| Failure::Request(format!("'{pair}' is not key=value")))?;
        keys.insert(key.trim(), value.trim());
    }
    let mut take = |key: &str| keys.remove(key).map(str::to_owned);
    if kind == "csv" {
        let (file, columns) =
            take("file").zip(take("columns")).ok_or_else(|| Failure::request("expected file= and columns="))?;
        let columns: Vec<&str> = columns.split(',').map(str::trim).collect();
        return Ok(format!("\n{}", csv_table(&results.join(file), &columns)?));
    }
    let name = take("results").ok_or_else(|| Failure::request("expected results=NAME"))?;
    if kind == "build" {
        return builds(&results.join(name));
    }
    let list = |text: Option<String>, between: char| {
        text.map(|text| text.split(between).map(|part| part.trim().to_owned()).collect::<Vec<_>>())
    };
    if kind == "metrics" {
        let named = |names: Vec<String>| names.iter().map(|name| Metric::named(name)).collect::<Option<Vec<_>>>();
        let (metrics, nfe) = (list(take("metrics"), ',').and_then(named), take("nfe").and_then(|nfe| nfe.parse().ok()));
        let asked = metrics.zip(nfe).filter(|_| keys.is_empty());
        let (metrics, nfe) = asked.ok_or_else(|| Failure::request("expected results=, metrics= and one nfe="))?;
        return Ok(format!("\n{}", table::metrics(read(folders, results, &name)?, &metrics, nfe)?));
    }
    let metric = take("metric").and_then(|name| Metric::named(&name));
    let metric = metric.ok_or_else(|| Failure::request("expected metric= and its name"))?;
    let nfes = list(take("nfe"), ',')
        .map(|all| all.iter().map(|nfe| nfe.parse::<u32>()).collect::<std::result::Result<Vec<_>, _>>());
    let nfes = nfes.transpose().map_err(|error| Failure::Request(format!("nfe: {error}")))?;
    if kind == "afs" {
        let without = take("without").filter(|_| keys.is_empty() && nfes.is_none());
        let without = without.ok_or_else(|| Failure::request("expected results=, metric= and without="))?;
        let mut network = |name: &str| Ok::<_, Failure>(read(folders, results, name)?.provenance.network.clone());
        if network(&name)? != network(&without)? {
            return Err(Failure::Request(format!("{name} and {without} are of two networks")));
        }
        let mut map = |name: &str| grids(read(folders, results, name)?, metric);
        return Ok(format!("\n{}", table::afs_counts(&map(&name)?, &map(&without)?)?));
    }
    let over = take("over");
    if over.is_some() && !["grids", "times"].contains(&kind) {
        return Err(Failure::request("over is for grids and times"));
    }
    let methods = list(take("methods"), ';').or_else(|| take("method").map(|method| vec![method]));
    if let Some(key) = keys.keys().next() {
        return Err(Failure::Request(format!(
            "no key '{key}'; expected results, metric, nfe, over, methods or method"
        )));
    }
    block(kind, read(folders, results, &name)?, metric, nfes, methods, over)
}

/// Behind a build whose sources no commit has.
const DIRTY: &str = "-dirty";

/// By which commits' programs a folder was measured.
fn builds(folder: &Path) -> Result<String> {
    let provenance = Provenance::read(folder)?;
    let all = provenance.builds.keys().chain(Some(&provenance.build).filter(|build| !build.is_empty()));
    let short = |build: &str| {
        let commit = build.strip_suffix(DIRTY).unwrap_or(build);
        commit.get(..7).unwrap_or(commit).to_owned() + &build[commit.len()..]
    };
    let all: BTreeSet<String> = all.flat_map(|builds| builds.split(" and ")).map(short).collect();
    if all.is_empty() {
        return Err(Failure::Request(format!("{}: names no build", folder.display())));
    }
    Ok(all.into_iter().collect::<Vec<_>>().join(", "))
}

/// A folder, read once.
fn read<'a>(folders: &'a mut BTreeMap<String, Folder>, results: &Path, name: &str) -> Result<&'a Folder> {
    Ok(match folders.entry(name.to_owned()) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(place) => place.insert(Folder::read(&results.join(name))?),
    })
}

fn grids(folder: &Folder, metric: Metric) -> Result<Grids> {
    let map = Grids::of(&folder.records, &folder.per_image, metric);
    map.ok_or_else(|| Failure::request("too few solvers or grids, or most of their pairs missing"))
}

fn block(
    kind: &str,
    folder: &Folder,
    metric: Metric,
    nfes: Option<Vec<u32>>,
    methods: Option<Vec<String>>,
    over: Option<String>,
) -> Result<String> {
    let of_grids = ["grids", "grid-counts"].contains(&kind);
    if of_grids && (nfes.is_some() || methods.is_some()) {
        return Err(Failure::Request(format!("{kind} is of all methods and NFEs; expected results and metric")));
    }
    let every = series(&folder.records, &folder.per_image, metric);
    let all = match methods {
        None => every.clone(),
        Some(methods) => methods.iter().map(|label| find(&every, label)).collect::<Result<Vec<Series>>>()?,
    };
    let nfes = nfes.unwrap_or_else(|| table::all_nfes(&all));
    if let Some(nfe) = nfes.iter().find(|nfe| !all.iter().any(|series| series.points.contains_key(nfe))) {
        return Err(Failure::Request(format!("no method is measured at {nfe} NFE")));
    }
    let floor = Floor::of(folder, metric);
    let over = over.map(|over| find(&every, &over)).transpose()?;
    if of_grids {
        let map = grids(folder, metric)?;
        if kind == "grid-counts" {
            return Ok(format!("\n{}", table::grid_counts(&map)));
        }
        return Ok(format!("\n{}", table::best_grids(&map, floor.as_ref(), metric, over.as_ref())));
    }
    match kind {
        "table" => Ok(format!("\n{}", table::values(&all, floor.as_ref(), metric, &nfes))),
        "times" => {
            let over = over.ok_or_else(|| Failure::request("times needs over= and a method"))?;
            Ok(format!("\n{}", table::times(&all, &over, &nfes)))
        }
        "changes" => {
            let changes = table::changes(&normalised_pairs(&folder.records), &all, floor.as_ref(), metric, &nfes);
            Ok(format!(
                "\n{}",
                changes.ok_or_else(|| Failure::request("no method with and without score normalisation"))?
            ))
        }
        "wins" => {
            let wins = super::wins::table(folder, &normalised_pairs(&folder.records), metric, &nfes);
            let wins =
                wins.ok_or_else(|| Failure::request("no images of a method with and without score normalisation"))?;
            Ok(format!("\n{wins}"))
        }
        "change" => match (all.as_slice(), nfes.as_slice()) {
            ([one], [nfe]) => change(folder, &every, one, *nfe, metric),
            _ => Err(Failure::request("a change is of one method at one nfe")),
        },
        _ => match (all.as_slice(), nfes.as_slice()) {
            ([one], [nfe]) if !one.points[nfe].values.is_empty() => Ok(table::number(one.points[nfe].mean())),
            ([_], [_]) => Err(Failure::request("that cell has no value: it diverged")),
            _ => Err(Failure::request("a value is of one method at one nfe")),
        },
    }
}

/// What score normalisation changes of `with` at `nfe`. One that is not decided must not read as a finding.
fn change(folder: &Folder, all: &[Series], with: &Series, nfe: u32, metric: Metric) -> Result<String> {
    let pair = normalised_pairs(&folder.records).into_iter().find(|(normalised, _)| *normalised == with.label);
    let (_, plain) = pair.ok_or_else(|| Failure::request("no such method with and without score normalisation"))?;
    let plain = find(all, &plain)?;
    let points = with.points.get(&nfe).zip(plain.points.get(&nfe));
    let change = points.and_then(|(a, b)| table::relative(a, b, Floor::of(folder, metric).as_ref(), metric));
    match change.ok_or_else(|| Failure::request("that cell has no change above the solution's own error"))? {
        (change, true) => Ok(format!("{} %", table::percent(change))),
        (change, false) => Ok(format!("({} %)", table::percent(change))),
    }
}

fn find(all: &[Series], label: &str) -> Result<Series> {
    all.iter().find(|series| series.label == label).cloned().ok_or_else(|| {
        let known: Vec<&str> = all.iter().map(|series| series.label.as_str()).collect();
        Failure::Request(format!("no method '{label}'; expected {}", known.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_and_broken_ones_named_with_their_line() {
        let text = "a\n<!-- a comment -->\nb <!-- value: x -->1<!-- end --> c";
        let (before, block) = next(text).unwrap();
        assert_eq!((before, &block[..10]), ("a\n<!-- a comment -->\nb ", "<!-- value"));
        let error = |text: &str| rewrite(text, Path::new("t.md"), Path::new("nowhere")).unwrap_err().to_string();
        assert!(error(text).starts_with("t.md:3: 'x' is not key=value"), "{}", error(text));
        let nested = "<!-- table: results=q | metric=fid -->\nprose <!-- value: x -->1<!-- end -->";
        assert!(error(nested).contains("another begins before one"), "{}", error(nested));
        assert!(error("\n<!-- table: results=quick -->").contains("t.md:2: a block without its '<!-- end -->'"));
        let gone = error("<!-- table: results=quick | metric=fid --><!-- end -->");
        assert!(gone.starts_with("t.md:1: nowhere/quick/cells.csv"), "{gone}");
        assert!(error("<!-- table: results=q | metric=mse --><!-- end -->").contains("expected metric="));
        for wrong in
            ["metrics=fid; mse | nfe=5", "metrics=fid", "metrics=fid | nfe=5,6", "metrics=fid | nfe=5 | method=a"]
        {
            let said = error(&format!("<!-- metrics: results=q | {wrong} --><!-- end -->"));
            assert!(said.contains("expected results=, metrics= and one nfe="), "{said}");
        }
        assert_eq!(rewrite("no block", Path::new("t.md"), Path::new("x")).unwrap(), "no block");
    }
}
