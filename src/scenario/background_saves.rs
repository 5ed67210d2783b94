//! Saves and rewrites in the background, again and again, while clients write and keys and members
//! expire; and a server that is told to end during one.

mod first_file;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use redis::cmd;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::{Need, Scenario};
use crate::cluster::info::Info;
use crate::cluster::{ClientError, Cluster, Node, Order};
use crate::property::agreement;
use crate::testbed::Status;
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "background-saves",
    title: "BGSAVE or BGREWRITEAOF again and again on both primaries, while keys and members expire",
    promise: "each background save ends well, leaves nothing open behind, and disturbs nobody; a server that is told to end ends",
    source: "KeyDB docs mvcc.md, persistence.md; upstream #675, #763 (never ends), #453, #584 (descriptors), #419, #428, #864, #567 (crashes)",
    seconds: 7,
    variants: &["idle", "rdb", "aof", first_file::VARIANT],
    long: &[],
    damage: &[],
    // Of the members: the model has no TTLs for them, and saves in an instant.
    needs: &[Need::Command("EXPIREMEMBER")],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let pair = Topology::active_active().without_proxy().replicas(1);
    pair.persistence(match variant {
        "aof" => Persistence::Aof,
        _ => Persistence::Rdb,
    })
    .build()
}

/// Saves on each primary.
const SAVES: u32 = 20;
/// How many descriptors may come or go beside what saves leave: those of timers, files that are
/// being switched.
const FLUCTUATION: u64 = 4;
/// How long a server may take to end once something went wrong.
const DYING: Duration = Duration::from_secs(20);
/// Keys that live on, for each primary: what there is to save.
const LASTING: usize = 2000;

/// How a kind of save is asked for and looked at.
struct Kind {
    command: &'static str,
    /// Fields of INFO that are 0 when none goes on.
    pending: &'static [&'static str],
    /// The field of INFO that says how the last one ended.
    status: &'static str,
}

const RDB: Kind = Kind {
    command: "BGSAVE",
    pending: &["rdb_bgsave_in_progress"],
    status: "rdb_last_bgsave_status",
};
const AOF: Kind = Kind {
    command: "BGREWRITEAOF",
    pending: &["aof_rewrite_in_progress", "aof_rewrite_scheduled"],
    status: "aof_last_bgrewrite_status",
};

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let kind = match trial.variant() {
        first_file::VARIANT => return first_file::run(trial).await,
        "aof" => &AOF,
        _ => &RDB,
    };
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    tokio::try_join!(fill(one), fill(two))?;
    let over = AtomicBool::new(false);
    let written = AtomicU64::new(0);
    let saves = async {
        let seen = tokio::try_join!(saves(cluster, one, kind), saves(cluster, two, kind));
        over.store(true, Ordering::SeqCst);
        seen
    };
    // Without traffic, what a save leaves behind shows also where traffic ends the server.
    over.store(trial.variant() == "idle", Ordering::SeqCst);
    let (seen, wrote, wrote_too) = tokio::join!(
        saves,
        traffic(one, &over, &written),
        traffic(two, &over, &written)
    );
    let promise = "each background save ends, and ends well";
    let seen = match seen {
        Ok((first, second)) => {
            let slowest = first.slowest.max(second.slowest).as_secs_f64();
            trial.measure("slowest save", slowest, "s");
            let traffic = written.load(Ordering::SeqCst);
            trial.headline(format!("{SAVES} saves of each primary, the slowest {slowest:.2} s, {traffic} writes meanwhile"));
            let told = format!("{} saves, the slowest {slowest:.2} s", 2 * SAVES);
            trial.check("saves-end", promise, Ok::<_, String>(told));
            [(one, first), (two, second)]
        }
        Err(error) => {
            for node in [one, two] {
                came_to_rest(cluster, node).await;
            }
            trial.check("saves-end", promise, Err::<&str, _>(format!("{error:#}")));
            return Ok(());
        }
    };
    let served = wrote
        .and(wrote_too)
        .map(|()| "all were answered".to_owned());
    let served = served.map_err(|error| format!("{error:#}"));
    trial.check(
        "writes-served",
        "writes are served during background saves",
        served,
    );
    descriptors(trial, &seen);
    // Another matter: 5.3.3 does not pass on the TTL of a member.
    for node in [one, two] {
        let members = cmd("DEL").arg(format!("{}:set", node.name())).to_owned();
        node.client().await?.query::<()>(&members).await?;
    }
    agreement::check(trial, "agreement", 2 * LASTING as u64).await;
    Ok(())
}

/// Waits until a server saves no more, or is gone: one that is about to end by an assertion says so
/// in its log first, for a while.
async fn came_to_rest(cluster: &Cluster, node: &Node) {
    let what = format!("{} saves no more, or has ended", node.name());
    let rest = eventually(cluster, &what, DYING, || async {
        if !matches!(node.status().await, Ok(Status::Running)) {
            return Ok(());
        }
        let info = node.glance().await.map_err(|error| error.to_string())?;
        match info.stat(RDB.pending[0]) {
            Some(0) => Ok(()),
            other => Err(format!("{} is {other:?}", RDB.pending[0])),
        }
    });
    // What is seen afterwards is judged, not whether this was.
    let _ = rest.await;
}

/// What the saves of one primary left.
struct Saves {
    slowest: Duration,
    /// Descriptors after the first save, and after the last; none if the testbed cannot tell.
    open: Option<(u64, u64)>,
}

async fn saves(cluster: &Cluster, node: &Node, kind: &Kind) -> Result<Saves> {
    let mut slowest = Duration::ZERO;
    let mut first = None;
    // Connected once: what comes and goes are not its connections.
    let mut client = node.client().await?;
    for _ in 0..SAVES {
        let began = Instant::now();
        // One for a replica, or one that started by itself, may go on.
        let what = format!("{} begins on {}", kind.command, node.name());
        let client = Mutex::new(&mut client);
        let begins = eventually(cluster, &what, DEADLINE, || async {
            let mut client = client.lock().await;
            match client.query::<String>(&cmd(kind.command)).await {
                Err(ClientError::Refused(text)) => Err(text),
                // A server that is gone does not come back.
                other => Ok(other),
            }
        });
        begins.await?.context(what)?;
        let ask = cmd("INFO").arg("persistence").to_owned();
        let what = format!("{} ends on {}", kind.command, node.name());
        let ends = eventually(cluster, &what, DEADLINE, || async {
            let mut client = client.lock().await;
            let text = match client.query::<String>(&ask).await {
                Ok(text) => text,
                Err(error) => return Ok(Err(error)),
            };
            let info = Info::parse(&text);
            for field in kind.pending {
                if info.stat(field) != Some(0) {
                    return Err(format!("{field} is {:?}", info.get(field)));
                }
            }
            match info.get(kind.status) {
                Some("ok") => Ok(Ok(())),
                other => Err(format!("{} is {other:?}", kind.status)),
            }
        });
        ends.await?.context(what)?;
        slowest = slowest.max(began.elapsed());
        if first.is_none() {
            first = node.server().descriptors().await.ok();
        }
    }
    let last = node.server().descriptors().await.ok();
    Ok(Saves {
        slowest,
        open: first.zip(last),
    })
}

fn descriptors(trial: &Trial, seen: &[(&Node, Saves)]) {
    let mut told = Vec::new();
    let mut leaks = false;
    for (node, saves) in seen {
        let Some((first, last)) = saves.open else {
            continue;
        };
        let grown = last.saturating_sub(first);
        leaks |= grown > FLUCTUATION;
        let name = format!("descriptors more on {}", node.name());
        trial.measure(name, grown as f64, "descriptors");
        told.push(format!(
            "{first} after the first save of {}, {last} after the last",
            node.name()
        ));
    }
    if told.is_empty() {
        return;
    }
    let told = told.join("; ");
    let promise = "a server has as many descriptors open after many saves as after one";
    trial.check(
        "descriptors-constant",
        promise,
        if leaks { Err(told) } else { Ok(told) },
    );
}

async fn fill(node: &Node) -> Result<()> {
    let mut command = cmd("MSET");
    for n in 0..LASTING {
        command
            .arg(format!("{}:lasting:{n}", node.name()))
            .arg("x".repeat(50));
    }
    Ok(node.client().await?.query(&command).await?)
}

/// Keys and members that live for milliseconds, longer, or have their TTL changed: each primary has
/// its own.
async fn traffic(node: &Node, over: &AtomicBool, written: &AtomicU64) -> Result<()> {
    let name = node.name();
    let mut client = node.client().await?;
    let mut round = 0_u64;
    while !over.load(Ordering::SeqCst) {
        let n = round % 100;
        let mut pipe = redis::pipe();
        let short = 1 + round % 30;
        pipe.cmd("SET")
            .arg(format!("{name}:short:{n}"))
            .arg(round)
            .arg("PX")
            .arg(short)
            .ignore();
        pipe.cmd("SET")
            .arg(format!("{name}:long:{n}"))
            .arg(round)
            .arg("EX")
            .arg(1000)
            .ignore();
        pipe.cmd("EXPIRE")
            .arg(format!("{name}:lasting:{n}"))
            .arg(1000)
            .ignore();
        pipe.cmd("PERSIST")
            .arg(format!("{name}:lasting:{n}"))
            .ignore();
        pipe.cmd("SADD")
            .arg(format!("{name}:set"))
            .arg(format!("m{n}"))
            .ignore();
        pipe.cmd("EXPIREMEMBER")
            .arg(format!("{name}:set"))
            .arg(format!("m{n}"))
            .arg(1)
            .ignore();
        client.pipeline::<()>(&pipe).await.context("a write")?;
        written.fetch_add(6, Ordering::SeqCst);
        round += 1;
        // Not as fast as the machine can: what is looked at are the saves.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}
