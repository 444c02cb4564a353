//! A small file system of its own for a test.
#![allow(dead_code)] // each test file uses its own part

use std::{fs, path::PathBuf, process::Command};

/// Mounted until it is dropped.
pub struct Disk {
    /// Where.
    pub path: PathBuf,
}

impl Disk {
    /// Of so many megabytes, at `path`; nothing without the right to mount one.
    pub fn mount(path: PathBuf, megabytes: usize) -> Option<Disk> {
        fs::create_dir(&path).unwrap();
        let options = format!("size={megabytes}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Disk { path });
        }
        eprintln!("no file system could be mounted: nothing tested");
        None
    }

    /// Takes all the room that is left but so many kilobytes.
    pub fn fill(&self, left: usize) {
        let ballast = self.path.join("ballast");
        let kilobyte = vec![0; 1024];
        let mut file = fs::File::create(&ballast).unwrap();
        while std::io::Write::write_all(&mut file, &kilobyte).is_ok() {}
        let full = ballast.metadata().unwrap().len();
        file.set_len(full.saturating_sub(1024 * left as u64)).unwrap();
    }

    /// Gives it back.
    pub fn empty(&self) {
        fs::remove_file(self.path.join("ballast")).unwrap();
    }

    /// Mounts it again so that nobody can write, or so that all can.
    pub fn read_only(&self, on: bool) {
        let how = if on { "remount,ro" } else { "remount,rw" };
        assert!(Command::new("mount").args(["-o", how]).arg(&self.path).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.path).output();
    }
}
