//! How grids are written: what `Display` writes, `FromStr` reads.

use std::{fmt, str::FromStr};

use super::{DMN, EDM, GITS, Grid, LEVELS, PLAIN, Spacing};
use crate::{Error, Result};

/// What may be written.
fn expected() -> String {
    let (forms, endings) = (Grid::FORMS.join(", "), Grid::ENDINGS.join(" or "));
    format!("{forms}, with {endings} behind it for an end before 0, {}, or a list of times", Grid::LISTS.join(", "))
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |times: &[f64]| times.iter().map(f64::to_string).collect::<Vec<String>>().join(" ");
        match &self.spacing {
            Spacing::List(times) => return f.write_str(&join(times)),
            Spacing::Levels(levels) if levels == &GITS => return f.write_str("gits"),
            Spacing::Levels(levels) => return write!(f, "{LEVELS} {}", join(levels)),
            Spacing::Dmn(p) if *p != DMN => write!(f, "dmn-{p}")?,
            Spacing::Dmn(_) => f.write_str("dmn")?,
            Spacing::Power(p) if *p != 2.0 => write!(f, "power-{p}")?,
            Spacing::Edm(p) if *p != EDM => write!(f, "edm-{p}")?,
            Spacing::Edm(_) => f.write_str("edm")?,
            plain => {
                let known = PLAIN.iter().find(|(_, spacing)| spacing == plain);
                f.write_str(known.map_or("", |(name, _)| name))?;
            }
        }
        if self.end > 0.0 {
            write!(f, "-to-{}", self.end)?;
        }
        f.write_str(if self.denoise { "-denoise" } else { "" })
    }
}

impl FromStr for Grid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |reason: &str| Error::Request(format!("no grid '{text}'{reason}; expected {}", expected()));
        let numbers = |text: &str| text.split([' ', ',']).filter(|part| !part.is_empty()).map(str::parse).collect();
        if let Ok(times) = numbers(text) {
            return Grid::list(times);
        }
        if text == "gits" {
            return Grid::levels(GITS.to_vec());
        }
        if let Some(Ok(levels)) = text.strip_prefix(LEVELS).map(numbers) {
            return Grid::levels(levels);
        }
        let (rest, denoise) = text.strip_suffix("-denoise").map_or((text, false), |rest| (rest, true));
        let (name, end) = rest.split_once("-to-").map_or((rest, None), |(name, end)| (name, Some(end)));
        let end = match end.map(str::parse::<f64>) {
            None if denoise => return Err(refuse(": a last step to 0 needs an end before it")),
            None => 0.0,
            Some(Ok(end)) if end > 0.0 && end < 1.0 => end,
            Some(_) => return Err(refuse(": the end is no time between 0 and 1")),
        };
        let number = |text: &str| text.parse::<f64>().ok().filter(|p| *p > 0.0 && *p <= 100.0);
        let plain = PLAIN.into_iter().find(|(known, _)| *known == name).map(|(_, spacing)| spacing);
        let spacing = plain
            .or_else(|| (name == "edm").then_some(Spacing::Edm(EDM)))
            .or_else(|| (name == "dmn").then_some(Spacing::Dmn(DMN)))
            .or_else(|| name.strip_prefix("dmn-").and_then(number).map(Spacing::Dmn))
            .or_else(|| name.strip_prefix("edm-").and_then(number).map(Spacing::Edm))
            .or_else(|| name.strip_prefix("power-").and_then(number).map(Spacing::Power))
            .ok_or_else(|| refuse(""))?;
        Ok(Grid { spacing, end, denoise })
    }
}
