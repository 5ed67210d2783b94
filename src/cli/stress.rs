//! Stress: threads that keep every core busy, so that whatever depends on how fast the machine is shows.

use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Builder, JoinHandle};

/// Steps between two looks at whether it is over: microseconds of work.
const BLOCK: u64 = 1 << 14;

/// A busy thread for each core, of the same priority as everything else here. They end with it.
#[derive(Debug)]
pub(super) struct Stress {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// How many steps each thread has made.
    steps: Vec<Arc<AtomicU64>>,
}

impl Stress {
    /// Begins it.
    ///
    /// # Errors
    /// How many cores there are is not known, or a thread cannot be started.
    pub(super) fn begin() -> io::Result<Self> {
        let mut stress = Self {
            over: Arc::default(),
            threads: Vec::new(),
            steps: Vec::new(),
        };
        for _ in 0..thread::available_parallelism()?.get() {
            let (over, steps) = (Arc::clone(&stress.over), Arc::<AtomicU64>::default());
            stress.steps.push(Arc::clone(&steps));
            let thread = Builder::new().name("stress".to_owned());
            stress
                .threads
                .push(thread.spawn(move || burn(&over, &steps))?);
        }
        Ok(stress)
    }

    /// How many threads there are.
    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }

    /// Ends it, and says how many steps all threads made together.
    pub(super) fn end(mut self) -> u64 {
        self.join();
        self.made().iter().sum()
    }

    fn made(&self) -> Vec<u64> {
        let all = self.steps.iter();
        all.map(|steps| steps.load(Ordering::Relaxed)).collect()
    }

    fn join(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It has nothing to tell, and cannot panic.
            let _ = thread.join();
        }
    }
}

impl Drop for Stress {
    fn drop(&mut self) {
        self.join();
    }
}

fn burn(over: &AtomicBool, steps: &AtomicU64) {
    let mut state = 1_u64;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..BLOCK {
            // A congruential generator: no step can be made before the one that it follows.
            state = black_box(
                state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1),
            );
        }
        steps.fetch_add(BLOCK, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn every_thread_works_until_it_is_ended() {
        let stress = Stress::begin().expect("threads");
        let cores = thread::available_parallelism().expect("cores").get();
        assert_eq!(stress.threads(), cores);
        let began = Instant::now();
        while stress.made().contains(&0) {
            assert!(began.elapsed() < Duration::from_secs(60), "{stress:?}");
            thread::yield_now();
        }
        let (so_far, counters) = (stress.made().iter().sum(), stress.steps.clone());
        let made = stress.end();
        assert!(made >= so_far, "{made} after {so_far}");
        // No thread holds its counter any more: they have ended.
        assert!(counters.iter().all(|it| Arc::strong_count(it) == 1));
    }

    #[test]
    fn what_is_dropped_ends() {
        let stress = Stress::begin().expect("threads");
        let counters = stress.steps.clone();
        drop(stress);
        assert!(counters.iter().all(|it| Arc::strong_count(it) == 1));
    }
}
