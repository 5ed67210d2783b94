//! F5: a full resync brings back what was deleted.

use super::{BOTH, FILLER, Reproduction, Script, parted_pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F5",
    title: "a full resync brings deleted keys back",
    notices: "Keys that were deleted on one primary while it was parted from the other are there again on both after the resync.",
    promise: "the last write wins: the newest of all was the DEL",
    source: "KeyDB's documentation of active replication",
    happens: "A primary that resyncs in full merges the other's RDB into what it holds. There are no tombstones: a key that it deleted is one that it merely lacks.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[
        ("primary-returns/rdb", "deletes-stay"),
        ("primary-returns/aof", "deletes-stay"),
        ("conflicting-writes/cut-full", "deletes-stay"),
        ("conflicting-writes/cut", "deletes-stay"),
        ("conflict-matrix/cut-full", "newest-wins"),
        ("conflict-matrix/cut", "newest-wins"),
        ("conflict-matrix/cut-full", "further-newest-wins"),
        ("conflict-matrix/cut", "further-newest-wins"),
        ("conflict-matrix/cut-full", "renames-move"),
        ("conflict-matrix/cut", "renames-move"),
        ("mixed-traffic", "deletes-stay"),
    ],
    topology: || parted_pair().option("repl-backlog-size", "16kb").build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "SET key deleted", "OK")
            .arrives("primary1", "primary2")
            .say("A partition, which both notice.")
            .leave("primary2")
            .links_down(&BOTH)
            .command("primary2", "DEL key", "1")
            .say("More than the backlog holds, so that both have to resync in full.")
            .command("primary1", format!("SET filler1 {FILLER}"), "OK")
            .command("primary2", format!("SET filler2 {FILLER}"), "OK")
            .join("primary2")
            .in_touch()
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: deleted", "primary2 GET key: deleted"],
    right: &["primary1 GET key: (nothing)", "primary2 GET key: (nothing)"],
};
