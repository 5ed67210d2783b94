//! F4: what came from the peer is not loaded from an append-only file.

use super::{BOTH, Reproduction, Script, pair};
use crate::topology::Persistence;

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F4",
    title: "what came from the peer is lost when a primary loads its AOF",
    notices: "Both primaries were stopped, and one started again, from its append-only file. It lacks all that the other had written, and has what the other had deleted. Its log has many lines 'Command must be sent from a master'.",
    promise: "what is in an append-only file with fsync always survives a restart",
    source: "KeyDB's documentation of persistence",
    happens: "What a primary hears from its peer stands in the file as RREPLAY, a command that is refused unless a master sends it; the loader is none.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[
        ("total-outage/aof", "keeps-peers"),
        ("total-outage/aof", "deletes-stay"),
        ("total-outage/aof", "newest-wins"),
        ("primary-returns/aof", "log:critical-error-reply"),
        ("primary-returns/aof", "log:replay-not-from-master"),
        ("total-outage/aof", "log:critical-error-reply"),
        ("total-outage/aof", "log:replay-not-from-master"),
        ("early-writes/aof", "log:critical-error-reply"),
        ("early-writes/aof", "log:replay-not-from-master"),
        ("memory-limits/evicting-aof", "log:critical-error-reply"),
        ("memory-limits/evicting-aof", "log:replay-not-from-master"),
    ],
    topology: || pair().persistence(Persistence::Aof).build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .until("primary1", "aof_rewrite_scheduled:0")
            .until("primary1", "aof_rewrite_in_progress:0")
            .command("primary1", "SET deleted yes", "OK")
            .arrives("primary1", "primary2")
            .say("The peer writes and deletes.")
            .command("primary2", "SET written yes", "OK")
            .command("primary2", "DEL deleted", "1")
            .arrives("primary2", "primary1")
            .say("Both stop; primary1 comes back alone.")
            .stop("primary2")
            .stop("primary1")
            .start("primary1")
            .until("primary1", "loading:0")
            .ask("primary1", "GET written")
            .ask("primary1", "GET deleted")
    },
    expected: &[
        "primary1 GET written: (nothing)",
        "primary1 GET deleted: yes",
    ],
    right: &[
        "primary1 GET written: yes",
        "primary1 GET deleted: (nothing)",
    ],
};
