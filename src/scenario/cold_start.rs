//! Everything starts at once, as after a power cut.

use anyhow::Result;

use super::{Scenario, reference};
use crate::cluster::Order;
use crate::model::Class;
use crate::property::{agreement, replids};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "cold-start",
    title: "all servers start at the same moment",
    promise: "the cluster links up whatever the order of its starts; writes on either primary reach all nodes",
    source: "KeyDB docs active-rep.md (circular connections); measured: all replicas may end on one primary",
    seconds: 4,
    variants: &[""],
    long: &[],
    damage: &[
        Class::WrongInfo,
        Class::DoubleApplication,
        Class::WrongDatabase,
    ],
    needs: &[],
    order: Order::AtOnce,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

/// How much data each primary is given.
const DATA: usize = 10;

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let ready = cluster.startup().total().as_secs_f64();
    trial.measure("ready after", ready, "s");
    trial.headline(format!("ready after {ready:.2} s"));
    for primary in cluster.primaries() {
        write_mixed_data(&mut primary.client().await?, primary.name(), DATA).await?;
    }
    agreement::check(trial, "agreement", 2 * DATA as u64 * KEYS_PER_COUNT).await;

    let roles = cluster.roles();
    let roles = &roles;
    let what = "every replica shows a live primary's id";
    let groups = eventually(cluster, what, DEADLINE / 3, || async move {
        replids::groups(&cluster.glance().await, roles).map(|groups| replids::described(&groups))
    })
    .await;
    if let Ok(groups) = &groups {
        trial.headline(groups.clone());
    }
    trial.check(
        "live-primary",
        "each replica's master_replid is the current id of a live primary",
        groups,
    );
    Ok(())
}
