//! `multi-master-no-forward`: what came from a primary is not passed on.

use anyhow::Result;

use super::Configuration;
use super::follows::answers;
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::topology::Topology;

const OPTION: &str = "multi-master-no-forward";

pub(super) const WITH_REPLICA: Configuration = Configuration {
    name: "no-forward-replica",
    // It is named so that a server without it is known: it is set once the replica hears all.
    topology: || {
        Topology::active_active()
            .without_proxy()
            .replicas(1)
            .node_option("primary1", OPTION, "no")
            .build()
    },
    run: |trial| Box::pin(in_turn(trial, REPLICA_HEARS)),
};

pub(super) const MESH: Configuration = Configuration {
    name: "no-forward-mesh",
    topology: || {
        Topology::mesh(3)
            .without_proxy()
            .option(OPTION, "yes")
            .build()
    },
    run: |trial| Box::pin(in_turn(trial, MESH_ROWS)),
};

const REPLICA_HEARS: &[Behaviour] = &[Behaviour {
    check: "replica-hears-peer",
    promise: "with multi-master-no-forward the replicas of a primary still get what its peer wrote",
    source: "KeyDB docs replication.md (a replica is an exact copy); keydb.conf warns of masters outside a mesh only",
    needs: &[],
    run: |hands| Box::pin(replica_hears(hands)),
}];

async fn replica_hears(hands: &Hands<'_>) -> Result<Seen> {
    hands
        .ask("primary1", &format!("CONFIG SET {OPTION} yes"))
        .await?;
    hands.ask("primary2", "SET no-forward:peer x").await?;
    answers(hands, "primary1", "GET no-forward:peer", "x").await?;
    // What primary1 writes now comes behind it in its stream.
    hands.ask("primary1", "SET no-forward:own x").await?;
    answers(hands, "replica1", "GET no-forward:own", "x").await?;
    let seen = hands.ask("replica1", "GET no-forward:peer").await?;
    Ok(match seen.as_str() {
        "x" => Ok("the replica has what primary2 wrote".to_owned()),
        _ => Err(format!(
            "replica1 answers {seen} where primary1 has x, and has what primary1 wrote later"
        )),
    })
}

const MESH_ROWS: &[Behaviour] = &[
    Behaviour {
        check: "mesh-loses-nothing",
        promise: "in a full mesh with multi-master-no-forward every write gets everywhere",
        source: "keydb.conf (multi-master-no-forward)",
        needs: &[],
        run: |hands| Box::pin(loses_nothing(hands)),
    },
    Behaviour {
        check: "mesh-saves-traffic",
        promise: "with multi-master-no-forward less goes over the links of a mesh",
        source: "keydb.conf (multi-master-no-forward reduces the traffic)",
        needs: &[],
        run: |hands| Box::pin(saves_traffic(hands)),
    },
];

const WRITES: usize = 200;

async fn loses_nothing(hands: &Hands<'_>) -> Result<Seen> {
    let mut keys = Vec::new();
    for node in ["primary1", "primary2", "primary3"] {
        let mut session = hands.session(node).await?;
        for n in 0..10 {
            let key = format!("no-forward:{node}:{n}");
            session.ask(&format!("SET {key} x")).await?;
            keys.push(key);
        }
    }
    hands.settled().await?;
    let all = format!("EXISTS {}", keys.join(" "));
    let wanted = keys.len().to_string();
    let seen = hands.everywhere(&all, &wanted).await?;
    Ok(seen.map(|_| format!("{wanted} keys on every node")))
}

async fn saves_traffic(hands: &Hands<'_>) -> Result<Seen> {
    let without = passed_on(hands, "yes").await?;
    let with = passed_on(hands, "no").await?;
    let seen = format!(
        "for {WRITES} writes of primary2 primary1 passes {without} bytes on with it, {with} bytes without"
    );
    Ok(match without * 2 < with {
        true => Ok(seen),
        false => Err(seen),
    })
}

/// By how much primary1's own stream grows while primary2 writes.
async fn passed_on(hands: &Hands<'_>, no_forward: &str) -> Result<i64> {
    for node in ["primary1", "primary2", "primary3"] {
        let set = format!("CONFIG SET {OPTION} {no_forward}");
        hands.ask(node, &set).await?;
    }
    hands.settled().await?;
    let before = end_of_stream(hands).await?;
    let mut client = hands.cluster().node("primary2")?.client().await?;
    let mut pipe = redis::pipe();
    for n in 0..WRITES {
        pipe.cmd("SET")
            .arg(format!("no-forward:bulk:{n}"))
            .arg("x")
            .ignore();
    }
    client.pipeline::<()>(&pipe).await?;
    hands.note(&format!("{WRITES} keys on primary2"));
    answers(
        hands,
        "primary1",
        &format!("EXISTS no-forward:bulk:{}", WRITES - 1),
        "1",
    )
    .await?;
    hands.ask("primary2", "DEL no-forward:bulk:0").await?;
    hands.settled().await?;
    Ok(end_of_stream(hands).await? - before)
}

async fn end_of_stream(hands: &Hands<'_>) -> Result<i64> {
    let info = super::follows::replication(hands, "primary1").await?;
    Ok(info.master_repl_offset.unwrap_or_default())
}
