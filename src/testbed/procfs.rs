//! What the kernel shows of a process on this machine.

use std::io;
use std::time::Duration;

/// How many descriptors a process has open.
///
/// # Errors
/// There is no such process here, or it belongs to somebody else.
pub(super) fn descriptors_of(pid: i32) -> io::Result<u64> {
    let mut count = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        entry?;
        count += 1;
    }
    Ok(count)
}

/// How long the thread of a process that waited longest has been kept from running by others, since it
/// began: the second number of its `schedstat`, in nanoseconds.
///
/// # Errors
/// There is no such process here, it belongs to somebody else, or the kernel does not count that.
pub(super) fn kept_waiting(pid: i32) -> io::Result<Duration> {
    let mut longest = None;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let waited = text.split_whitespace().nth(1);
        let waited = waited.and_then(|nanoseconds| nanoseconds.parse().ok());
        let waited = waited.ok_or_else(|| io::Error::other(format!("schedstat says '{text}'")))?;
        longest = longest.max(Some(Duration::from_nanos(waited)));
    }
    longest.ok_or_else(|| io::Error::other("this kernel keeps no schedstat"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    #[test]
    fn what_others_take_is_told() {
        let own = i32::try_from(std::process::id()).unwrap();
        if !std::path::Path::new("/proc/self/schedstat").exists() {
            assert!(
                kept_waiting(own).is_err(),
                "a kernel that does not count it"
            );
            return;
        }
        let before = kept_waiting(own).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let over = AtomicBool::new(false);
        // More threads than processors: each is kept waiting.
        let threads = 4 * std::thread::available_parallelism().unwrap().get();
        let told = std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while !over.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let told = loop {
                let told = kept_waiting(own).unwrap_or_default();
                if told > before || Instant::now() > deadline {
                    break told;
                }
            };
            over.store(true, Ordering::Relaxed);
            told
        });
        assert!(told > before, "{before:?}, then {told:?}");
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        assert!(kept_waiting(i32::MAX).is_err());
        assert!(descriptors_of(i32::MAX).is_err());
    }
}
