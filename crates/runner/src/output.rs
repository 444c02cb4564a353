//! What is said: a run does its work, and has its status from it, whether or not anybody hears of it.

use std::{
    fmt::Arguments,
    io::{self, ErrorKind, Write},
    sync::OnceLock,
};

use crate::failure::{Failure, Result};

/// Why standard output takes nothing any more.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// To standard output, as long as it takes anything.
pub fn out(text: Arguments<'_>) {
    if LOST.get().is_none()
        && let Err(error) = io::stdout().write_fmt(text)
    {
        _ = LOST.set(error);
    }
}

/// To standard error, or to nobody.
pub fn error(text: Arguments<'_>) {
    _ = io::stderr().write_fmt(text);
}

/// Whether all that was asked for was said. A reader that has seen enough, as `head`, is no failure.
///
/// # Errors
/// Where standard output took not all of it, as on a full disk.
pub fn end() -> Result<()> {
    let flushed = io::stdout().flush().err();
    match LOST.get().or(flushed.as_ref()) {
        Some(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Run(format!("standard output: {error}"))),
        _ => Ok(()),
    }
}
