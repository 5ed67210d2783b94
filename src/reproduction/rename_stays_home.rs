//! H40: KEYDB.HRENAME is not passed on.

use super::{BOTH, Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "H40",
    title: "KEYDB.HRENAME is not passed on",
    notices: "A field of a hash has its new name on the primary that was told, and its old one on every other node, for ever and with links up.",
    promise: "any command written to one node is seen on the other",
    source: "KeyDB's documentation of active replication",
    happens: "The command changes the hash and counts no change, so that it gets into no stream.",
    seen_on: &["6.0.18", "6.2.2", "6.3.0", "6.3.4"],
    not_on: &[],
    explains: &[("commands-cross/rows", "hrename-passed-on")],
    topology: || pair().build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .command("primary1", "HSET hash before v", "1")
            .arrives("primary1", "primary2")
            .command("primary1", "KEYDB.HRENAME hash before after", "1")
            .arrives("primary1", "primary2")
            .ask("primary1", "HKEYS hash")
            .ask("primary2", "HKEYS hash")
    },
    expected: &["primary1 HKEYS hash: after", "primary2 HKEYS hash: before"],
    right: &["primary1 HKEYS hash: after", "primary2 HKEYS hash: after"],
};
