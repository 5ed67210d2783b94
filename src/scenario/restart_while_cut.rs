//! A primary writes the newer values and restarts cleanly before its peer hears of them.

use std::sync::Arc;

use anyhow::Result;
use tokio::time::Instant;

use super::{PARTED, Scenario};
use crate::cluster::{Node, Order, ready};
use crate::fault::{Cut, Together};
use crate::model::Class;
use crate::property::{agreement, resync};
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

/// Written by primary2 first; by primary1, which restarts, then.
const KINDS: &[Kind] = &[
    Kind::new(
        "string",
        &["SET", "m"],
        &[(1, &["SET", "old"]), (0, &["SET", "new"])],
        &["GET"],
        &[&["new"]],
        NEWEST,
    ),
    Kind::new(
        "small",
        &["SET", "m"],
        &[(1, &["SET", "1"]), (0, &["SET", "2"])],
        &["GET"],
        &[&["2"]],
        NEWEST,
    ),
    Kind::new(
        "big",
        &["SET", "m"],
        &[
            (1, &["SET", "1000000000001"]),
            (0, &["SET", "1000000000002"]),
        ],
        &["GET"],
        &[&["1000000000002"]],
        NEWEST,
    ),
];

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    kind::write(one, KINDS).await?;
    agreement::reached(cluster).await?;

    let cut = Arc::new(Together::between("primary1", "primary2", || Cut));
    let Some(cut) = trial.inflict(cut, PARTED).await else {
        return Ok(());
    };
    kind::change([one, two], KINDS).await?;
    if trial.variant() == "full" {
        write_bulk(&mut one.client().await?, "one").await?;
        write_bulk(&mut two.client().await?, "two").await?;
    }
    one.restart().await?;
    let serves = eventually(cluster, "primary1 serves", DEADLINE, || ready::serves(one));
    serves.await?;
    let promise = "a primary that ends cleanly has what it wrote when it returns";
    trial.check("kept-over-restart", promise, has_newest(one).await);

    let before = resync::before(cluster).await?;
    let began = Instant::now();
    trial.heal(cut).await?;
    if !resync::check(trial, began, &before).await? {
        return Ok(());
    }
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
