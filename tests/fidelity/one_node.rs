//! One server under seeded commands: every reply, then all it holds.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use keydb_harness::cluster::Node;
use redis_protocol::resp2::types::{BytesFrame, Resp2Frame as _};

use crate::accepted::Difference;
use crate::commands::{DRAWN_BY_THE_SERVER, Draw, GRAMMAR, Words, typed};
use crate::data;
use crate::wire::{Wire, in_order, same, shown};
use crate::{Bench, Pair};

const SEEDS: u64 = 12;
const COMMANDS: usize = 400;
/// The data sets are compared each time so many commands were carried out.
const STRETCH: usize = 40;

/// The names of the model's data commands, as its sources have them.
fn table() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let mut folders = vec![concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/command").into()];
    while let Some(folder) = folders.pop() {
        let folder: std::path::PathBuf = folder;
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path)?;
                for begin in ["reads(\"", "writes(\""] {
                    let rows = source.split(begin).skip(1);
                    names.extend(rows.filter_map(|row| Some(row.split_once('"')?.0.to_owned())));
                }
            }
        }
    }
    Ok(names)
}

/// What is drawn here are commands of the model, with KeyDB's arity. Those that are not drawn have
/// their replies in the tables of `src/model/command/measured/`.
pub async fn command_table(bench: &Bench) -> Result<Vec<Difference>> {
    let drawn: BTreeSet<&str> = GRAMMAR.iter().map(|(name, _)| *name).collect();
    let tested: BTreeSet<&str> = drawn.iter().chain(DRAWN_BY_THE_SERVER).copied().collect();
    let table = table()?;
    let odd: Vec<_> = tested
        .iter()
        .filter(|name| !table.contains(**name))
        .collect();
    ensure!(odd.is_empty(), "no commands of the model: {odd:?}");
    let pair = bench.start(|builder| builder).await?;
    let mut told = Vec::new();
    for node in pair.both("primary1")? {
        let mut wire = Wire::to(node).await?;
        let mut rows = Vec::new();
        for name in &tested {
            let BytesFrame::Array(reply) = wire.say(&format!("COMMAND INFO {name}")).await? else {
                anyhow::bail!("COMMAND INFO gives no array");
            };
            rows.push(match &reply[..] {
                [BytesFrame::Array(row)] => {
                    let flags = shown(&row[2]);
                    let kind = ["+write", "+readonly"]
                        .into_iter()
                        .find(|kind| flags.contains(kind));
                    format!(
                        "{} {} {}",
                        shown(&row[0]),
                        shown(&row[1]),
                        kind.unwrap_or("?")
                    )
                }
                other => format!("{other:?}"),
            });
        }
        told.push(rows);
    }
    let rows = tested.iter().zip(told[0].iter().zip(&told[1]));
    let differences =
        rows.filter(|(_, (model, real))| model != real)
            .map(|(name, (model, real))| Difference {
                subject: (*name).to_owned(),
                detail: format!("COMMAND INFO {name}"),
                model: model.clone(),
                real: real.clone(),
            });
    let differences = differences.collect();
    pair.close().await;
    Ok(differences)
}

/// Two connections to one server.
struct Ends {
    wires: [Wire; 2],
}

impl Ends {
    async fn of(node: &Node) -> Result<Self> {
        Ok(Self {
            wires: [Wire::to(node).await?, Wire::to(node).await?],
        })
    }
}

/// Twelve sequences of 400 commands.
pub async fn one_node(bench: &Bench) -> Result<Vec<Difference>> {
    let pair = bench.start(|builder| builder).await?;
    let mut found = Vec::new();
    for seed in 1..=SEEDS {
        found.extend(sequence(bench, &pair, seed).await?);
    }
    pair.close().await;
    Ok(found)
}

async fn sequence(bench: &Bench, pair: &Pair, seed: u64) -> Result<Vec<Difference>> {
    let [model_node, real_node] = pair.both("primary1")?;
    let (mut model, mut real) = (Ends::of(model_node).await?, Ends::of(real_node).await?);
    let mut draw = Draw::new(seed);
    let mut found = Vec::new();
    let mut queued: [Vec<String>; 2] = Default::default();
    let mut last: Vec<String> = Vec::new();
    for wire in [&mut model.wires[0], &mut real.wires[0]] {
        wire.say("FLUSHALL").await?;
    }
    for step in 1..=COMMANDS {
        let end = usize::from(draw.once_in(6));
        let command = draw.command();
        let name = String::from_utf8_lossy(&command[0]).to_ascii_uppercase();
        last.push(format!("{step:3} {} {}", ["A", "B"][end], typed(&command)));
        let one = model.wires[end]
            .one(&command)
            .await
            .with_context(|| format!("model: {}", typed(&command)))?;
        let other = real.wires[end]
            .one(&command)
            .await
            .with_context(|| format!("KeyDB: {}", typed(&command)))?;
        if !same(&name, &queued[end], &one, &other) {
            let difference = Difference {
                subject: name.clone(),
                detail: format!("seed {seed}, {}", last[last.len() - 1]),
                model: shown(&in_order(&name, one.clone())),
                real: shown(&in_order(&name, other.clone())),
            };
            found.extend(told(bench, difference, &last));
            // What differs once is not to be told again and again.
            even_out(&mut model, &mut real, &command, &mut queued).await?;
        }
        match (name.as_str(), shown(&other).as_str()) {
            (_, "+QUEUED") => queued[end].push(name),
            ("EXEC" | "DISCARD", _) => queued[end].clear(),
            _ => {}
        }
        if step % STRETCH == 0 {
            let (one, other) = tokio::try_join!(data::read(model_node), data::read(real_node))?;
            for difference in data::differences(&one, &other) {
                let key = difference
                    .detail
                    .split(' ')
                    .nth(1)
                    .unwrap_or_default()
                    .to_owned();
                let words: Words = vec![b"DEL".to_vec(), key.clone().into_bytes()];
                let suspects: Vec<_> = last
                    .iter()
                    .filter(|line| line.contains(&key))
                    .cloned()
                    .collect();
                let detail = format!("seed {seed}, before step {step}: {}", difference.detail);
                found.extend(told(
                    bench,
                    Difference {
                        detail,
                        ..difference
                    },
                    &suspects,
                ));
                even_out(&mut model, &mut real, &words, &mut queued).await?;
            }
            last.clear();
        }
    }
    Ok(found)
}

/// A difference that is not accepted, with the commands before it.
fn told(bench: &Bench, difference: Difference, last: &[String]) -> Option<Difference> {
    let mut difference = bench.accepted.sift("one-node", vec![difference]).pop()?;
    let from = last.len().saturating_sub(12);
    difference.detail = format!(
        "{}\n        {}",
        difference.detail,
        last[from..].join("\n        ")
    );
    Some(difference)
}

/// Ends all transactions and removes the keys of a command.
async fn even_out(
    model: &mut Ends,
    real: &mut Ends,
    command: &Words,
    queued: &mut [Vec<String>; 2],
) -> Result<()> {
    for end in [model, real] {
        for wire in &mut end.wires {
            wire.say("DISCARD").await?;
        }
        for database in data::DATABASES {
            let mut words = vec![b"DEL".to_vec()];
            words.extend(command.iter().skip(1).cloned());
            let [_, other] = &mut end.wires;
            other.say(&format!("SELECT {database}")).await?;
            other.one(&words).await?;
        }
        end.wires[1].say("SELECT 0").await?;
    }
    *queued = Default::default();
    Ok(())
}

/// Commands whose replies the server draws: what kind of reply, and what is left.
pub async fn drawn_by_the_server(bench: &Bench) -> Result<Vec<Difference>> {
    const STEPS: &[&str] = &[
        "SPOP u",
        "SPOP u 2",
        "SPOP u 0",
        "SPOP u -1",
        "SPOP u x",
        "SPOP u 1 2",
        "SRANDMEMBER u",
        "SRANDMEMBER u 2",
        "SRANDMEMBER u -7",
        "SRANDMEMBER u x",
        "SRANDMEMBER u 0",
        "SRANDMEMBER u 100",
        "SRANDMEMBER u 1 2",
        "RANDOMKEY",
        "RANDOMKEY x",
        "SPOP none",
        "SPOP none 2",
        "SPOP none -1",
        "SRANDMEMBER none",
        "SRANDMEMBER none 2",
        "SPOP s",
        "SPOP s 1",
        "SRANDMEMBER s",
        "SRANDMEMBER s 1",
        "SCARD u",
        "SPOP u 100",
        "EXISTS u",
        "DEL s",
        "RANDOMKEY",
    ];
    let pair = bench.start(|builder| builder).await?;
    let mut kinds: Vec<Vec<String>> = Vec::new();
    for node in pair.both("primary1")? {
        let mut wire = Wire::to(node).await?;
        wire.say("SET s v").await?;
        wire.say("SADD u a b c d e f").await?;
        let mut seen = Vec::new();
        for step in STEPS {
            let reply = wire.say(step).await?;
            seen.push(kind(&reply));
        }
        // All of a scan in small steps, keys there throughout are found.
        for key in 0..100 {
            wire.say(&format!("SET scanned:{key} v")).await?;
        }
        let (mut cursor, mut scanned) = ("0".to_owned(), BTreeSet::new());
        loop {
            let BytesFrame::Array(reply) = wire
                .say(&format!("SCAN {cursor} COUNT 7 MATCH scanned:*"))
                .await?
            else {
                anyhow::bail!("SCAN gives no array");
            };
            cursor = reply[0].as_str().unwrap_or_default().to_owned();
            if let BytesFrame::Array(keys) = &reply[1] {
                scanned.extend(keys.iter().map(shown));
            }
            if cursor == "0" {
                break;
            }
        }
        seen.push(format!("{scanned:?}"));
        kinds.push(seen);
    }
    pair.close().await;
    let steps = STEPS.iter().chain([&"SCAN in steps"]);
    let rows = steps.zip(kinds[0].iter().zip(&kinds[1]));
    let rows = rows.filter(|(_, (model, real))| model != real);
    Ok(rows
        .map(|(step, (model, real))| Difference {
            subject: step.split(' ').next().unwrap_or_default().to_owned(),
            detail: (*step).to_owned(),
            model: model.clone(),
            real: real.clone(),
        })
        .collect())
}

/// A reply without what was drawn.
fn kind(reply: &BytesFrame) -> String {
    match reply {
        BytesFrame::BulkString(_) => "one".to_owned(),
        BytesFrame::Array(parts) => format!("{} of them", parts.len()),
        other => shown(other),
    }
}
