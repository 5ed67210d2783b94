//! What is measured of two releases: a round is one reference cluster, from its first write to the
//! return of a lost primary.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use redis::cmd;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::compare::median;
use crate::cluster::{Cluster, Order};
use crate::fault::{Delay, Fault, Inflicted, Together};
use crate::lab::Lab;
use crate::property::visible::{bulk, everywhere, readers};
use crate::property::{failover, relink, resync};
use crate::topology::{Persistence, Topology};
use crate::wait::{DEADLINE, eventually};
use crate::workload::WriteStream;

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measurement {
    /// What it is called, in a report and in a saved one.
    pub name: &'static str,
    /// In which unit.
    pub unit: &'static str,
    /// Whether more of it is worse.
    pub more_is_worse: bool,
    /// The smallest change that matters, as a part of the old figure.
    pub matters: f64,
    /// The smallest difference that anybody notices, in the unit.
    pub noticed: f64,
}

/// Everything that is measured, in the order in which a round takes it. What matters is chosen for
/// users, not for the machine: what a pool of connections or a time-out would notice.
pub const MEASUREMENTS: [Measurement; 7] = [
    Measurement {
        name: "propagation to the slowest node",
        unit: "ms",
        more_is_worse: true,
        matters: 0.3,
        noticed: 0.5,
    },
    Measurement {
        name: "throughput through the proxy",
        unit: "writes/s",
        more_is_worse: false,
        matters: 0.15,
        noticed: 100.0,
    },
    Measurement {
        name: "memory of a primary",
        unit: "bytes",
        more_is_worse: true,
        matters: 0.15,
        noticed: 500_000.0,
    },
    Measurement {
        name: "replicas moved after a stop",
        unit: "s",
        more_is_worse: true,
        matters: 0.3,
        noticed: 0.5,
    },
    Measurement {
        name: "longest gap between writes",
        unit: "s",
        more_is_worse: true,
        matters: 0.3,
        noticed: 0.5,
    },
    Measurement {
        name: "links up after the return",
        unit: "s",
        more_is_worse: true,
        matters: 0.3,
        noticed: 0.5,
    },
    Measurement {
        name: "resync traffic",
        unit: "bytes",
        more_is_worse: true,
        matters: 0.3,
        noticed: 100_000.0,
    },
];

/// The figures of one round, in the order of [`MEASUREMENTS`]; all above 0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures(pub [f64; MEASUREMENTS.len()]);

/// How many writes propagation is taken from.
const WRITES: usize = 40;
/// Clients that write as fast as they can, and how often each.
const CLIENTS: usize = 16;
const EACH: usize = 250;
/// Bytes of a value.
const VALUE: usize = 64;
/// Clients of the paced stream, and how much it writes before, while and after a primary is away.
const PACED: usize = 4;
const ENOUGH: usize = 150;
/// Below this a figure is taken for this, so that ratios are finite: 0 bytes, 0 seconds.
const LEAST: f64 = 1e-3;

/// Makes a round on a cluster of its own, which is gone afterwards. With `late`, everything that one
/// primary tells the other comes that much later.
///
/// # Errors
/// The cluster does not start, or does not come to what is measured; the text says which.
pub async fn round(lab: &Lab, late: Option<Duration>) -> Result<Figures> {
    let topology = Topology::active_active()
        .replicas(3)
        .persistence(Persistence::Rdb)
        .relayed()
        .build()?;
    let mut cluster = Cluster::create(lab, topology).await?;
    let figures = async {
        cluster.become_ready(Order::Staged).await?;
        match late {
            None => measured(&cluster).await,
            Some(late) => {
                let fault = Together::between("primary1", "primary2", || Delay(late));
                let fault: Arc<dyn Fault> = Arc::new(fault);
                let fault = Inflicted::on(&cluster, fault).await?;
                let figures = measured(&cluster).await;
                fault.recover(&cluster).await?;
                figures
            }
        }
    }
    .await;
    cluster.close().await;
    figures
}

async fn measured(cluster: &Cluster) -> Result<Figures> {
    let propagation = propagation(cluster).await.context("propagation")?;
    let throughput = throughput(cluster).await.context("throughput")?;
    let memory = memory(cluster).await.context("memory")?;
    let [moved, gap, links, bytes] = loss_and_return(cluster).await.context("loss and return")?;
    let figures = [propagation, throughput, memory, moved, gap, links, bytes];
    Ok(Figures(figures.map(|figure| figure.max(LEAST))))
}

/// Milliseconds from the acknowledgement to the slowest node; the median of some writes.
async fn propagation(cluster: &Cluster) -> Result<f64> {
    let mut proxy = cluster.proxy()?.client().await?;
    let mut nodes = readers(cluster, 0).await?;
    let mut slowest = Vec::new();
    for number in 0..WRITES {
        let (key, value) = (format!("seen{number}"), format!("value{number}"));
        proxy.query::<()>(cmd("SET").arg(&key).arg(&value)).await?;
        let since = Instant::now();
        let read = cmd("GET").arg(&key).to_owned();
        let seen = everywhere(cluster, &mut nodes, &key, &read, &bulk(&value), since).await?;
        slowest.push(seen.slowest().as_secs_f64() * 1000.0);
    }
    Ok(median(slowest.into_iter()))
}

/// Acknowledged writes a second of clients that do not pause.
async fn throughput(cluster: &Cluster) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(cluster.proxy()?.client().await?);
    }
    let value = "x".repeat(VALUE);
    let began = Instant::now();
    let work = clients.into_iter().enumerate().map(|(at, mut client)| {
        let value = &value;
        async move {
            for number in 0..EACH {
                let key = format!("load{at}:{number}");
                client.query::<()>(cmd("SET").arg(key).arg(value)).await?;
            }
            Ok::<_, anyhow::Error>(())
        }
    });
    try_join_all(work).await?;
    Ok((CLIENTS * EACH) as f64 / began.elapsed().as_secs_f64())
}

async fn memory(cluster: &Cluster) -> Result<f64> {
    let info = cluster.node("primary1")?.info().await?;
    let memory = info.stat("used_memory").context("INFO has none")?;
    Ok(memory as f64)
}

/// primary1 stops under writes and returns: when the replicas had moved, the longest time without an
/// acknowledged write, when links were up again, and what was sent for that.
async fn loss_and_return(cluster: &Cluster) -> Result<[f64; 4]> {
    let primary1 = cluster.node("primary1")?;
    let stream = WriteStream::start(cluster, "stream", PACED).await?;
    written(cluster, &stream).await?;
    let lost_at = stream.now();
    primary1.stop().await?;
    failover::replicas_follow(cluster, "primary2").await?;
    let moved = stream.now().saturating_sub(lost_at);
    written(cluster, &stream).await?;
    let log = stream.stop().await;
    let gap = log.longest_gap(lost_at, log.length);

    let before = resync::before(cluster).await?;
    let began = Instant::now();
    primary1.start().await?;
    let links = relink::reached(cluster, began).await?;
    let resyncs = resync::since(cluster, &before).await?;
    let seconds = [moved, gap, links].map(|time| time.as_secs_f64());
    Ok([seconds[0], seconds[1], seconds[2], resyncs.bytes as f64])
}

async fn written(cluster: &Cluster, stream: &WriteStream) -> Result<()> {
    let wanted = stream.acknowledged() + ENOUGH;
    let what = format!("{ENOUGH} more writes are acknowledged through the proxy");
    eventually(cluster, &what, DEADLINE, || async {
        let now = stream.acknowledged();
        (now >= wanted)
            .then_some(())
            .ok_or_else(|| format!("{} missing", wanted - now))
    })
    .await?;
    Ok(())
}
