//! H7: a primary that restarts before its own writes have come back carries them out once more.

use super::{BOTH, Reproduction, Script, pair};
use crate::topology::Persistence;

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "H7",
    title: "after a clean restart a primary counts its own last writes twice",
    notices: "A primary was restarted cleanly under writes. Counters, lists and appends that it had written just before are too high or too long on it, for ever, while the other primary is right; both links are up.",
    promise: "a write counts once, however often it crosses",
    source: "KeyDB's documentation of active replication",
    happens: "Each write is sent back to its origin, which knows it by the id of its process and drops it. The id is new at every start: what comes back in a partial resync after a restart is taken for the peer's, and carried out again. Here the peer is frozen while the write is made, so that it surely comes back too late.",
    seen_on: &["6.3.0", "6.3.4"],
    not_on: &["6.2.2"],
    explains: &[
        ("echo-after-restart", "agreement"),
        ("echo-after-restart", "counts-once"),
    ],
    topology: || pair().persistence(Persistence::Rdb).build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "SET counter 1", "OK")
            .arrives("primary1", "primary2")
            .say("primary1 counts and is restarted, while primary2 is too slow to answer.")
            .pause("primary2")
            .command("primary1", "INCR counter", "2")
            .stop("primary1")
            .unpause("primary2")
            .until("primary2", "master_link_status:down")
            .start("primary1")
            .in_touch()
            .ask("primary1", "GET counter")
            .ask("primary2", "GET counter")
    },
    expected: &["primary1 GET counter: 3", "primary2 GET counter: 2"],
    right: &["primary1 GET counter: 2", "primary2 GET counter: 2"],
};
