//! What a primary serves while it takes in its peer's data set.

use anyhow::{Result, bail};

use super::Configuration;
use super::follows::links;
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::topology::Topology;

pub(super) const ROW: Configuration = Configuration {
    name: "loading",
    topology: || {
        let pair = Topology::active_active().without_proxy();
        pair.option(DELAY, "0")
            // By default a server looks up from what it loads every 2 MB, and is mute in between.
            .option("loading-process-events-interval-bytes", "1024")
            .option(WRITES, "no")
            .build()
    },
    run: |trial| Box::pin(in_turn(trial, ROWS)),
};

const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "reads-while-loading",
        promise: "a primary serves reads while it takes in its peer's data, and refuses writes",
        source: "keydb.conf (active-replica: read only data access while loading remote RDBs)",
        needs: &[],
        run: |hands| Box::pin(reads(hands)),
    },
    Behaviour {
        check: "writes-while-loading",
        promise: "with allow-write-during-load it takes writes as well",
        source: "keydb.conf (allow-write-during-load)",
        needs: &[],
        run: |hands| Box::pin(writes(hands)),
    },
];

const DELAY: &str = "key-load-delay";
const WRITES: &str = "allow-write-during-load";
/// Keys that are taken in, and microseconds for each: a second and a half in all.
const KEYS: usize = 500;
const EACH: usize = 3000;

async fn reads(hands: &Hands<'_>) -> Result<Seen> {
    let mut pairs = Vec::new();
    for n in 0..KEYS {
        pairs.extend([format!("loading:{n}"), "x".to_owned()]);
    }
    let write = format!("MSET {}", pairs.join(" "));
    hands.ask("primary2", &write).await?;
    hands.settled().await?;
    let (read, written) = while_loading(hands).await?;
    let seen = format!("a read: {read}; a write: {written}");
    Ok(match read == "x" && written.starts_with("LOADING") {
        true => Ok(seen),
        false => Err(seen),
    })
}

async fn writes(hands: &Hands<'_>) -> Result<Seen> {
    hands
        .ask("primary1", &format!("CONFIG SET {WRITES} yes"))
        .await?;
    let (read, written) = while_loading(hands).await?;
    let seen = format!("a read: {read}; a write: {written}");
    Ok(match read == "x" && written == "OK" {
        true => Ok(seen),
        false => Err(seen),
    })
}

/// Makes primary1 take in all of primary2's data, slowly; what it answers to a read and to a write
/// meanwhile.
async fn while_loading(hands: &Hands<'_>) -> Result<(String, String)> {
    let peer = hands.cluster().known_at("primary1", "primary2");
    let follow = format!("REPLICAOF {} {}", peer.ip(), peer.port());
    let slow = format!("CONFIG SET {DELAY} {EACH}");
    for command in [slow.as_str(), "REPLICAOF NO ONE", follow.as_str()] {
        hands.ask("primary1", command).await?;
    }
    let node = hands.cluster().node("primary1")?;
    let look = || async {
        let said = |error: &dyn std::fmt::Display| error.to_string();
        let before = node.glance().await.map_err(|error| said(&error))?;
        if before.loading() != Some(true) {
            let masters = before.replication().masters;
            return match masters.iter().any(|master| master.link_up) {
                true => Ok(None),
                false => Err("it does not load yet".to_owned()),
            };
        }
        let read = hands.ask("primary1", "GET loading:0").await;
        let read = read.map_err(|error| said(&error))?;
        let write = hands.ask("primary1", "SET loading:meanwhile x").await;
        let write = write.map_err(|error| said(&error))?;
        let after = node.glance().await.map_err(|error| said(&error))?;
        match after.loading() {
            Some(true) => Ok(Some((read, write))),
            _ => Ok(None),
        }
    };
    let seen = hands.until("primary1 loads its peer's data", look).await?;
    hands
        .ask("primary1", &format!("CONFIG SET {DELAY} 0"))
        .await?;
    links(hands, "primary1", 1).await?;
    match seen {
        Some(seen) => Ok(seen),
        None => bail!("it had taken all in before it could be asked"),
    }
}
