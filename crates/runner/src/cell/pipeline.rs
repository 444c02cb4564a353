//! Work side by side whose results are taken in order.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::mpsc,
};

use crate::{
    failure::{Failure, Result},
    interrupt,
};

/// Runs `work` on every range on the rayon pool, and `take` on the results on this thread, in the ranges' order; the first error
/// in that order ends it.
///
/// At most `most` ranges, and 2 at least, are begun and not yet taken, so that their results fit in memory. One is begun just before
/// one is taken: no core waits for a group of them to end, nor while one is taken.
///
/// Where the process is asked to end, none is begun any more, and those that are begun are taken.
///
/// Not for a thread of the pool, which would wait for itself.
pub fn in_order<R: Send>(
    mut ranges: impl ExactSizeIterator<Item = Range<usize>>,
    most: usize,
    work: impl Fn(Range<usize>) -> Result<R> + Sync,
    mut take: impl FnMut(Range<usize>, R) -> Result<()>,
) -> Result<()> {
    let (work, (sender, results)) = (&work, mpsc::channel());
    rayon::in_place_scope(|scope| {
        let mut begin = || {
            let (range, sender) = (ranges.next()?, sender.clone());
            let of = range.clone();
            scope.spawn(move |_| {
                let result = catch_unwind(AssertUnwindSafe(|| work(of.clone())));
                // Nobody listens any more where an earlier one failed.
                let _ = sender.send((of.start, result));
            });
            Some(range)
        };
        let mut begun: VecDeque<Range<usize>> = std::iter::from_fn(&mut begin).take(most.max(2) - 1).collect();
        let mut early = BTreeMap::new();
        while let Some(range) = begun.pop_front() {
            let result = loop {
                if let Some(result) = early.remove(&range.start) {
                    break result;
                }
                let (start, result) = results.recv().map_err(Failure::run)?;
                early.insert(start, result);
            };
            let result = result.unwrap_or_else(|panic| resume_unwind(panic))?;
            if !interrupt::is_asked() {
                begun.extend(begin());
            }
            take(range, result)?;
        }
        // All may have been begun when the process was asked.
        if ranges.len() > 0 { interrupt::check() } else { Ok(()) }
    })
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::{
            Condvar, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        time::Duration,
    };

    use super::*;

    fn ranges(count: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
        (0..count).map(|i| 3 * i..3 * i + 3)
    }

    #[test]
    fn results_are_taken_in_order_and_are_few_at_a_time() {
        let (begun, mut most, mut taken) = (AtomicUsize::new(0), 0, Vec::new());
        let work = |range: Range<usize>| {
            begun.fetch_add(1, Ordering::SeqCst);
            Ok(10 * range.start)
        };
        let take = |range, result| {
            most = most.max(begun.load(Ordering::SeqCst) - taken.len());
            taken.push((range, result));
            Ok(())
        };
        in_order(ranges(200), 4, work, take).unwrap();
        assert_eq!(taken, ranges(200).map(|range| (range.clone(), 10 * range.start)).collect::<Vec<_>>());
        assert!((1..=4).contains(&most), "{most} at a time");
        in_order(ranges(0), 4, work, |_, _| Err(Failure::run("nothing to take"))).unwrap();
    }

    /// Whatever the number of threads: with groups that end together, the last of one would be taken before the next begins.
    #[test]
    fn the_next_is_begun_while_one_is_taken() {
        let (sender, begun) = mpsc::channel();
        let work = |range: Range<usize>| sender.send(range.start).map_err(Failure::run);
        let mut known = vec![0];
        in_order(ranges(20), 4, work, |range, ()| {
            while range.end < 60 && !known.contains(&range.end) {
                // Not a measurement: what never begins must not hang the test.
                known.push(begun.recv_timeout(Duration::from_secs(60)).map_err(Failure::run)?);
            }
            Ok(())
        })
        .unwrap();
    }

    #[test]
    fn a_result_that_is_early_waits_for_those_before_it() {
        let (ended, changed) = (Mutex::new(BTreeSet::new()), Condvar::new());
        // Of two ranges the second always ends first.
        let work = |range: Range<usize>| {
            let mut ended = ended.lock().map_err(Failure::run)?;
            if range.start.is_multiple_of(2) {
                let lacks = |ended: &mut BTreeSet<usize>| !ended.contains(&range.end);
                let waited = changed.wait_timeout_while(ended, Duration::from_secs(60), lacks);
                ended = waited.map_err(Failure::run)?.0;
            }
            ended.insert(range.start);
            changed.notify_all();
            Ok(range.start)
        };
        let mut taken = Vec::new();
        let run = || {
            in_order(ranges(20), 4, work, |range, start| {
                taken.push((range.start, start));
                Ok(())
            })
        };
        // One thread of them takes.
        rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap().install(run).unwrap();
        assert_eq!(taken, ranges(20).map(|range| (range.start, range.start)).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_in_order_ends_it() {
        let mut taken = Vec::new();
        let work = |range: Range<usize>| match range.start {
            6 | 9 | 15 => Err(Failure::run(range.start)),
            start => Ok(start),
        };
        let take = |_, start| {
            taken.push(start);
            Ok(())
        };
        assert_eq!(in_order(ranges(20), 8, work, take).unwrap_err().to_string(), "6");
        assert_eq!(taken, [0, 3]);
        let refuse = |_, start: usize| if start < 12 { Ok(()) } else { Err(Failure::run("full")) };
        let work = |range: Range<usize>| Ok(range.start);
        assert_eq!(in_order(ranges(20), 3, work, refuse).unwrap_err().to_string(), "full");
    }

    #[test]
    fn a_panic_is_the_callers() {
        let work = |range: Range<usize>| if range.start == 9 { panic!("of range 9") } else { Ok(()) };
        let run = || in_order(ranges(20), 4, work, |_, ()| Ok(()));
        assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    }
}
