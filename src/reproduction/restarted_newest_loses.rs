//! F7: a primary that restarts before a partition ends loses its newer value to an older one.

use super::{BOTH, Reproduction, Script, parted_pair};
use crate::topology::Persistence;

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F7",
    title: "a restart makes the newest write lose",
    notices: "While the primaries were parted, both wrote a key. The one that wrote last was restarted cleanly before the partition ended: its newer value is gone on both, and the older one stands.",
    promise: "the last write wins",
    source: "KeyDB's documentation of active replication",
    happens: "The time of a write is not kept in the RDB in a way that survives a start: keys that are loaded have the time 0, so that any value of the peer is newer. Where the resync is a partial one, the peer's older command is simply carried out.",
    seen_on: &["6.3.4"],
    not_on: &["6.2.2"],
    explains: &[],
    topology: || parted_pair().persistence(Persistence::Rdb).build(),
    script: || {
        Script::new()
            .in_touch()
            .say("A partition, which both notice.")
            .leave("primary2")
            .links_down(&BOTH)
            .say("Both write, primary1 last; then it is restarted.")
            .command("primary2", "SET key older", "OK")
            .command("primary1", "SET key newer", "OK")
            .stop("primary1")
            .start("primary1")
            .until("primary1", "loading:0")
            .join("primary2")
            .in_touch()
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: older", "primary2 GET key: older"],
    right: &["primary1 GET key: newer", "primary2 GET key: newer"],
};
