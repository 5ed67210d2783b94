//! Both primaries change the same keys while neither hears the other.
//!
//! The order of the two writes is made certain: the second is sent after the first was
//! acknowledged, but before it crosses. With links up they are sent at the same time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use redis::{Value, cmd};
use tokio::time::sleep;

use super::Scenario;
use crate::cluster::{Client, Cluster, Order};
use crate::fault::{BlackHole, Cut, Delay, Fault, Inflicted, Link, Together};
use crate::model::Class;
use crate::property::agreement;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "conflicting-writes",
    title: "both primaries change the same keys at once",
    promise: "all nodes end with the same data: the newest write of a key, and every addition to it",
    source: "KeyDB docs active-rep.md (the last write wins; both servers end with a superset of the data)",
    seconds: 8,
    variants: &["up", "delayed", "frozen", "cut", "cut-full"],
    long: &[],
    damage: &[Class::LostWrite],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Keys of each kind.
const KEYS: usize = 50;
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

/// A kind of key: what stands in it before, what the first and the second write do, and what is
/// right in the end.
struct Kind {
    name: &'static str,
    before: &'static [&'static str],
    /// On primary2 if `crosses`, else on primary1; then the second on the other.
    first: &'static [&'static str],
    second: &'static [&'static str],
    /// Sent first to primary2.
    crosses: bool,
    read: &'static [&'static str],
    /// Any of these; sorted where the type has no order.
    right: &'static [&'static [&'static str]],
    check: &'static str,
}

const NEWEST: &str = "newest-wins";
const ADDED: &str = "additions-stay";
const DELETED: &str = "deletes-stay";

/// The words after the command are those after the key, which is put in.
const KINDS: &[Kind] = &[
    Kind {
        name: "set-then-set",
        before: &["SET", "m"],
        first: &["SET", "old"],
        second: &["SET", "new"],
        crosses: false,
        read: &["GET"],
        right: &[&["new"]],
        check: NEWEST,
    },
    Kind {
        name: "set-then-set-crossed",
        before: &["SET", "m"],
        first: &["SET", "old"],
        second: &["SET", "new"],
        crosses: true,
        read: &["GET"],
        right: &[&["new"]],
        check: NEWEST,
    },
    Kind {
        name: "field-then-field",
        before: &["HSET", "f", "m"],
        first: &["HSET", "f", "old"],
        second: &["HSET", "f", "new"],
        crosses: true,
        read: &["HVALS"],
        right: &[&["new"]],
        check: NEWEST,
    },
    Kind {
        name: "delete-then-set",
        before: &["SET", "m"],
        first: &["DEL"],
        second: &["SET", "new"],
        crosses: false,
        read: &["GET"],
        right: &[&["new"]],
        check: NEWEST,
    },
    Kind {
        name: "set-then-delete",
        before: &["SET", "m"],
        first: &["SET", "old"],
        second: &["DEL"],
        crosses: true,
        read: &["GET"],
        right: &[&[]],
        check: DELETED,
    },
    Kind {
        name: "deleted",
        before: &["SET", "m"],
        first: &["DEL"],
        second: &["EXISTS"],
        crosses: false,
        read: &["GET"],
        right: &[&[]],
        check: DELETED,
    },
    Kind {
        name: "member-removed",
        before: &["SADD", "m", "n"],
        first: &["SREM", "m"],
        second: &["SADD", "b"],
        crosses: false,
        read: &["SMEMBERS"],
        right: &[&["b", "n"]],
        check: DELETED,
    },
    Kind {
        name: "counter",
        before: &["SET", "10"],
        first: &["INCRBY", "1"],
        second: &["INCRBY", "2"],
        crosses: false,
        read: &["GET"],
        right: &[&["13"]],
        check: ADDED,
    },
    Kind {
        name: "list",
        before: &["RPUSH", "m"],
        first: &["RPUSH", "a"],
        second: &["RPUSH", "b"],
        crosses: false,
        read: &["LRANGE", "0", "-1"],
        right: &[&["m", "a", "b"], &["m", "b", "a"]],
        check: ADDED,
    },
    Kind {
        name: "set",
        before: &["SADD", "m"],
        first: &["SADD", "a"],
        second: &["SADD", "b"],
        crosses: false,
        read: &["SMEMBERS"],
        right: &[&["a", "b", "m"]],
        check: ADDED,
    },
    Kind {
        name: "hash",
        before: &["HSET", "f", "m"],
        first: &["HSET", "g", "a"],
        second: &["HSET", "h", "b"],
        crosses: false,
        read: &["HVALS"],
        right: &[&["a", "b", "m"]],
        check: ADDED,
    },
    Kind {
        name: "sorted-set",
        before: &["ZADD", "1", "m"],
        first: &["ZADD", "2", "a"],
        second: &["ZADD", "3", "b"],
        crosses: false,
        read: &["ZRANGE", "0", "-1"],
        right: &[&["m", "a", "b"]],
        check: ADDED,
    },
];

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let mut one = cluster.node("primary1")?.client().await?;
    let mut two = cluster.node("primary2")?.client().await?;
    for kind in KINDS {
        one.pipeline::<()>(&commands(kind, kind.before)).await?;
    }
    agreement::reached(cluster).await?;

    let at_once = trial.variant() == "up";
    let fault = match fault(trial.variant()) {
        None => None,
        Some(fault) => match Inflicted::on(cluster, fault).await {
            Ok(fault) => {
                trial.headline(fault.fault().name());
                Some(fault)
            }
            Err(toothless) => {
                let promise = "neither primary hears the other";
                trial.inconclusive("fault", promise, toothless.to_string());
                return Ok(());
            }
        },
    };
    for kind in KINDS {
        let (first, second) = (commands(kind, kind.first), commands(kind, kind.second));
        let (a, b) = match kind.crosses {
            true => (&mut two, &mut one),
            false => (&mut one, &mut two),
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
        fault.recover(cluster).await?;
    }
    if !blind {
        let why = "a write had crossed before the other was made: the machine was too slow";
        trial.inconclusive("fault", "neither primary hears the other", why);
        return Ok(());
    }
    agreement::check(trial, "agreement", 0).await;
    right(trial, at_once).await
}

fn fault(variant: &str) -> Option<Arc<dyn Fault>> {
    let both = |strike: &dyn Fn(Link) -> Arc<dyn Fault>| {
        let there = Link::new("primary1", "primary2");
        let back = Link::new("primary2", "primary1");
        Some(Arc::new(Together(vec![strike(there), strike(back)])) as Arc<dyn Fault>)
    };
    match variant {
        "delayed" => both(&|link| Arc::new(link.struck_by(Delay(DELAY)))),
        "frozen" => both(&|link| Arc::new(link.struck_by(BlackHole))),
        "cut" | "cut-full" => both(&|link| Arc::new(link.struck_by(Cut))),
        _ => None,
    }
}

/// One command for each key of a kind.
fn commands(kind: &Kind, words: &[&str]) -> redis::Pipeline {
    let mut pipe = redis::pipe();
    for n in 0..KEYS {
        let mut command = cmd(words[0]);
        command.arg(key(kind, n)).arg(&words[1..]);
        pipe.add_command(command).ignore();
    }
    pipe
}

fn key(kind: &Kind, n: usize) -> String {
    format!("{}:{n}", kind.name)
}

/// Whether, with all writes made, neither primary has seen the other's last.
async fn still_apart(one: &mut Client, two: &mut Client) -> Result<bool> {
    let last = |kind: &str| format!("{kind}:{}", KEYS - 1);
    let mut ask = cmd("ZSCORE");
    ask.arg(last("sorted-set"));
    let b_on_one: Option<f64> = one.query(ask.clone().arg("b")).await?;
    let a_on_two: Option<f64> = two.query(ask.arg("a")).await?;
    Ok(b_on_one.is_none() && a_on_two.is_none())
}

/// Looks at every key on every node. Which of two writes at the same time is the newer one nobody
/// can say.
async fn right(trial: &Trial, at_once: bool) -> Result<()> {
    let promises = [
        (NEWEST, "the newest write of a key, or field, wins"),
        (ADDED, "what either primary adds to a key stays"),
        (
            DELETED,
            "what is deleted after its last write stays deleted",
        ),
    ];
    for (check, promise) in promises {
        if at_once && check != ADDED {
            continue;
        }
        let mut wrong = Vec::new();
        for kind in KINDS.iter().filter(|kind| kind.check == check) {
            wrong.extend(wrong_on_nodes(trial.cluster(), kind).await?);
        }
        let seen = match wrong.is_empty() {
            true => Ok(format!("{KEYS} keys of each kind")),
            false => Err(wrong.join("; ")),
        };
        trial.check(check, promise, seen);
    }
    Ok(())
}

async fn wrong_on_nodes(cluster: &Cluster, kind: &Kind) -> Result<Option<String>> {
    let mut wrong = Vec::new();
    for node in cluster.live() {
        let mut ask = redis::pipe();
        for n in 0..KEYS {
            ask.cmd(kind.read[0]).arg(key(kind, n)).arg(&kind.read[1..]);
        }
        let seen: Vec<Value> = node.client().await?.pipeline(&ask).await?;
        let seen: Vec<Vec<String>> = seen.into_iter().map(words).collect();
        let is_right = |seen: &&Vec<String>| {
            let mut seen: Vec<&str> = seen.iter().map(String::as_str).collect();
            if matches!(kind.read[0], "SMEMBERS" | "HVALS") {
                seen.sort_unstable();
            }
            kind.right.contains(&&*seen)
        };
        let bad: Vec<_> = seen.iter().filter(|seen| !is_right(seen)).collect();
        if let Some(first) = bad.first() {
            let shown = match first.is_empty() {
                true => "nothing".to_owned(),
                false => first.join(" "),
            };
            wrong.push(format!(
                "{} of {KEYS} on {} ({shown})",
                bad.len(),
                node.name()
            ));
        }
    }
    let told = format!("{}: {}", kind.name, wrong.join(", "));
    Ok((!wrong.is_empty()).then_some(told))
}

fn words(value: Value) -> Vec<String> {
    let word = |value: Value| redis::from_redis_value::<String>(value).unwrap_or_default();
    match value {
        Value::Nil => Vec::new(),
        Value::Array(values) => values.into_iter().map(word).collect(),
        Value::Set(values) => values.into_iter().map(word).collect(),
        one => vec![word(one)],
    }
}
