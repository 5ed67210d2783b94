//! Both primaries add entries to the same streams while neither hears the other.

use std::sync::Arc;

use anyhow::Result;

use super::{Need, PARTED, Scenario};
use crate::cluster::Order;
use crate::fault::{BlackHole, Cut, Together};
use crate::property::agreement;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::workload::kind::{self, Kind};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "stream-entries-cross",
    title: "both primaries add entries to the same streams, XADD with *",
    promise: "an entry that either primary acknowledged is on every node",
    source: "KeyDB docs active-rep.md (any command written to one node is seen on the other)",
    seconds: 7,
    variants: &["frozen", "cut"],
    long: &[],
    damage: &[],
    needs: &[Need::Command("XADD")],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn topology(_variant: &str) -> Result<Topology, TopologyError> {
    Topology::active_active().replicas(2).relayed().build()
}

const SURVIVE: &str = "entries-survive";

const BEFORE: &[&str] = &["XADD", "*", "f", "m"];
const A: &[&str] = &["XADD", "*", "f", "a"];
const B: &[&str] = &["XADD", "*", "f", "b"];
const READ: &[&str] = &["XRANGE", "-", "+"];

const KINDS: &[Kind] = &[
    Kind::new(
        "crossing",
        BEFORE,
        &[(0, A), (1, B)],
        READ,
        &[&["m", "a", "b"]],
        SURVIVE,
    ),
    Kind::new(
        "crossing-back",
        BEFORE,
        &[(1, A), (0, B)],
        READ,
        &[&["m", "a", "b"]],
        SURVIVE,
    ),
    // The control: nothing crosses it.
    Kind::new("alone", BEFORE, &[(0, A)], READ, &[&["m", "a"]], SURVIVE),
];

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    kind::write(one, KINDS).await?;
    agreement::reached(cluster).await?;
    let between = match trial.variant() {
        "cut" => Together::between("primary1", "primary2", || Cut),
        _ => Together::between("primary1", "primary2", || BlackHole),
    };
    let Some(fault) = trial.inflict(Arc::new(between), PARTED).await else {
        return Ok(());
    };
    kind::change([one, two], KINDS).await?;
    trial.heal(fault).await?;
    agreement::check(trial, "agreement", 0).await;
    let promises = [(SURVIVE, SCENARIO.promise)];
    kind::check(trial, KINDS, &promises).await?;
    Ok(())
}
