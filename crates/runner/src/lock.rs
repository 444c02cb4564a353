//! Who works on what: file locks, which end with the process that holds them, however it ends.
//!
//! They are for runs on one machine, or on file systems that have locks across machines. Where a file system has none, nothing is
//! locked, and it is said once; what is kept is believed by its hash alone, so that two runs at once cost time there and no figure. A file
//! system may also keep the lock of a machine that is gone: a run that waits for another says so, and for a single file none waits for long.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{
    failure::{Failure, Result},
    interrupt,
};

/// What is locked of a folder that a run writes.
pub fn of(folder: &Path) -> PathBuf {
    folder.join(".lock")
}

/// The lock of a folder that is about to be written, once nobody else writes there; it is said that another does.
///
/// # Errors
/// As [`Lock::wait`].
pub fn writing(folder: &Path) -> Result<Lock> {
    let wait = |holder: &str| eprintln!("{}: {holder} writes there; waiting for its end", folder.display());
    Lock::wait(&of(folder), wait)
}

/// How often a lock's file may be another's before the file system is what is wrong.
const ATTEMPTS: usize = 1000;

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// Open as long as it is held.
    _file: File,
    path: PathBuf,
}

impl Lock {
    /// The lock at `path`; nothing while another has it.
    ///
    /// # Errors
    /// Where there can be no such file.
    pub fn take(path: &Path) -> Result<Option<Lock>> {
        let failed = || Failure::file(path);
        for _ in 0..ATTEMPTS {
            let file = at(path).map_err(failed())?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) if has_none(&error) => say_once(path),
                Err(TryLockError::Error(error)) => return Err(failed()(error)),
                Ok(()) => {}
            }
            if is_at(&file, path) {
                return Lock::held(file, path).map(Some);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let message =
            format!("{}: never the file that was opened; expected a file system whose files stay", path.display());
        Err(Failure::Run(message))
    }

    /// The lock at `path`, once nobody else has it; `wait` hears that somebody has, and who.
    ///
    /// # Errors
    /// As [`Lock::take`]; [`Failure::Interrupted`] where the process is asked to end meanwhile.
    pub fn wait(path: &Path, wait: impl FnOnce(&str)) -> Result<Lock> {
        let mut wait = Some(wait);
        loop {
            if let Some(lock) = Lock::take(path)? {
                return Ok(lock);
            }
            if let Some(wait) = wait.take() {
                let holder = std::fs::read_to_string(path).unwrap_or_default();
                wait(if holder.is_empty() { "another process" } else { holder.trim() });
            }
            interrupt::check()?;
            // Not by the system's own waiting, which a signal would not end.
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn held(mut file: File, path: &Path) -> Result<Lock> {
        let holder = format!("process {}\n", std::process::id());
        let said = file.set_len(0).and_then(|()| io::Write::write_all(&mut file, holder.as_bytes()));
        said.map_err(Failure::file(path))?;
        Ok(Lock { _file: file, path: path.to_owned() })
    }
}

impl Drop for Lock {
    /// Who waits for the lock of a file that is gone looks for the one that is there ([`is_at`]).
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// How long a file that another writes is waited for, which takes seconds; and by a process that is asked to end, which has its own to save.
const LONGEST: Duration = Duration::from_secs(60);
const ASKED: Duration = Duration::from_secs(5);

/// The file at `path`, made where there is none, once nobody else has it open by this; `named` is what an error is of.
///
/// # Errors
/// Where there can be no such file; where another has it for so long that it is no process at work, as a file system may keep the lock of a
/// machine that is gone.
pub fn open(path: &Path, named: &Path) -> Result<File> {
    open_within(path, named, LONGEST)
}

fn open_within(path: &Path, named: &Path, longest: Duration) -> Result<File> {
    let failed = || Failure::file(named);
    let start = Instant::now();
    loop {
        let file = at(path).map_err(failed())?;
        let free = match file.try_lock() {
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) if has_none(&error) => {
                say_once(path);
                true
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
            Ok(()) => true,
        };
        // While this waited it may have been renamed or removed.
        if free && is_at(&file, path) {
            return Ok(file);
        }
        if start.elapsed() >= ASKED {
            interrupt::check()?;
        }
        if start.elapsed() >= longest {
            let (path, seconds) = (path.display(), longest.as_secs_f32());
            return Err(Failure::Run(format!(
                "{path}: locked by another process for {seconds} s; where none writes there, as after a machine was lost, remove it"
            )));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn at(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// Whether the file at `path` is this one.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let same = |a: std::fs::Metadata, b: std::fs::Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    file.metadata().and_then(|own| Ok(same(own, path.metadata()?))).unwrap_or(false)
}

#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> bool {
    path.exists()
}

/// Of network file systems without a lock service: Linux's number, and that of macOS and the BSDs.
const ENOLCK: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { 37 } else { 77 };

/// Whether the file system has no locks.
fn has_none(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported || (cfg!(unix) && error.raw_os_error() == Some(ENOLCK))
}

fn say_once(path: &Path) {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        eprintln!("{}: no file locks here; let no two runs write to one folder at once", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.lock");
        let first = Lock::take(&path).unwrap().unwrap();
        assert!(Lock::take(&path).unwrap().is_none());
        let (sender, waits) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| Lock::wait(&path, |holder| sender.send(holder.to_owned()).unwrap()));
            assert_eq!(waits.recv().unwrap(), format!("process {}", std::process::id()));
            drop(first);
            let second = waiter.join().unwrap().unwrap();
            assert!(path.exists() && Lock::take(&path).unwrap().is_none());
            drop(second);
        });
        assert!(!path.exists() && Lock::take(&path).unwrap().is_some());
    }

    #[test]
    fn a_file_is_not_waited_for_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".table.csv.part");
        let held = open(&path, &path).unwrap();
        let failed = open_within(&path, &path, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(&failed, Failure::Run(message) if message.contains("for 0.05 s; where none writes there")));
        // As somebody does who knows that no machine is there any more.
        std::fs::remove_file(&path).unwrap();
        open(&path, &path).unwrap();
        drop(held);
    }

    /// Many who write one file at once: it is always one of theirs, whole.
    #[test]
    fn writers_of_one_file_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        let text = |k: usize| vec![b'a' + k as u8; 10_000 + 1000 * k];
        std::thread::scope(|scope| {
            for k in 0..8 {
                let path = &path;
                scope.spawn(move || (0..20).for_each(|_| crate::files::write(path, &text(k)).unwrap()));
            }
            let read = scope.spawn(|| {
                for bytes in (0..200).filter_map(|_| std::fs::read(&path).ok()) {
                    assert_eq!(bytes, text(usize::from(bytes[0] - b'a')));
                }
            });
            read.join().unwrap();
        });
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}
