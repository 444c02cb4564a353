//! `fewstep slurm`: its arguments. What goes into a script is checked here, so that neither Slurm nor a shell can read more in a value
//! than the value.

use std::{ops::RangeInclusive, path::PathBuf};

use clap::Args;

use crate::device::DeviceName;

/// Seconds before its time limit at which a task is told to save.
pub const WARNING: u64 = 120;
/// Shortest time limit. Slurm may tell a task a minute early: one that is told as it starts would be requeued for ever.
const SHORTEST: u64 = WARNING + 60 + 120;
/// GPUs of one machine.
const MAX_GPUS: u64 = 64;

/// `fewstep slurm`.
#[derive(Args)]
pub struct Slurm {
    /// Experiment file.
    pub experiment: PathBuf,
    /// Parts that the images of every cell are cut into; each is a task of the job array.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub shards: u32,
    /// Results folder, which all nodes must see (default: out/EXPERIMENT); scripts and logs go to its folder `slurm`.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Partition, or several with commas between (default: the cluster's).
    #[arg(long, value_parser = partitions)]
    pub partition: Option<String>,
    /// GPUs of a task, `K` or `TYPE:K`. A task computes on one: where there are more, ask for more shards.
    #[arg(long, value_parser = gpus)]
    pub gpus: Option<String>,
    /// CPU cores of a task (default: the cluster's).
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub cpus: Option<u16>,
    /// Time limit of a task, as Slurm writes it: minutes, hours:minutes:seconds, days-hours and so on.
    #[arg(long, value_parser = time)]
    pub time: Option<String>,
    /// Memory of a task, such as 16G; megabytes without a letter.
    #[arg(long, value_parser = memory)]
    pub memory: Option<String>,
    /// Run in this image by `apptainer exec`: a file or folder, or an address such as docker://…; its own `fewstep` is run.
    #[arg(long)]
    pub container: Option<String>,
    /// Account that the time is charged to.
    #[arg(long, value_parser = name)]
    pub account: Option<String>,
    /// Most tasks that run at a time.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_running: Option<u32>,
    /// Where to compute.
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: DeviceName,
    /// Submit the jobs, and print their ids.
    #[arg(long)]
    pub submit: bool,
    /// Write nothing; print hours, for so many evaluations of the network a second and so many images through Inception.
    #[arg(long, value_name = "EVALUATIONS[,IMAGES]", value_delimiter = ',', value_parser = rate, conflicts_with = "submit")]
    pub estimate: Vec<f64>,
}

/// What Slurm's administrators call partitions, accounts and kinds of GPUs.
fn is_name(text: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.starts_with(word) && text.chars().all(|c| word(c) || matches!(c, '.' | '+' | '-'))
}

fn name(text: &str) -> Result<String, String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("expected letters, digits and _ . + -".into()) }
}

fn partitions(text: &str) -> Result<String, String> {
    if text.split(',').all(is_name) {
        return Ok(text.to_owned());
    }
    Err("expected names of letters, digits and _ . + -, with commas between".into())
}

fn gpus(text: &str) -> Result<String, String> {
    let (kind, count) = text.rsplit_once(':').map_or((None, text), |(kind, count)| (Some(kind), count));
    match number(count) {
        Some(1..=MAX_GPUS) if kind.is_none_or(is_name) => Ok(text.to_owned()),
        _ => Err(format!("expected a number from 1 to {MAX_GPUS}, or a kind and a number, such as a100:1")),
    }
}

fn memory(text: &str) -> Result<String, String> {
    let digits = text.strip_suffix(['K', 'M', 'G', 'T', 'k', 'm', 'g', 't']).unwrap_or(text);
    match number(digits) {
        Some(1..) => Ok(text.to_owned()),
        _ => Err("expected a whole number above 0, with K, M, G or T behind it or nothing, such as 16G".into()),
    }
}

fn time(text: &str) -> Result<String, String> {
    match seconds(text) {
        Some(SHORTEST..) => Ok(text.to_owned()),
        Some(_) => Err(format!(
            "expected at least {} minutes: a task is told to save and is requeued {WARNING} s before its end or a minute earlier",
            SHORTEST / 60
        )),
        None => Err("expected minutes, minutes:seconds, hours:minutes:seconds, days-hours, days-hours:minutes or \
                     days-hours:minutes:seconds"
            .into()),
    }
}

/// Seconds of a time as sbatch takes it.
fn seconds(text: &str) -> Option<u64> {
    let (days, rest) = text.split_once('-').map_or((None, text), |(days, rest)| (Some(days), rest));
    let days = days.map(number).map_or(Some(None), |days| days.map(Some))?;
    let parts: Vec<u64> = rest.split(':').map(number).collect::<Option<_>>()?;
    let of_day = match (days, parts.as_slice()) {
        (None, &[minutes]) => minutes * 60,
        (None, &[minutes, seconds]) => minutes * 60 + seconds,
        (Some(_), &[hours]) => hours * 3600,
        (Some(_), &[hours, minutes]) => hours * 3600 + minutes * 60,
        (_, &[hours, minutes, seconds]) => hours * 3600 + minutes * 60 + seconds,
        _ => return None,
    };
    Some(days.unwrap_or(0) * 86_400 + of_day)
}

/// Digits alone, and not so many that sums of such numbers overflow.
fn number(text: &str) -> Option<u64> {
    const DIGITS: RangeInclusive<usize> = 1..=9;
    let digits = DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if f64::is_finite(rate) && rate > 0.0 => Ok(rate),
        _ => Err("expected a number above 0: how many a second".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The forms of sbatch(1), `--time`.
    #[test]
    fn times_are_read_as_slurm_reads_them() {
        let cases = [
            ("90", 5400),
            ("90:30", 5430),
            ("1:30:05", 5405),
            ("2-3", 183_600),
            ("2-03:04", 183_840),
            ("2-03:04:05", 183_845),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), Some(expected), "{text}");
            assert_eq!(time(text), Ok(text.to_owned()));
        }
        for text in ["", "1h", "-5", "1-", "1:2:3:4", "1-2:3:4:5", "1-2-3", "+5", "5 ", "1:", "1.5", "9999999999", "٣"]
        {
            assert_eq!(seconds(text), None, "{text}");
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!((time("5"), seconds("4:59")), (Ok("5".into()), Some(299)));
        assert!(time("4:59").is_err());
    }

    #[test]
    fn values_are_nothing_but_values() {
        for text in ["gpu", "gpu,gpu-long", "a.b+c_1"] {
            assert_eq!(partitions(text), Ok(text.to_owned()));
        }
        for text in ["", "a,,b", "a b", "a;b", "$(id)", "-a", "a\nb", "a`b", "a#b", "é"] {
            assert!(partitions(text).is_err() && name(text).is_err(), "{text}");
        }
        assert!(name("a,b").is_err());
        for (text, good) in [
            ("1", true),
            ("64", true),
            ("a100:2", true),
            ("0", false),
            ("65", false),
            ("a100:", false),
            (":1", false),
            ("a b:1", false),
        ] {
            assert_eq!(gpus(text).is_ok(), good, "{text}");
        }
        for (text, good) in
            [("16G", true), ("500", true), ("2t", true), ("0", false), ("G", false), ("16GB", false), ("1.5G", false)]
        {
            assert_eq!(memory(text).is_ok(), good, "{text}");
        }
    }
}
