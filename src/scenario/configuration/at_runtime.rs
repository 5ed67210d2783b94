//! `REPLICAOF` in its forms, on a mesh that runs.

use anyhow::{Context, Result};

use super::Configuration;
use super::follows::{answers, links, replication};
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::cluster::info::ServerRole;
use crate::topology::Topology;

pub(super) const ROW: Configuration = Configuration {
    name: "at-runtime",
    topology: || super::restarted(Topology::mesh(3)).build(),
    run: |trial| Box::pin(in_turn(trial, ROWS)),
};

/// In this order: each goes on where the one before left the cluster.
const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "no-one-keeps-data",
        promise: "REPLICAOF NO ONE leaves the data where they are: the server is a master, serves them, and takes writes",
        source: "KeyDB docs commands.md (REPLICAOF)",
        needs: &[],
        run: |hands| Box::pin(no_one(hands)),
    },
    Behaviour {
        check: "replicaof-adds",
        promise: "with multi-master a second REPLICAOF adds a primary, and the first one stays",
        source: "KeyDB docs multi-master.md; commands.md says otherwise (REPLICAOF)",
        needs: &[],
        run: |hands| Box::pin(adds(hands)),
    },
    Behaviour {
        check: "replicaof-merges",
        promise: "a server that is told to follow keeps its own data, and takes in the other's",
        source: "KeyDB docs multi-master.md; active-rep.md and commands.md say otherwise; KeyDB-docs #62",
        needs: &[],
        run: |hands| Box::pin(merges(hands)),
    },
    Behaviour {
        check: "remove-takes-one",
        promise: "REPLICAOF REMOVE takes one primary away while the server runs, on the server that is asked",
        source: "KeyDB docs multi-master.md; upstream #192",
        needs: &[],
        run: |hands| Box::pin(remove(hands)),
    },
    Behaviour {
        check: "identities-differ",
        promise: "each process has an identity of its own, also at an address that another had before",
        source: "KeyDB docs active-rep.md (the UUID is computed at boot)",
        needs: &[],
        run: |hands| Box::pin(identities(hands)),
    },
];

const BEFORE: &str = "at-runtime:before";
const ON_1: &str = "at-runtime:alone-on-1";
const ON_2: &str = "at-runtime:alone-on-2";

/// How `primary1` has to name another node in a command.
fn named(hands: &Hands<'_>, node: &str) -> String {
    let address = hands.cluster().known_at("primary1", node);
    format!("{} {}", address.ip(), address.port())
}

async fn no_one(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask("primary1", &format!("SET {BEFORE} x")).await?;
    hands.settled().await?;
    let answer = hands.ask("primary1", "REPLICAOF NO ONE").await?;
    let role = replication(hands, "primary1").await?.role;
    let kept = hands.ask("primary1", &format!("GET {BEFORE}")).await?;
    let written = hands.ask("primary1", &format!("SET {ON_1} x")).await?;
    hands.ask("primary2", &format!("SET {ON_2} x")).await?;
    // Who followed it goes on doing so.
    answers(hands, "primary2", &format!("EXISTS {ON_1}"), "1").await?;
    let seen =
        format!("REPLICAOF: {answer}, role {role:?}, what was there: {kept}, a write: {written}");
    let holds = role == ServerRole::Master && kept == "x" && written == "OK";
    Ok(if holds { Ok(seen) } else { Err(seen) })
}

async fn adds(hands: &Hands<'_>) -> Result<Seen> {
    for node in ["primary2", "primary3"] {
        let command = format!("REPLICAOF {}", named(hands, node));
        let answer = hands.ask("primary1", &command).await?;
        if !answer.starts_with("OK") {
            return Ok(Err(format!("{command}: {answer}")));
        }
    }
    let again = format!("REPLICAOF {}", named(hands, "primary2"));
    let again = hands.ask("primary1", &again).await?;
    let count = replication(hands, "primary1").await?.masters.len();
    if count != 2 {
        return Ok(Err(format!("primary1 follows {count} primaries, not 2")));
    }
    links(hands, "primary1", 2).await?;
    Ok(Ok(format!("2 primaries; the same again: {again}")))
}

async fn merges(hands: &Hands<'_>) -> Result<Seen> {
    hands.settled().await?;
    let all = format!("EXISTS {BEFORE} {ON_1} {ON_2}");
    hands.everywhere(&all, "3").await
}

async fn remove(hands: &Hands<'_>) -> Result<Seen> {
    let command = format!("REPLICAOF REMOVE {}", named(hands, "primary3"));
    let answer = hands.ask("primary1", &command).await?;
    if answer != "OK" {
        return Ok(Err(format!("{command}: {answer}")));
    }
    let masters = replication(hands, "primary1").await?.masters;
    let (at_3, of_3) = (
        hands.cluster().known_at("primary1", "primary3"),
        replication(hands, "primary3").await?.masters.len(),
    );
    let still = masters
        .iter()
        .any(|master| master.port == at_3.port() && master.host == at_3.ip().to_string());
    if still || masters.len() != 1 || !masters[0].link_up || of_3 != 2 {
        return Ok(Err(format!(
            "primary1 follows {} primaries, primary3 {of_3}",
            masters.len()
        )));
    }
    // The others are still linked to all: what primary3 is told gets to primary1 through primary2.
    hands.settled().await?;
    Ok(Ok("one primary is left, and its link stayed up".to_owned()))
}

/// An identity that is nobody's.
const STRANGER: &str = "00000000-0000-4000-8000-000000000001";

async fn identities(hands: &Hands<'_>) -> Result<Seen> {
    let ask = format!("REPLCONF uuid {STRANGER}");
    let mut all = Vec::new();
    for node in ["primary1", "primary2", "primary3"] {
        all.push(hands.ask(node, &ask).await?);
    }
    let node = hands.cluster().node("primary2")?;
    node.restart().await?;
    hands.note("primary2 restarts");
    hands
        .until("primary2 serves", || crate::cluster::ready::serves(node))
        .await?;
    all.push(hands.ask("primary2", &ask).await?);
    let well_formed = |id: &String| id.len() == STRANGER.len() && id.matches('-').count() == 4;
    if let Some(other) = all.iter().find(|id| !well_formed(id)) {
        return Ok(Err(format!("no identity: {other}")));
    }
    let before = all.len();
    let mut distinct = all.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let first = all.first().context("none")?;
    Ok(match distinct.len() == before {
        true => Ok(format!("{before} identities, the first {first}")),
        false => Err(format!(
            "of {before} processes some share one: {}",
            all.join(", ")
        )),
    })
}
