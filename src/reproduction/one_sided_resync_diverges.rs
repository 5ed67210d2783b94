//! F9: when only one side resyncs in full, what was deleted stays alive there alone.

use super::{BOTH, Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F9",
    title: "after a full resync of one side only, deleted keys live on there, for ever",
    notices: "One primary lost touch with the other (here an operator parted and rejoined it) while keys were deleted there. Both links are up again, and the keys are on one primary only, for ever.",
    promise: "both nodes stay in sync; the last write wins: the newest of all was the DEL",
    source: "KeyDB's documentation of active replication",
    happens: "The side that resyncs merges the other's RDB into what it holds; there are no tombstones, so that it keeps what the other deleted. The other side has nothing to resync, as its own link was up all the while.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[],
    topology: || pair().build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "SET key deleted", "OK")
            .arrives("primary1", "primary2")
            .say("primary2 does not hear primary1 for a while.")
            .command("primary2", "REPLICAOF NO ONE", "OK")
            .command("primary1", "DEL key", "1")
            .command("primary2", "REPLICAOF primary1 6379", "OK")
            .in_touch()
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: (nothing)", "primary2 GET key: deleted"],
    right: &["primary1 GET key: (nothing)", "primary2 GET key: (nothing)"],
};
