//! What is on its way when a link stands still, or breaks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::time::{Instant, sleep};

use super::{ONE, TWO};
use crate::behaviour::Table;
use crate::cluster::Node;
use crate::fault::{BlackHole, CutInside, Fault, Link, Together};
use crate::property::{agreement, relink};
use crate::scenario::PARTED;
use crate::trial::Trial;
use crate::wait::{DEADLINE, eventually};

/// Keys of each kind.
const KEYS: usize = 20;
/// Long enough for a link to be struck meanwhile, and for what follows.
const TTL: Duration = Duration::from_secs(3);

fn named(prefix: &str) -> Vec<String> {
    (0..KEYS).map(|n| format!("cross:{prefix}:{n}")).collect()
}

async fn there(node: &Node, keys: &[String]) -> Result<usize> {
    let mut ask = cmd("EXISTS");
    ask.arg(keys);
    Ok(node.client().await?.query(&ask).await?)
}

async fn sum(node: &Node, keys: &[String]) -> Result<usize> {
    let mut ask = cmd("MGET");
    ask.arg(keys);
    let values: Vec<Option<usize>> = node.client().await?.query(&ask).await?;
    Ok(values.into_iter().flatten().sum())
}

/// Of keys that live for long: how long each has yet, by a node.
async fn left(node: &Node, keys: &[String]) -> Result<Vec<i64>> {
    let mut ask = redis::pipe();
    for key in keys {
        ask.cmd("PTTL").arg(key);
    }
    Ok(node.client().await?.pipeline(&ask).await?)
}

/// How many of the keys each live node has: right if all have as many as wanted.
async fn have(trial: &Trial, keys: &[String], wanted: usize) -> Result<Result<String, String>> {
    let mut counts = Vec::new();
    for node in trial.cluster().live() {
        counts.push((node.name(), there(node, keys).await?));
    }
    let told: Vec<_> = counts
        .iter()
        .map(|(name, count)| format!("{count} on {name}"))
        .collect();
    let told = format!("of {} keys {}", keys.len(), told.join(", "));
    Ok(match counts.iter().all(|(_, count)| *count == wanted) {
        true => Ok(told),
        false => Err(told),
    })
}

/// What a key has to live that is set while the link holds everything back.
const LONG: Duration = Duration::from_secs(600);
/// How long the link holds back at least what is set: less does not show whether time runs meanwhile.
const HELD: Duration = Duration::from_secs(2);
/// By how much two primaries may disagree on the end of a key: clocks tick in milliseconds, and the
/// time in between is seen.
const APART: i64 = 400;

/// Whether what primary1 gave a time to live while nothing crossed ends on primary2 when it does there.
async fn ends_together(trial: &Trial, keys: &[String], held: Duration) -> Result<()> {
    let promise = "a key lives as long on a primary that hears of it late";
    let check = "ends-together";
    let (one, two) = (trial.cluster().node(ONE)?, trial.cluster().node(TWO)?);
    let before = left(one, keys).await?;
    let there = left(two, keys).await?;
    let after = left(one, keys).await?;
    let ends = keys.iter().zip(&before).zip(&there).zip(&after);
    let wrong: Vec<String> = ends
        .filter(|(((_, before), there), after)| {
            !(*after - APART..=*before + APART).contains(*there)
        })
        .map(|(((key, before), there), _)| {
            format!("{key} is to live {there} ms on {TWO}, {before} ms on {ONE}")
        })
        .collect();
    let seen = match wrong.first() {
        None => Ok(format!(
            "{} keys, held back for {:.1} s",
            keys.len(),
            held.as_secs_f64()
        )),
        Some(first) => Err(format!(
            "{} of {} keys after {:.1} s: {first}",
            wrong.len(),
            keys.len(),
            held.as_secs_f64()
        )),
    };
    trial.check(check, promise, seen);
    Ok(())
}

/// A TTL is taken away on primary1 in time; primary2 does not hear of it until the time is over. Nor
/// of keys that are set meanwhile with a long one.
pub(super) async fn late_ttl(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node(ONE)?, cluster.node(TWO)?);
    let keys = named("late");
    let mut written = redis::pipe();
    let mut kept = redis::pipe();
    for key in &keys {
        let milliseconds = u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX);
        written
            .cmd("SET")
            .arg(key)
            .arg("x")
            .arg("PX")
            .arg(milliseconds)
            .ignore();
        kept.cmd("PERSIST").arg(key);
    }
    let mut client = one.client().await?;
    client.pipeline::<()>(&written).await?;
    agreement::reached(cluster).await?;
    let holes = Arc::new(Together::between(ONE, TWO, || BlackHole));
    let Some(fault) = trial.inflict(holes, PARTED).await else {
        return Ok(());
    };
    let answers: Vec<usize> = client.pipeline(&kept).await?;
    let lasting = named("lasting");
    let mut set = redis::pipe();
    for key in &lasting {
        let set = set.cmd("SET").arg(key).arg("x").arg("EX");
        set.arg(LONG.as_secs()).ignore();
    }
    client.pipeline::<()>(&set).await?;
    let written = Instant::now();
    let promise = "a TTL that is taken away in time on one primary ends the key on neither";
    if answers.iter().sum::<usize>() < KEYS {
        let why = "the time was over before it could be taken away";
        trial.inconclusive("kept-in-time", promise, why);
        return Ok(());
    }
    eventually(
        cluster,
        "the time is over on primary2",
        DEADLINE,
        || async {
            match there(two, &keys).await {
                Ok(0) => Ok(()),
                Ok(some) => Err(format!("{some} keys are there")),
                Err(error) => Err(format!("{error:#}")),
            }
        },
    )
    .await?;
    sleep(HELD.saturating_sub(written.elapsed())).await;
    let held = written.elapsed();
    trial.heal(fault).await?;
    // What comes behind it has arrived: so has it.
    Table::on(trial).hands().settled().await?;
    ends_together(trial, &lasting, held).await?;
    trial.check("kept-in-time", promise, have(trial, &keys, KEYS).await?);
    Ok(())
}

/// Within which what is sent has arrived, on any machine.
const ARRIVES: Duration = Duration::from_secs(20);
/// The key within whose name the link breaks.
const INSIDE: &str = "cross:inside:1";

/// The link breaks between MULTI and EXEC.
pub(super) async fn cut_inside(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node(ONE)?, cluster.node(TWO)?);
    let relay = cluster.link(TWO, ONE)?;
    let cuts = relay.connections().cut;
    let cut = Link::new(ONE, TWO).struck_by(CutInside {
        key: Some(INSIDE.to_owned()),
    });
    cut.inject(cluster).await?;
    let keys = ["cross:inside:0", INSIDE, "cross:inside:2"].map(str::to_owned);
    let mut transaction = redis::pipe();
    transaction.atomic();
    for key in &keys {
        transaction.cmd("SET").arg(key).arg("x").ignore();
    }
    one.client().await?.pipeline::<()>(&transaction).await?;
    let what = "the link breaks within the transaction";
    let broke = eventually(cluster, what, DEADLINE, || async {
        match relay.connections().cut > cuts {
            true => Ok(()),
            false => Err("it is whole".to_owned()),
        }
    });
    if let Err(unmet) = broke.await {
        trial.inconclusive("fault", what, unmet.sentence());
        return Ok(());
    }
    let half = there(two, &keys).await?;
    let promise = "of a transaction that has not arrived whole nothing is to be seen";
    let seen = format!("{half} of {} keys on {TWO}", keys.len());
    trial.check(
        "no-half",
        promise,
        if half == 0 { Ok(seen) } else { Err(seen) },
    );
    let began = Instant::now();
    cut.recover(cluster).await?;
    let promise = "every link is up again";
    if relink::check(trial, "resyncs", promise, began)
        .await
        .is_none()
    {
        return Ok(());
    }
    let later = named("later");
    for node in [one, two] {
        let mut writes = redis::pipe();
        for key in &later {
            writes.cmd("INCR").arg(key).ignore();
        }
        node.client().await?.pipeline::<()>(&writes).await?;
    }
    let promise = "writes after a transaction within which the link broke are carried out";
    let arrives = eventually(cluster, promise, ARRIVES, || async {
        let mut few = Vec::new();
        for node in cluster.live() {
            let sum = sum(node, &later)
                .await
                .map_err(|error| format!("{error:#}"))?;
            if sum != 2 * KEYS {
                few.push(format!("{sum} of {} on {}", 2 * KEYS, node.name()));
            }
        }
        match few.is_empty() {
            true => Ok(format!("{} increments", 2 * KEYS)),
            false => Err(few.join(", ")),
        }
    });
    trial.check("later-writes", promise, arrives.await);
    let promise = "a transaction within which the link broke is carried out as a whole afterwards";
    trial.check("whole", promise, have(trial, &keys, keys.len()).await?);
    Ok(())
}
