//! What becomes of a cluster by its configuration: each row of the table is a configuration.
//!
//! Most rows run small behaviours on one cluster; a server that refuses to start is something to
//! be seen there, and no failure of the environment.

mod alone;
mod at_runtime;
mod backlog;
mod follows;
mod loading;
mod loading_text;
mod no_forward;
mod order;
mod passwords;
mod rewrite;
mod stale;
mod start;

use anyhow::Result;
use futures_util::future::BoxFuture;

use super::Scenario;
use crate::cluster::Order;
use crate::model::Class;
use crate::topology::{Builder, Persistence, Topology, TopologyError};
use crate::trial::Trial;

/// One configuration: the cluster that has it, and what is done there.
struct Configuration {
    /// The variant's name.
    name: &'static str,
    topology: fn() -> Result<Topology, TopologyError>,
    run: for<'a> fn(&'a Trial) -> BoxFuture<'a, Result<()>>,
}

/// A cluster whose primaries are restarted. Save points let them go on where they were: what becomes
/// of one that starts from an older dump (F2) is looked at elsewhere.
fn restarted(cluster: Builder) -> Builder {
    cluster.without_proxy().persistence(Persistence::Rdb)
}

const TABLE: &[Configuration] = &[
    order::ROW,
    at_runtime::ROW,
    rewrite::ROW,
    stale::ROW,
    no_forward::WITH_REPLICA,
    no_forward::MESH,
    passwords::ROW,
    backlog::COVERS,
    backlog::EXCEEDED,
    alone::ROW,
    loading::ROW,
    loading_text::ROW,
];

const NAMES: [&str; TABLE.len()] = {
    let mut names = [""; TABLE.len()];
    let mut row = 0;
    while row < TABLE.len() {
        names[row] = TABLE[row].name;
        row += 1;
    }
    names
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "configuration",
    title: "options in another order, rewritten, changed while servers run, and those that few use",
    promise: "a configuration does what keydb.conf and the documentation say of it, or is refused",
    source: "keydb.conf of 6.3.4; KeyDB docs active-rep.md, multi-master.md, commands.md, replication.md; upstream #213, #665, #838, #124, #232, #192, #679",
    seconds: 6,
    variants: &NAMES,
    long: &[],
    damage: &[
        Class::StuckLink,
        Class::LostWrite,
        Class::DoubleApplication,
        Class::WrongInfo,
    ],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn row(name: &str) -> &'static Configuration {
    let found = TABLE.iter().find(|row| row.name == name);
    // Variants are the names of the table.
    found.unwrap_or(&TABLE[0])
}

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    (row(variant).topology)()
}

async fn run(trial: &Trial) -> Result<()> {
    (row(trial.variant()).run)(trial).await
}
