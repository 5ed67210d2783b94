//! Both primaries change the same keys while neither hears the other.
//!
//! The order of the two writes is made certain: the second is sent after the first was
//! acknowledged, but before it crosses. With links up they are sent at the same time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::time::sleep;

use super::{PARTED, Scenario};
use crate::cluster::{Client, Order};
use crate::fault::{BlackHole, Cut, Delay, Together};
use crate::model::Class;
use crate::property::agreement;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::workload::kind::{self, GONE, Kind};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "conflicting-writes",
    title: "both primaries change the same keys at once",
    promise: "all nodes end with the same data: the newest write of a key, and every addition to it",
    source: "KeyDB docs active-rep.md (the last write wins; both servers end with a superset of the data)",
    seconds: 8,
    variants: &["up", "delayed", "frozen", "cut", "cut-full"],
    long: &[],
    damage: &[Class::LostWrite, Class::Expiry],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// How late everything comes in the variant `delayed`.
const DELAY: Duration = Duration::from_millis(1000);
/// Between the first write of a key and the second, so that their times differ.
const APART: Duration = Duration::from_millis(5);

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let topology = Topology::active_active().replicas(2).relayed();
    match variant {
        // So that more is written than can be caught up with: both resync in full.
        "cut-full" => topology.option("repl-backlog-size", "16kb").build(),
        _ => topology.build(),
    }
}

const NEWEST: &str = "newest-wins";
const ADDED: &str = "additions-stay";
const DELETED: &str = "deletes-stay";
const PROMISES: &[(&str, &str)] = &[
    (NEWEST, "the newest write of a key, or field, wins"),
    (ADDED, "what either primary adds to a key stays"),
    (
        DELETED,
        "what is deleted after its last write stays deleted",
    ),
];

/// Where two are sent one after the other it is the first that is to be the older one.
const KINDS: &[Kind] = &[
    Kind::new(
        "set-then-set",
        &["SET", "m"],
        &[(0, &["SET", "old"]), (1, &["SET", "new"])],
        &["GET"],
        &[&["new"]],
        NEWEST,
    ),
    Kind::new(
        "set-then-set-crossed",
        &["SET", "m"],
        &[(1, &["SET", "old"]), (0, &["SET", "new"])],
        &["GET"],
        &[&["new"]],
        NEWEST,
    ),
    Kind::new(
        "field-then-field",
        &["HSET", "f", "m"],
        &[(1, &["HSET", "f", "old"]), (0, &["HSET", "f", "new"])],
        &["HVALS"],
        &[&["new"]],
        NEWEST,
    ),
    Kind::new(
        "delete-then-set",
        &["SET", "m"],
        &[(0, &["DEL"]), (1, &["SET", "new"])],
        &["GET"],
        &[&["new"]],
        NEWEST,
    ),
    Kind::new(
        "set-then-delete",
        &["SET", "m"],
        &[(1, &["SET", "old"]), (0, &["DEL"])],
        &["GET"],
        GONE,
        DELETED,
    ),
    Kind::new(
        "deleted",
        &["SET", "m"],
        &[(0, &["DEL"]), (1, &["EXISTS"])],
        &["GET"],
        GONE,
        DELETED,
    ),
    Kind::new(
        "member-removed",
        &["SADD", "m", "n"],
        &[(0, &["SREM", "m"]), (1, &["SADD", "b"])],
        &["SMEMBERS"],
        &[&["b", "n"]],
        DELETED,
    ),
    Kind::new(
        "counter",
        &["SET", "10"],
        &[(0, &["INCRBY", "1"]), (1, &["INCRBY", "2"])],
        &["GET"],
        &[&["13"]],
        ADDED,
    ),
    Kind::new(
        "list",
        &["RPUSH", "m"],
        &[(0, &["RPUSH", "a"]), (1, &["RPUSH", "b"])],
        &["LRANGE", "0", "-1"],
        &[&["m", "a", "b"], &["m", "b", "a"]],
        ADDED,
    ),
    Kind::new(
        "set",
        &["SADD", "m"],
        &[(0, &["SADD", "a"]), (1, &["SADD", "b"])],
        &["SMEMBERS"],
        &[&["a", "b", "m"]],
        ADDED,
    ),
    Kind::new(
        "hash",
        &["HSET", "f", "m"],
        &[(0, &["HSET", "g", "a"]), (1, &["HSET", "h", "b"])],
        &["HVALS"],
        &[&["a", "b", "m"]],
        ADDED,
    ),
    Kind::new(
        "sorted-set",
        &["ZADD", "1", "m"],
        &[(0, &["ZADD", "2", "a"]), (1, &["ZADD", "3", "b"])],
        &["ZRANGE", "0", "-1"],
        &[&["m", "a", "b"]],
        ADDED,
    ),
];

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (primary1, primary2) = (cluster.node("primary1")?, cluster.node("primary2")?);
    kind::write(primary1, KINDS).await?;
    agreement::reached(cluster).await?;

    let at_once = trial.variant() == "up";
    let fault = match between(trial.variant()) {
        None => None,
        Some(fault) => match trial.inflict(Arc::new(fault), PARTED).await {
            None => return Ok(()),
            inflicted => inflicted,
        },
    };
    if let Some(fault) = &fault {
        trial.headline(fault.fault().name());
    }
    let (mut one, mut two) = (primary1.client().await?, primary2.client().await?);
    for kind in KINDS {
        let [(on, first), (_, second)] = kind.changes else {
            continue;
        };
        let (first, second) = (kind.commands(first), kind.commands(second));
        let (a, b) = match on {
            1 => (&mut two, &mut one),
            _ => (&mut one, &mut two),
        };
        if at_once {
            tokio::try_join!(a.pipeline::<()>(&first), b.pipeline::<()>(&second))?;
        } else {
            a.pipeline::<()>(&first).await?;
            sleep(APART).await;
            b.pipeline::<()>(&second).await?;
        }
    }
    let blind = at_once || still_apart(&mut one, &mut two).await?;
    if let Some(fault) = fault {
        trial.heal(fault).await?;
    }
    if !blind {
        let why = "a write had crossed before the other was made: the machine was too slow";
        trial.inconclusive("fault", PARTED, why);
        return Ok(());
    }
    agreement::check(trial, "agreement", 0).await;
    // Which of two writes at the same time is the newer one nobody can say.
    let mut promises = PROMISES.to_vec();
    promises.retain(|(check, _)| !at_once || *check == ADDED);
    kind::check(trial, KINDS, &promises).await?;
    Ok(())
}

fn between(variant: &str) -> Option<Together> {
    let (one, two) = ("primary1", "primary2");
    match variant {
        "delayed" => Some(Together::between(one, two, || Delay(DELAY))),
        "frozen" => Some(Together::between(one, two, || BlackHole)),
        "cut" | "cut-full" => Some(Together::between(one, two, || Cut)),
        _ => None,
    }
}

/// Whether, with all writes made, neither primary has seen the other's last.
async fn still_apart(one: &mut Client, two: &mut Client) -> Result<bool> {
    let last = |kind: &str| format!("{kind}:{}", kind::KEYS - 1);
    let mut ask = cmd("ZSCORE");
    ask.arg(last("sorted-set"));
    let b_on_one: Option<f64> = one.query(ask.clone().arg("b")).await?;
    let a_on_two: Option<f64> = two.query(ask.arg("a")).await?;
    Ok(b_on_one.is_none() && a_on_two.is_none())
}
