//! F12: PING is answered while everything else is refused.

use super::{BOTH, Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F12",
    title: "PING is answered with PONG while the server refuses everything else",
    notices: "While a primary loads its data, a proxy whose health check is PING takes it for well and sends clients there, which get LOADING errors.",
    promise: "a server that passes its health check serves",
    source: "the harness's own; the usual HAProxy check of KeyDB is PING",
    happens: "PING is among the commands that are allowed while loading. `key-load-delay` makes the start slow, as many keys would.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[],
    topology: || {
        pair()
            .node_option("primary1", "key-load-delay", "200")
            .build()
    },
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "DEBUG POPULATE 500000", "OK")
            .command("primary1", "SAVE", "OK")
            .kill("primary1")
            .start("primary1")
            .until("primary1", "loading:1")
            .ask("primary1", "PING")
            .ask_for("primary1", "GET key:1", "LOADING")
    },
    expected: &["primary1 PING: PONG", "primary1 GET key:1: LOADING"],
    right: &[
        "primary1 PING: an error, LOADING",
        "primary1 GET key:1: LOADING",
    ],
};
