//! While the primaries are apart one writes a value of some shape and the other, later, another one: a
//! full resync has to keep the later, whatever the earlier looked like.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use super::super::PARTED;
use super::{ONE, TWO};
use crate::cluster::Node;
use crate::fault::{Cut, Together};
use crate::property::{agreement, resync};
use crate::trial::Trial;
use crate::workload::write_bulk;

/// The shape, by which its check is called, and values of it.
const SHAPES: [(&str, [&str; 3]); 3] = [
    ("text", ["text", "1.5", "-0"]),
    ("number", ["10000", "-1", "123456789"]),
    // Servers share one object for each of these.
    ("small-number", ["0", "7", "9999"]),
];
/// What the other primary writes later.
const LATER: &str = "later";
/// What time the second value is later by at least: stamps are in milliseconds.
const APART: Duration = Duration::from_millis(20);

pub(super) async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let (one, two) = (cluster.node(ONE)?, cluster.node(TWO)?);
    let before = resync::before(cluster).await?;
    let cut = Arc::new(Together::between(ONE, TWO, || Cut));
    let Some(cut) = trial.inflict(cut, PARTED).await else {
        return Ok(());
    };
    // Both ways round: either may be the one that is asked first.
    for (first, second) in [(one, two), (two, one)] {
        earlier(first).await?;
        sleep(APART).await;
        later(first.name(), second).await?;
    }
    for node in [one, two] {
        write_bulk(&mut node.client().await?, node.name()).await?;
    }
    let began = Instant::now();
    trial.heal(cut).await?;
    if !resync::check(trial, began, &before).await? {
        return Ok(());
    }
    let agreed = agreement::reached(cluster).await;
    trial.check("agreement", agreement::PROMISE, agreed);
    for (shape, values) in SHAPES {
        for bound in [false, true] {
            let mut wrong = Vec::new();
            for node in cluster.live() {
                wrong.extend(lost(node, shape, &values, bound).await?);
            }
            let (name, what) = match bound {
                false => (shape.to_owned(), ""),
                true => (format!("{shape}-with-ttl"), " with a TTL"),
            };
            let promise = format!("a later write wins over a {shape}{what} in a full resync");
            let seen = match wrong.is_empty() {
                true => Ok(format!("{} keys on each node", 2 * values.len())),
                false => Err(wrong.join(", ")),
            };
            trial.check(&format!("later-wins-over-{name}"), &promise, seen);
        }
    }
    Ok(())
}

fn key(first: &str, shape: &str, value: &str, bound: bool) -> String {
    let how = if bound { "bound" } else { "plain" };
    format!("overwritten:{first}:{shape}:{value}:{how}")
}

/// All keys of all shapes, with the value that each has first.
fn keys(first: &str) -> impl Iterator<Item = (String, &'static str, bool)> {
    SHAPES.into_iter().flat_map(move |(shape, values)| {
        let each = values
            .into_iter()
            .flat_map(|value| [(value, false), (value, true)]);
        let first = first.to_owned();
        each.map(move |(value, bound)| (key(&first, shape, value, bound), value, bound))
    })
}

async fn earlier(node: &Node) -> Result<()> {
    let mut pipe = redis::pipe();
    for (key, value, bound) in keys(node.name()) {
        pipe.cmd("SET").arg(&key).arg(value).ignore();
        if bound {
            pipe.cmd("EXPIRE").arg(&key).arg(100_000).ignore();
        }
    }
    Ok(node.client().await?.pipeline(&pipe).await?)
}

async fn later(first: &str, node: &Node) -> Result<()> {
    let mut pipe = redis::pipe();
    for (key, _, _) in keys(first) {
        pipe.cmd("SET").arg(&key).arg(LATER).ignore();
    }
    Ok(node.client().await?.pipeline(&pipe).await?)
}

/// The keys of a shape that do not hold the later value on a node.
async fn lost(node: &Node, shape: &str, values: &[&str], bound: bool) -> Result<Vec<String>> {
    let mut client = node.client().await?;
    let mut wrong = Vec::new();
    for first in [ONE, TWO] {
        for value in values {
            let ask = redis::cmd("GET")
                .arg(key(first, shape, value, bound))
                .to_owned();
            let seen: Option<String> = client.query(&ask).await?;
            if seen.as_deref() != Some(LATER) {
                let seen = seen.unwrap_or_else(|| "nothing".to_owned());
                wrong.push(format!("{seen} of {first} on {}", node.name()));
            }
        }
    }
    Ok(wrong)
}
