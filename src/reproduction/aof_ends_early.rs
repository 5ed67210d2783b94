//! H5: after a full resync nothing is written to the append-only file until it was rewritten.

use super::{BOTH, Reproduction, Script, pair};
use crate::topology::Persistence;

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "H5",
    title: "after a full resync, acknowledged writes are not in the AOF, and a clean stop loses them",
    notices: "A primary with `appendfsync always` acknowledged writes after a full resync, was stopped cleanly, and came back without them.",
    promise: "with appendfsync always, an acknowledged write is on disk",
    source: "KeyDB's documentation of persistence",
    happens: "The full resync closes the file; it is written again only once a rewrite is done, and that waits while a BGSAVE runs. `rdb-key-save-delay` makes the BGSAVE slow, as much data would. SIGTERM ends the server without a word.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[],
    topology: || pair().persistence(Persistence::Aof).build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .until("primary1", "aof_rewrite_scheduled:0")
            .until("primary1", "aof_rewrite_in_progress:0")
            .command("primary1", "DEBUG POPULATE 60", "OK")
            .say("A slow BGSAVE, and a full resync meanwhile.")
            .command("primary1", "CONFIG SET rdb-key-save-delay 1000000", "OK")
            .command("primary1", "BGSAVE", "Background saving started")
            .command("primary1", "REPLICAOF NO ONE", "OK")
            .command("primary1", "REPLICAOF primary2 6379", "OK")
            .links_up(&["primary1"])
            .until("primary1", "aof_rewrite_scheduled:1")
            .command("primary1", "SET key acknowledged", "OK")
            .say("Both stop; primary1 comes back alone.")
            .stop("primary2")
            .stop("primary1")
            .start("primary1")
            .until("primary1", "loading:0")
            .ask("primary1", "GET key")
    },
    expected: &["primary1 GET key: (nothing)"],
    right: &["primary1 GET key: acknowledged"],
};
