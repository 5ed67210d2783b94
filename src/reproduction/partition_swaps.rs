//! F6: both primaries write a key while they are parted; afterwards each holds the other's value.

use super::{BOTH, Reproduction, Script, parted_pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F6",
    title: "after a partition each primary holds the other's value, for ever",
    notices: "Both primaries took a write of the same key while they were parted. After the partition both links are up and nothing is logged, but the two answer differently, and go on doing so: each has the value that was written on the other.",
    promise: "the last write wins, and both nodes stay in sync",
    source: "KeyDB's documentation of active replication",
    happens: "The resync is a partial one: each side carries out the commands that it missed, whatever is newer. The time of a write is looked at only while the RDB of a full resync is loaded.",
    seen_on: &["6.3.0", "6.3.4"],
    not_on: &["5.3.3", "6.0.18", "6.2.2"],
    explains: &[
        ("conflicting-writes/cut", "agreement"),
        ("conflicting-writes/cut", "newest-wins"),
        ("conflicting-writes/cut", "deletes-stay"),
        ("conflict-matrix/cut", "converges"),
        ("conflict-matrix/cut", "newest-wins"),
        ("conflict-matrix/cut", "further-converge"),
        ("conflict-matrix/cut", "further-newest-wins"),
    ],
    topology: || parted_pair().build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "SET key before", "OK")
            .arrives("primary1", "primary2")
            .say("A partition, which both notice.")
            .leave("primary2")
            .links_down(&BOTH)
            .say("Both write, primary2 last.")
            .command("primary1", "SET key older", "OK")
            .command("primary2", "SET key newer", "OK")
            .join("primary2")
            .in_touch()
            .say("The newest is 'newer'.")
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: newer", "primary2 GET key: older"],
    right: &["primary1 GET key: newer", "primary2 GET key: newer"],
};
