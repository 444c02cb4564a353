//! What a reader takes of memory, to the byte: every allocation of the tests of this crate is counted.

use std::alloc::System;

use cap::Cap;

#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, usize::MAX);

/// Runs `work`, for which there are `bytes` of memory beyond what is in use. An allocation beyond ends the process.
pub fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let set = |limit| MEMORY.set_limit(limit).is_ok();
    assert!(set(MEMORY.allocated().saturating_add(bytes)), "less memory than is in use");
    let done = work();
    assert!(set(usize::MAX));
    done
}
