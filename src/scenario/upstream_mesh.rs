//! What upstream's own tests ask of a mesh and of a ring: `replication-multimaster.tcl`.

use anyhow::{Result, ensure};

use super::Scenario;
use crate::behaviour::{Behaviour, Hands, Seen, Table};
use crate::cluster::Order;
use crate::model::Class;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "upstream-mesh",
    title: "what upstream's own tests ask of four primaries, each linked to all or to the next",
    promise: "a write on any node of a mesh or ring is on every node, and counts once",
    source: SOURCE,
    seconds: 6,
    variants: &["mesh4", "mesh4-no-forward", "ring4", "mesh3", "ring3"],
    long: &[],
    damage: &[
        Class::Divergence,
        Class::DoubleApplication,
        Class::WrongInfo,
    ],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

const SOURCE: &str = "KeyDB tests/integration/replication-multimaster.tcl";
const NO_FORWARD: &str = "multi-master-no-forward";

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    // Upstream's rings are multi-masters as well, and all its nodes have this hz.
    let ring = |size| Topology::ring(size).multi_master(true);
    let topology = match variant {
        "mesh3" => Topology::mesh(3),
        "mesh4" => Topology::mesh(4),
        "mesh4-no-forward" => Topology::mesh(4).option(NO_FORWARD, "yes"),
        "ring3" => ring(3),
        _ => ring(4),
    };
    topology.without_proxy().option("hz", "500").build()
}

const ROWS: &[Behaviour] = &[
    Behaviour::new(
        "links-up",
        "every node says that all its links are up",
        SOURCE,
        |hands| Box::pin(links_up(hands)),
    ),
    Behaviour::new(
        "set-reaches-all",
        "a SET on one node is seen on all",
        SOURCE,
        |hands| Box::pin(set_reaches_all(hands)),
    ),
    Behaviour::new(
        "counts-once",
        "increments on several nodes are each carried out once everywhere",
        SOURCE,
        |hands| Box::pin(counts_once(hands)),
    ),
    Behaviour::new(
        "transactions-count-once",
        "each of many transactions is carried out once everywhere",
        SOURCE,
        |hands| Box::pin(transactions_count_once(hands)),
    ),
];

/// It changes a node's configuration.
const LAST: &[Behaviour] = &[Behaviour::new(
    "quorum",
    "with replica-serve-stale-data no a node serves as long as replica-quorum links are up",
    SOURCE,
    |hands| Box::pin(quorum(hands)),
)
.needing(&["replica-quorum"])];

async fn run(trial: &Trial) -> Result<()> {
    let mut table = Table::on(trial);
    table.at_once(ROWS).await?;
    if trial.variant().starts_with("mesh") {
        table.in_turn(LAST).await?;
    }
    Ok(())
}

fn names<'a>(hands: &Hands<'a>) -> Vec<&'a str> {
    let primaries = hands.cluster().primaries();
    primaries.map(|node| node.name()).collect()
}

async fn links_up(hands: &Hands<'_>) -> Result<Seen> {
    for node in hands.cluster().primaries() {
        hands.linked(node.name(), node.spec().follows.len()).await?;
        let info = node.info().await?.replication();
        // 5.3.3 has no such field.
        if info.global_link_up == Some(false) {
            let name = node.name();
            return Ok(Err(format!("{name}: master_global_link_status is down")));
        }
    }
    Ok(Ok("master_global_link_status is up".to_owned()))
}

async fn comes_to_all(hands: &Hands<'_>, command: &str, wanted: &str) -> Result<()> {
    for node in names(hands) {
        hands.comes(node, 0, command, wanted).await?;
    }
    Ok(())
}

async fn set_reaches_all(hands: &Hands<'_>) -> Result<Seen> {
    let nodes = names(hands);
    for node in &nodes {
        hands.ask(node, &format!("SET from:{node} foo")).await?;
        comes_to_all(hands, &format!("GET from:{node}"), "foo").await?;
    }
    Ok(Ok(format!("from each of {} nodes", nodes.len())))
}

/// Upstream's pause between increments: here until each has come to all, and once more without.
async fn counts_once(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask("primary1", "SET counter 1").await?;
    comes_to_all(hands, "GET counter", "1").await?;
    hands.ask("primary2", "INCR counter").await?;
    comes_to_all(hands, "GET counter", "2").await?;
    hands.ask("primary3", "INCR counter").await?;
    comes_to_all(hands, "GET counter", "3").await?;
    let nodes = names(hands);
    for node in &nodes {
        hands.ask(node, "INCR counter").await?;
    }
    let all = (3 + nodes.len()).to_string();
    comes_to_all(hands, "GET counter", &all).await?;
    hands.settled().await?;
    hands.everywhere("GET counter", &all).await
}

/// Upstream makes a thousand, on one node and key.
const TRANSACTIONS: u32 = 60;
/// How many of them are waited for on every node before the next.
const ONE_BY_ONE: u32 = 20;

async fn transactions_count_once(hands: &Hands<'_>) -> Result<Seen> {
    let mut one = hands.session("primary1").await?;
    for round in 0..TRANSACTIONS {
        let key = match round < ONE_BY_ONE {
            true => "transactions".to_owned(),
            false => format!("transactions:{round}"),
        };
        let incr = format!("INCR {key}");
        one.ask(&format!("SET {key} 1")).await?;
        for command in ["MULTI", &incr, &incr] {
            one.ask(command).await?;
        }
        let answer = one.ask("EXEC").await?;
        ensure!(answer == "[2, 3]", "EXEC answers {answer}");
        if round < ONE_BY_ONE {
            comes_to_all(hands, &format!("GET {key}"), "3").await?;
        }
    }
    hands.settled().await?;
    let others: Vec<String> = (ONE_BY_ONE..TRANSACTIONS)
        .map(|round| format!("transactions:{round}"))
        .collect();
    let ask = format!("MGET transactions {}", others.join(" "));
    let threes = vec!["3"; others.len() + 1].join(", ");
    hands.everywhere(&ask, &format!("[{threes}]")).await
}

async fn quorum(hands: &Hands<'_>) -> Result<Seen> {
    let links = hands.cluster().node("primary1")?.spec().follows.len();
    let mut one = hands.session("primary1").await?;
    one.ask("CONFIG SET replica-serve-stale-data no").await?;
    let by_itself = one.ask("GET from:primary1").await?;
    one.ask(&format!("CONFIG SET replica-quorum {links}"))
        .await?;
    let reached = one.ask("GET from:primary1").await?;
    let more = links + 1;
    one.ask(&format!("CONFIG SET replica-quorum {more}"))
        .await?;
    let missed = one.ask("GET from:primary1").await?;
    one.ask("CONFIG SET replica-serve-stale-data yes").await?;
    let served = |answer: &str| answer == "foo";
    Ok(
        match served(&by_itself) && served(&reached) && missed.contains("MASTER is down") {
            true => Ok(format!("served with {links}, refused with {more}")),
            false => Err(format!(
                "by itself {by_itself}, with {links} {reached}, with {more} {missed}"
            )),
        },
    )
}
