//! H28: keys that hold the same small whole number share the time of their last write.

use super::{BOTH, FILLER, Reproduction, Script, parted_pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "H28",
    title: "an older number comes back because another key was set to the same one",
    notices: "A key that holds a small whole number is set to something newer on one primary while the two are parted. Meanwhile the other sets another key, a new one, to that number. After a full resync the first key has its old number again, on both: nobody wrote to it twice, and the newer value is gone.",
    promise: "the last write wins, and what was acknowledged on one primary is on both",
    source: "KeyDB's documentation of active replication",
    happens: "Whole numbers below 10000 are shared objects, and the time stamp of a write is the object's: each new key that is set to the number makes all keys that hold it look as new.",
    seen_on: &["5.3.3", "6.0.18", "6.2.2", "6.3.0", "6.3.4"],
    not_on: &[],
    explains: &[
        ("conflict-matrix/cut-full", "other-keys-do-not-count"),
        ("conflict-matrix/cut", "other-keys-do-not-count"),
    ],
    topology: || parted_pair().option("repl-backlog-size", "16kb").build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "SET key 5", "OK")
            .arrives("primary1", "primary2")
            .say("A partition, which both notice.")
            .leave("primary2")
            .links_down(&BOTH)
            .command("primary2", "SET key newer", "OK")
            .say("Another key, which happens to be set to the same number.")
            .command("primary1", "SET other 5", "OK")
            .say("More than the backlog holds, so that both have to resync in full.")
            .command("primary1", format!("SET filler1 {FILLER}"), "OK")
            .command("primary2", format!("SET filler2 {FILLER}"), "OK")
            .join("primary2")
            .in_touch()
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: 5", "primary2 GET key: 5"],
    right: &["primary1 GET key: newer", "primary2 GET key: newer"],
};
