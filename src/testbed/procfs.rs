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
    let mut longest = Duration::ZERO;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let Ok(text) = std::fs::read_to_string(thread?.path().join("schedstat")) else {
            continue;
        };
        let waited = text.split_whitespace().nth(1);
        let waited = waited.and_then(|nanoseconds| nanoseconds.parse().ok());
        let waited = waited.ok_or_else(|| io::Error::other(format!("schedstat says '{text}'")))?;
        longest = longest.max(Duration::from_nanos(waited));
    }
    Ok(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_take_is_told() {
        let own = i32::try_from(std::process::id()).unwrap();
        let Ok(before) = kept_waiting(own) else {
            // A kernel that does not count it.
            return;
        };
        // More threads than processors: each is kept waiting.
        let threads = 4 * std::thread::available_parallelism().unwrap().get();
        let until = std::time::Instant::now() + Duration::from_millis(300);
        let busy = || while std::time::Instant::now() < until {};
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(busy);
            }
            std::thread::sleep(Duration::from_millis(250));
            let after = kept_waiting(own).unwrap();
            assert!(after > before, "{before:?}, then {after:?}");
        });
    }

    #[test]
    fn a_process_that_is_not_there_is_told() {
        assert!(kept_waiting(i32::MAX).is_err());
        assert!(descriptors_of(i32::MAX).is_err());
    }
}
