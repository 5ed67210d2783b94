//! What a node counts.

use std::cell::Cell;

/// A count of events.
#[derive(Debug, Default)]
pub(super) struct Count(Cell<u64>);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.set(self.0.get() + more);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.get()
    }
}

/// The counts of INFO's `# Stats`.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) connections: Count,
    pub(super) clients: Cell<u64>,
    pub(super) commands: Count,
    pub(super) bytes_in: Count,
    pub(super) bytes_out: Count,
    pub(super) errors: Count,
    pub(super) sync_full: Count,
    pub(super) sync_partial_ok: Count,
    pub(super) sync_partial_err: Count,
}
