//! Whether links are silent once clients are, and how much of what a primary was told comes back.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use super::{ONE, TWO};
use crate::behaviour::{Hands, Seen};
use crate::cluster::Cluster;
use crate::relay::Direction;

/// Over this time bytes are counted.
const WINDOW: Duration = Duration::from_millis(500);
/// For how long such a window is waited for: what was written is carried out within seconds on any
/// machine, what goes round goes on for ever.
const PATIENCE: Duration = Duration::from_secs(20);
/// What may cross all links in it: acknowledgements and pings are some hundred bytes a second.
const SILENCE: u64 = 8_000;
/// Writes, and messages, whose return is looked at.
const WRITES: usize = 100;
/// Bytes of each: more than the envelopes around them.
const SIZE: usize = 1000;
/// Bytes may come back wrapped once more than they were sent.
const WRAPPED: u64 = 2;

/// Waits for a window in which next to nothing crosses.
pub(super) async fn goes_quiet(hands: &Hands<'_>) -> Result<Seen> {
    let cluster = hands.cluster();
    let waited = hands.within(PATIENCE, "links are quiet", || async {
        let before = crossed(cluster);
        sleep(WINDOW).await;
        match crossed(cluster) - before {
            few @ ..SILENCE => Ok(few),
            many => Err(format!("{many} bytes crossed in {} ms", WINDOW.as_millis())),
        }
    });
    Ok(match waited.await {
        Ok(few) => Ok(format!("{few} bytes crossed in {} ms", WINDOW.as_millis())),
        Err(unmet) => Err(unmet.sentence()),
    })
}

fn crossed(cluster: &Cluster) -> u64 {
    let relays = cluster.relays().iter();
    let both = relays.flat_map(|relay| Direction::BOTH.map(|direction| relay.traffic(direction)));
    both.map(|traffic| traffic.seen).sum()
}

/// Writes and publishes on one primary, and compares what leaves it with what comes back.
pub(super) async fn sent_back_once(hands: &Hands<'_>) -> Result<Seen> {
    if let Err(noise) = goes_quiet(hands).await? {
        return Ok(Err(noise));
    }
    let cluster = hands.cluster();
    let heard = |by: &str, of: &str| {
        let relay = cluster.link(by, of)?;
        anyhow::Ok(relay.traffic(Direction::TowardsDownstream).seen)
    };
    let (out, back) = (heard(TWO, ONE)?, heard(ONE, TWO)?);
    let payload = "x".repeat(SIZE);
    let mut pipe = redis::pipe();
    for n in 0..WRITES {
        pipe.cmd("SET")
            .arg(format!("cross:echo:{n}"))
            .arg(&payload)
            .ignore();
        pipe.cmd("PUBLISH").arg("cross:echo").arg(&payload).ignore();
    }
    cluster
        .node(ONE)?
        .client()
        .await?
        .pipeline::<()>(&pipe)
        .await?;
    hands.note(&format!(
        "{WRITES} SETs and messages of {SIZE} bytes on {ONE}"
    ));
    hands.settled().await?;
    if let Err(noise) = goes_quiet(hands).await? {
        return Ok(Err(noise));
    }
    let (out, back) = (heard(TWO, ONE)? - out, heard(ONE, TWO)? - back);
    let told = format!("{out} bytes went to {TWO}, and {back} came back");
    Ok(match back <= out * WRAPPED {
        true => Ok(told),
        false => Err(told),
    })
}
