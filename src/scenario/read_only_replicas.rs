//! Guide, Replicas: replicas refuse writes; primaries accept them.

use anyhow::Result;

use super::{Scenario, reference};
use crate::cluster::Order;
use crate::model::Class;
use crate::property::{agreement, read_only};
use crate::topology::Role;
use crate::trial::Trial;
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "read-only-replicas",
    title: "replicas refuse writes, primaries accept them",
    promise: "replica-read-only yes makes a replica refuse writes; active-replica yes keeps a primary writable",
    source: "guide, Replicas; KeyDB docs active-rep.md (the option implies replica-read-only no)",
    seconds: 3,
    variants: &[""],
    long: &[],
    damage: &[Class::ReadOnlyViolation],
    needs: &[],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

/// How much data there is to agree on.
const DATA: usize = 10;

async fn run(trial: &Trial) -> Result<()> {
    let primary1 = trial.cluster().node("primary1")?;
    write_mixed_data(&mut primary1.client().await?, "data", DATA).await?;
    let (mut accepting, mut refusing) = (0, 0);
    for node in trial.cluster().nodes() {
        let primary = node.spec().role == Role::Primary;
        let accepts = read_only::accepts_writes(node).await;
        accepting += usize::from(accepts == Ok(true));
        refusing += usize::from(accepts == Ok(false));
        let seen = match accepts {
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
    trial.headline(format!("{accepting} accept, {refusing} refuse"));
    agreement::check(trial, "agreement", DATA as u64 * KEYS_PER_COUNT).await;
    Ok(())
}
