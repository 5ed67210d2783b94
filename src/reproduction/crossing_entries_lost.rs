//! F8: entries that are added to a stream on both primaries at once are lost.

use super::{Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F8",
    title: "XADD on both primaries at once loses an entry",
    notices: "Producers add to one stream through both primaries. One primary lacks entries that the other has, for ever, with links up.",
    promise: "both nodes stay in sync; every write reaches the other side",
    source: "KeyDB's documentation of active replication",
    happens: "An entry's id is made of the clock of the node that adds it. When the peer's entry arrives later and its id is the smaller one, XADD refuses it.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[("conflict-matrix", "further-additions-stay")],
    topology: || pair().build(),
    script: || {
        Script::new()
            .in_touch()
            .say("primary1 adds an entry, and is busy before it tells its peer.")
            .background(
                "primary1",
                &["MULTI", "XADD stream * entry one", "DEBUG SLEEP 20", "EXEC"],
            )
            .stuck("primary1")
            .typed("primary2", "XADD stream '*' entry two")
            .say("It has been busy all the while.")
            .stuck("primary1")
            .wait()
            .in_touch()
            .ask("primary1", "XLEN stream")
            .ask("primary2", "XLEN stream")
    },
    expected: &["primary1 XLEN stream: 2", "primary2 XLEN stream: 1"],
    right: &["primary1 XLEN stream: 2", "primary2 XLEN stream: 2"],
};
