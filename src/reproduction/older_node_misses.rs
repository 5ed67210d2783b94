//! F10: beside an older node, SETs with a time to live are missing there.

use super::{Reproduction, Script, pair};
use crate::spec::KeydbSpec;

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F10",
    title: "beside KeyDB 6.0.18 every SET with a time to live is missing there",
    notices: "During a rolling upgrade from 6.0.18, keys that are set with EX or PX, or by SETEX, on the upgraded node are not on the older one. Links stay up.",
    promise: "both nodes stay in sync",
    source: "KeyDB's documentation of active replication",
    happens: "The newer node replicates `SET key value PXAT time`, for which the older one has a syntax error. `KEYDB_IMAGE_PRIMARY1` is the older node's image.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[],
    topology: || {
        pair()
            .node_keydb("primary1", KeydbSpec::Version("6.0.18".to_owned()))
            .build()
    },
    script: || {
        Script::new()
            .in_touch()
            .command("primary2", "SET key there EX 3600", "OK")
            .arrives("primary2", "primary1")
            .ask("primary1", "GET key")
            .ask("primary2", "GET key")
    },
    expected: &["primary1 GET key: (nothing)", "primary2 GET key: there"],
    right: &["primary1 GET key: there", "primary2 GET key: there"],
};
