//! Guide, step 1: a key written through the proxy reaches both primaries and every replica.

use std::time::Duration;

use anyhow::Result;
use redis::{Value, cmd};
use tokio::time::Instant;

use super::{Scenario, reference};
use crate::cluster::Order;
use crate::model::Class;
use crate::property::visible::{Latencies, Readers, bulk, everywhere, readers};
use crate::property::{agreement, offsets};
use crate::trial::Trial;
use crate::wait::Unmet;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "write-reaches-all",
    title: "a key written through the proxy reaches every node",
    promise: "a key written through the proxy is readable on both primaries and on every replica",
    source: "guide, Testing; KeyDB docs active-rep.md (any command written to one node is seen on the other)",
    seconds: 9,
    variants: &[""],
    long: &[],
    damage: &[
        Class::Expiry,
        Class::WrongDatabase,
        Class::Divergence,
        Class::LostWrite,
        Class::Crash,
        Class::WrongInfo,
    ],
    needs: &[],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

/// KeyDB's default number of databases.
const DATABASES: u32 = 16;
/// How many transactions one client makes.
const TRANSACTIONS: usize = 40;
/// How many plain writes the latency is taken from.
const WRITES: usize = 50;

async fn run(trial: &Trial) -> Result<()> {
    plain(trial).await?;
    binary(trial).await?;
    databases(trial).await?;
    transaction(trial).await?;
    many_transactions(trial).await?;
    expiry(trial).await?;
    // The plain and the binary keys, one per database, MULTI's three, the two of the many, and the
    // one that lives on.
    let keys = WRITES as u64 + 1 + u64::from(DATABASES) + 3 + 2 + 1;
    agreement::check(trial, "agreement", keys).await;
    offsets::check(trial, "offsets").await;
    Ok(())
}

async fn plain(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let mut proxy = trial.proxy_client().await?;
    let mut nodes = readers(cluster, 0).await?;
    let mut all: Vec<Latencies> = Vec::new();
    let mut failed: Option<Unmet> = None;
    for n in 0..WRITES {
        let (key, value) = (format!("key{n}"), format!("val{n}"));
        proxy.query::<()>(cmd("SET").arg(&key).arg(&value)).await?;
        let acknowledged = Instant::now();
        let read = cmd("GET").arg(&key).to_owned();
        match everywhere(
            cluster,
            &mut nodes,
            &key,
            &read,
            &bulk(&value),
            acknowledged,
        )
        .await
        {
            Ok(latencies) => all.push(latencies),
            Err(unmet) => {
                failed = Some(unmet);
                break;
            }
        }
    }
    let names: Vec<String> = all
        .first()
        .map(|l| l.0.keys().cloned().collect())
        .unwrap_or_default();
    let mut medians = Latencies::default();
    for name in names {
        let mut times: Vec<Duration> = all.iter().filter_map(|l| l.0.get(&name)).copied().collect();
        times.sort_unstable();
        let median = times[times.len() / 2];
        trial.measure(
            format!("median latency to {name}"),
            median.as_secs_f64() * 1000.0,
            "ms",
        );
        medians.0.insert(name, median);
    }
    let slowest = medians.slowest();
    let holds = trial.check(
        "visible",
        "a key written through the proxy is readable on every node",
        match failed {
            None => Ok(format!(
                "{WRITES} of {WRITES} keys; median after the ack: {medians}"
            )),
            Some(unmet) => Err(unmet),
        },
    );
    if holds {
        trial.headline(format!(
            "median {:.1} ms to the slowest node",
            slowest.as_secs_f64() * 1000.0
        ));
    }
    Ok(())
}

async fn binary(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let every_byte: Vec<u8> = (0..=255).collect();
    let key: Vec<u8> = [b"binary:".as_slice(), &every_byte].concat();
    trial
        .proxy_client()
        .await?
        .query::<()>(cmd("SET").arg(&key).arg(&every_byte))
        .await?;
    let mut nodes = readers(cluster, 0).await?;
    let read = cmd("GET").arg(&key).to_owned();
    let wanted = bulk(&every_byte);
    let seen = everywhere(
        cluster,
        &mut nodes,
        "a binary key",
        &read,
        &wanted,
        Instant::now(),
    )
    .await;
    trial.check(
        "binary",
        "keys and values of any bytes arrive unchanged",
        seen.map(|_| "a key and a value with all 256 bytes"),
    );
    Ok(())
}

async fn databases(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let mut proxy = trial.proxy_client().await?;
    let mut failed = None;
    for database in 0..DATABASES {
        proxy.select(database).await?;
        proxy
            .query::<()>(cmd("SET").arg("in-database").arg(database))
            .await?;
    }
    for database in 0..DATABASES {
        let mut nodes = readers(cluster, database).await?;
        let what = format!("database {database}'s key");
        let read = cmd("GET").arg("in-database").to_owned();
        let wanted = bulk(database.to_string());
        let seen = everywhere(cluster, &mut nodes, &what, &read, &wanted, Instant::now()).await;
        if let Err(unmet) = seen {
            failed = Some(unmet);
            break;
        }
    }
    trial.check(
        "databases",
        "a write arrives in the database it was made in",
        failed.map_or(Ok(format!("{DATABASES} databases")), Err),
    );
    Ok(())
}

async fn transaction(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let mut transaction = redis::pipe();
    transaction.atomic();
    transaction.cmd("SET").arg("tx:a").arg("1").ignore();
    transaction.cmd("INCRBY").arg("tx:b").arg(41).ignore();
    transaction
        .cmd("RPUSH")
        .arg("tx:c")
        .arg("x")
        .arg("y")
        .ignore();
    transaction.cmd("INCR").arg("tx:b").ignore();
    trial
        .proxy_client()
        .await?
        .pipeline::<()>(&transaction)
        .await?;
    let mut nodes = readers(cluster, 0).await?;
    let read = cmd("MGET").arg("tx:a").arg("tx:b").to_owned();
    let wanted = Value::Array(vec![bulk("1"), bulk("42")]);
    let strings = everywhere(cluster, &mut nodes, "MULTI", &read, &wanted, Instant::now()).await;
    let read = cmd("LRANGE").arg("tx:c").arg(0).arg(-1).to_owned();
    let wanted = Value::Array(vec![bulk("x"), bulk("y")]);
    let list = everywhere(
        cluster,
        &mut nodes,
        "MULTI's list",
        &read,
        &wanted,
        Instant::now(),
    )
    .await;
    trial.check(
        "transaction",
        "a MULTI arrives whole, each command once",
        strings
            .and(list)
            .map(|_| "SET, INCRBY, INCR and RPUSH in one MULTI"),
    );
    Ok(())
}

/// Transactions one after the other on one primary: each counts once, and none is its last.
async fn many_transactions(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let mut proxy = trial.proxy_client().await?;
    let mut transaction = redis::pipe();
    transaction.atomic();
    transaction.cmd("INCR").arg("txs:a").ignore();
    transaction.cmd("INCRBY").arg("txs:b").arg(2).ignore();
    for _ in 0..TRANSACTIONS {
        proxy.pipeline::<()>(&transaction).await?;
    }
    let mut nodes = readers(cluster, 0).await?;
    let read = cmd("MGET").arg("txs:a").arg("txs:b").to_owned();
    let once = bulk(TRANSACTIONS.to_string());
    let twice = bulk((2 * TRANSACTIONS).to_string());
    let wanted = Value::Array(vec![once, twice]);
    let began = Instant::now();
    let seen = everywhere(cluster, &mut nodes, "every MULTI", &read, &wanted, began).await;
    trial.check(
        "transactions",
        "each of many transactions counts once on every node",
        seen.map(|_| format!("{TRANSACTIONS} transactions")),
    );
    Ok(())
}

async fn expiry(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let short = cluster.pace().short_ttl;
    let mut proxy = trial.proxy_client().await?;
    let mut nodes = readers(cluster, 0).await?;
    let written = Instant::now();
    proxy
        .query::<()>(cmd("SET").arg("ttl:long").arg("1").arg("EX").arg(5000))
        .await?;
    proxy
        .query::<()>(cmd("SETEX").arg("ttl:short").arg(short).arg("1"))
        .await?;

    let read = cmd("EXISTS").arg("ttl:short").to_owned();
    let promise = "a key that expires is there first, and then gone, on every node";
    let one = Value::Int(1);
    let there = everywhere(
        cluster,
        &mut nodes,
        "a key that expires",
        &read,
        &one,
        written,
    )
    .await;
    let in_time = there
        .as_ref()
        .is_ok_and(|times| times.slowest().as_secs() < short);
    let slow = written.elapsed().as_secs() >= short;

    long_ttl(trial, &mut nodes, written).await?;

    if !in_time && slow && there.is_ok() {
        let why = format!("it took longer than its {short} s to be seen everywhere");
        trial.inconclusive("expiry", promise, why);
        return Ok(());
    }
    let gone = match there {
        Ok(_) => {
            everywhere(
                cluster,
                &mut nodes,
                "it is gone",
                &read,
                &Value::Int(0),
                written,
            )
            .await
        }
        Err(unmet) => Err(unmet),
    };
    trial.check("expiry", promise, gone.map(|_| format!("TTL {short} s")));
    Ok(())
}

/// A TTL cannot be compared for equality: each node is asked through a command that rounds.
async fn long_ttl(trial: &Trial, nodes: &mut Readers, written: Instant) -> Result<()> {
    let cluster = trial.cluster();
    let read = cmd("EXISTS").arg("ttl:long").to_owned();
    let arrived = everywhere(
        cluster,
        nodes,
        "a key with a TTL",
        &read,
        &Value::Int(1),
        written,
    )
    .await;
    let mut wrong = Vec::new();
    for node in cluster.live() {
        let ttl: i64 = node
            .client()
            .await?
            .query(cmd("TTL").arg("ttl:long"))
            .await?;
        let elapsed = i64::try_from(written.elapsed().as_secs()).unwrap_or(i64::MAX);
        if !(5000 - elapsed - 2..=5000).contains(&ttl) {
            wrong.push(format!("{} has {ttl} s of 5000", node.name()));
        }
    }
    let kept = match arrived {
        Ok(_) if wrong.is_empty() => Ok("TTL 5000 s on every node"),
        Ok(_) => Err(wrong.join("; ").into()),
        Err(unmet) => Err(crate::trial::Broken::from(unmet)),
    };
    trial.check("ttl", "a TTL arrives with its key", kept);
    Ok(())
}
