//! What a server says of itself can be read by a program: INFO, ROLE and CONFIG GET on a mesh.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use redis::Value;

use super::Scenario;
use crate::behaviour::{Behaviour, Hands, Seen, in_turn};
use crate::cluster::info::{Replication, ServerRole};
use crate::cluster::{Node, Order};
use crate::model::Class;
use crate::topology::{Topology, TopologyError};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "info-well-formed",
    title: "INFO, ROLE and CONFIG GET of a primary that follows two others, while they are there and after",
    promise: "what a server says of itself can be parsed, and is so",
    source: "KeyDB docs haproxy.md (role: active-replica), commands.md (ROLE, INFO, CONFIG GET); upstream #153, #224, redis_exporter #371",
    seconds: 5,
    variants: &[""],
    long: &[],
    damage: &[Class::WrongInfo],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(in_turn(trial, ROWS)),
};

fn topology(_variant: &str) -> Result<Topology, TopologyError> {
    Topology::mesh(3).without_proxy().build()
}

/// In this order: the last ones take the others away from primary1.
const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "one-reply-each",
        promise: "ROLE and CONFIG GET replicaof are one reply each: what is asked next on the connection gets its own",
        source: "KeyDB docs commands.md (ROLE); fixed upstream in 6.0.13 (888d69a87) and, for CONFIG GET, in 5.3.3 (#153)",
        needs: &[],
        run: |hands| Box::pin(one_reply_each(hands)),
    },
    Behaviour {
        check: "info-keys-once",
        promise: "every key of INFO replication is there once, so that a parser misses no primary",
        source: "redis_exporter #371 (only one of the masters is seen)",
        needs: &[],
        run: |hands| Box::pin(keys_once(hands)),
    },
    Behaviour {
        check: "multi-master-shown",
        promise: "CONFIG GET multi-master tells that it is on",
        source: "keydb.conf (multi-master); read in the source (6.3.4 made it no ordinary option)",
        needs: &[],
        run: |hands| Box::pin(multi_master(hands)),
    },
    Behaviour {
        check: "version-is-a-release",
        promise: "INFO server shows the version of a release, the same on every node",
        source: "upstream #909 (255.255.255)",
        needs: &[],
        run: |hands| Box::pin(version(hands)),
    },
    Behaviour {
        check: "all-links-shown",
        promise: "INFO shows every primary that is followed with its link up, and where it counts them counts all",
        source: "KeyDB docs haproxy.md; fields differ by release",
        needs: &[],
        run: |hands| Box::pin(shows(hands, 2, 2)),
    },
    Behaviour {
        check: "lost-link-shown",
        promise: "INFO shows which link is down, counts it as down, and names the role active-replica still",
        source: "KeyDB docs haproxy.md (role: active-replica)",
        needs: &[],
        run: |hands| Box::pin(lost(hands, "primary3", 1)),
    },
    Behaviour {
        check: "role-when-alone",
        promise: "with all links down the role is active-replica still, and master once it follows nobody",
        source: "KeyDB docs haproxy.md (role: active-replica, role: master)",
        needs: &[],
        run: |hands| Box::pin(alone(hands)),
    },
];

fn primary1<'a>(hands: &Hands<'a>) -> Result<&'a Node> {
    Ok(hands.cluster().node("primary1")?)
}

async fn replication(hands: &Hands<'_>) -> Result<Replication> {
    Ok(primary1(hands)?.info().await?.replication())
}

async fn one_reply_each(hands: &Hands<'_>) -> Result<Seen> {
    for words in [&["ROLE"][..], &["CONFIG", "GET", "replicaof"]] {
        let seen = one_reply(hands, words).await?;
        if seen.is_err() {
            return Ok(seen);
        }
    }
    Ok(Ok("PING after either gets PONG".to_owned()))
}

/// Whether a command and a PING that is sent with it get a reply each.
async fn one_reply(hands: &Hands<'_>, words: &[&str]) -> Result<Seen> {
    let mut pipe = redis::pipe();
    pipe.cmd(words[0]).arg(&words[1..]).cmd("PING");
    let mut client = primary1(hands)?.client().await?;
    let replies: Vec<Value> = client.pipeline(&pipe).await?;
    let told = words.join(" ");
    hands.note(&format!("primary1 {told}, PING -> {replies:?}"));
    let [first, last] = &replies[..] else {
        return Ok(Err(format!("{} replies", replies.len())));
    };
    if *last != Value::SimpleString("PONG".to_owned()) {
        return Ok(Err(format!("PING after {told} gets {last:?}")));
    }
    Ok(match first {
        Value::Array(all) if words[0] == "CONFIG" && all.len() % 2 != 0 => {
            Err(format!("{} words are no pairs", all.len()))
        }
        Value::Array(_) => Ok("PING after it gets PONG".to_owned()),
        other => Err(format!("{told} gets {other:?}")),
    })
}

async fn keys_once(hands: &Hands<'_>) -> Result<Seen> {
    let text = hands.ask("primary1", "INFO replication").await?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some((key, _)) = line.split_once(':') {
            *counts.entry(key).or_default() += 1;
        }
    }
    let twice = counts.iter().filter(|(_, count)| **count > 1);
    let twice: Vec<&str> = twice.map(|(key, _)| *key).collect();
    Ok(match twice.is_empty() {
        true => Ok(format!("{} keys", counts.len())),
        false => Err(format!("more than once: {}", twice.join(", "))),
    })
}

async fn multi_master(hands: &Hands<'_>) -> Result<Seen> {
    let seen = hands.ask("primary1", "CONFIG GET multi-master").await?;
    Ok(match seen.as_str() {
        "[multi-master, yes]" => Ok(seen),
        _ => Err(seen),
    })
}

async fn version(hands: &Hands<'_>) -> Result<Seen> {
    let mut versions = BTreeSet::new();
    for node in hands.cluster().live() {
        let info = node.info().await?;
        versions.insert(info.version().context("no version")?.to_owned());
    }
    Ok(one_release(&versions))
}

/// Whether there is one version, and that of a release.
fn one_release(versions: &BTreeSet<String>) -> Seen {
    let seen = Vec::from_iter(versions.iter().map(String::as_str)).join(", ");
    let numbers: Vec<Option<u32>> = seen.split('.').map(|part| part.parse().ok()).collect();
    match numbers[..] {
        [Some(major), Some(_), Some(_)] if major < 255 => Ok(seen),
        _ => Err(seen),
    }
}

/// Whether INFO of primary1 shows `all` primaries, `up` of them linked, and counts them so where it
/// does count.
async fn shows(hands: &Hands<'_>, all: usize, up: usize) -> Result<Seen> {
    let seen = replication(hands).await?;
    let links = seen.masters.iter().filter(|master| master.link_up).count();
    let counted = seen
        .connected_masters
        .is_none_or(|count| count as usize == up);
    let global = seen
        .global_link_up
        .is_none_or(|all_up| all_up == (up == all));
    let told = format!(
        "role {:?}, {links} of {} links up, connected_masters {:?}, all up {:?}",
        seen.role,
        seen.masters.len(),
        seen.connected_masters,
        seen.global_link_up
    );
    let holds = seen.role == ServerRole::ActiveReplica
        && seen.masters.len() == all
        && links == up
        && counted
        && global;
    Ok(if holds { Ok(told) } else { Err(told) })
}

/// Stops a node, waits until `primary1` has noticed, and looks at what it says then.
async fn lost(hands: &Hands<'_>, node: &str, left: usize) -> Result<Seen> {
    hands.cluster().node(node)?.stop().await?;
    hands.note(&format!("{node} stops"));
    let what = format!("primary1 shows {left} links up");
    hands
        .until(&what, || async {
            match shows(hands, 2, left).await {
                Ok(seen) => seen,
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
    shows(hands, 2, left).await
}

async fn alone(hands: &Hands<'_>) -> Result<Seen> {
    let seen = lost(hands, "primary2", 0).await?;
    if seen.is_err() {
        return Ok(seen);
    }
    hands.ask("primary1", "REPLICAOF NO ONE").await?;
    let seen = replication(hands).await?;
    let told = format!("role {:?}, {} masters", seen.role, seen.masters.len());
    Ok(
        match seen.role == ServerRole::Master && seen.masters.is_empty() {
            true => Ok(told),
            false => Err(told),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&["6.3.4"], true)]
    #[case(&["255.255.255"], false)]
    #[case(&["6.3.0", "6.3.4"], false)]
    #[case(&["unstable"], false)]
    fn one_release_is_three_numbers(#[case] versions: &[&str], #[case] holds: bool) {
        let versions = versions.iter().map(|&it| it.to_owned()).collect();
        assert_eq!(one_release(&versions).is_ok(), holds);
    }
}
