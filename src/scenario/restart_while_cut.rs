//! A primary writes the newer values and restarts cleanly before its peer hears of them.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::Scenario;
use crate::cluster::{Node, Order};
use crate::fault::{Cut, Inflicted, Link, Together};
use crate::model::Class;
use crate::property::{agreement, relink, resync};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};
use crate::workload::kind::{self, Kind};
use crate::workload::write_bulk;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "restart-while-cut",
    title: "primary1 overwrites what primary2 wrote during a cut, restarts, and the cut ends",
    promise: "the newest write wins, also if the primary that took it has restarted since",
    source: "KeyDB docs active-rep.md (the last write wins; a returning server does not overwrite newer writes)",
    seconds: 7,
    variants: &["partial", "full"],
    long: &[],
    damage: &[Class::LostWrite, Class::Persistence],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active()
        .without_proxy()
        .persistence(Persistence::Rdb)
        .relayed();
    match variant {
        "full" => topology.option("repl-backlog-size", "16kb").build(),
        _ => topology.build(),
    }
}

const NEWEST: &str = "newest-wins";

const KINDS: &[Kind] = &[
    kind(
        "string",
        &[(1, &["SET", "old"]), (0, &["SET", "new"])],
        &[&["new"]],
    ),
    kind(
        "small",
        &[(1, &["SET", "1"]), (0, &["SET", "2"])],
        &[&["2"]],
    ),
    kind(
        "big",
        &[
            (1, &["SET", "1000000000001"]),
            (0, &["SET", "1000000000002"]),
        ],
        &[&["1000000000002"]],
    ),
];

const fn kind(
    name: &'static str,
    changes: &'static [(usize, &'static [&'static str])],
    right: &'static [&'static [&'static str]],
) -> Kind {
    Kind {
        name,
        before: &["SET", "m"],
        changes,
        read: &["GET"],
        right,
        check: NEWEST,
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    kind::write(one, KINDS).await?;
    agreement::reached(cluster).await?;

    let cut = |from, to| Arc::new(Link::new(from, to).struck_by(Cut)) as _;
    let both = Together(vec![
        cut("primary1", "primary2"),
        cut("primary2", "primary1"),
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
    if trial.variant() == "full" {
        write_bulk(&mut one.client().await?, "one").await?;
        write_bulk(&mut two.client().await?, "two").await?;
    }
    one.restart().await?;
    eventually(cluster, "primary1 serves", DEADLINE, || async {
        let served = kind::wrong_on(one, &KINDS[0]).await;
        served.map(drop).map_err(|error| error.to_string())
    })
    .await?;
    let promise = "a primary that ends cleanly has what it wrote when it returns";
    trial.check("kept-over-restart", promise, has_newest(one).await);

    let before = resync::before(cluster).await?;
    let began = Instant::now();
    fault.recover(cluster).await?;
    let promise = "every link is up again";
    if relink::check(trial, "resyncs", promise, began)
        .await
        .is_none()
    {
        return Ok(());
    }
    let resyncs = resync::since(cluster, &before).await?;
    trial.measure("full resyncs", resyncs.full as f64, "resyncs");
    trial.measure("partial resyncs", resyncs.partial as f64, "resyncs");
    trial.headline(resyncs.to_string());
    agreement::check(trial, "agreement", 0).await;
    let promises = [(NEWEST, "the newest write of a key wins")];
    kind::check(trial, KINDS, &promises).await?;
    Ok(())
}

async fn has_newest(node: &Node) -> Result<String, String> {
    for kind in KINDS {
        match kind::wrong_on(node, kind).await {
            Ok(wrong) if wrong.is_empty() => {}
            Ok(wrong) => {
                let (count, name) = (wrong.len(), kind.name);
                return Err(format!("{name}: {count} keys hold {}", wrong[0]));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(format!("{} keys of each kind", kind::KEYS))
}
