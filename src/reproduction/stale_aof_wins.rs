//! F3: old values from an append-only file beat newer ones of the survivor.

use super::{BOTH, Reproduction, Script, pair};
use crate::topology::Persistence;

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F3",
    title: "a primary that restarts from its AOF rolls the survivor back",
    notices: "A primary with an append-only file was down for a while; meanwhile a key was written on the other. After the restart both hold the older value.",
    promise: "the last write wins",
    source: "KeyDB's documentation of active replication",
    happens: "Any command that is allowed while the file is loaded (PING, which every HAProxy check sends, or INFO, as here) sets the clock that writes are stamped with; what is replayed after it is stamped with the present, and beats what the peer acknowledged in the meantime.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[
        ("primary-returns/aof", "newest-wins"),
        ("total-outage/aof", "agreement"),
    ],
    topology: || {
        pair()
            .persistence(Persistence::Aof)
            .node_option("primary1", "key-load-delay", "100")
            .build()
    },
    script: || {
        Script::new()
            .links_up(&BOTH)
            .until("primary1", "aof_rewrite_scheduled:0")
            .until("primary1", "aof_rewrite_in_progress:0")
            .say("Enough for the file to take some seconds to load, with key-load-delay.")
            .command(
                "primary1",
                "EVAL \"for i = 1, 100000 do redis.call('SET', 'filler' .. i, i) end return 'done'\" 0",
                "done",
            )
            .command("primary1", "SET key older", "OK")
            .arrives("primary1", "primary2")
            .stop("primary1")
            .command("primary2", "SET key newer", "OK")
            .say("Somebody looks at primary1 while it loads.")
            .start("primary1")
            .until("primary1", "loading:1")
            .in_touch()
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: older", "primary2 GET key: older"],
    right: &["primary1 GET key: newer", "primary2 GET key: newer"],
};
