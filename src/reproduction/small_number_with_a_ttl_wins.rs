//! H27: a small whole number that was given a time to live beats every newer write in a full resync.

use super::{BOTH, FILLER, Reproduction, Script, parted_pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "H27",
    title: "a whole number below 10000 with a TTL beats newer writes in a full resync",
    notices: "A key that holds a small whole number (a lock, a flag, a rate limit) has a TTL on one primary, and is set to something newer on the other while the two are parted. After a full resync both have the old number again, with its TTL.",
    promise: "the last write wins",
    source: "KeyDB's documentation of active replication",
    happens: "Whole numbers below 10000 are shared objects. EXPIRE, and SET with a TTL, make a copy of such a one, and give it no time stamp; a full resync takes 'no time stamp' for the newest of all.",
    seen_on: &["5.3.3", "6.0.18", "6.2.2", "6.3.0", "6.3.4"],
    not_on: &[],
    explains: &[
        ("conflict-matrix/cut-full", "newest-wins-over-expiry"),
        ("conflict-matrix/cut", "newest-wins-over-expiry"),
        ("conflict-matrix/cut-full", "further-converge"),
        ("conflict-matrix/cut", "further-converge"),
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
            .command("primary1", "EXPIRE key 3600", "1")
            .say("What is newer.")
            .command("primary2", "SET key newer", "OK")
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
