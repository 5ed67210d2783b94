//! primary2 runs another release than primary1, as during a rolling upgrade.

use anyhow::Result;
use redis::{Value, cmd};

use super::Scenario;
use crate::cluster::{Node, Order};
use crate::spec::KeydbSpec;
use crate::topology::{Topology, TopologyError};
use crate::trial::Trial;
use crate::wait::{DEADLINE, Unmet, eventually};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "mixed-versions",
    title: "primary2 runs another release",
    promise: "what one release acknowledges reaches a peer of another, with its TTL",
    source: "KeyDB docs active-rep.md (any command written to one node is seen on the other); upstream's releases promise no order of upgrades",
    seconds: 5,
    variants: &["6.2.2", "6.0.18", "5.3.3"],
    long: &[],
    damage: &[],
    needs: &[],
    order: Order::Staged,
    topology,
    run: |trial| Box::pin(run(trial)),
};

/// Keys of each kind that each primary writes.
const KEYS: usize = 20;
/// Seconds that keys with a TTL live: longer than any trial.
const TTL: u64 = 5000;

/// What a key is written with, its value and TTL left out.
const PLAIN: &[&str] = &["set", "list", "hash", "zset", "counter"];
const WITH_TTL: &[&str] = &["set-ex", "set-px", "setex", "psetex", "expire"];

fn topology(variant: &str) -> Result<Topology, TopologyError> {
    Topology::active_active()
        .without_proxy()
        .node_keydb("primary2", KeydbSpec::Version(variant.to_owned()))
        .build()
}

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
    let ran = [identity(one).await?, identity(two).await?].join(", ");
    let promise = "the primaries run two releases";
    trial.check("releases", promise, Ok::<_, String>(ran));
    for (writer, reader) in [(one, two), (two, one)] {
        write(writer).await?;
        let from = writer.name();
        for (kinds, check, promise) in [
            (
                PLAIN,
                "plain",
                "what is written without a TTL is on the peer",
            ),
            (
                WITH_TTL,
                "ttl",
                "what is written with a TTL is on the peer, with a TTL",
            ),
        ] {
            let seen = arrived(trial, writer, reader, kinds).await;
            trial.check(&format!("{check}-from-{from}"), promise, seen);
        }
    }
    Ok(())
}

/// What a node really runs, by its own words.
async fn identity(node: &Node) -> Result<String> {
    let info = node.info().await?;
    let executable = info.executable().unwrap_or_default();
    let sha256 = node.server().binary_sha256(executable).await?;
    let version = info.version().unwrap_or("an unknown version");
    Ok(format!("{} runs {version} (sha256 {sha256})", node.name()))
}

fn key(writer: &Node, kind: &str, number: usize) -> String {
    format!("{}:{kind}:{number}", writer.name())
}

async fn write(writer: &Node) -> Result<()> {
    let mut pipe = redis::pipe();
    for number in 0..KEYS {
        let mut add = |name: &str, kind: &str, words: &[&str]| {
            let mut command = cmd(name);
            command.arg(key(writer, kind, number)).arg(words);
            pipe.add_command(command).ignore();
        };
        let (seconds, millis) = (TTL.to_string(), (TTL * 1000).to_string());
        add("SET", "set", &["v"]);
        add("RPUSH", "list", &["a", "b"]);
        add("HSET", "hash", &["f", "v"]);
        add("ZADD", "zset", &["1", "m"]);
        add("INCRBY", "counter", &["7"]);
        add("SET", "set-ex", &["v", "EX", &seconds]);
        add("SET", "set-px", &["v", "PX", &millis]);
        add("SETEX", "setex", &[&seconds, "v"]);
        add("PSETEX", "psetex", &[&millis, "v"]);
        add("SET", "expire", &["v"]);
        add("EXPIRE", "expire", &[&seconds]);
    }
    writer.client().await?.pipeline::<()>(&pipe).await?;
    Ok(())
}

/// Waits until everything of the last kind has arrived, or surely will not: the last thing that was
/// written has. Then looks at all.
async fn arrived(
    trial: &Trial,
    writer: &Node,
    reader: &Node,
    kinds: &[&str],
) -> Result<String, String> {
    let mark = format!("{}:mark", writer.name());
    let said = |error: crate::cluster::ClientError| error.to_string();
    let mut client = writer.client().await.map_err(said)?;
    let command = cmd("INCR").arg(&mark).to_owned();
    let wanted: i64 = client.query(&command).await.map_err(said)?;
    let what = format!("the last write is on {}", reader.name());
    let waited = eventually(trial.cluster(), &what, DEADLINE, || async {
        let mut client = reader.client().await.map_err(said)?;
        let seen: Option<i64> = client.query(cmd("GET").arg(&mark)).await.map_err(said)?;
        match seen == Some(wanted) {
            true => Ok(()),
            false => Err(format!("{seen:?} of {wanted}")),
        }
    });
    waited.await.map_err(|unmet: Unmet| unmet.sentence())?;
    let mut missing = Vec::new();
    for kind in kinds {
        let bound = WITH_TTL.contains(kind);
        let mut pipe = redis::pipe();
        for number in 0..KEYS {
            pipe.cmd("TTL").arg(key(writer, kind, number));
        }
        let mut client = reader.client().await.map_err(said)?;
        let seen: Value = client.pipeline(&pipe).await.map_err(said)?;
        let seen: Vec<i64> = redis::from_redis_value(seen).map_err(|error| error.to_string())?;
        let gone = seen.iter().filter(|ttl| **ttl == -2).count();
        let other =
            seen.iter().filter(|ttl| (**ttl >= 0) != bound).count() - if bound { gone } else { 0 };
        if gone > 0 {
            missing.push(format!("{kind}: {gone} of {KEYS} missing"));
        }
        if bound && other > 0 {
            missing.push(format!("{kind}: {other} of {KEYS} without their TTL"));
        }
        if !bound && other > 0 {
            missing.push(format!("{kind}: {other} of {KEYS} with a TTL"));
        }
    }
    match missing.is_empty() {
        true => Ok(format!(
            "{KEYS} keys of {} kinds on {}",
            kinds.len(),
            reader.name()
        )),
        false => Err(format!("on {}: {}", reader.name(), missing.join(", "))),
    }
}
