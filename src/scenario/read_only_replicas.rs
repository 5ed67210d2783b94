//! Guide, Replicas: replicas refuse writes; primaries accept them.

use anyhow::Result;

use super::{Scenario, Trial, reference};
use crate::cluster::Order;
use crate::property::{agreement, read_only};
use crate::topology::Role;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "read-only-replicas",
    title: "replicas refuse writes, primaries accept them",
    promise: "replica-read-only yes makes a replica refuse writes; active-replica yes keeps a primary writable",
    source: "guide, Replicas; KeyDB docs active-rep.md (the option implies replica-read-only no)",
    seconds: 3,
    variants: &[""],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

async fn run(trial: &Trial) -> Result<()> {
    for node in trial.cluster().nodes() {
        let primary = node.spec().role == Role::Primary;
        let seen = match read_only::accepts_writes(node).await {
            Ok(accepts) if accepts == primary => Ok(node.name().to_owned()),
            Ok(true) => Err(format!("{} accepted a write", node.name())),
            Ok(false) => Err(format!("{} refused a write as READONLY", node.name())),
            Err(error) => Err(format!("{}: {error}", node.name())),
        };
        let promise = if primary {
            "a primary accepts writes"
        } else {
            "a replica refuses writes"
        };
        trial.check(&format!("{}-writes", node.name()), promise, seen);
    }
    trial.headline("2 accept, 3 refuse");
    agreement::check(trial, "agreement").await;
    Ok(())
}
