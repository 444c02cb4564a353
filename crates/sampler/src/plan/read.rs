//! Plan files in.

use super::{
    Levels, PlanFile, Step,
    file::{FORMAT, VERSION},
    json::{self, Entry, Value},
};
use crate::{Error, Result, Threshold};

/// Why a text is no plan.
type Read<T> = std::result::Result<T, String>;

const FIELDS: [&str; 14] = [
    "format",
    "version",
    "method",
    "order",
    "nfe",
    "grid",
    "threshold",
    "variable",
    "schedule",
    "tau",
    "sigma",
    "timestep",
    "start",
    "steps",
];
/// The schedule whose name does not say what it is.
pub(super) const SIZED: &str = "simple-diffusion";
const PROVENANCE: &str = "provenance";
const STEP_FIELDS: [&str; 7] = ["a", "b", "c", "noise", "at", "input", "afs"];

impl PlanFile {
    /// What the text of a plan file says.
    ///
    /// # Errors
    /// Naming the field or line, and what was expected there.
    pub fn parse(text: &str) -> Result<Self> {
        json::parse(text).and_then(|value| plan(&value)).map_err(Error::Request)
    }
}

fn plan(value: &Value) -> Read<PlanFile> {
    let known: Vec<&str> = FIELDS.into_iter().chain([PROVENANCE]).collect();
    let fields = Fields::of(value, "the file", "", &known[..0])?;
    // The mark and the version first: what they are not of may have any field.
    match fields.text("format")? {
        Some(format) if format == FORMAT => {}
        Some(other) => return Err(format!("format is '{}'; expected '{FORMAT}'", other.escape_debug())),
        None => return Err(format!("format is missing; expected '{FORMAT}'")),
    }
    match fields.whole("version")? {
        Some(VERSION) => {}
        Some(other) => return Err(format!("version is {other}; this program reads version {VERSION}")),
        None => return Err(format!("version is missing; expected {VERSION}")),
    }
    let fields = Fields::of(value, "the file", "", &known)?;
    let threshold = match fields.text("threshold")? {
        Some(text) => text.parse().map_err(|error: Error| format!("threshold: {error}"))?,
        None => Threshold::None,
    };
    let levels = levels(&fields)?;
    let steps = fields.list("steps")?.ok_or("steps is missing; expected a list of steps")?;
    let steps = steps.iter().enumerate().map(|(k, value)| step(k, value)).collect::<Read<_>>()?;
    let provenance = fields.entry(PROVENANCE).map(|entry| match entry.value {
        Value::Object(_) => Ok(entry.text.to_owned()),
        _ => Err(format!("{PROVENANCE} is {}; expected an object", entry.value.described())),
    });
    let file = PlanFile {
        method: fields.text("method")?.ok_or("method is missing; expected a name")?,
        order: fields.whole("order")?.unwrap_or(0),
        grid: fields.text("grid")?.unwrap_or_default(),
        threshold,
        levels,
        start: fields.number("start")?,
        steps,
        provenance: provenance.transpose()?,
    };
    // Lengths before what is counted in them.
    file.check().map_err(|error| error.to_string())?;
    if let Some(nfe) = fields.whole("nfe")?.filter(|&nfe| nfe != file.nfe()) {
        return Err(format!("nfe is {nfe}; the steps evaluate the network {} times", file.nfe()));
    }
    if let Some(given) = fields.numbers("timestep")? {
        file.timesteps(&given)?;
    }
    Ok(file)
}

fn levels(fields: &Fields) -> Read<Levels> {
    let needs = |name: &str| fields.numbers(name)?.ok_or(format!("{name} is missing; expected a list of levels"));
    let refuse = |variable: &str, names: &[&str]| match names.iter().find(|name| fields.entry(name).is_some()) {
        Some(name) => Err(format!("{name} has no meaning for variable '{variable}'")),
        None => Ok(()),
    };
    match fields.text("variable")?.as_deref() {
        Some("x") => {
            refuse("x", &["sigma"])?;
            let schedule = fields.text("schedule")?.ok_or("schedule is missing; variable x needs its name")?;
            if schedule == SIZED {
                return Err(format!("schedule '{SIZED}' depends on the size of images; expected variable y"));
            }
            Ok(Levels::X { schedule, tau: needs("tau")? })
        }
        Some("y") => {
            refuse("y", &["schedule", "tau", "timestep"])?;
            Ok(Levels::Y { sigma: needs("sigma")? })
        }
        Some(other) => Err(format!("variable is '{}'; expected x or y", other.escape_debug())),
        None => Err("variable is missing; expected x or y".into()),
    }
}

fn step(k: usize, value: &Value) -> Read<Step> {
    let fields = Fields::of(value, &format!("steps[{k}]"), &format!("steps[{k}]."), &STEP_FIELDS)?;
    let missing = |name: &str| format!("steps[{k}].{name} is missing");
    Ok(Step {
        a: fields.number("a")?.ok_or_else(|| missing("a"))?,
        b: fields.numbers("b")?.unwrap_or_default(),
        c: fields.numbers("c")?.ok_or_else(|| missing("c"))?,
        noise: fields.number("noise")?.unwrap_or(0.0),
        at: fields.number("at")?,
        input: fields.number("input")?.unwrap_or(1.0),
        afs: fields.number("afs")?,
    })
}

/// The fields of an object.
struct Fields<'a> {
    entries: &'a [Entry<'a>],
    /// Before their names in errors.
    prefix: String,
}

impl<'a> Fields<'a> {
    /// Those of `value`; where `known` is not empty, none but these.
    fn of(value: &'a Value, place: &str, prefix: &str, known: &[&str]) -> Read<Self> {
        let Value::Object(entries) = value else {
            return Err(format!("{place} is {}; expected an object", value.described()));
        };
        let unknown = entries.iter().find(|entry| !known.is_empty() && !known.contains(&entry.name.as_str()));
        match unknown {
            Some(Entry { name, .. }) => {
                Err(format!("{prefix}{}: no such field; expected {}", name.escape_debug(), known.join(", ")))
            }
            None => Ok(Fields { entries, prefix: prefix.to_owned() }),
        }
    }

    fn entry(&self, name: &str) -> Option<&'a Entry<'a>> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// What `read` makes of a field, where there is one.
    fn field<T>(&self, name: &str, expected: &str, read: impl Fn(&'a Value<'a>) -> Option<T>) -> Read<Option<T>> {
        let Some(Entry { value, .. }) = self.entry(name) else { return Ok(None) };
        let refuse = || format!("{}{name} is {}; expected {expected}", self.prefix, value.described());
        read(value).map(Some).ok_or_else(refuse)
    }

    fn text(&self, name: &str) -> Read<Option<String>> {
        self.field(name, "a string", |value| if let Value::Text(text) = value { Some(text.clone()) } else { None })
    }

    fn number(&self, name: &str) -> Read<Option<f64>> {
        self.field(name, "a number", |value| if let Value::Number(number) = value { Some(*number) } else { None })
    }

    fn whole(&self, name: &str) -> Read<Option<usize>> {
        let read = |value: &Value| match value {
            Value::Number(number) if number.fract() == 0.0 && (0.0..=1e6).contains(number) => Some(*number as usize),
            _ => None,
        };
        self.field(name, "a whole number from 0 to 1000000", read)
    }

    fn list(&self, name: &str) -> Read<Option<&'a [Value<'a>]>> {
        self.field(name, "a list", |value| if let Value::List(list) = value { Some(list.as_slice()) } else { None })
    }

    fn numbers(&self, name: &str) -> Read<Option<Vec<f64>>> {
        let Some(list) = self.list(name)? else { return Ok(None) };
        let number = |(i, value): (usize, &Value)| match value {
            Value::Number(number) => Ok(*number),
            other => Err(format!("{}{name}[{i}] is {}; expected a number", self.prefix, other.described())),
        };
        list.iter().enumerate().map(number).collect::<Read<_>>().map(Some)
    }
}
