//! When and where a write was made.
//!
//! KeyDB stamps each write with its 'mvcc' time, a millisecond clock shifted left by 20 bits
//! (measured). The model's clock also never falls behind a stamp that it has seen, so that a write
//! made after reading another is always the newer of the two.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The bits below the milliseconds.
const FRACTION: u32 = 20;

/// The life of a process: drawn at its start (docs active-rep.md: the UUID is computed at boot and
/// lives only with the process).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub(super) struct Origin(pub(super) u128);

/// Orders all writes of a cluster: by time, then by who made them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
pub(super) struct Stamp {
    pub(super) mvcc: u64,
    pub(super) origin: Origin,
}

impl Stamp {
    /// Its Unix time in milliseconds.
    pub(super) fn millis(self) -> u64 {
        millis(self.mvcc)
    }
}

/// The Unix time in milliseconds of a stamp's time.
pub(super) fn millis(mvcc: u64) -> u64 {
    mvcc >> FRACTION
}

/// Unix time in milliseconds.
pub(super) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// A quirk's: a stamp's time an hour earlier.
pub(super) fn an_hour_before(mvcc: u64) -> u64 {
    mvcc.saturating_sub(3_600_000 << FRACTION)
}

/// Gives out stamps.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: u64,
}

impl Clock {
    /// A stamp's time that is newer than every other this clock gave out or saw; `now` is Unix
    /// time in milliseconds.
    pub(super) fn tick(&mut self, now: u64) -> u64 {
        self.last = self.peek(now);
        self.last
    }

    /// What the next tick gives.
    pub(super) fn peek(&self, now: u64) -> u64 {
        (now << FRACTION).max(self.last.saturating_add(1))
    }

    /// Takes note of a stamp made elsewhere.
    pub(super) fn saw(&mut self, mvcc: u64) {
        self.last = self.last.max(mvcc);
    }
}
