//! Images in parts: what is kept of a cell, a solution or converged samples that are not finished, so that a kill costs a minute, and
//! what the shards of a sweep give, each of its own images.
//!
//! A part holds the features themselves and no sums of them. Sums over parts would have other last bits than one sum over all images;
//! features are added up image by image when all parts are there, so that neither a kill nor the number of shards shows in a figure.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::{
    figures::Rows,
    kept::{self, Numbers},
    key::Key,
    sampler::Sampler,
};
use crate::{
    failure::{Failure, Result},
    files,
};

/// A kill costs no more than the images since the last part, and the batches in hand. `FEWSTEP_CHECKPOINT` says other seconds.
const EVERY: f64 = 60.0;
const VARIABLE: &str = "FEWSTEP_CHECKPOINT";

/// How long what is made may be in memory alone.
///
/// # Errors
/// Where the variable makes no sense.
fn every() -> Result<Duration> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(Duration::from_secs_f64(EVERY)) };
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| Failure::Request(format!("{VARIABLE} is '{text}'; expected seconds between checkpoints")))
}

/// When what is made is kept: every minute, or as [`VARIABLE`] says, and where that takes long, so seldom that it takes a twentieth of the time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    every: Duration,
    at: Instant,
    took: Duration,
}

/// Of the time one part in so many may go into keeping.
const SHARE: u32 = 20;

impl Clock {
    /// From now on.
    ///
    /// # Errors
    /// Where the variable makes no sense.
    pub fn start() -> Result<Self> {
        Ok(Clock { every: every()?, at: Instant::now(), took: Duration::ZERO })
    }

    /// Whether it is time.
    pub fn is_due(&self) -> bool {
        self.at.elapsed() >= self.every.max(SHARE * self.took)
    }

    /// Keeps, and looks how long that takes.
    ///
    /// # Errors
    /// Those of `keep`.
    pub fn keep(&mut self, keep: impl FnOnce() -> Result<()>) -> Result<()> {
        let begun = Instant::now();
        keep()?;
        (self.at, self.took) = (Instant::now(), begun.elapsed());
        Ok(())
    }
}

const FOLDER: &str = "parts";

/// What a range of a cell's images gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    /// Which images, numbered as in the cell.
    pub images: Range<usize>,
    /// What figures are made of.
    pub rows: Rows,
    /// Pixels of those that the cell's picture shows.
    pub pictured: Vec<u8>,
    /// Evaluations of an image.
    pub evaluated: u64,
    /// Of sampling.
    pub seconds: f64,
}

/// Where the parts that are made go, in order.
pub type Sink<'a> = &'a mut dyn FnMut(Part) -> Result<()>;

/// Numbers of an image in a part.
#[derive(Debug, Clone, Default)]
pub struct Widths {
    /// Of its features, by space.
    pub spaces: Vec<usize>,
    /// Of its sample.
    pub x: usize,
    /// Of its picture, and how many of the first images are pictured.
    pub pictured: (usize, usize),
}

/// The parts of one cell.
pub struct Parts {
    key: Key,
    /// Where they are written.
    own: PathBuf,
    /// Where they are looked for.
    folders: Vec<PathBuf>,
    /// Whether what lacks is an error and not made.
    all_there: bool,
    widths: Widths,
    /// Whether it is an error that something cannot be kept.
    must: bool,
    since: Instant,
    /// Since the last that was kept.
    fresh: Vec<Part>,
}

impl Parts {
    /// Of what has this key; written in `own`, and looked for there, or in the folders of `shards` where there are any: then all of
    /// it has to be there.
    pub fn new(key: Key, own: &Path, shards: &[PathBuf], widths: Widths) -> Self {
        let folder = |within: &PathBuf| Parts::folder(within).join(key.short());
        let own = folder(&own.to_owned());
        let folders = if shards.is_empty() { vec![own.clone()] } else { shards.iter().map(folder).collect() };
        Parts {
            own,
            folders,
            all_there: !shards.is_empty(),
            key,
            widths,
            must: true,
            since: Instant::now(),
            fresh: Vec::new(),
        }
    }

    /// The same, of which as much is kept as can be: what cannot ends nothing.
    pub fn where_possible(self) -> Self {
        Parts { must: false, ..self }
    }

    /// Whether it is of what has this key.
    pub fn is_of(&self, key: &Key) -> bool {
        self.key == *key
    }

    /// Sees to it that it is known how often to keep parts.
    ///
    /// # Errors
    /// Where the variable makes no sense.
    pub fn check() -> Result<()> {
        every().map(drop)
    }

    /// Where every part below `kept` is.
    pub fn folder(kept: &Path) -> PathBuf {
        kept.join(FOLDER)
    }

    /// Gives `take` what the images of a range, each of so many evaluations, gave, in their order: what is kept, of which `known` hears how many images it is of, and
    /// the rest by `work`, kept by now and then. How many evaluations of an image they took: by the network's own count, and of what
    /// is kept by that of the runs.
    ///
    /// # Errors
    /// As those; [`Failure::Interrupted`] once what is made is kept; [`Failure::Diverged`] once that is.
    pub fn each(
        &mut self,
        sampler: &Sampler,
        (images, evaluations): (Range<usize>, usize),
        known: impl Fn(usize),
        work: impl Fn(Range<usize>) -> Result<Part> + Sync,
        take: impl FnMut(&Part) -> Result<()>,
    ) -> Result<u64> {
        let before = sampler.asked();
        let make = |images, sink: Sink| sampler.batches_of((images, evaluations), &work, |_, part| sink(part));
        Ok(self.all(images, known, make, take)? + sampler.asked() - before)
    }

    /// The same of whatever `make` makes of a range, giving it away in order; the evaluations of what was kept.
    ///
    /// # Errors
    /// As [`Parts::each`].
    pub fn all(
        &mut self,
        images: Range<usize>,
        known: impl Fn(usize),
        make: impl Fn(Range<usize>, Sink) -> Result<()>,
        mut take: impl FnMut(&Part) -> Result<()>,
    ) -> Result<u64> {
        let (mut evaluated, mut at) = (0, images.start);
        for (folder, range) in self.find(&images) {
            self.make(at..range.start, &images, &make, &mut take)?;
            // What follows are not the images after these.
            self.keep()?;
            at = range.start;
            if let Some(part) = self.read(&folder, range.clone())? {
                known(range.len());
                take(&part)?;
                evaluated += part.evaluated;
                at = range.end;
            }
        }
        self.make(at..images.end, &images, &make, &mut take)?;
        Ok(evaluated)
    }

    fn make(
        &mut self,
        images: Range<usize>,
        all: &Range<usize>,
        make: &impl Fn(Range<usize>, Sink) -> Result<()>,
        take: &mut impl FnMut(&Part) -> Result<()>,
    ) -> Result<()> {
        if images.is_empty() {
            return Ok(());
        }
        if self.all_there {
            let Range { start, end } = images;
            return Err(Failure::Request(format!("images {start} to {} are in none of the shards", end - 1)));
        }
        let made = make(images, &mut |part| {
            take(&part)?;
            self.add(part)
        });
        match made {
            Err(Failure::Interrupted(_)) => self.keep()?,
            Err(Failure::Diverged { image, step, .. }) => self.diverged(all.clone(), image, step)?,
            _ => {}
        }
        made
    }

    /// What is kept of the images of a range, in their order, none twice.
    fn find(&self, images: &Range<usize>) -> Vec<(PathBuf, Range<usize>)> {
        let mut all: Vec<(PathBuf, Range<usize>)> = self.folders.iter().flat_map(|folder| ranges(folder)).collect();
        // Of two that begin together the longer.
        all.sort_by_key(|(_, range)| (range.start, std::cmp::Reverse(range.end)));
        let mut at = images.start;
        all.retain(|(_, range)| {
            let next = range.start >= at && range.end <= images.end;
            at = if next { range.end } else { at };
            next
        });
        all
    }

    /// Reads one; nothing where it is not as it was written.
    ///
    /// # Errors
    /// [`Failure::Diverged`] where an image of it was not finite.
    fn read(&self, folder: &Path, images: Range<usize>) -> Result<Option<Part>> {
        let Some(numbers) = kept::read_any(folder, &name(&images), &self.key) else { return Ok(None) };
        if let Some((image, step)) = numbers.note.split_once(' ') {
            let number = |text: &str| text.parse().map_err(Failure::run);
            return Err(Failure::Diverged {
                image: number(image)?,
                step: number(step)?,
                method: String::new(),
                nfe: 0,
            });
        }
        Ok(self.part(images, numbers))
    }

    /// Takes what the images after the last ones gave, and keeps it by now and then.
    ///
    /// # Errors
    /// Where it cannot be written.
    fn add(&mut self, part: Part) -> Result<()> {
        self.fresh.push(part);
        if self.since.elapsed() < every()? {
            return Ok(());
        }
        self.keep()
    }

    /// Keeps all that was added.
    ///
    /// # Errors
    /// As [`Parts::add`].
    pub fn keep(&mut self) -> Result<()> {
        self.since = Instant::now();
        let Some((first, last)) = self.fresh.first().zip(self.fresh.last()) else { return Ok(()) };
        let images = first.images.start..last.images.end;
        let numbers = self.numbers();
        self.fresh.clear();
        match kept::write(&self.own, &name(&images), &self.key, &numbers) {
            Err(failure) if !self.must => {
                eprintln!("{failure}; images {} to {} are not kept on the way", images.start, images.end - 1);
                Ok(())
            }
            other => other,
        }
    }

    /// Keeps that an image of a range is not finite, and nothing of the others.
    fn diverged(&mut self, images: Range<usize>, image: usize, step: usize) -> Result<()> {
        self.fresh.clear();
        let numbers = Numbers { note: format!("{image} {step}"), ..Numbers::default() };
        kept::write(&self.own, &name(&images), &self.key, &numbers)
    }

    /// The cell is finished.
    ///
    /// # Errors
    /// Where they cannot be removed.
    pub fn remove(&self) -> Result<()> {
        files::remove_folder(&self.own)
    }

    fn numbers(&self) -> Numbers {
        let fresh = &self.fresh;
        let spaces = 0..self.widths.spaces.len();
        let mut values: Vec<f32> = Vec::new();
        for space in spaces.clone() {
            fresh.iter().for_each(|part| values.extend(&part.rows.features[space].0));
        }
        fresh.iter().for_each(|part| values.extend(&part.rows.x));
        fresh.iter().for_each(|part| values.extend(part.pictured.iter().map(|&level| f32::from(level))));
        let of_space = |space: usize| fresh.iter().map(|part| part.rows.features[space].1).sum();
        let seconds = std::iter::once(fresh.iter().map(|part| part.seconds).sum()).chain(spaces.map(of_space));
        Numbers {
            counted: fresh.iter().map(|part| part.evaluated as f64).sum(),
            check: fresh.iter().flat_map(|part| part.rows.squared.iter().copied()).collect(),
            values,
            seconds: seconds.collect(),
            note: String::new(),
        }
    }

    fn part(&self, images: Range<usize>, numbers: Numbers) -> Option<Part> {
        let Numbers { counted, check, mut values, seconds, .. } = numbers;
        let (n, Widths { spaces, x: samples, pictured: (pixels, pictured) }) = (images.len(), &self.widths);
        let pictured = pixels * (images.start.min(*pictured)..images.end.min(*pictured)).len();
        if values.len() != n * (spaces.iter().sum::<usize>() + samples) + pictured || seconds.len() != spaces.len() + 1
        {
            return None;
        }
        let pictured = values.split_off(values.len() - pictured).into_iter().map(|level| level as u8).collect();
        let x = values.split_off(values.len() - n * samples);
        let mut features = Vec::new();
        for (&width, &seconds) in spaces.iter().zip(&seconds[1..]) {
            let rest = values.split_off(n * width);
            features.push((std::mem::replace(&mut values, rest), seconds));
        }
        let rows = Rows { features, x, squared: check };
        Some(Part { images, rows, pictured, evaluated: counted as u64, seconds: seconds[0] })
    }
}

fn name(images: &Range<usize>) -> String {
    format!("{}-{}", images.start, images.end)
}

/// The ranges of images of the parts in a folder.
fn ranges(folder: &Path) -> Vec<(PathBuf, Range<usize>)> {
    let range = |name: &str| {
        let mut numbers = name.strip_suffix(".toml")?.splitn(3, '-');
        let (start, end) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        (start < end).then_some((folder.to_owned(), start..end))
    };
    let entries = folder.read_dir().into_iter().flatten().flatten();
    entries.filter_map(|entry| range(entry.file_name().to_str()?)).collect()
}

#[cfg(test)]
mod tests;
