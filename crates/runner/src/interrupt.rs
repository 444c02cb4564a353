//! Ctrl-C and SIGTERM: the batch in hand is finished, what is known is saved, and the exit status says which signal it was. A second one
//! ends the process at once; nothing is half written then either.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Failure, Result};

static ASKED: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
/// Whether the next signal ends the process.
static AGAIN: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From here on signals wait for the work in hand; for commands that [`check`] as they go.
///
/// # Errors
/// Where the system lets nobody listen.
pub fn listen() -> Result<()> {
    if let Some(again) = AGAIN.get() {
        again.store(is_asked(), Ordering::Relaxed);
        return Ok(());
    }
    let (asked, again) = (ASKED.get_or_init(Arc::default), AGAIN.get_or_init(Arc::default));
    for signal in [SIGINT, SIGTERM] {
        let failed = |error| Failure::Run(format!("signal {signal}: {error}"));
        // In this order: the first signal finds `again` unset.
        signal_hook::flag::register_conditional_shutdown(signal, 128 + signal, again.clone()).map_err(failed)?;
        signal_hook::flag::register(signal, again.clone()).map_err(failed)?;
        signal_hook::flag::register_usize(signal, asked.clone(), signal as usize).map_err(failed)?;
    }
    Ok(())
}

/// From here on a signal ends the process, as it did before anybody listened: nothing in hand is worth waiting for.
///
/// # Errors
/// Where one came already.
pub fn at_once() -> Result<()> {
    if let Some(again) = AGAIN.get() {
        again.store(true, Ordering::Relaxed);
    }
    check()
}

/// Whether to end.
pub fn is_asked() -> bool {
    signal().is_some()
}

/// # Errors
/// Where the process is asked to end.
pub fn check() -> Result<()> {
    signal().map_or(Ok(()), |signal| Err(Failure::Interrupted(signal)))
}

fn signal() -> Option<u8> {
    let signal = ASKED.get()?.load(Ordering::Relaxed);
    u8::try_from(signal).ok().filter(|&signal| signal > 0)
}
