//! E3: a plain replica of an active primary never removes expired keys.

use super::{BOTH, Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "E3",
    title: "a plain replica of an active primary never removes expired keys",
    notices: "The memory and DBSIZE of a replica grow for ever, while those of its primary do not.",
    promise: "keys that expired on the primary are removed on its replicas",
    source: "the documentation of EXPIRE, how expires are handled in the replication link",
    happens: "An active primary does not send a DEL when a key expires, as its peer expires keys itself; a plain replica waits for it.",
    seen_on: &["5.3.3"],
    not_on: &["6.2.2", "6.3.4"],
    explains: &[("write-reaches-all", "agreement")],
    topology: || pair().replicas(1).build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .links_up(&["replica1"])
            .arrives("primary1", "replica1")
            .command("primary1", "SET key mortal PX 100", "OK")
            .until("primary1", "expired_keys:1")
            .arrives("primary1", "replica1")
            .ask("primary1", "DBSIZE")
            .ask("replica1", "DBSIZE")
    },
    expected: &["primary1 DBSIZE: 2", "replica1 DBSIZE: 3"],
    right: &["primary1 DBSIZE: 2", "replica1 DBSIZE: 2"],
};
