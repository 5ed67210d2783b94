//! E1: keys without a time to live are counted as keys with one.

use super::{BOTH, Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "E1",
    title: "after a full resync of one side, keys without a time to live are counted as keys with one",
    notices: "`expires=` in INFO keyspace counts keys that never had a time to live: monitoring takes the whole data set for a cache.",
    promise: "`expires=` is the number of keys with an expiration",
    source: "the documentation of INFO",
    happens: "What a primary merges it passes on with the expiry 9223372036854775807, which the receiving node takes for one.",
    seen_on: &["6.3.0", "6.3.4"],
    not_on: &["6.2.2"],
    explains: &[
        ("primary-returns", "expires"),
        ("alternating-stops", "expires"),
        ("proxy-restarts", "agreement-after-return-expires"),
        ("total-outage", "expires"),
        ("early-writes", "expires"),
        ("conflicting-writes", "expires"),
        ("mixed-traffic", "expires"),
        ("mixed-traffic", "expiries"),
    ],
    topology: || pair().build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "SET key1 value", "OK")
            .arrives("primary1", "primary2")
            .say("primary2 resyncs in full, primary1 does not.")
            .command("primary2", "REPLICAOF NO ONE", "OK")
            .command("primary1", "SET key2 value", "OK")
            .command("primary2", "REPLICAOF primary1 6379", "OK")
            .in_touch()
            .ask_for("primary1", "INFO keyspace", "expires=[0-9]+")
            .ask_for("primary2", "INFO keyspace", "expires=[0-9]+")
    },
    expected: &[
        "primary1 INFO keyspace: expires=1",
        "primary2 INFO keyspace: expires=0",
    ],
    right: &[
        "primary1 INFO keyspace: expires=0",
        "primary2 INFO keyspace: expires=0",
    ],
};
