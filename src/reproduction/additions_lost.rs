//! E5: a full resync drops what one side added to a set.

use super::{BOTH, FILLER, Reproduction, Script, parted_pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "E5",
    title: "a full resync drops what one side added to a set, list, hash or counter",
    notices: "Both primaries added to the same set while they were parted. After the resync the members of one side are gone on both.",
    promise: "both servers end with a superset of the data",
    source: "KeyDB's documentation of active replication",
    happens: "A full resync merges by key, not by element: of a key that both hold the one that was written last is taken as a whole.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[
        ("conflicting-writes/cut-full", "additions-stay"),
        ("conflicting-writes/cut", "additions-stay"),
        ("conflict-matrix/cut-full", "additions-stay"),
        ("conflict-matrix/cut", "additions-stay"),
        ("conflict-matrix/cut-full", "further-additions-stay"),
        ("conflict-matrix/cut", "further-additions-stay"),
        ("conflict-matrix/cut-full", "expiry-and-change-stay"),
        ("conflict-matrix/cut", "expiry-and-change-stay"),
    ],
    topology: || parted_pair().option("repl-backlog-size", "16kb").build(),
    script: || {
        Script::new()
            .in_touch()
            .say("A partition, which both notice.")
            .leave("primary2")
            .links_down(&BOTH)
            .command("primary1", "SADD set one", "1")
            .command("primary2", "SADD set two", "1")
            .say("More than the backlog holds, so that both have to resync in full.")
            .command("primary1", format!("SET filler1 {FILLER}"), "OK")
            .command("primary2", format!("SET filler2 {FILLER}"), "OK")
            .join("primary2")
            .in_touch()
            .ask("primary1", "SMEMBERS set")
            .ask("primary2", "SMEMBERS set")
    },
    expected: &["primary1 SMEMBERS set: two", "primary2 SMEMBERS set: two"],
    right: &[
        "primary1 SMEMBERS set: one two",
        "primary2 SMEMBERS set: one two",
    ],
};
