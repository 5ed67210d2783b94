//! What a single server hands out once: elements of a queue, locks, numbers. Two primaries that do
//! not hear each other in time hand it out twice.
//!
//! No document promises otherwise, and no asynchronous replication could: these are limits that who
//! comes from one Redis has to know. Expectations have them as such, apart from broken promises.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use redis::cmd;
use tokio::time::Instant;

use super::{Need, PARTED, Scenario};
use crate::behaviour::{Behaviour, Hands, Seen, Table};
use crate::cluster::{Cluster, Node, Order, ready};
use crate::fault::{BlackHole, Together};
use crate::property::{agreement, relink, resync};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "limits-by-design",
    title: "queues, locks and numbers are asked for on both primaries, and counters over a restart",
    promise: "what one server gives to one client, two primaries give to one client",
    source: "no document promises it but for 'drop-in replacement for Redis' (KeyDB README); upstream #478, #820, #258, #553, #111",
    seconds: 6,
    variants: &["handed-out", "counters", "aof-resync"],
    long: &[],
    damage: &[],
    needs: &[Need::Command("BLPOP")],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let pair = Topology::active_active().without_proxy().relayed();
    match variant {
        "counters" => pair.persistence(Persistence::Rdb).build(),
        "aof-resync" => pair
            .persistence(Persistence::Rdb)
            .node_option(TWO, "appendonly", "yes")
            .build(),
        _ => pair.build(),
    }
}

async fn run(trial: &Trial) -> Result<()> {
    match trial.variant() {
        "counters" => counters(trial).await,
        "aof-resync" => aof_resync(trial).await,
        _ => handed_out(trial).await,
    }
}

const ONE: &str = "primary1";
const TWO: &str = "primary2";

/// What is there before the primaries are parted.
const BEFORE: &[&str] = &[
    "RPUSH limit:list a b c",
    "SADD limit:set a",
    "ZADD limit:zset 1 a 2 b",
];

/// With links up: each client waits at the primary that it is connected to.
const UP: &[Behaviour] = &[Behaviour {
    check: "blocking-pop",
    promise: "an element that is pushed once is given to one of the clients that wait for it",
    source: "upstream #478, #820, #258, #553",
    needs: &["BLPOP"],
    run: |hands| Box::pin(blocking_pop(hands)),
}];

const APART: &[Behaviour] = &[
    Behaviour {
        check: "list-pop",
        promise: "an element of a list is given to one client",
        source: "upstream #478",
        needs: &["LPOP"],
        run: |hands| Box::pin(asked_on_both(hands, "LPOP limit:list")),
    },
    Behaviour {
        check: "set-pop",
        promise: "a member of a set is given to one client",
        source: "as for lists",
        needs: &["SPOP"],
        run: |hands| Box::pin(asked_on_both(hands, "SPOP limit:set")),
    },
    Behaviour {
        check: "sorted-set-pop",
        promise: "a member of a sorted set is given to one client",
        source: "as for lists",
        needs: &["ZPOPMIN"],
        run: |hands| Box::pin(asked_on_both(hands, "ZPOPMIN limit:zset")),
    },
    Behaviour {
        check: "lock",
        promise: "SET with NX and PX gives a lock to one client",
        source: "Redis documentation, SET (a simple locking system)",
        needs: &[],
        run: |hands| Box::pin(asked_on_both(hands, "SET limit:lock held NX PX 60000")),
    },
    Behaviour {
        check: "number",
        promise: "INCR gives each number to one client",
        source: "Redis documentation, INCR (counter pattern)",
        needs: &[],
        run: |hands| Box::pin(asked_on_both(hands, "INCR limit:number")),
    },
];

const HEALED: &[Behaviour] = &[
    Behaviour {
        check: "undelivered-stays",
        promise: "an element that no client was given is still in the list",
        source: "upstream #478; measured: the pop of the other primary takes the next one",
        needs: &["LPOP"],
        run: |hands| {
            Box::pin(async move { hands.everywhere("LRANGE limit:list 0 -1", "[b, c]").await })
        },
    },
    Behaviour {
        check: "increments-add-up",
        promise: "each increment counts once on every node, also where both clients were given one number",
        source: "KeyDB docs active-rep.md (both remain synced)",
        needs: &[],
        run: |hands| Box::pin(async move { hands.everywhere("GET limit:number", "2").await }),
    },
];

async fn handed_out(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let mut table = Table::on(trial);
    for command in BEFORE {
        table.hands().ask(ONE, command).await?;
    }
    agreement::reached(cluster).await?;
    table.at_once(UP).await?;
    let holes = Arc::new(Together::between(ONE, TWO, || BlackHole));
    let Some(fault) = trial.inflict(holes, PARTED).await else {
        return Ok(());
    };
    table.at_once(APART).await?;
    trial.heal(fault).await?;
    // Its TTL crossed that of the other primary, which is another matter.
    table.hands().ask(ONE, "DEL limit:lock").await?;
    agreement::check(trial, "agreement", 0).await;
    table.at_once(HEALED).await
}

/// A client waits on each primary, then one element is pushed.
async fn blocking_pop(hands: &Hands<'_>) -> Result<Seen> {
    let pop = "BLPOP limit:queue 5";
    let mut waiting = [hands.session(ONE).await?, hands.session(TWO).await?];
    let [one, two] = &mut waiting;
    let push = async {
        for node in [ONE, TWO] {
            let what = format!("a client waits on {node}");
            hands
                .until(&what, || async {
                    let info = async { hands.cluster().node(node)?.info().await.context("INFO") };
                    match info.await {
                        Ok(info) if info.stat("blocked_clients") == Some(1) => Ok(()),
                        Ok(info) => Err(format!("{:?} are", info.stat("blocked_clients"))),
                        Err(error) => Err(format!("{error:#}")),
                    }
                })
                .await?;
        }
        hands.ask(ONE, "RPUSH limit:queue x").await
    };
    let (one, two, pushed) = tokio::join!(one.ask(pop), two.ask(pop), push);
    let (one, two) = (one?, two?);
    pushed?;
    let given = [&one, &two]
        .into_iter()
        .filter(|it| it.contains('x'))
        .count();
    hands.settled().await?;
    Ok(match given {
        1 => Ok("one client was given it".to_owned()),
        given => Err(format!(
            "given to {given} clients: {one} on {ONE}, {two} on {TWO}"
        )),
    })
}

/// The same on both primaries: no two clients may be given the same.
async fn asked_on_both(hands: &Hands<'_>, command: &str) -> Result<Seen> {
    let one = hands.ask(ONE, command).await?;
    let two = hands.ask(TWO, command).await?;
    Ok(match one == two {
        true => Err(format!("{command} gave {one} to a client of each primary")),
        false => Ok(format!("{one} and {two}")),
    })
}

/// One primary returns from its RDB, the other from its append-only file: who is given all data.
async fn aof_resync(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    for (name, check, promise) in [
        (
            ONE,
            "rdb-resyncs-in-part",
            "a primary that returns from its RDB is given only what it missed",
        ),
        (
            TWO,
            "aof-resyncs-in-part",
            "a primary that returns from its append-only file is given only what it missed",
        ),
    ] {
        let node = cluster.node(name)?;
        count(node, 1).await?;
        agreement::reached(cluster).await?;
        let what = "append-only files are written";
        eventually(cluster, what, DEADLINE, || {
            ready::append_only_files(cluster)
        })
        .await?;
        node.stop().await?;
        let before = resync::before(cluster).await?;
        let began = Instant::now();
        node.start().await?;
        relink::reached(cluster, began).await?;
        let seen = resync::since(cluster, &before).await?;
        let told = seen.to_string();
        trial.check(
            check,
            promise,
            match seen.partial > 0 && seen.full == 0 {
                true => Ok(told),
                false => Err(told),
            },
        );
    }
    let agreed = agreement::reached(cluster).await;
    trial.check("agreement", agreement::PROMISE, agreed);
    Ok(())
}

/// Clients that count on each primary.
const COUNTERS: usize = 20;
/// Rounds of increments before the restart, and while primary2 is away.
const ROUNDS: usize = 20;

/// Both primaries count; one is restarted in the midst of it.
async fn counters(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node(ONE)?, cluster.node(TWO)?);
    let mut counted = 0;
    let both = tokio::join!(count(one, ROUNDS), count(two, ROUNDS));
    counted += both.0? + both.1?;
    // At once: what primary2 took may still be on its way.
    let stop = async { two.stop().await.map_err(anyhow::Error::from) };
    let (stopped, meanwhile) = tokio::join!(stop, count(one, ROUNDS));
    stopped?;
    counted += meanwhile?;
    let began = Instant::now();
    two.start().await?;
    let promise = "primary2 resyncs and every link is up again";
    if relink::check(trial, "resyncs", promise, began)
        .await
        .is_none()
    {
        return Ok(());
    }
    let both = tokio::join!(count(one, ROUNDS), count(two, ROUNDS));
    counted += both.0? + both.1?;
    agreement::check(trial, "agreement", COUNTERS as u64).await;
    for node in [one, two] {
        let sum = sum(cluster, node).await?;
        let name = format!("increments that do not count on {}", node.name());
        trial.measure(name, (counted - sum) as f64, "increments");
        trial.headline(format!("{sum} of {counted} increments on {}", node.name()));
    }
    Ok(())
}

/// Increments every counter so many times; how many increments were acknowledged.
async fn count(node: &Node, rounds: usize) -> Result<i64> {
    let mut client = node.client().await?;
    let mut counted = 0;
    for _ in 0..rounds {
        for n in 0..COUNTERS {
            let increment = cmd("INCR").arg(format!("counter:{n}")).to_owned();
            client.query::<()>(&increment).await?;
            counted += 1;
        }
    }
    Ok(counted)
}

/// The sum of all counters, once they stand still.
async fn sum(cluster: &Cluster, node: &Node) -> Result<i64> {
    let last = Mutex::new(None);
    let what = format!("counters stand still on {}", node.name());
    let wait = eventually(cluster, &what, DEADLINE, || async {
        let sum = read(node).await.map_err(|error| format!("{error:#}"))?;
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        match last.replace(sum) == Some(sum) {
            true => Ok(sum),
            false => Err(format!("the sum is {sum}")),
        }
    });
    Ok(wait.await?)
}

async fn read(node: &Node) -> Result<i64> {
    let mut ask = cmd("MGET");
    for n in 0..COUNTERS {
        ask.arg(format!("counter:{n}"));
    }
    let values: Vec<i64> = node.client().await?.query(&ask).await?;
    Ok(values.iter().sum())
}
