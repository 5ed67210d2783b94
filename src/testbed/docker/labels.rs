//! What tells the harness's things from others on an engine, and one run's from another's.

use std::collections::HashMap;

use crate::run::{self, Machine, Run};

/// The run that made the thing. Everything the harness makes bears this.
pub(super) const RUN: &str = "keydb-harness.run";
/// The cluster it belongs to.
pub(super) const CLUSTER: &str = "keydb-harness.cluster";
/// The machine the run is on: an engine can serve several.
pub(super) const HOST: &str = "keydb-harness.host";
/// That machine's boot.
pub(super) const BOOT: &str = "keydb-harness.boot";
/// Where the run has its folder with the lock that tells whether it lives: another user's is
/// elsewhere, and cannot be asked.
pub(super) const RUNS: &str = "keydb-harness.runs";
/// The server in a container.
pub(super) const SERVER: &str = "keydb-harness.server";
/// On images: where they come from. Only imported ones bear it.
pub(super) const IMAGE: &str = "keydb-harness.image";
/// The value of [`IMAGE`] for an image imported from a path.
pub(super) const IMPORTED: &str = "path";

/// Without this label testcontainers does not find a container it is to adopt.
const MANAGED_BY: (&str, &str) = ("org.testcontainers.managed-by", "testcontainers");

pub(super) type Labels = HashMap<String, String>;

/// The labels of everything in one cluster.
pub(super) fn of_cluster(run: &Run, machine: &Machine, cluster: &str) -> Labels {
    let mut labels: Labels = [
        (RUN, run.id()),
        (CLUSTER, cluster),
        (HOST, &machine.host),
        (BOOT, &machine.boot),
    ]
    .map(|(label, value)| (label.to_owned(), value.to_owned()))
    .into();
    if let Some(runs) = runs_here() {
        labels.insert(RUNS.to_owned(), runs);
    }
    labels
}

/// The labels of one server's container.
pub(super) fn of_server(cluster: &Labels, server: &str) -> Labels {
    let mut labels = cluster.clone();
    labels.insert(SERVER.to_owned(), server.to_owned());
    labels.insert(MANAGED_BY.0.to_owned(), MANAGED_BY.1.to_owned());
    labels
}

/// Whether a thing with these labels was left by a run of this user and machine that is dead.
pub(super) fn is_orphan(labels: &Labels, machine: &Machine) -> bool {
    orphaned(labels, machine, runs_here().as_deref(), run::is_alive)
}

fn orphaned(
    labels: &Labels,
    machine: &Machine,
    runs: Option<&str>,
    is_alive: impl Fn(&str) -> bool,
) -> bool {
    let is = |label: &str, value: &str| labels.get(label).is_some_and(|found| found == value);
    let Some(run) = labels.get(RUN) else {
        return false;
    };
    if !is(HOST, &machine.host) {
        return false;
    }
    if !is(BOOT, &machine.boot) {
        return true;
    }
    let asked_here = labels
        .get(RUNS)
        .is_none_or(|found| Some(found.as_str()) == runs);
    asked_here && !is_alive(run)
}

fn runs_here() -> Option<String> {
    run::runs_dir().ok().map(|dir| dir.display().to_string())
}

/// The name of a cluster's network.
pub(super) fn network(cluster: &str) -> String {
    format!("keydb-harness-{cluster}")
}

/// The name of a server's container, and of its volume.
pub(super) fn member(cluster: &str, server: &str) -> String {
    format!("keydb-harness-{cluster}-{server}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::dead_run("h", "b", "runs", false, true)]
    #[case::live_run("h", "b", "runs", true, false)]
    #[case::before_a_reboot("h", "earlier", "runs", true, true)]
    #[case::another_machine("other", "b", "runs", false, false)]
    #[case::another_machine_rebooted("other", "earlier", "runs", false, false)]
    #[case::another_user("h", "b", "elsewhere", false, false)]
    fn only_what_a_dead_run_left_here_is_an_orphan(
        #[case] host: &str,
        #[case] boot: &str,
        #[case] runs: &str,
        #[case] alive: bool,
        #[case] orphan: bool,
    ) {
        let labels: Labels = [(RUN, "1"), (HOST, host), (BOOT, boot), (RUNS, runs)]
            .map(|(label, value)| (label.to_owned(), value.to_owned()))
            .into();
        let machine = Machine {
            host: "h".to_owned(),
            boot: "b".to_owned(),
        };
        assert_eq!(orphaned(&labels, &machine, Some("runs"), |_| alive), orphan);
    }

    #[test]
    fn a_thing_without_a_run_is_nobodys() {
        let machine = Machine::current();
        let labels = Labels::from([(HOST.to_owned(), machine.host.clone())]);
        assert!(!is_orphan(&labels, &machine));
    }
}
