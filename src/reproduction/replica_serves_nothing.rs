//! F11: a replica that starts serves an empty data set.

use super::{BOTH, Reproduction, Script, pair};

pub(super) const REPRODUCTION: Reproduction = Reproduction {
    id: "F11",
    title: "a replica that starts serves its empty data set until its first sync",
    notices: "For a moment after a replica was restarted, reads on it find nothing, without an error; a counter falls to nothing and is back later.",
    promise: "a replica does not serve an empty or older data set after a newer one",
    source: "the harness's own; `replica-serve-stale-data` documents that the data set may be empty before the first synchronization",
    happens: "The server answers as soon as it listens, before it has synced. Here its primary is frozen, so that the moment is long enough to be seen; on its own it lasts from 70 to 350 ms.",
    seen_on: &["6.2.2", "6.3.4"],
    not_on: &[],
    explains: &[("replica-restarts", "no-empty-reads")],
    topology: || pair().replicas(1).build(),
    script: || {
        Script::new()
            .links_up(&BOTH)
            .links_up(&["replica1"])
            .command("primary1", "SET key there", "OK")
            .arrives("primary1", "replica1")
            .say("The replica restarts while its primary does not answer.")
            .pause("primary1")
            .stop("replica1")
            .start("replica1")
            .until("replica1", "loading:0")
            .ask("replica1", "GET key")
            .ask_for("replica1", "INFO replication", "master_link_status:[a-z]+")
    },
    expected: &[
        "replica1 GET key: (nothing)",
        "replica1 INFO replication: master_link_status:down",
    ],
    right: &[
        "replica1 GET key: an error, such as LOADING or MASTERDOWN",
        "replica1 INFO replication: master_link_status:down",
    ],
};
