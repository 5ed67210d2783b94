//! Two primaries: what both hold and say after writes, and after the restart of one.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use keydb_harness::cluster::info::Info;
use keydb_harness::cluster::{Cluster, Node, ready};
use keydb_harness::property::{agreement, log_rules};
use keydb_harness::topology::Persistence;
use keydb_harness::wait::{DEADLINE, eventually, steadily};
use redis_protocol::resp2::types::BytesFrame;

use crate::accepted::Difference;
use crate::commands::{Draw, GRAMMAR};
use crate::data;
use crate::wire::{Wire, shown};
use crate::{Bench, Pair};

/// How many commands each primary gets at a time.
const COMMANDS: usize = 150;

/// Sends the same drawn commands to a node of each cluster; all keys begin with `prefix`.
async fn write(pair: &Pair, node: &str, prefix: &str, seed: u64) -> Result<()> {
    let mut draw = Draw::new(seed);
    let mut commands = Vec::new();
    for database in ["0", "1"] {
        commands.push(vec![b"SELECT".to_vec(), database.into()]);
        let writes = GRAMMAR.iter().filter(|(name, arguments)| {
            arguments.starts_with(|c: char| "snglu hzk".contains(c)) && *name != "MOVE"
        });
        let writes: Vec<_> = writes.collect();
        while commands.len() % (COMMANDS + 1) != COMMANDS {
            let (name, arguments) = writes[draw.below(writes.len())];
            let mut command = draw.of_grammar(name, arguments);
            // A key is whatever has a key's form: a letter and a number.
            for word in command.iter_mut().skip(1) {
                if word.len() == 2 && word[0].is_ascii_lowercase() && word[1].is_ascii_digit() {
                    *word = [prefix.as_bytes(), word].concat();
                }
            }
            if command
                .get(1)
                .is_some_and(|key| key.starts_with(prefix.as_bytes()))
            {
                commands.push(command);
            }
        }
        commands.push(vec![
            b"SET".to_vec(),
            format!("{prefix}last").into_bytes(),
            seed.to_string().into_bytes(),
        ]);
    }
    for node in pair.both(node)? {
        Wire::to(node).await?.all(&commands).await?;
    }
    Ok(())
}

/// Sends the same commands to a node of each cluster.
async fn say(pair: &Pair, node: &str, commands: &[String]) -> Result<()> {
    let commands: Vec<Vec<&str>> = commands
        .iter()
        .map(|command| command.split(' ').collect())
        .collect();
    for node in pair.both(node)? {
        let replies = Wire::to(node).await?.all(&commands).await?;
        let refused = replies
            .iter()
            .find(|reply| matches!(reply, BytesFrame::Error(_)));
        ensure!(
            refused.is_none(),
            "{}: {}",
            node.name(),
            shown(refused.context("refused")?)
        );
    }
    Ok(())
}

/// All data of both clusters, on both nodes.
async fn data_differences(pair: &Pair) -> Result<Vec<Difference>> {
    let mut found = Vec::new();
    for name in ["primary1", "primary2"] {
        let [model, real] = pair.both(name)?;
        let differences = data::differences(&data::read(model).await?, &data::read(real).await?);
        found.extend(differences.into_iter().map(|difference| Difference {
            detail: format!("{name} {}", difference.detail),
            ..difference
        }));
    }
    Ok(found)
}

async fn info(node: &Node) -> Result<Info> {
    Ok(node.info().await?)
}

/// A field's value without what is the server's own: ids, offsets, addresses.
fn general(field: &str, value: &str) -> String {
    match field {
        "master_host" | "master_port" => "an address".to_owned(),
        "master_replid" => format!("{} digits", value.len()),
        "master_replid2" if value.bytes().any(|byte| byte != b'0') => "an id".to_owned(),
        // Counted in bytes of streams that differ.
        field if field.ends_with("offset") && value != "-1" => "a number".to_owned(),
        "repl_backlog_histlen" | "master_last_io_seconds_ago" => "a number".to_owned(),
        field if field.starts_with("slave") && value.contains("state=") => value
            .split(',')
            .map(|part| match part.split_once('=') {
                Some((name @ "state", value)) => format!("{name}={value}"),
                Some((name, _)) => format!("{name}=…"),
                None => part.to_owned(),
            })
            .collect::<Vec<_>>()
            .join(","),
        _ => value.to_owned(),
    }
}

/// What one INFO says that the other does not.
fn info_differences(node: &str, model: &Info, real: &Info) -> Vec<Difference> {
    let fields = |info: &Info| -> Vec<(String, String)> {
        let entries = info
            .entries()
            .iter()
            .filter(|entry| &*entry.section == "Replication");
        entries
            .map(|entry| (entry.key.clone(), general(&entry.key, &entry.value)))
            .collect()
    };
    let mut found = Vec::new();
    let mut note = |subject: String, model: String, real: String| {
        if model != real {
            found.push(Difference {
                subject,
                detail: node.to_owned(),
                model,
                real,
            });
        }
    };
    let (one, other) = (fields(model), fields(real));
    let names = |fields: &[(String, String)]| {
        fields
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>()
            .join(" ")
    };
    note(
        "INFO replication, the fields".to_owned(),
        names(&one),
        names(&other),
    );
    for ((name, value), (other_name, other)) in one.iter().zip(&other) {
        if name == other_name {
            note(
                format!("INFO replication {name}"),
                value.clone(),
                other.clone(),
            );
        }
    }
    let counts = |info: &Info| {
        let databases = info.keyspace();
        let part = |of: fn(&keydb_harness::cluster::info::KeyspaceStats) -> u64| {
            databases
                .iter()
                .map(|(number, stats)| format!("db{number}={}", of(stats)))
                .collect::<Vec<_>>()
                .join(",")
        };
        [part(|stats| stats.keys), part(|stats| stats.expires)]
    };
    let ([keys, expires], [real_keys, real_expires]) = (counts(model), counts(real));
    note("INFO keyspace keys".to_owned(), keys, real_keys);
    note("INFO keyspace expires".to_owned(), expires, real_expires);
    note(
        "INFO loading".to_owned(),
        format!("{:?}", model.loading()),
        format!("{:?}", real.loading()),
    );
    // The rest of the model's INFO is a part of KeyDB's, in its order.
    let all = |info: &Info| -> Vec<String> {
        let entries = info
            .entries()
            .iter()
            .filter(|entry| !["Replication", "Keyspace"].contains(&&*entry.section));
        entries
            .map(|entry| format!("{} {}", entry.section, entry.key))
            .collect()
    };
    let mut rest = all(real).into_iter();
    for field in all(model) {
        if !rest.any(|other| other == field) {
            note(
                format!("INFO, the field {field}"),
                "in its order".to_owned(),
                "missing or elsewhere".to_owned(),
            );
            rest = all(real).into_iter();
        }
    }
    found
}

/// The kinds of a reply's parts; words stay unless they are addresses.
fn shape(reply: &BytesFrame) -> String {
    match reply {
        BytesFrame::Array(parts) => format!(
            "[{}]",
            parts.iter().map(shape).collect::<Vec<_>>().join(", ")
        ),
        BytesFrame::Integer(_) => "number".to_owned(),
        BytesFrame::BulkString(word) if word.first().is_some_and(u8::is_ascii_digit) => {
            "\"digits\"".to_owned()
        }
        other => shown(other),
    }
}

/// Every node of the cluster agrees, offsets have settled, and each link said something lately.
async fn quiet(cluster: &Cluster) -> Result<()> {
    agreement::reached(cluster).await?;
    eventually(
        cluster,
        "every follower acknowledged everything",
        DEADLINE,
        || async {
            for node in cluster.live() {
                let info = node.glance().await.map_err(|error| error.to_string())?;
                // What a child process still writes would not be there after a kill.
                let writing = [
                    "rdb_bgsave_in_progress",
                    "aof_rewrite_in_progress",
                    "aof_rewrite_scheduled",
                ];
                if let Some(field) = writing
                    .iter()
                    .find(|field| info.stat(field).is_some_and(|n| n > 0))
                {
                    return Err(format!("{}: {field}", node.name()));
                }
                let replication = info.replication();
                if replication
                    .slaves
                    .iter()
                    .any(|slave| slave.state != "online")
                    || replication.slaves.is_empty()
                {
                    return Err(format!("{}: {:?}", node.name(), replication.slaves));
                }
            }
            Ok(())
        },
    )
    .await?;
    Ok(())
}

/// Each primary gets keys of its own; then both hold and say the same, as do model and KeyDB.
pub async fn without_conflicts(bench: &Bench) -> Result<Vec<Difference>> {
    let pair = bench.start(|builder| builder).await?;
    for seed in [1, 2] {
        tokio::try_join!(
            write(&pair, "primary1", "one:", seed),
            write(&pair, "primary2", "two:", seed + 10)
        )?;
    }
    for cluster in [&pair.model, &pair.real] {
        quiet(cluster).await?;
    }
    let held = data::read(pair.real.node("primary1")?).await?;
    for prefix in ["one:", "two:"] {
        let keys = held.keys().filter(|key| key.contains(prefix)).count();
        ensure!(keys > 10, "only {keys} keys with {prefix}");
    }
    let mut found = data_differences(&pair).await?;
    for cluster in [&pair.model, &pair.real] {
        let between = data::differences(
            &data::read(cluster.node("primary1")?).await?,
            &data::read(cluster.node("primary2")?).await?,
        );
        ensure!(between.is_empty(), "the primaries differ: {between:?}");
    }
    for name in ["primary1", "primary2"] {
        let [model, real] = pair.both(name)?;
        found.extend(info_differences(
            name,
            &info(model).await?,
            &info(real).await?,
        ));
        let mut roles = Vec::new();
        for node in [model, real] {
            roles.push(shape(&Wire::to(node).await?.say("ROLE").await?));
        }
        if roles[0] != roles[1] {
            found.push(Difference {
                subject: "ROLE".to_owned(),
                detail: name.to_owned(),
                model: roles[0].clone(),
                real: roles[1].clone(),
            });
        }
    }
    pair.close().await;
    Ok(found)
}

/// What a restart left behind, of one cluster.
#[derive(Debug, Default)]
struct Aftermath(BTreeMap<String, String>);

/// The counts of resynchronisations that a node served.
async fn served(node: &Node) -> Result<[i64; 2]> {
    let info = info(node).await?;
    Ok(["sync_full", "sync_partial_ok"].map(|field| info.stat(field).unwrap_or(0)))
}

fn broken_rules(log: &str) -> Result<String> {
    let matches = log_rules::scan(&log_rules::built_in()?, log);
    let ids: BTreeSet<_> = matches.into_iter().map(|found| found.rule).collect();
    Ok(ids.into_iter().collect::<Vec<_>>().join(" "))
}

async fn bounce(cluster: &Cluster, kill: bool) -> Result<()> {
    let primary1 = cluster.node("primary1")?;
    if kill {
        primary1.kill().await?
    } else {
        primary1.stop().await?
    }
    Ok(())
}

/// Starts primary1 again and waits until all is calm.
async fn revive(cluster: &Cluster, replid: &str, before: [i64; 2]) -> Result<Aftermath> {
    let primary1 = cluster.node("primary1")?;
    let primary2 = cluster.node("primary2")?;
    // Else the link that was lost could still be taken for the one that comes back.
    eventually(cluster, "primary2 lost its link", DEADLINE, || async {
        let info = primary2.glance().await.map_err(|error| error.to_string())?;
        match info
            .replication()
            .masters
            .iter()
            .any(|master| master.link_up)
        {
            true => Err("up"),
            false => Ok(()),
        }
        .map_err(str::to_owned)
    })
    .await?;
    primary1.start().await?;
    eventually(cluster, "every link is up", DEADLINE, || {
        ready::links(cluster)
    })
    .await?;
    steadily(
        cluster,
        "every link stays up",
        cluster.pace().steady,
        DEADLINE,
        || ready::links(cluster),
    )
    .await?;
    let mut seen = Aftermath::default();
    let now = info(primary1).await?.replication().replid;
    let kept = if now == replid { "stayed" } else { "changed" };
    seen.0
        .insert("INFO replication master_replid".to_owned(), kept.to_owned());
    for (name, before) in [("primary1", [0, 0]), ("primary2", before)] {
        let node = cluster.node(name)?;
        let now = served(node).await?;
        seen.0.insert(
            format!("INFO sync_full {name}"),
            (now[0] - before[0]).to_string(),
        );
        seen.0.insert(
            format!("INFO sync_partial_ok {name}"),
            (now[1] - before[1]).to_string(),
        );
        seen.0.insert(
            format!("log rules {name}"),
            broken_rules(&node.log().await?)?,
        );
    }
    Ok(seen)
}

/// primary1 is away while primary2 writes, changes and deletes; then it returns.
pub async fn restart(
    bench: &Bench,
    persistence: Persistence,
    kill: bool,
) -> Result<Vec<Difference>> {
    let pair = bench
        .start(|builder| builder.persistence(persistence))
        .await?;
    let keys = |prefix: &str, value: &str| -> Vec<String> {
        let number = |n: usize| {
            let key = format!("{prefix}:{n}");
            [
                format!("SET {key}:string {value}"),
                format!("SET {key}:ttl {value} EX 10000"),
                format!("RPUSH {key}:list {value} b"),
                format!("HSET {key}:hash f {value} g b"),
                format!("SADD {key}:set {value} b"),
                format!("ZADD {key}:zset 1 {value}"),
                format!("SET {key}:deleted {value}"),
                format!("SET {key}:changed {value}"),
            ]
        };
        (0..20).flat_map(number).collect()
    };
    say(&pair, "primary1", &keys("one", "v")).await?;
    say(&pair, "primary2", &keys("two", "v")).await?;
    for cluster in [&pair.model, &pair.real] {
        quiet(cluster).await?;
    }
    let mut befores = Vec::new();
    for cluster in [&pair.model, &pair.real] {
        let replid = info(cluster.node("primary1")?).await?.replication().replid;
        befores.push((replid, served(cluster.node("primary2")?).await?));
    }
    tokio::try_join!(bounce(&pair.model, kill), bounce(&pair.real, kill))?;
    let mut changes = keys("three", "v");
    for n in 0..20 {
        for whose in ["one", "two"] {
            changes.extend([
                format!("DEL {whose}:{n}:deleted"),
                format!("SET {whose}:{n}:changed new"),
                format!("SADD {whose}:{n}:set new"),
            ]);
        }
    }
    say(&pair, "primary2", &changes).await?;
    let (model, real) = tokio::try_join!(
        revive(&pair.model, &befores[0].0, befores[0].1),
        revive(&pair.real, &befores[1].0, befores[1].1)
    )?;
    let mut found = data_differences(&pair).await?;
    for (subject, model) in &model.0 {
        let real = &real.0[subject];
        if model != real {
            let (subject, detail) = match subject.rsplit_once(" primary") {
                Some((subject, number)) => (subject.to_owned(), format!("primary{number}")),
                None => (subject.clone(), "primary1".to_owned()),
            };
            found.push(Difference {
                subject,
                detail,
                model: model.clone(),
                real: real.clone(),
            });
        }
    }
    pair.close().await;
    Ok(found)
}
