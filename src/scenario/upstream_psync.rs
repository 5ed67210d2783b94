//! What upstream's own tests ask of broken links: `replication-psync-multimaster.tcl`, and the two
//! files that its runner leaves out, `multimaster-psync.tcl` and `psync2-reg-multimaster.tcl`.

use std::time::Duration;

use anyhow::{Result, ensure};
use rand::RngExt;

use super::Scenario;
use crate::behaviour::{Behaviour, Hands, Seen, Table};
use crate::cluster::{Order, ready};
use crate::model::Class;
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;

mod load;
mod rows;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "upstream-psync",
    title: "what upstream's own tests ask of primaries whose links break while clients write",
    promise: "primaries whose links break end with the same data, and resync in part where the backlog allows it",
    source: "KeyDB tests/integration/replication-psync-multimaster.tcl, multimaster-psync.tcl, psync2-reg-multimaster.tcl",
    seconds: 8,
    variants: &[
        "disk",
        "disk-swapdb",
        "diskless",
        "diskless-swapdb",
        "restart",
        "kills",
    ],
    long: &[],
    damage: &[
        Class::Divergence,
        Class::LostWrite,
        Class::StuckLink,
        Class::WrongDatabase,
        Class::DoubleApplication,
    ],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = match variant {
        // Not the last configuration has the links: upstream's node restarts without.
        "restart" => Topology::mesh(2)
            .unlinked(true)
            .persistence(Persistence::Rdb),
        "kills" => Topology::mesh(3),
        _ => {
            let (sync, _) = variant.split_once('-').unwrap_or((variant, ""));
            let diskless = if sync == "diskless" { "yes" } else { "no" };
            let pair = Topology::mesh(2).unlinked(false);
            pair.option("repl-diskless-sync", diskless)
        }
    };
    let topology = match variant.ends_with("swapdb") {
        true => topology.option("repl-diskless-load", "swapdb"),
        false => topology,
    };
    let topology = topology.option("repl-diskless-sync-delay", "0");
    topology.without_proxy().build()
}

async fn run(trial: &Trial) -> Result<()> {
    let mut table = Table::on(trial);
    match trial.variant() {
        "restart" => table.in_turn(RESTART).await,
        "kills" => kills(trial, &table).await,
        _ => table.in_turn(rows::ROWS).await,
    }
}

const RESTART: &[Behaviour] = &[Behaviour::new(
    "heals-in-database-7",
    "writes before and after a restart of the peer are in database 7 of both, and in no other",
    "KeyDB tests/integration/multimaster-psync.tcl",
    |hands| Box::pin(heals(hands)),
)];

async fn heals(hands: &Hands<'_>) -> Result<Seen> {
    let [one, two] = ["primary1", "primary2"];
    for (node, upstream) in [(two, one), (one, two)] {
        hands.follow(node, upstream).await?;
        hands.linked(node, 1).await?;
    }
    let mut session = hands.session(one).await?;
    session.ask("SELECT 7").await?;
    session.ask("SET x 1").await?;
    hands.comes(two, 7, "GET x", "1").await?;
    hands.note("primary2 restarts, with what it has saved");
    let node = hands.cluster().node(two)?;
    node.restart().await?;
    hands
        .until("primary2 serves", || ready::serves(node))
        .await?;
    session.ask("SET y 2").await?;
    hands.follow(two, one).await?;
    for node in [two, one] {
        hands.linked(node, 1).await?;
    }
    hands.comes(two, 7, "MGET x y", "[1, 2]").await?;
    for database in 0..16 {
        let wanted = if database == 7 {
            "[1, 2]"
        } else {
            "[nil, nil]"
        };
        for node in [one, two] {
            let mut session = hands.session(node).await?;
            session.ask(&format!("SELECT {database}")).await?;
            let seen = session.ask("MGET x y").await?;
            if seen != wanted {
                return Ok(Err(format!("{node} has {seen} in database {database}")));
            }
        }
    }
    Ok(Ok("16 databases of both".to_owned()))
}

/// How often links are broken; upstream breaks them at random for twenty seconds.
const KILLS: usize = 5;

async fn kills(trial: &Trial, table: &Table<'_>) -> Result<()> {
    let hands = table.hands();
    let all = ["primary1", "primary2", "primary3"];
    let linked = async {
        hands.ask("primary1", "SET foo bar").await?;
        for node in all {
            hands.linked(node, 2).await?;
            hands
                .ask(node, "CONFIG SET repl-backlog-size 200mb")
                .await?;
            hands.comes(node, 0, "GET foo", "bar").await?;
        }
        Ok(Ok("three nodes, linked to each other".to_owned()))
    };
    table.saw(
        "mesh-of-three",
        "three primaries link to each other",
        linked.await,
    );

    let mut rng = trial.rng();
    // Each at least once.
    let mut struck: Vec<usize> = vec![0, 1];
    struck.extend((struck.len()..KILLS).map(|_| rng.random_range(0..2)));
    let waits: Vec<bool> = struck.iter().map(|_| rng.random_bool(0.5)).collect();
    let broken = load::increments(hands, "primary1", async {
        let mut broken = [0, 0];
        for (node, waits) in struck.into_iter().zip(waits) {
            let name = all[node + 1];
            let count = hands.ask(name, "CLIENT KILL TYPE master").await?;
            broken[node] += count.parse::<u32>().unwrap_or(0);
            if waits {
                hands.linked(name, 2).await?;
            }
        }
        for name in all {
            hands.linked(name, 2).await?;
        }
        Ok(broken)
    });
    let (broken, sent) = broken.await?;
    let checks = ["first-links-return", "second-links-return"];
    for ((check, broken), name) in checks.into_iter().zip(broken).zip(&all[1..]) {
        let promise = "a node whose links are broken while another takes increments links again";
        let seen = async {
            ensure!(broken > 0, "no link of {name} was broken");
            hands.linked(name, 2).await?;
            Ok(Ok(format!("{broken} links of {name} were broken")))
        };
        table.saw(check, promise, seen.await);
    }
    let promise = "all three show the same DEBUG DIGEST";
    table.saw("same-digest", promise, hands.same_digest(&all).await);
    let promise = "each increment was carried out once on every node";
    let once = async {
        let mut sums = Vec::new();
        for node in all {
            let sum = load::sum(hands, node).await?;
            if sum != sent {
                sums.push(format!("{node} counts {sum}"));
            }
        }
        Ok(match sums.is_empty() {
            true => Ok(format!("{sent} increments")),
            false => Err(format!("of {sent} increments {}", sums.join(", "))),
        })
    };
    table.saw("counts-once", promise, once.await);
    let promise = "each node was resynchronised from in part";
    let partial = async {
        let mut never = Vec::new();
        for node in all {
            if hands.stat(node, "sync_partial_ok").await? == 0 {
                never.push(node);
            }
        }
        Ok(match never.is_empty() {
            true => Ok("sync_partial_ok is above 0 on all".to_owned()),
            false => Err(format!("sync_partial_ok is 0 on {}", never.join(", "))),
        })
    };
    table.saw("resyncs-in-part", promise, partial.await);
    Ok(())
}

/// Between two rounds of a client's writes: enough for thousands of writes a second, and too little
/// to keep a machine from all else.
const PAUSE: Duration = Duration::from_millis(2);
