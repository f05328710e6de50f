//! Work that several threads share, and that comes out in its order for any number of them.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{iter, thread};

/// Works on the numbers below `count`, several at a time; what comes of them is in their order. Where the system gives
/// fewer threads than asked for, those do the work.
///
/// # Panics
/// When the work does, in whichever thread.
pub fn each_in_order<T: Send>(count: usize, threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let taken = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < count);
    let part = || iter::from_fn(taken).map(|number| (number, work(number))).collect::<Vec<_>>();
    let mut all = thread::scope(|scope| {
        let begin = |_| thread::Builder::new().spawn_scoped(scope, part).ok();
        let helpers: Vec<_> = (1..threads.min(count)).map_while(begin).collect();
        let mut all = part();
        for helper in helpers {
            all.extend(helper.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        all
    });
    all.sort_unstable_by_key(|(number, _)| *number);
    all.into_iter().map(|(_, of)| of).collect()
}

/// As many threads as the machine runs at once.
pub fn all_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_out_in_order_for_any_number_of_threads() {
        for threads in [0, 1, 3, 200] {
            let squares = each_in_order(100, threads, |number| number * number);
            assert!(squares.into_iter().eq((0..100).map(|number| number * number)), "{threads}");
            assert_eq!(each_in_order(0, threads, |number| number), Vec::<usize>::new());
        }
    }

    #[test]
    #[should_panic(expected = "number 7 is bad")]
    fn what_goes_wrong_in_a_thread_is_not_left_out() {
        each_in_order(50, 4, |number| assert!(number != 7, "number {number} is bad"));
    }
}
