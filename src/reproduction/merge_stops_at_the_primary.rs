//! D14: what a primary takes in by a merge does not reach its replicas.

use super::{BOTH, Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "D14",
    title: "what a primary takes in by a full resync does not reach its replicas",
    notices: "After a primary resynced in full with its peer, its replicas lack what it took in, for ever, with links up.",
    promise: "a replica holds what its primary holds",
    source: "KeyDB's documentation of replication",
    happens: "The merge changes the primary's data without writing to its replication stream.",
    seen_on: &["5.3.3"],
    not_on: &["6.0.18", "6.3.0", "6.3.4"],
    explains: &[
        ("early-writes", "agreement"),
        ("early-writes", "early-writes-survive"),
        ("conflicting-writes/cut-full", "agreement"),
        ("conflicting-writes/cut", "agreement"),
        ("conflicting-writes/cut-full", "newest-wins"),
        ("conflicting-writes/cut", "newest-wins"),
        ("conflict-matrix/cut-full", "converges"),
        ("conflict-matrix/cut", "converges"),
        ("conflict-matrix/cut-full", "newest-wins"),
        ("conflict-matrix/cut", "newest-wins"),
        ("conflict-matrix/cut-full", "further-converge"),
        ("conflict-matrix/cut", "further-converge"),
    ],
    topology: || pair().replicas(1).build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .links_up(&["replica1"])
            .say("primary1 does not hear primary2 for a while.")
            .command("primary1", "REPLICAOF NO ONE", "OK")
            .command("primary2", "SET key there", "OK")
            .command("primary1", "REPLICAOF primary2 6379", "OK")
            .in_touch()
            .links_up(&["replica1"])
            .arrives("primary1", "replica1")
            .ask("primary1", "GET key")
            .ask("replica1", "GET key")
    },
    expected: &["primary1 GET key: there", "replica1 GET key: (nothing)"],
    right: &["primary1 GET key: there", "replica1 GET key: there"],
};
