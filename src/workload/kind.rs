//! Kinds of keys that two nodes change one after the other, as data: what stands in a key before,
//! what is done to it where, and what is right in the end.

use std::time::Duration;

use redis::{Value, cmd};
use tokio::time::sleep;

use crate::cluster::{ClientError, Cluster, Node};
use crate::trial::Trial;

/// Keys of each kind.
pub const KEYS: usize = 50;
/// Between the first change of a key and the second, so that their times differ: with 5 ms 5.3.3 does
/// not tell which of the two is newer (measured).
const APART: Duration = Duration::from_millis(150);

/// What is done to keys of one kind. The words of a command are those around the key, which is put
/// in behind the first.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// What its keys begin with.
    pub name: &'static str,
    /// What writes such a key; none if it is not to be there.
    pub before: &'static [&'static str],
    /// In order: on which of the two nodes, 0 or 1, and the command. At most two.
    pub changes: &'static [(usize, &'static [&'static str])],
    /// What reads it.
    pub read: &'static [&'static str],
    /// Any of these; sorted where the type has no order, [`GONE`] for a key that is gone.
    pub right: &'static [&'static [&'static str]],
    /// The check that it belongs to.
    pub check: &'static str,
}

/// What is right of a key that is gone.
pub const GONE: &[&[&str]] = &[&[]];

impl Kind {
    /// A kind; the parameters are its fields, in their order.
    pub const fn new(
        name: &'static str,
        before: &'static [&'static str],
        changes: &'static [(usize, &'static [&'static str])],
        read: &'static [&'static str],
        right: &'static [&'static [&'static str]],
        check: &'static str,
    ) -> Self {
        Self {
            name,
            before,
            changes,
            read,
            right,
            check,
        }
    }

    /// One command for each key.
    pub fn commands(&self, words: &[&str]) -> redis::Pipeline {
        let mut pipe = redis::pipe();
        self.add_to(&mut pipe, words);
        pipe
    }

    fn key(&self, number: usize) -> String {
        format!("{}:{number}", self.name)
    }

    /// One command for each key.
    fn add_to(&self, pipe: &mut redis::Pipeline, words: &[&str]) {
        for number in 0..KEYS {
            let mut command = cmd(words[0]);
            command.arg(self.key(number)).arg(&words[1..]);
            pipe.add_command(command).ignore();
        }
    }
}

/// Writes the keys as they are before.
///
/// # Errors
/// The node does not answer or refuses.
pub async fn write(node: &Node, kinds: &[Kind]) -> Result<(), ClientError> {
    let mut pipe = redis::pipe();
    for kind in kinds.iter().filter(|kind| !kind.before.is_empty()) {
        kind.add_to(&mut pipe, kind.before);
    }
    node.client().await?.pipeline(&pipe).await
}

/// Makes the first change of every kind on the one node or the other, then the second of every kind
/// that has one.
///
/// # Errors
/// A node does not answer or refuses.
pub async fn change(nodes: [&Node; 2], kinds: &[Kind]) -> Result<(), ClientError> {
    let mut clients = [nodes[0].client().await?, nodes[1].client().await?];
    for round in 0..2 {
        for (which, client) in clients.iter_mut().enumerate() {
            let mut pipe = redis::pipe();
            for kind in kinds {
                match kind.changes.get(round) {
                    Some((on, words)) if *on == which => kind.add_to(&mut pipe, words),
                    _ => {}
                }
            }
            if !pipe.is_empty() {
                client.pipeline::<()>(&pipe).await?;
            }
        }
        sleep(APART).await;
    }
    Ok(())
}

/// Records for each of the checks, with its promise, whether every key of its kinds is right on
/// every live node.
///
/// # Errors
/// A node does not answer.
pub async fn check(
    trial: &Trial,
    kinds: &[Kind],
    promises: &[(&str, &str)],
) -> Result<(), ClientError> {
    for (check, promise) in promises {
        let mut wrong = Vec::new();
        for kind in kinds.iter().filter(|kind| kind.check == *check) {
            wrong.extend(wrong_on_nodes(trial.cluster(), kind).await?);
        }
        let seen = match wrong.is_empty() {
            true => Ok(format!("{KEYS} keys of each kind")),
            false => Err(wrong.join("; ")),
        };
        trial.check(check, promise, seen);
    }
    Ok(())
}

/// How many keys of a kind are wrong, on which nodes, with the first of the wrong values.
async fn wrong_on_nodes(cluster: &Cluster, kind: &Kind) -> Result<Option<String>, ClientError> {
    let mut wrong = Vec::new();
    for node in cluster.live() {
        let bad = wrong_on(node, kind).await?;
        if let Some(first) = bad.first() {
            let count = bad.len();
            wrong.push(format!("{count} of {KEYS} on {} ({first})", node.name()));
        }
    }
    let told = format!("{}: {}", kind.name, wrong.join(", "));
    Ok((!wrong.is_empty()).then_some(told))
}

/// The wrong values of a kind's keys on a node.
///
/// # Errors
/// It does not answer.
pub async fn wrong_on(node: &Node, kind: &Kind) -> Result<Vec<String>, ClientError> {
    let mut ask = redis::pipe();
    for number in 0..KEYS {
        let mut command = cmd(kind.read[0]);
        command.arg(kind.key(number)).arg(&kind.read[1..]);
        ask.add_command(command);
    }
    let seen: Vec<Value> = node.client().await?.pipeline(&ask).await?;
    let mut bad = Vec::new();
    for value in seen {
        let mut words = words(value);
        if matches!(kind.read[0], "SMEMBERS" | "HVALS") {
            words.sort_unstable();
        }
        if !kind
            .right
            .contains(&&*words.iter().map(String::as_str).collect::<Vec<_>>())
        {
            bad.push(match words.is_empty() {
                true => "nothing".to_owned(),
                false => words.join(" "),
            });
        }
    }
    Ok(bad)
}

/// The words of a reply; of a stream's entries what stands in their fields.
fn words(value: Value) -> Vec<String> {
    let word = |value: Value| redis::from_redis_value::<String>(value).unwrap_or_default();
    match value {
        Value::Nil => Vec::new(),
        Value::Array(values) => values
            .into_iter()
            .flat_map(|value| match value {
                Value::Array(entry) => match entry.into_iter().nth(1) {
                    Some(Value::Array(fields)) => {
                        fields.into_iter().skip(1).step_by(2).map(word).collect()
                    }
                    _ => Vec::new(),
                },
                other => vec![word(other)],
            })
            .collect(),
        Value::Set(values) => values.into_iter().map(word).collect(),
        one => vec![word(one)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[rstest]
    #[case::a_key_that_is_gone(Value::Nil, &[])]
    #[case::a_string(text("a"), &["a"])]
    #[case::a_list(Value::Array(vec![text("a"), text("b")]), &["a", "b"])]
    #[case::a_streams_entry(
        Value::Array(vec![Value::Array(vec![
            text("1-0"),
            Value::Array(vec![text("f"), text("a"), text("g"), text("b")])
        ])]),
        &["a", "b"]
    )]
    fn replies_are_read_as_words(#[case] reply: Value, #[case] wanted: &[&str]) {
        assert_eq!(words(reply), wanted);
    }
}
