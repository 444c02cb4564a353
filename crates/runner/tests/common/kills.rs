//! What tests share that kill.

use std::{
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// Where a process is killed: xorshift, so that each run of a test has the same delays.
pub struct Delays(u64);

impl Delays {
    /// From a seed that is not 0.
    pub fn new(seed: u64) -> Self {
        Delays(seed)
    }

    /// The next one.
    pub fn below(&mut self, longest: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        longest.mul_f64((self.0 % 1_000_000) as f64 / 1e6)
    }
}

/// Starts a command and kills it after a while. Whether it came to its end before that, and then well.
#[allow(dead_code)] // each test file uses its own part
pub fn killed(command: &mut Command, after: Duration) -> bool {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    sleep(after);
    let alive = child.try_wait().unwrap().is_none();
    if alive {
        child.kill().unwrap(); // SIGKILL
    }
    let status = child.wait().unwrap();
    // What ended between the look and the kill ended well, too.
    assert!(alive || status.success());
    !alive || status.success()
}

/// How long a command takes undisturbed, so that it is killed at any of its moments on any machine.
#[allow(dead_code)]
pub fn duration(command: &mut Command) -> Duration {
    let start = Instant::now();
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    start.elapsed()
}
