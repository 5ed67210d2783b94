//! H4: a primary does not load its own dump when it starts.

use super::{BOTH, Reproduction, Script, pair};
use crate::topology::Persistence;

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "H4",
    title: "a server does not load its own dump.rdb unless its configuration names the file",
    notices: "Both primaries were stopped cleanly, with save points; the first to come back is empty.",
    promise: "what was saved at a clean stop is there after the start",
    source: "KeyDB's documentation of persistence",
    happens: "An RDB is loaded at the start only where the configuration has a line `dbfilename`, be it the default.",
    seen_on: &["5.3.3"],
    not_on: &["6.2.2", "6.3.4"],
    explains: &[
        ("total-outage/rdb", "keeps-own"),
        ("total-outage/rdb", "keeps-peers"),
        ("total-outage/rdb", "newest-wins"),
        ("total-outage/rdb", "data-kept"),
    ],
    topology: || pair().persistence(Persistence::Rdb).build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "SET key saved", "OK")
            .arrives("primary1", "primary2")
            .say("Both stop; primary1 comes back alone.")
            .stop("primary2")
            .stop("primary1")
            .start("primary1")
            .until("primary1", "loading:0")
            .ask("primary1", "GET key")
    },
    expected: &["primary1 GET key: (nothing)"],
    right: &["primary1 GET key: saved"],
};
