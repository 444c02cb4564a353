//! `just bench-peers`: speed beside the Python stack.

use std::path::Path;

use super::{Csv, Figures, Picture, Table};
use crate::{
    failure::{Failure, Result},
    report::figures::origin,
};

/// The ratios; another machine's have its name behind, as all of its files have.
const PEERS: &str = "peers";
const SHOWN: [&str; 9] =
    ["work", "ours", "peer", "unit", "ratio", "ratio_least", "ratio_greatest", "share_of_limit", "difference"];
/// What else there may be of a machine.
const OTHERS: [(&str, &str); 3] = [
    ("scaling", "Cost against images, evaluations and batch"),
    (
        "fid",
        "fewstep fid, called as pytorch-fid is, beside pytorch-fid: no speed, but whether the numbers are the same",
    ),
    ("edm", "A network of the size of EDM's, ours alone"),
];

const ABOUT: &str = "Ours and the peer's take turns on the same cores (just bench-peers); a ratio is of one round, and what stands here is the median of the rounds with the least and the greatest of them. A share of the limit is against what the machine gives to a loop of multiply-adds on registers, convolutions counted directly, so that a faster algorithm may exceed it. Difference: between both sides' results in the same run. Machine and build of a table are those of its last run; what that did not measure again is of one before. benches/README.md says what else ran on the machines and what was not measured.";

pub(super) fn read(folder: &Path, _: &Csv) -> Result<Figures> {
    let mut figures = Figures::new("Beside the Python stack", ABOUT, Vec::new());
    for name in machines(folder)? {
        let path = folder.join(format!("{PEERS}{name}.csv"));
        let machine = folder.join(format!("machine{name}.toml"));
        let toml = origin::read(&machine)?;
        let of = |section: &str, name: &str| {
            let missing = || Failure::Request(format!("{}: no {section}.{name}", machine.display()));
            toml.get(section).and_then(|section| section.get(name)).map(origin::text).ok_or_else(missing)
        };
        let cpu = format!("{}, {} cores", of("machine", "cpu")?, of("machine", "cores")?);
        let file = Csv::read(&path)?;
        let (work, ratio) = (file.column("work")?, file.numbers("ratio")?);
        let (least, greatest) = (file.numbers("ratio_least")?, file.numbers("ratio_greatest")?);
        let place =
            |by: fn(f64, f64) -> bool| (0..work.len()).reduce(|a, b| if by(ratio[b], ratio[a]) { b } else { a });
        if let Some((low, high)) = place(|a, b| a < b).zip(place(|a, b| a > b)) {
            let say = |i: usize| format!("{:.2} times ({:.2} to {:.2}; {})", ratio[i], least[i], greatest[i], work[i]);
            figures.found.push(format!("On {cpu}: from {} to {} as fast as the peer.", say(low), say(high)));
        }
        figures.tables.push(Table::some(format!("{cpu}; build {}", of("versions", "commit")?), &file, &SHOWN)?);
        figures.provenance.extend(origin::sections(&toml, &format!(", {cpu}")));
        let about =
            format!("Where the time of one cell goes, ours and the peer's, each stage against its floor; {cpu}");
        figures.pictures.extend(Picture::of(&folder.join(format!("cell{name}.svg")), about)?);
        for (table, about) in OTHERS {
            let path = folder.join(format!("{table}{name}.csv"));
            if path.is_file() {
                figures.tables.push(Table::of(format!("{about}; {cpu}"), &Csv::read(&path)?)?);
            }
        }
    }
    Ok(figures)
}

/// What is behind the names of each machine's files: nothing, of the first.
fn machines(folder: &Path) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Failure::file(folder))? {
        let name = entry.map_err(Failure::file(folder))?.file_name().to_string_lossy().into_owned();
        let of = name.strip_prefix(PEERS).and_then(|rest| rest.strip_suffix(".csv"));
        all.extend(of.filter(|of| of.is_empty() || of.starts_with('-')).map(str::to_owned));
    }
    all.sort_unstable();
    Ok(all)
}
