//! F6 with links up: two writes of a key cross, and each primary ends with the other's.

use super::{Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F6-live",
    title: "writes that cross swap the two primaries' values, with links up",
    notices: "Two clients set the same key on the two primaries at nearly the same time. Both links are up all the while, and afterwards each primary holds the other's value, for ever.",
    promise: "the last write wins, and both nodes stay in sync",
    source: "KeyDB's documentation of active replication",
    happens: "A write of the peer is carried out when it arrives, whatever is newer. Here primary1 is busy with a transaction that holds its write back for some seconds, so that the two are certain to cross; without that they do where they are less than a round trip apart (50 to 70 of 100 when sent at once).",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[
        ("conflicting-writes", "agreement"),
        ("conflicting-writes", "newest-wins"),
        ("conflicting-writes", "deletes-stay"),
        ("conflict-matrix", "converges"),
        ("conflict-matrix", "newest-wins"),
        ("conflict-matrix", "further-converge"),
        ("conflict-matrix", "further-newest-wins"),
        ("conflict-matrix", "newest-wins-over-expiry"),
    ],
    topology: || pair().build(),
    script: || {
        Script::new()
            .in_touch()
            .say("primary1 writes, and is busy before it tells its peer.")
            .background(
                "primary1",
                &["MULTI", "SET key older", "DEBUG SLEEP 20", "EXEC"],
            )
            .stuck("primary1")
            .command("primary2", "SET key newer", "OK")
            .say("It has been busy all the while.")
            .stuck("primary1")
            .wait()
            .in_touch()
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: newer", "primary2 GET key: older"],
    right: &["primary1 GET key: newer", "primary2 GET key: newer"],
};
