//! Progress with the time left: a bar on a terminal, a line now and then where there is none.

use std::{
    io::IsTerminal,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// Seconds between lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(30);

/// Work of a known size.
pub struct Progress {
    bar: ProgressBar,
    unit: &'static str,
    /// What was done before this process.
    before: AtomicU64,
    /// When the last line was written; none on a terminal.
    line: Option<Mutex<Instant>>,
}

impl Progress {
    /// `total` units of work.
    pub fn new(total: u64, unit: &'static str) -> Self {
        let template = format!("{{msg}} [{{bar:30}}] {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
        // The template is a constant of this file; an unreadable one would only cost the looks.
        let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total).with_style(style.progress_chars("=> "));
        let terminal = std::io::stderr().is_terminal();
        if terminal {
            bar.enable_steady_tick(Duration::from_millis(500));
        }
        Progress { bar, unit, before: AtomicU64::new(0), line: (!terminal).then(|| Mutex::new(Instant::now())) }
    }

    /// What is being done.
    pub fn say(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// `n` more units are done.
    pub fn advance(&self, n: u64) {
        self.bar.inc(n);
        if let Some(line) = &self.line
            && let Ok(mut last) = line.try_lock()
            && last.elapsed() >= EVERY
        {
            *last = Instant::now();
            self.print(&self.bar.message());
        }
    }

    /// `n` units need not be done after all.
    pub fn skip(&self, n: u64) {
        self.bar.set_length(self.bar.length().unwrap_or(0).saturating_sub(n));
    }

    /// Begins at `done`: what an earlier process did says nothing of this one's speed.
    pub fn resume(&self, done: u64) {
        self.before.store(done, Ordering::Relaxed);
        self.bar.set_position(done);
        self.bar.reset_eta();
    }

    /// A line of its own, on a terminal above the bar.
    pub fn line(&self, text: &str) {
        match &self.line {
            None => self.bar.println(text),
            Some(line) => {
                if let Ok(mut last) = line.lock() {
                    *last = Instant::now();
                }
                self.print(text);
            }
        }
    }

    fn print(&self, text: &str) {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        eprintln!("{text}: {done} of {total} {}, {} left", self.unit, HumanDuration(self.left()));
    }

    /// From the mean speed so far: indicatif's own estimate is of a bar that is drawn.
    fn left(&self) -> Duration {
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let own = done.saturating_sub(self.before.load(Ordering::Relaxed)).max(1);
        self.bar.elapsed().mul_f64(total.saturating_sub(done) as f64 / own as f64)
    }

    /// All is done.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
