//! F1: what a restarted primary acknowledges before its own sync never reaches its peer.

use super::{BOTH, Reproduction, Script, pair};
use crate::topology::Persistence;

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F1",
    title: "what a restarted primary acknowledges before its own sync never reaches the other",
    notices: "A primary was restarted cleanly, and took writes at once. Some of them are on no other node, for ever, with both links up and nothing in any log.",
    promise: "every acknowledged write reaches the other side",
    source: "KeyDB's documentation of active replication",
    happens: "The restarted primary takes its replication id and offset from its RDB, but makes its backlog only once its own sync with the peer has succeeded. Writes before that are not counted; the peer then asks to go on where it was, which is granted, and goes on behind them. Here the peer is frozen meanwhile, so that there certainly is such a moment; on its own it lasts from 15 to 300 ms. Who asks whom first when the peer goes on is chance: if the peer does, it resyncs in full and nothing is lost (one of eleven replays).",
    seen_on: &["6.3.0", "6.3.4"],
    not_on: &["6.0.18", "6.2.2"],
    explains: &[
        ("early-writes/rdb", "agreement"),
        ("early-writes/rdb", "early-writes-survive"),
    ],
    topology: || pair().persistence(Persistence::Rdb).build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "SET key before", "OK")
            .arrives("primary1", "primary2")
            .stop("primary1")
            .until("primary2", "master_link_status:down")
            .say("primary1 starts while its peer does not answer, and takes a write.")
            .pause("primary2")
            .start("primary1")
            .until("primary1", "loading:0")
            .command("primary1", "SET key early", "OK")
            .unpause("primary2")
            .in_touch()
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: early", "primary2 GET key: before"],
    right: &["primary1 GET key: early", "primary2 GET key: early"],
};
