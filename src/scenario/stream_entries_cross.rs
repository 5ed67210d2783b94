//! Both primaries add entries to the same streams while neither hears the other.

use std::sync::Arc;

use anyhow::Result;

use super::{Need, Scenario};
use crate::cluster::Order;
use crate::fault::{BlackHole, Cut, Fault, Inflicted, Link, Together};
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

const KINDS: &[Kind] = &[
    kind(
        "crossing",
        &[(0, &["XADD", "*", "f", "a"]), (1, &["XADD", "*", "f", "b"])],
        &[&["m", "a", "b"]],
    ),
    kind(
        "crossing-back",
        &[(1, &["XADD", "*", "f", "a"]), (0, &["XADD", "*", "f", "b"])],
        &[&["m", "a", "b"]],
    ),
    // The control: nothing crosses it.
    kind("alone", &[(0, &["XADD", "*", "f", "a"])], &[&["m", "a"]]),
];

const fn kind(
    name: &'static str,
    changes: &'static [(usize, &'static [&'static str])],
    right: &'static [&'static [&'static str]],
) -> Kind {
    Kind {
        name,
        before: &["XADD", "*", "f", "m"],
        changes,
        read: &["XRANGE", "-", "+"],
        right,
        check: SURVIVE,
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    kind::write(one, KINDS).await?;
    agreement::reached(cluster).await?;
    let strike = |from: &str, to: &str| -> Arc<dyn Fault> {
        let link = Link::new(from, to);
        match trial.variant() {
            "cut" => Arc::new(link.struck_by(Cut)),
            _ => Arc::new(link.struck_by(BlackHole)),
        }
    };
    let both = Together(vec![
        strike("primary1", "primary2"),
        strike("primary2", "primary1"),
    ]);
    let fault = match Inflicted::on(cluster, Arc::new(both)).await {
        Ok(fault) => fault,
        Err(toothless) => {
            let promise = "neither primary hears the other";
            trial.inconclusive("fault", promise, toothless.to_string());
            return Ok(());
        }
    };
    kind::change([one, two], KINDS).await?;
    fault.recover(cluster).await?;
    agreement::check(trial, "agreement", 0).await;
    let promises = [(SURVIVE, SCENARIO.promise)];
    kind::check(trial, KINDS, &promises).await?;
    Ok(())
}
