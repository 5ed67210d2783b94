//! `replica-serve-stale-data no` and `replica-quorum` on a pair.

use anyhow::Result;

use super::Configuration;
use super::follows::replication;
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::topology::Topology;

pub(super) const ROW: Configuration = Configuration {
    name: "no-stale-data",
    topology: || super::restarted(Topology::active_active()).build(),
    run: |trial| Box::pin(in_turn(trial, ROWS)),
};

/// In this order: each goes on where the one before left the pair.
const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "cold-start-links",
        promise: "two primaries that may not serve stale data link up when both start",
        source: "KeyDB docs active-rep.md (two nodes can be the master of each other); fixed upstream in 6.0.13 (f2ca2aa1f)",
        needs: &[],
        run: |hands| Box::pin(cold_start(hands)),
    },
    Behaviour {
        check: "refuses-data-only",
        promise: "without its peer a primary that may not serve stale data refuses commands on data, and answers the listed others",
        source: "keydb.conf (replica-serve-stale-data: an error to all but INFO, AUTH, PING, ROLE, CONFIG, SUBSCRIBE, PUBLISH, PUBSUB, COMMAND, LATENCY and some more)",
        needs: &[],
        run: |hands| Box::pin(refuses_data_only(hands)),
    },
    Behaviour {
        check: "quorum-serves",
        promise: "it serves as soon as as many primaries are there as replica-quorum asks for",
        source: "keydb.conf (replica-quorum); upstream #232",
        needs: &[],
        run: |hands| Box::pin(quorum(hands)),
    },
];

const LINE: &str = "replica-serve-stale-data no\n";
/// How often each primary has to be turned away by the other until it is taken to be so for ever:
/// they ask once a second.
const TURNED_AWAY: usize = 3;
const REFUSAL: &str = "MASTERDOWN";

async fn cold_start(hands: &Hands<'_>) -> Result<Seen> {
    let nodes = hands.cluster().nodes();
    let mut from = Vec::new();
    for node in nodes {
        node.stop().await?;
        node.reconfigure(LINE).await?;
        from.push(node.log().await?.len());
    }
    for node in nodes {
        node.start().await?;
    }
    hands.note("both start with replica-serve-stale-data no");
    let from = &from;
    let turned_away = hands
        .until(
            "both links are up, or refused again and again",
            || async move {
                let mut seen = Vec::new();
                let (mut up, mut refused) = (0, 0);
                for (node, from) in nodes.iter().zip(from) {
                    let info = node.glance().await.map_err(|error| error.to_string())?;
                    let links = info.replication().masters;
                    up += usize::from(!links.is_empty() && links.iter().all(|link| link.link_up));
                    let log = node.log().await.map_err(|error| error.to_string())?;
                    let log = log.get(*from..).unwrap_or_default();
                    let count = log.lines().filter(|line| line.contains(REFUSAL)).count();
                    refused += usize::from(count >= TURNED_AWAY);
                    seen.push(format!("{} was refused {count} times", node.name()));
                }
                match (up == nodes.len(), refused == nodes.len()) {
                    (true, _) => Ok(None),
                    (_, true) => Ok(Some(seen.join(", "))),
                    _ => Err(format!("{up} links up; {}", seen.join(", "))),
                }
            },
        )
        .await?;
    Ok(match turned_away {
        None => Ok("both links are up".to_owned()),
        Some(seen) => Err(format!("no link comes up: {seen} with {REFUSAL}")),
    })
}

async fn refuses_data_only(hands: &Hands<'_>) -> Result<Seen> {
    hands.cluster().node("primary2")?.stop().await?;
    hands.note("primary2 stops");
    hands
        .until("primary1's link is down", || async {
            let seen = replication(hands, "primary1").await;
            let masters = seen.map_err(|error| error.to_string())?.masters;
            match masters.iter().any(|master| master.link_up) {
                true => Err("it is up".to_owned()),
                false => Ok(()),
            }
        })
        .await?;
    let seen = refused(hands, &["GET stale:key", "SET stale:key x", "DBSIZE"]).await?;
    match seen {
        Ok(_) => serves_the_rest(hands).await,
        served => Ok(served),
    }
}

/// Whether each of the commands is refused by `primary1` as its link is down.
async fn refused(hands: &Hands<'_>, commands: &[&str]) -> Result<Seen> {
    for command in commands {
        let answer = hands.ask("primary1", command).await?;
        if !answer.starts_with(REFUSAL) {
            return Ok(Err(format!("{command}: {answer}")));
        }
    }
    Ok(Ok(format!("{} are refused", commands.join(", "))))
}

async fn serves_the_rest(hands: &Hands<'_>) -> Result<Seen> {
    let commands = [
        "INFO replication",
        "PING",
        "ROLE",
        "CONFIG GET port",
        "PUBLISH stale:channel x",
        "COMMAND INFO get",
    ];
    for command in commands {
        let answer = hands.ask("primary1", command).await?;
        if answer.starts_with(REFUSAL) {
            return Ok(Err(format!("{command}: {answer}")));
        }
    }
    Ok(Ok(format!("{} are answered", commands.join(", "))))
}

async fn quorum(hands: &Hands<'_>) -> Result<Seen> {
    for (quorum, serves) in [("0", true), ("1", false), ("-1", false), ("0", true)] {
        let set = format!("CONFIG SET replica-quorum {quorum}");
        let answer = hands.ask("primary1", &set).await?;
        if answer != "OK" {
            return Ok(Err(format!("{set}: {answer}")));
        }
        let seen = match serves {
            true => match hands.ask("primary1", "SET stale:key x").await?.as_str() {
                "OK" => Ok(String::new()),
                other => Err(other.to_owned()),
            },
            false => refused(hands, &["GET stale:key", "SET stale:key x"]).await?,
        };
        if let Err(seen) = seen {
            return Ok(Err(format!("with a quorum of {quorum}: {seen}")));
        }
    }
    Ok(Ok("0 serves; 1 and -1 (all there are) refuse".to_owned()))
}
