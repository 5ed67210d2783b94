//! `maxmemory` on one node of a pair: what it refuses, and what it evicts.
//!
//! A limit of one byte is always exceeded, so that nothing depends on how much memory a server
//! takes.

use anyhow::{Context, Result};

use super::{Need, Scenario};
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::cluster::{Order, ready};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "memory-limits",
    title: "a primary at its memory limit refuses, or evicts; the limit is lifted again",
    promise: "a memory limit is honoured, and nodes hold the same data once it is lifted",
    source: "keydb.conf (maxmemory); KeyDB docs replication.md (keys evicted are part of the stream; replicas ignore maxmemory); upstream #164, #227",
    seconds: 4,
    variants: &["refusing", "evicting", "evicting-aof"],
    long: &[],
    damage: &[],
    needs: &[Need::Setting("maxmemory-policy")],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let pair = Topology::active_active().without_proxy();
    match variant {
        "evicting-aof" => pair.persistence(Persistence::Aof).build(),
        _ => pair.replicas(1).build(),
    }
}

async fn run(trial: &Trial) -> Result<()> {
    let rows = match trial.variant() {
        "refusing" => REFUSING,
        "evicting" => EVICTING,
        _ => AFTER_A_RESTART,
    };
    in_turn(trial, rows).await
}

const REFUSING: &[Behaviour] = &[
    Behaviour {
        check: "replica-leaves-it-to-its-primary",
        promise: "a replica takes its primary's writes, whatever its own maxmemory is",
        source: "KeyDB docs replication.md (by default a replica ignores maxmemory)",
        needs: &[],
        run: |hands| Box::pin(replica_ignores(hands)),
    },
    Behaviour {
        check: "limit-refuses",
        promise: "a primary beyond its maxmemory, with noeviction, refuses its clients' writes",
        source: "keydb.conf (maxmemory); upstream #164",
        needs: &[],
        run: |hands| Box::pin(limit_refuses(hands)),
    },
    Behaviour {
        check: "peer-write-arrives",
        promise: "what its peer wrote meanwhile is on it once the limit is lifted",
        source: "KeyDB docs active-rep.md (any command written to one node is seen on the other); upstream #227",
        needs: &[],
        run: |hands| Box::pin(peer_write(hands)),
    },
    Behaviour {
        check: "refusals-logged-sparingly",
        promise: "what a primary refuses of its peer's writes, over and over, does not fill the logs",
        source: "upstream #319 (errors between nodes saturate the network); KeyDB 00cef7885 (6.0.13) limits them",
        needs: &[],
        run: |hands| Box::pin(logged(hands)),
    },
];

const EVICTING: &[Behaviour] = &[
    Behaviour {
        check: "limit-evicts",
        promise: "a primary beyond its maxmemory evicts, if its policy says so",
        source: "keydb.conf (maxmemory, maxmemory-policy); upstream #164",
        needs: &[],
        run: |hands| Box::pin(limit_evicts(hands)),
    },
    Behaviour {
        check: "evictions-reach-peer",
        promise: "what a primary evicted is gone from the other primary",
        source: "KeyDB docs replication.md (the stream carries keys that are evicted)",
        needs: &[],
        run: |hands| Box::pin(gone_on(hands, "primary2")),
    },
    Behaviour {
        check: "evictions-reach-replica",
        promise: "what a primary evicted is gone from its replica",
        source: "KeyDB docs replication.md (evictions are sent to replicas as DEL)",
        needs: &[],
        run: |hands| Box::pin(gone_on(hands, "replica1")),
    },
];

const AFTER_A_RESTART: &[Behaviour] = &[
    Behaviour {
        check: "limit-evicts",
        promise: "a primary beyond its maxmemory evicts, if its policy says so",
        source: "keydb.conf (maxmemory, maxmemory-policy); upstream #164",
        needs: &[],
        run: |hands| Box::pin(limit_evicts(hands)),
    },
    Behaviour {
        check: "evicted-stays-evicted",
        promise: "what was evicted is not back after a restart from the append-only file",
        source: "KeyDB docs persistence.md (the file logs every change)",
        needs: &[],
        run: |hands| Box::pin(stays_evicted(hands)),
    },
];

/// Less than any server takes.
const LIMIT: &str = "CONFIG SET maxmemory 1";
const NO_LIMIT: &str = "CONFIG SET maxmemory 0";
/// Keys to be evicted.
const KEYS: usize = 50;

fn keys() -> String {
    let keys: Vec<String> = (0..KEYS).map(|n| format!("limits:evicted:{n}")).collect();
    keys.join(" ")
}

async fn replica_ignores(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask("replica1", LIMIT).await?;
    hands.ask("primary1", "SET limits:replica x").await?;
    let arrived = comes_to(hands, "replica1", "GET limits:replica", "x").await?;
    hands.ask("replica1", NO_LIMIT).await?;
    Ok(match arrived {
        true => Ok("it took the write".to_owned()),
        false => Err("it refused the write".to_owned()),
    })
}

/// Waits until a node answers `wanted`, or counts an error of its primary's commands: whether it
/// answers so.
async fn comes_to(hands: &Hands<'_>, node: &str, command: &str, wanted: &str) -> Result<bool> {
    let what = format!("{node} has carried out what it was sent, or refused it");
    let server = hands.cluster().node(node)?;
    let arrived = hands
        .until(&what, || async {
            let seen = hands.ask(node, command).await;
            if seen.map_err(|error| error.to_string())? == wanted {
                return Ok(true);
            }
            let info = server.glance().await.map_err(|error| error.to_string())?;
            match info.stat("unexpected_error_replies") {
                Some(count) if count > 0 => Ok(false),
                count => Err(format!("not there, unexpected_error_replies {count:?}")),
            }
        })
        .await?;
    Ok(arrived)
}

async fn limit_refuses(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask("primary2", LIMIT).await?;
    let answer = hands.ask("primary2", "SET limits:own x").await?;
    Ok(match answer.starts_with("OOM") {
        true => Ok(answer),
        false => Err(format!("a write at the limit: {answer}")),
    })
}

async fn peer_write(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask("primary1", "SET limits:peer x").await?;
    comes_to(hands, "primary2", "GET limits:peer", "x").await?;
    hands.ask("primary2", NO_LIMIT).await?;
    hands.settled().await?;
    hands.everywhere("GET limits:peer", "x").await
}

/// Writes that are refused.
const REFUSED: usize = 5000;
/// Bytes that may be on the way still: 5.3.3 shows its place short of the last commands.
const TAIL: i64 = 1024;
/// Bytes of both logs for each of them, at most: a line for each is longer.
const LOGGED: usize = 40;

async fn logged(hands: &Hands<'_>) -> Result<Seen> {
    let cluster = hands.cluster();
    let nodes = [cluster.node("primary1")?, cluster.node("primary2")?];
    let mut before = 0;
    for node in nodes {
        before += node.log().await?.len();
    }
    hands.ask("primary2", LIMIT).await?;
    let mut pipe = redis::pipe();
    for n in 0..REFUSED {
        let key = format!("limits:logged:{}", n % KEYS);
        pipe.cmd("SET").arg(key).arg(n).ignore();
    }
    nodes[0].client().await?.pipeline::<()>(&pipe).await?;
    hands.note(&format!("{REFUSED} writes on primary1"));
    let sent = hands.stat("primary1", "master_repl_offset").await?;
    hands
        .until("primary2 has heard them all", || async {
            let info = nodes[1].glance().await.map_err(|error| error.to_string())?;
            let links = info.replication().masters;
            let heard = links.iter().filter_map(|link| link.slave_repl_offset).max();
            match heard >= Some(sent - TAIL) {
                true => Ok(()),
                false => Err(format!("it is at {heard:?} of {sent}")),
            }
        })
        .await?;
    hands.ask("primary2", NO_LIMIT).await?;
    hands.settled().await?;
    let mut after = 0;
    for node in nodes {
        after += node.log().await?.len();
    }
    let each = (after - before) as f64 / REFUSED as f64;
    let seen = format!(
        "{} bytes of logs, {each:.1} for each of {REFUSED} writes",
        after - before
    );
    hands.note(&seen);
    Ok(match after - before <= REFUSED * LOGGED {
        true => Ok(seen),
        false => Err(seen),
    })
}

/// Whether the limit was honoured; the other rows have nothing to look at if not.
async fn limit_evicts(hands: &Hands<'_>) -> Result<Seen> {
    let policy = "CONFIG SET maxmemory-policy allkeys-lru";
    hands.ask("primary1", policy).await?;
    let mut pairs = Vec::new();
    for key in keys().split(' ') {
        pairs.extend([key.to_owned(), "x".to_owned()]);
    }
    hands
        .ask("primary1", &format!("MSET {}", pairs.join(" ")))
        .await?;
    hands.settled().await?;
    hands.ask("primary1", LIMIT).await?;
    let what = "all keys are evicted, or a write is taken at the limit";
    let (answer, left) = hands
        .until(what, || async {
            // A write makes room first, if it has to: not always all at once.
            let answer = hands.ask("primary1", "SET limits:room x").await;
            let answer = answer.map_err(|error| error.to_string())?;
            let left = hands.ask("primary1", &format!("EXISTS {}", keys())).await;
            let left = left.map_err(|error| error.to_string())?;
            match left == "0" || answer == "OK" {
                true => Ok((answer, left)),
                false => Err(format!("{left} of {KEYS} keys are left")),
            }
        })
        .await?;
    hands.ask("primary1", NO_LIMIT).await?;
    let seen = format!("a write at the limit: {answer}; {left} of {KEYS} keys are left");
    Ok(match left.as_str() {
        "0" => Ok(seen),
        _ => Err(seen),
    })
}

async fn gone_on(hands: &Hands<'_>, node: &str) -> Result<Seen> {
    hands.settled().await?;
    let ask = format!("EXISTS {}", keys());
    let at_home = hands.ask("primary1", &ask).await?;
    let there = hands.ask(node, &ask).await?;
    let seen = format!("of {KEYS} keys primary1 has {at_home}, {node} {there}");
    Ok(match (at_home.as_str(), there.as_str()) {
        ("0", "0") => Ok(seen),
        _ => Err(seen),
    })
}

async fn stays_evicted(hands: &Hands<'_>) -> Result<Seen> {
    let cluster = hands.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    hands.settled().await?;
    hands
        .until("files are in effect", || ready::append_only_files(cluster))
        .await?;
    two.stop().await?;
    one.kill().await?;
    one.start().await?;
    hands.note("primary2 stops, primary1 is killed and starts from its file");
    hands
        .until("primary1 has loaded", || ready::serves(one))
        .await?;
    let there = hands.ask("primary1", &format!("EXISTS {}", keys())).await?;
    let there: usize = there.parse().context("no number")?;
    let seen = format!("{there} of {KEYS} evicted keys are there");
    Ok(match there {
        0 => Ok(seen),
        _ => Err(seen),
    })
}
