//! Single commands that upstream's users found broken between two primaries: each where it hurts,
//! with links up or while one of them is struck.

mod broken_link;
mod cron;
mod crowd;
mod imported;
mod member_crowd;
mod promotions;
mod quiet;
mod scripts;
mod streams;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use super::Scenario;
use crate::behaviour::{Behaviour, Hands, Seen, Table, in_turn};
use crate::cluster::{Cluster, Order};
use crate::model::Class;
use crate::property::{agreement, relink};
use crate::topology::{Persistence, Topology, TopologyError};
use crate::trial::Trial;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "commands-cross",
    title: "commands that were found broken between two primaries, one by one",
    promise: "a command does on both primaries what its documentation says, and neither ends by it",
    source: "KeyDB docs commands.md, active-rep.md (any command written to one node is seen on the other); upstream issues as each check has them",
    seconds: 6,
    variants: &[
        "rows",
        "streams",
        "scripts",
        "cron",
        "cron-deleted",
        "crowd",
        "member-resync",
        "late-ttl",
        "cut-inside",
        "imported",
        "member-crowd",
    ],
    long: &["promotions"],
    damage: &[
        Class::WrongDatabase,
        Class::Expiry,
        Class::Divergence,
        Class::LostWrite,
        Class::Crash,
    ],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

const ONE: &str = "primary1";
const TWO: &str = "primary2";

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    let pair = Topology::active_active().without_proxy().relayed();
    match variant {
        "imported" => pair
            .persistence(Persistence::Rdb)
            .option("repl-backlog-size", "16kb")
            .build(),
        _ => pair.build(),
    }
}

async fn run(trial: &Trial) -> Result<()> {
    match trial.variant() {
        "streams" => in_turn(trial, streams::ROWS).await,
        "scripts" => in_turn(trial, scripts::ROWS).await,
        "cron" => in_turn(trial, cron::ROWS).await,
        "cron-deleted" => in_turn(trial, cron::DELETED).await,
        "crowd" => crowd::run(trial).await,
        "member-resync" => in_turn(trial, MEMBER).await,
        "late-ttl" => broken_link::late_ttl(trial).await,
        "cut-inside" => broken_link::cut_inside(trial).await,
        "imported" => imported::run(trial).await,
        "promotions" => promotions::run(trial).await,
        "member-crowd" => in_turn(trial, member_crowd::ROWS).await,
        _ => {
            let mut table = Table::on(trial);
            table.at_once(ROWS).await?;
            table.in_turn(IN_TURN).await?;
            agreement::check(trial, "agreement", 1).await;
            Ok(())
        }
    }
}

const ROWS: &[Behaviour] = &[
    Behaviour {
        check: "move-keeps-key",
        promise: "MOVE to a database that has the key answers 0 and leaves the key where it is",
        source: "Redis documentation, MOVE; upstream #497 (fixed in 6.3.2)",
        needs: &["MOVE"],
        run: |hands| Box::pin(move_keeps_key(hands)),
    },
    Behaviour {
        check: "databases-kept",
        promise: "what several clients pipeline into different databases arrives in those",
        source: "KeyDB docs replication.md; upstream #80",
        needs: &[],
        run: |hands| Box::pin(databases_kept(hands)),
    },
    Behaviour {
        check: "hrename-passed-on",
        promise: "a field of a hash that KEYDB.HRENAME renames has its new name on every node",
        source: "KeyDB docs commands.md (KEYDB.HRENAME), active-rep.md (any command written to one node is seen on the other)",
        needs: &["KEYDB.HRENAME"],
        run: |hands| Box::pin(hrename(hands)),
    },
];

/// Those that watch for quiet.
const IN_TURN: &[Behaviour] = &[Behaviour {
    check: "sent-back-once",
    promise: "a write and a message come back to the primary that took them at most once, and then links are quiet",
    source: "KeyDB docs active-rep.md (UUIDs prevent rebroadcasting changes to the master that sent them); upstream #347, #205, #382",
    needs: &[],
    run: |hands| Box::pin(quiet::sent_back_once(hands)),
}];

/// Breaks links.
const MEMBER: &[Behaviour] = &[Behaviour {
    check: "member-ttl-resynced",
    promise: "the TTL of a member is still there after a full resync of both primaries",
    source: "KeyDB docs commands.md, EXPIREMEMBER; upstream #66, #323",
    needs: &["EXPIREMEMBER"],
    run: |hands| Box::pin(member_ttl_resynced(hands)),
}];

async fn hrename(hands: &Hands<'_>) -> Result<Seen> {
    hands.ask(ONE, "HSET cross:hrename before v").await?;
    let answer = hands
        .ask(ONE, "KEYDB.HRENAME cross:hrename before after")
        .await?;
    hands.settled().await?;
    let seen = hands.everywhere("HKEYS cross:hrename", "[after]").await?;
    // What it leaves different is told here, and not by those that compare all data.
    hands.ask(ONE, "DEL cross:hrename").await?;
    hands.settled().await?;
    Ok(seen.map_err(|wrong| format!("it answers {answer}; {wrong}")))
}

async fn move_keeps_key(hands: &Hands<'_>) -> Result<Seen> {
    let mut one = hands.session(ONE).await?;
    one.ask("SET cross:moved here").await?;
    one.ask("SELECT 1").await?;
    one.ask("SET cross:moved there").await?;
    one.ask("SELECT 0").await?;
    let answer = one.ask("MOVE cross:moved 1").await?;
    hands.settled().await?;
    if answer != "0" {
        return Ok(Err(format!("MOVE answers {answer}")));
    }
    hands.everywhere("GET cross:moved", "here").await
}

/// Databases that are written to.
const DATABASES: u32 = 16;
/// Members that each gets.
const MEMBERS: usize = 50;

/// A pipeline that changes the database before each write, beside others that never do.
async fn databases_kept(hands: &Hands<'_>) -> Result<Seen> {
    let mut hopping = redis::pipe();
    let mut staying = redis::pipe();
    for n in 0..MEMBERS {
        for database in 0..DATABASES {
            hopping.cmd("SELECT").arg(database).ignore();
            let member = format!("{database}:{n}");
            hopping
                .cmd("SADD")
                .arg("cross:members")
                .arg(member)
                .ignore();
            staying.cmd("INCR").arg("cross:staying").ignore();
        }
    }
    let all = tokio::join!(
        send(hands, ONE, &hopping),
        send(hands, ONE, &staying),
        send(hands, TWO, &staying)
    );
    all.0.and(all.1).and(all.2)?;
    hands.note("three pipelines, one of which changes the database before each write");
    hands.settled().await?;
    let mut wrong = Vec::new();
    for node in [ONE, TWO] {
        let mut session = hands.session(node).await?;
        for database in 0..DATABASES {
            session.ask(&format!("SELECT {database}")).await?;
            let text = session.ask("SMEMBERS cross:members").await?;
            let members = text.trim_matches(['[', ']']).split(", ");
            let own = format!("{database}:");
            let (right, others): (Vec<_>, Vec<_>) = members.partition(|it| it.starts_with(&own));
            if right.len() != MEMBERS || !others.is_empty() {
                let (right, others) = (right.len(), others.len());
                wrong.push(format!(
                    "{node} {database}: {right} of {MEMBERS} and {others} others"
                ));
            }
        }
    }
    let sum = (2 * MEMBERS * DATABASES as usize).to_string();
    let sum = hands.everywhere("GET cross:staying", &sum).await?;
    Ok(match (wrong.is_empty(), sum) {
        (true, Ok(_)) => Ok(format!(
            "{MEMBERS} members in each of {DATABASES} databases"
        )),
        (true, Err(sum)) => Err(sum),
        (false, _) => Err(wrong.join("; ")),
    })
}

async fn send(hands: &Hands<'_>, node: &str, pipe: &redis::Pipeline) -> Result<()> {
    let mut client = hands.cluster().node(node)?.client().await?;
    Ok(client.pipeline(pipe).await?)
}

/// Longer than a full resync takes, and short enough to be waited for.
const MEMBER_TTL: Duration = Duration::from_secs(4);

async fn member_ttl_resynced(hands: &Hands<'_>) -> Result<Seen> {
    let cluster = hands.cluster();
    hands.ask(ONE, "SADD cross:set short long").await?;
    hands.ask(ONE, "HSET cross:hash short 1 long 2").await?;
    let began = Instant::now();
    for key in ["cross:set", "cross:hash"] {
        let seconds = MEMBER_TTL.as_secs();
        hands
            .ask(ONE, &format!("EXPIREMEMBER {key} short {seconds}"))
            .await?;
    }
    hands.settled().await?;
    let before = [served(cluster, ONE).await?, served(cluster, TWO).await?];
    for node in [ONE, TWO] {
        // A history of another name: no partial resync can be granted.
        hands.ask(node, "DEBUG CHANGE-REPL-ID").await?;
    }
    for relay in cluster.relays() {
        relay.reset();
    }
    hands
        .until("both primaries have served a full resync", || async {
            let said = |error: anyhow::Error| format!("{error:#}");
            let now = [
                served(cluster, ONE).await.map_err(said)?,
                served(cluster, TWO).await.map_err(said)?,
            ];
            match now.iter().zip(before).all(|(now, before)| *now > before) {
                true => Ok(()),
                false => Err(format!("sync_full was {before:?} and is {now:?}")),
            }
        })
        .await?;
    let lived = began.elapsed();
    if lived >= MEMBER_TTL {
        bail!(
            "the resyncs took {} s, longer than the TTL",
            lived.as_secs()
        );
    }
    relink::reached(cluster, began).await?;
    let within = Duration::from_secs(20);
    for (command, wanted) in [
        ("SMEMBERS cross:set", "[long]"),
        ("HKEYS cross:hash", "[long]"),
    ] {
        if let Err(wrong) = hands.comes_everywhere(command, wanted, within).await? {
            return Ok(Err(wrong));
        }
    }
    Ok(Ok(
        "members are gone from both primaries, the others are there".to_owned(),
    ))
}

/// Full resyncs that a node has served.
async fn served(cluster: &Cluster, node: &str) -> Result<i64> {
    let info = cluster.node(node)?.info().await?;
    info.stat("sync_full").context("no sync_full")
}
