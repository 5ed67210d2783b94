//! Recorded traffic on primary1 while a relay mutates what is heard of it: exactly the right
//! properties of the history turn red, and say on which link and what became of the write.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use keydb_harness::cluster::{Cluster, Order, finals};
use keydb_harness::history::{Action, Crossed, History, INTERVAL, Recording, Saved, Taps, Watch};
use keydb_harness::judge::judge;
use keydb_harness::lab::Lab;
use keydb_harness::property::over_history::Judgement;
use keydb_harness::relay::mutation::{Change, Mutator, Rule};
use keydb_harness::relay::{Direction, Passage};
use keydb_harness::topology::Topology;
use keydb_harness::verdict::Verdict;
use keydb_harness::workload::traffic::{Contention, Kind, Mix, Plan, Route, Traffic};
use redis::cmd;

use super::{CAP, VICTIM, mutate, what_follows_arrives};

/// How many operations of each traffic are acknowledged.
const ENOUGH: usize = 60;
/// How often traffic is repeated until a swap is the last that befell a key; it is with every
/// second.
const ROUNDS: usize = 30;
/// So slow that the two writes of a swap do not arrive together.
const SLOW: Passage = Passage::Throttle {
    bytes_per_second: 3000,
};

/// How long the mutation lasts.
#[derive(Clone, Copy, PartialEq)]
enum Drive {
    /// As long as the traffic.
    Throughout,
    /// Over short traffics, until the nodes differ.
    UntilTheyDiffer,
    /// On a slow link; then writes follow that cross as they come.
    ThenUntouched,
    /// No mutation; but a value is written again and again while all should be quiet.
    Restless,
}

/// What is done to the writes of a traffic, and which properties are broken then.
pub struct Row {
    pub name: &'static str,
    rule: fn() -> Rule,
    mix: &'static [Kind],
    contention: Contention,
    /// How many operations a client sends at once.
    depth: usize,
    drive: Drive,
    /// Who hears primary1 through the relay.
    downstream: &'static str,
    /// In the order of the report.
    red: &'static [&'static str],
    /// Which of them tells where the write went, and what it says.
    explained: &'static str,
    says: &'static [&'static str],
}

const PLAIN: Row = Row {
    name: "",
    rule: || Rule::new(Change::Drop).on(VICTIM).every(5),
    mix: &[Kind::Set],
    contention: Contention::Fresh,
    depth: 1,
    drive: Drive::Throughout,
    downstream: "primary2",
    red: &[],
    explained: "",
    says: &[],
};

pub const ROWS: &[Row] = &[
    Row {
        name: "history: nothing that fits, nothing is red",
        rule: || Rule::new(Change::Drop).on("somebody else"),
        mix: &[
            Kind::Set,
            Kind::Get,
            Kind::Delete,
            Kind::SetFor,
            Kind::Increment,
            Kind::Append,
            Kind::Push,
            Kind::Add,
            Kind::Remove,
            Kind::PutField,
            Kind::Score,
            Kind::SetAll,
        ],
        contention: Contention::Own(2),
        ..PLAIN
    },
    Row {
        name: "history: dropped SETs are acknowledged writes lost",
        red: &["convergence", "acknowledged"],
        explained: "acknowledged",
        says: &[
            "SET v",
            " came over primary1->primary2 at ",
            "it did not arrive on primary2: swallowed by the relay's filter",
        ],
        ..PLAIN
    },
    Row {
        name: "history: dropped RPUSHs are acknowledged writes lost",
        mix: &[Kind::Push],
        contention: Contention::Own(2),
        red: &["convergence", "acknowledged"],
        explained: "acknowledged",
        says: &[
            "RPUSH v",
            " came over primary1->primary2 at ",
            "it did not arrive on primary2: swallowed by the relay's filter",
        ],
        ..PLAIN
    },
    Row {
        name: "history: dropped SADDs are acknowledged writes lost",
        mix: &[Kind::Add],
        contention: Contention::Own(2),
        red: &["convergence", "acknowledged"],
        explained: "acknowledged",
        says: &[
            "SADD v",
            " came over primary1->primary2 at ",
            "it did not arrive on primary2: swallowed by the relay's filter",
        ],
        ..PLAIN
    },
    Row {
        name: "history: SETs that a replica does not hear of are lost",
        downstream: "replica1",
        red: &["convergence", "acknowledged"],
        explained: "acknowledged",
        says: &["it did not arrive on replica1: swallowed by the relay's filter"],
        ..PLAIN
    },
    Row {
        name: "history: swapped SETs let an older value stay over a newer one",
        rule: || Rule::new(Change::SwapWithNext).on(VICTIM),
        contention: Contention::One,
        drive: Drive::UntilTheyDiffer,
        red: &["convergence", "explainable", "acknowledged"],
        explained: "explainable",
        says: &[
            "it arrived on primary2, and is not there: overwritten by SET v",
            ", passed on over primary1->primary2 at ",
            " passed on after a later write at ",
        ],
        ..PLAIN
    },
    Row {
        name: "history: swapped SETs of which none is older differ",
        rule: || Rule::new(Change::SwapWithNext).on(VICTIM),
        contention: Contention::One,
        depth: 2,
        red: &["convergence"],
        explained: "convergence",
        says: &[
            "it arrived on primary2, and is not there: overwritten by SET v",
            " passed on after a later write at ",
        ],
        ..PLAIN
    },
    Row {
        name: "history: dropped DELs let deleted keys stay",
        rule: || Rule::new(Change::Drop).of("DEL").on(VICTIM),
        mix: &[Kind::Set, Kind::Delete],
        contention: Contention::Own(8),
        red: &["convergence", "explainable", "deletes-stay"],
        explained: "deletes-stay",
        says: &[
            "DEL came over primary1->primary2 at ",
            "it did not arrive on primary2: swallowed by the relay's filter",
        ],
        ..PLAIN
    },
    Row {
        name: "history: doubled INCRBYs count twice",
        rule: || Rule::new(Change::Duplicate).on(VICTIM).every(5),
        mix: &[Kind::Increment],
        contention: Contention::Own(2),
        red: &["convergence", "exactly-once"],
        explained: "exactly-once",
        says: &["on primary1->primary2 ", "passed on once more at "],
        ..PLAIN
    },
    Row {
        name: "history: dropped INCRBYs do not count",
        mix: &[Kind::Increment],
        contention: Contention::Own(2),
        red: &["convergence", "exactly-once"],
        explained: "exactly-once",
        says: &["on primary1->primary2 ", "swallowed by the relay's filter"],
        ..PLAIN
    },
    Row {
        name: "history: doubled APPENDs are there twice",
        rule: || Rule::new(Change::Duplicate).on(VICTIM).every(5),
        mix: &[Kind::Append],
        contention: Contention::Own(2),
        red: &["convergence", "exactly-once"],
        explained: "exactly-once",
        says: &[
            "APPEND v",
            " came over primary1->primary2 at ",
            "passed on once more at ",
        ],
        ..PLAIN
    },
    Row {
        name: "history: stripped times to live let keys live for ever",
        rule: || Rule::new(Change::StripTtl).on(VICTIM).every(5),
        mix: &[Kind::SetFor],
        red: &["convergence", "expires"],
        explained: "expires",
        says: &[
            " PX 3600000 came over primary1->primary2 at ",
            "passed on as `SET victim:mortal:",
        ],
        ..PLAIN
    },
    Row {
        name: "history: one SET of each MULTI dropped is half a transaction",
        rule: || Rule::new(Change::Drop).of("SET").on("victim:group:0:1"),
        mix: &[Kind::SetAll],
        contention: Contention::One,
        red: &["convergence", "acknowledged", "transactions"],
        explained: "transactions",
        says: &[
            "MULTI of ",
            " came over primary1->primary2 at ",
            "it did not arrive on primary2: swallowed by the relay's filter",
        ],
        ..PLAIN
    },
    Row {
        name: "history: SETs in another database are lost, and nobody's there",
        rule: || Rule::new(Change::Database(7)).on(VICTIM).every(5),
        red: &["convergence", "explainable", "acknowledged"],
        explained: "acknowledged",
        says: &[
            " came over primary1->primary2 at ",
            "passed on as `SET victim:register:",
            " in database 7`",
        ],
        ..PLAIN
    },
    Row {
        name: "history: swapped SETs are read on a replica, the older one last",
        rule: || Rule::new(Change::SwapWithNext).on(VICTIM),
        contention: Contention::One,
        drive: Drive::ThenUntouched,
        downstream: "replica1",
        red: &["reads"],
        explained: "reads",
        says: &[
            "on primary1->replica1 ",
            " passed on after a later write at ",
        ],
        ..PLAIN
    },
    Row {
        name: "history: a write that is repeated without end is not quiet",
        rule: || Rule::new(Change::Drop).on("somebody else"),
        contention: Contention::One,
        drive: Drive::Restless,
        red: &["quiet"],
        explained: "quiet",
        says: &["victim:register:0: ", " came over primary1->primary2 at "],
        ..PLAIN
    },
];

/// Judges the history of a row.
pub async fn is_judged(lab: &Lab, row: &Row) -> Result<()> {
    let topology = Topology::active_active()
        .replicas(usize::from(row.downstream == "replica1"))
        .without_proxy()
        .relayed()
        .build()?;
    let cluster = Cluster::start(&lab.impatient(CAP), topology, Order::AtOnce).await?;
    let relay = cluster.link(row.downstream, "primary1")?;
    let mutator = Mutator::new();
    mutate(&cluster, relay, &mutator).await?;
    let recording = Recording::new();
    let watch = Watch::start(&cluster, &recording, INTERVAL);
    let taps = Taps::on(&cluster, &recording);
    let connections = relay.connections().made;

    mutator.set([(row.rule)()]);
    match row.drive {
        Drive::Throughout | Drive::Restless => {
            let traffic = Traffic::start(&cluster, &recording, &plan(row))?;
            traffic.more(&cluster, ENOUGH).await?;
            traffic.end().await?;
        }
        Drive::UntilTheyDiffer => until_they_differ(&cluster, &recording, row).await?,
        Drive::ThenUntouched => {
            relay.set(Direction::TowardsDownstream, SLOW);
            let writer = Plan {
                pace: Duration::from_millis(100),
                ..plan(row)
            };
            let reader = Plan {
                route: Route::Node(row.downstream.to_owned()),
                mix: Mix::new([(Kind::Get, 1)]),
                clients: 4,
                pace: Duration::from_millis(1),
                ..plan(row)
            };
            let writes = Traffic::start(&cluster, &recording, &writer)?;
            let reads = Traffic::start(&cluster, &recording, &reader)?;
            writes.more(&cluster, ENOUGH / 3).await?;
            mutator.set([]);
            relay.set(Direction::TowardsDownstream, Passage::Pass);
            // One may have waited for another.
            writes.more(&cluster, 4).await?;
            writes.end().await?;
            reads.more(&cluster, ENOUGH).await?;
            reads.end().await?;
        }
    }
    let all = relay.connections().made;
    ensure!(all == connections, "the link was made anew");
    what_follows_arrives(&cluster, row.downstream, "next").await?;
    let reading = finals::collect_twice(&cluster, &recording, &taps);
    let ends = match row.drive {
        Drive::Restless => tokio::select! {
            ends = reading => ends?,
            Err(error) = repeated(&cluster) => return Err(error),
        },
        _ => reading.await?,
    };
    watch.stop().await;
    let crossed = taps.finish();
    let saved = Saved {
        identity: row.name.to_owned(),
        history: recording.finish(),
        crossings: crossed.crossings,
        forgotten: crossed.forgotten,
        finals: ends.finals,
        finals_from: ends.finals_from,
        finals_at: Some(ends.finals_at),
        later: Some(ends.later),
        ..Saved::default()
    };
    ensure!(mutator.lost().is_none(), "lost: {:?}", mutator.lost());
    match (row.red, row.drive) {
        ([], _) => everything_crossed(&saved)?,
        (_, Drive::Restless) => {}
        _ => ensure!(mutator.changed() > 0, "nothing was changed"),
    }
    let folder = tempfile::tempdir()?;
    saved.save(folder.path())?;
    are_right(&judge(&Saved::load(folder.path())?), row)?;
    cluster.close().await;
    Ok(())
}

fn plan(row: &Row) -> Plan {
    Plan {
        route: Route::Node("primary1".to_owned()),
        clients: if row.contention == Contention::One {
            1
        } else {
            2
        },
        contention: row.contention,
        depth: row.depth,
        ..Plan::new(VICTIM, Mix::new(row.mix.iter().map(|kind| (*kind, 1))))
    }
}

/// Writes what is there already, for ever: only links show it.
async fn repeated(cluster: &Cluster) -> Result<()> {
    let key = format!("{VICTIM}:register:0");
    let mut client = cluster.node("primary1")?.client().await?;
    let value: String = client.query(cmd("GET").arg(&key)).await?;
    loop {
        client.query::<()>(cmd("SET").arg(&key).arg(&value)).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Swaps come in pairs: whether the last write of a traffic was in one is chance.
async fn until_they_differ(cluster: &Cluster, recording: &Recording, row: &Row) -> Result<()> {
    let key = format!("{VICTIM}:register:0");
    for _ in 0..ROUNDS {
        let traffic = Traffic::start(cluster, recording, &plan(row))?;
        traffic.more(cluster, 6).await?;
        traffic.end().await?;
        // The first may go before a write that waited.
        what_follows_arrives(cluster, row.downstream, "after").await?;
        what_follows_arrives(cluster, row.downstream, "after that").await?;
        let mut held = Vec::new();
        for node in ["primary1", row.downstream] {
            let mut client = cluster.node(node)?.client().await?;
            held.push(client.query::<Option<String>>(cmd("GET").arg(&key)).await?);
        }
        if held[0] != held[1] {
            return Ok(());
        }
    }
    bail!("the nodes agree after each of {ROUNDS} traffics")
}

/// Each value that was acknowledged was seen to cross, and nothing befell any write.
fn everything_crossed(saved: &Saved) -> Result<()> {
    let History {
        names, operations, ..
    } = &saved.history;
    let over = |link: &str| -> BTreeSet<_> {
        let crossings = saved.crossings.iter();
        crossings
            .filter(|crossing| names.text(crossing.link) == link)
            .filter_map(|crossing| crossing.token)
            .collect()
    };
    let crossed = over("primary1->primary2");
    for operation in operations {
        let token = match &operation.action {
            Action::Set(token)
            | Action::SetFor(token, _)
            | Action::Append(token)
            | Action::Push(token)
            | Action::Add(token)
            | Action::PutField(_, token)
            | Action::Score(_, token)
            | Action::SetAll(_, token) => *token,
            _ => continue,
        };
        ensure!(crossed.contains(&token), "{token} was not seen to cross");
    }
    for crossing in &saved.crossings {
        let passed = matches!(crossing.crossed, Crossed::Passed(at) if at >= crossing.arrived);
        ensure!(passed, "{crossing:?}");
    }
    ensure!(crossed.len() > ENOUGH / 3, "{} crossed", crossed.len());
    Ok(())
}

/// Exactly the right properties are red; links and quietness were judged.
fn are_right(judgements: &[Judgement], row: &Row) -> Result<()> {
    let red = judgements
        .iter()
        .filter(|judgement| judgement.finding.verdict == Verdict::Broken);
    let told = |judgement: &Judgement| {
        let finding = &judgement.finding;
        format!(
            "{}: {}\n    | {}",
            finding.check, finding.evidence, finding.state
        )
    };
    let all: Vec<String> = red.clone().map(told).collect();
    let all = all.join("\n");
    eprintln!("{}\n{all}", row.name);
    let red: Vec<&str> = red.map(|judgement| &*judgement.finding.check).collect();
    ensure!(red == row.red, "{red:?} are red, not {:?}:\n{all}", row.red);
    for judgement in judgements {
        let finding = &judgement.finding;
        let judged = ["topology-states", "quiet"].contains(&&*finding.check);
        if judged && !row.red.contains(&&*finding.check) {
            let (check, seen) = (&finding.check, &finding.evidence);
            ensure!(finding.verdict == Verdict::Holds, "{check}: {seen}");
        }
        if finding.check == row.explained {
            for says in row.says {
                ensure!(finding.state.contains(says), "no '{says}' in:\n{all}");
            }
        }
    }
    Ok(())
}
