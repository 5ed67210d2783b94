//! Starting a node with another configuration, and seeing whether it does start.

use anyhow::Result;

use crate::behaviour::Hands;
use crate::cluster::{Node, ready};
use crate::testbed::Status;

/// What became of a start.
pub(super) enum Start {
    /// It serves.
    Serves,
    /// It ended by itself: with which exit code, and the last lines of its log.
    Refuses(Option<i32>, String),
}

/// How many of its last lines tell why a server ended.
const LAST_WORDS: usize = 6;

/// Stops a node, gives it this configuration, whole, and starts it; waits until it serves or has
/// ended.
pub(super) async fn with(hands: &Hands<'_>, node: &Node, config: String) -> Result<Start> {
    if node.should_answer() {
        node.stop().await?;
    }
    let before = node.log().await?.len();
    node.server().reconfigure(config).await?;
    hands.note(&format!(
        "{} starts with another configuration",
        node.name()
    ));
    node.start().await?;
    let what = format!("{} serves, or has ended", node.name());
    let ended = hands
        .until(&what, || async {
            match node.status().await {
                Ok(Status::Ended(code)) => Ok(Some(code)),
                Ok(_) => ready::serves(node).await.map(|()| None),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?;
    let Some(code) = ended else {
        return Ok(Start::Serves);
    };
    // It is known to be away from here on.
    node.kill().await?;
    let log = node.log().await?;
    let lines: Vec<&str> = log.get(before..).unwrap_or_default().lines().collect();
    let last = lines.len().saturating_sub(LAST_WORDS);
    let words = lines[last..].join(" / ");
    hands.note(&format!("{} ended with {code:?}: {words}", node.name()));
    Ok(Start::Refuses(code, words))
}

/// The configuration's lines that begin with one of these names, and the others.
pub(super) fn parted<'a>(config: &'a str, names: &[&str]) -> (Vec<&'a str>, Vec<&'a str>) {
    config.lines().partition(|line| {
        let name = line.split_whitespace().next().unwrap_or_default();
        names.contains(&name)
    })
}
