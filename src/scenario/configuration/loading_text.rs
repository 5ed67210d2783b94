//! What a primary says to those who ask while it loads its files: probes compare it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::time::Instant;

use super::Configuration;
use crate::cluster::{ClientError, Node, Timeouts};
use crate::topology::{Persistence, Topology};
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

pub(super) const ROW: Configuration = Configuration {
    name: "loading-text",
    topology: || {
        let pair = Topology::active_active().without_proxy();
        pair.persistence(Persistence::Rdb).build()
    },
    run: |trial| Box::pin(run(trial)),
};

/// Keys that are loaded, and bytes of each: 5.3.3 cannot be told to take its time.
const KEYS: usize = 300_000;
const FEW: usize = 500;
const BYTES: usize = 100;
const AT_ONCE: usize = 2000;
/// Microseconds for each key where that can be told: half a second in all.
const EACH: usize = 1000;
const DELAY: &str = "key-load-delay";

/// What the probe of a widely used chart compares the whole answer with; it is ready when it differs.
const OF_THE_CHART: &str = "LOADING KeyDB is loading the dataset in memory";

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let node = cluster.node("primary1")?;
    let slow = !cluster.lacks().contains(DELAY);
    if !slow {
        // 5.3.3 loads no RDB that its configuration does not name (H4).
        let aof = cmd("CONFIG").arg(&["SET", "appendonly", "yes"]).to_owned();
        node.client().await?.query::<()>(&aof).await?;
    }
    fill(node, if slow { FEW } else { KEYS }).await?;
    node.stop().await?;
    if !slow {
        node.reconfigure("appendonly yes\n").await?;
    } else {
        let lines = format!("{DELAY} {EACH}\nloading-process-events-interval-bytes 1024\n");
        node.reconfigure(&lines).await?;
    }
    node.start().await?;
    let said: Mutex<Option<String>> = Mutex::new(None);
    let began = Instant::now();
    let loaded = eventually(cluster, "primary1 has loaded", DEADLINE, || async {
        match probe(node).await {
            Ok(()) => Ok(()),
            Err(ClientError::Refused(text)) => {
                *said.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.clone());
                Err(text)
            }
            Err(error) => Err(error.to_string()),
        }
    });
    loaded.await?;
    let said = said.into_inner().unwrap_or_else(PoisonError::into_inner);
    let first = "a server that loads refuses a read with an error whose first word is LOADING";
    let whole = "the error is the text that probes in use compare it with";
    // A server that takes nobody's connection before it has loaded says nothing wrong.
    let mute = slow && began.elapsed() >= Duration::from_micros((FEW * EACH) as u64);
    let Some(said) = said else {
        for (check, promise) in [("loading-word", first), ("loading-sentence", whole)] {
            match mute {
                true => {
                    let told = "it takes no connection while it loads";
                    trial.check(check, promise, Ok::<_, String>(told));
                }
                false => trial.inconclusive(check, promise, "it was never asked while it loaded"),
            }
        }
        return Ok(());
    };
    let told = |holds: bool| match holds {
        true => Ok(said.clone()),
        false => Err(said.clone()),
    };
    let word = said.split(' ').next() == Some("LOADING");
    trial.check("loading-word", first, told(word));
    trial.check("loading-sentence", whole, told(said == OF_THE_CHART));
    Ok(())
}

async fn fill(node: &Node, keys: usize) -> Result<()> {
    let mut client = node.client().await?;
    let value = "x".repeat(BYTES);
    for first in (0..keys).step_by(AT_ONCE) {
        // One command for each: a server that loads looks up after every thousand of them.
        let mut pipe = redis::pipe();
        for n in first..keys.min(first + AT_ONCE) {
            let key = format!("loading-text:{n}");
            pipe.cmd("SET").arg(key).arg(&value).ignore();
        }
        client.pipeline::<()>(&pipe).await?;
    }
    Ok(())
}

/// A read, as the chart's probe makes it.
async fn probe(node: &Node) -> Result<(), ClientError> {
    let mut client = node.client_with(Timeouts::GLANCE).await?;
    let read = cmd("GET").arg("loading-text:probe").to_owned();
    client.query::<Option<String>>(&read).await.map(drop)
}
