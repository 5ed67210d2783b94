//! `min-replicas-to-write`, and the address that a replica announces.

use anyhow::{Context, Result};

use super::Configuration;
use super::follows::replication;
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::cluster::role::RoleReply;
use crate::topology::Topology;

/// An address that nobody has (RFC 5737), and a port.
const ANNOUNCED: (&str, u16) = ("203.0.113.7", 4242);

pub(super) const ROW: Configuration = Configuration {
    name: "replicas-count",
    topology: || {
        Topology::active_active()
            .without_proxy()
            .node_option("primary1", "min-replicas-to-write", "1")
            .node_option("primary2", "replica-announce-ip", ANNOUNCED.0)
            .node_option("primary2", "replica-announce-port", ANNOUNCED.1.to_string())
            .build()
    },
    run: |trial| Box::pin(in_turn(trial, ROWS)),
};

/// In this order: each goes on where the one before left the pair.
const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "info-shows-announced",
        promise: "INFO shows a replica at the address that it announces",
        source: "KeyDB docs replication.md (replica-announce-ip and -port)",
        needs: &[],
        run: |hands| Box::pin(in_info(hands)),
    },
    Behaviour {
        check: "role-shows-announced",
        promise: "so does ROLE, of a primary that follows nobody",
        source: "KeyDB docs replication.md (replica-announce-ip and -port)",
        needs: &[],
        run: |hands| Box::pin(in_role(hands)),
    },
    Behaviour {
        check: "refuses-without-replicas",
        promise: "a primary that follows nobody and is followed by nobody refuses writes if min-replicas-to-write is 1",
        source: "KeyDB docs replication.md (min-replicas-to-write)",
        needs: &[],
        run: |hands| Box::pin(refuses(hands)),
    },
    Behaviour {
        check: "refuses-while-peer-is-down",
        promise: "so does one that follows a peer, which is down",
        source: "KeyDB docs replication.md (min-replicas-to-write)",
        needs: &[],
        run: |hands| Box::pin(refuses_with_a_peer(hands)),
    },
];

async fn in_info(hands: &Hands<'_>) -> Result<Seen> {
    let slaves = replication(hands, "primary1").await?.slaves;
    let seen: Vec<String> = slaves
        .iter()
        .map(|slave| format!("{}:{}", slave.ip, slave.port))
        .collect();
    let wanted = format!("{}:{}", ANNOUNCED.0, ANNOUNCED.1);
    Ok(match seen.contains(&wanted) {
        true => Ok(wanted),
        false => Err(format!("{seen:?}, not {wanted}")),
    })
}

const WRITE: &str = "SET replicas-count:key x";

async fn refuses(hands: &Hands<'_>) -> Result<Seen> {
    let with = hands.ask("primary1", WRITE).await?;
    if with != "OK" {
        return Ok(Err(format!("with its peer: {with}")));
    }
    hands.cluster().node("primary2")?.stop().await?;
    hands.note("primary2 stops");
    hands
        .until("primary1 counts no good replica", || async {
            let info = hands
                .cluster()
                .node("primary1")
                .map_err(|error| error.to_string())?;
            let info = info.glance().await.map_err(|error| error.to_string())?;
            match info.stat("min_slaves_good_slaves") {
                Some(0) => Ok(()),
                seen => Err(format!("min_slaves_good_slaves is {seen:?}")),
            }
        })
        .await?;
    refused(hands).await
}

async fn refused(hands: &Hands<'_>) -> Result<Seen> {
    let answer = hands.ask("primary1", WRITE).await?;
    Ok(match answer.starts_with("NOREPLICAS") {
        true => Ok(answer),
        false => Err(format!("a write with no good replica: {answer}")),
    })
}

async fn refuses_with_a_peer(hands: &Hands<'_>) -> Result<Seen> {
    let peer = hands.cluster().known_at("primary1", "primary2");
    let follow = format!("REPLICAOF {} {}", peer.ip(), peer.port());
    hands.ask("primary1", &follow).await?;
    refused(hands).await
}

async fn in_role(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask("primary1", "REPLICAOF NO ONE").await?;
    let shown = hands
        .until("primary1 shows a replica", || async {
            let node = hands.cluster().node("primary1");
            let node = node.map_err(|error| error.to_string())?;
            match node.role().await.map_err(|error| error.to_string())? {
                RoleReply::Master { replicas, .. } if !replicas.is_empty() => Ok(replicas),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
    let first = shown.first().context("none")?;
    let seen = format!("{}:{}", first.host, first.port);
    Ok(match (first.host.as_str(), first.port) == ANNOUNCED {
        true => Ok(seen),
        false => Err(seen),
    })
}
