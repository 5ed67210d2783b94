//! What every node holds, read whole: the [`Finals`] of a history.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use redis::Value;

use super::dataset::{Replies, read};
use super::{ClientError, Cluster, Node};
use crate::history::{Content, Finals, Held, Moment, NodeData, Recording, Taps};

/// For which part of a steady time no write may have crossed a relay before nodes are read.
const STILL: u32 = 5;

/// Reads all keys of all databases of every live node. Keys and values that are no text are shown
/// with escapes.
///
/// # Errors
/// A node does not answer or refuses to be read; the error is that of the first such node.
pub async fn collect(cluster: &Cluster) -> Result<Finals, ClientError> {
    let nodes = try_join_all(cluster.live().map(node_data)).await?;
    Ok(Finals {
        nodes: nodes.into_iter().collect(),
    })
}

/// What nodes held, and what they held after a time in which nothing was to change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Twice {
    /// At first.
    pub finals: Finals,
    /// When they began to be read.
    pub finals_from: Moment,
    /// When they had been read.
    pub finals_at: Moment,
    /// After the cluster's steady time.
    pub later: Finals,
}

/// Reads all live nodes, and once more after the time that the cluster's pace calls steady. Traffic
/// must have ended. What is still on its way is waited for, as far as relays are tapped; where
/// writes cross without end the property `quiet` tells of it.
///
/// # Errors
/// As [`collect`].
pub async fn collect_twice(
    cluster: &Cluster,
    recording: &Recording,
    taps: &Taps,
) -> Result<Twice, ClientError> {
    let steady = cluster.pace().steady;
    let _ = taps.still(cluster, steady / STILL).await;
    let finals_from = recording.now();
    let finals = collect(cluster).await?;
    let finals_at = recording.now();
    taps.note();
    // This time is the condition: nothing may change in it.
    tokio::time::sleep(steady).await;
    let later = collect(cluster).await?;
    taps.note();
    Ok(Twice {
        finals,
        finals_from,
        finals_at,
        later,
    })
}

async fn node_data(node: &Node) -> Result<(String, NodeData), ClientError> {
    let mut data = NodeData::default();
    let keyspace = node.info().await?.keyspace();
    for (database, stats) in keyspace {
        let number = u8::try_from(database).unwrap_or(u8::MAX);
        data.expires.insert(number, stats.expires);
        let keys: BTreeMap<String, Held> = read(node, database)
            .await?
            .into_iter()
            .filter_map(|(key, replies)| Some((text(&key), held(replies)?)))
            .collect();
        if !keys.is_empty() {
            data.keys.insert(number, keys);
        }
    }
    Ok((node.name().to_owned(), data))
}

/// None if the key was gone when it was read.
fn held(replies: Replies) -> Option<Held> {
    let kind = shown(replies.kind);
    let content = match (kind.as_str(), replies.value) {
        ("none", _) | (_, Value::Nil) => return None,
        ("list", value) => Content::List(items(value)),
        ("stream", value) => Content::List(entries(value)),
        ("set", value) => {
            let mut members = items(value);
            members.sort_unstable();
            Content::Set(members)
        }
        ("hash", value) => Content::Hash(pairs(value)),
        ("zset", value) => Content::Ranking(pairs(value)),
        (_, value) => Content::Text(shown(value)),
    };
    let ttl = match replies.ttl {
        Value::Int(ttl) => u64::try_from(ttl).ok(),
        _ => None,
    };
    Some(Held { content, ttl })
}

fn items(value: Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.into_iter().map(shown).collect(),
        other => vec![shown(other)],
    }
}

fn pairs(value: Value) -> BTreeMap<String, String> {
    let mut items = items(value).into_iter();
    let mut pairs = BTreeMap::new();
    while let (Some(first), Some(second)) = (items.next(), items.next()) {
        pairs.insert(first, second);
    }
    pairs
}

/// The values of a stream's entries; of an entry with several fields, all of them.
fn entries(value: Value) -> Vec<String> {
    let Value::Array(entries) = value else {
        return items(value);
    };
    let value_of = |entry: Value| match entry {
        Value::Array(mut parts) if parts.len() == 2 => {
            let values: Vec<String> = pairs(parts.remove(1)).into_values().collect();
            values.join(" ")
        }
        other => shown(other),
    };
    entries.into_iter().map(value_of).collect()
}

fn shown(value: Value) -> String {
    match value {
        Value::BulkString(bytes) => text(&bytes),
        Value::SimpleString(text) => text,
        Value::Int(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn array(texts: &[&str]) -> Value {
        Value::Array(texts.iter().map(|text| bulk(text)).collect())
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
        pairs.iter().map(own).collect()
    }

    #[rstest]
    #[case("string", bulk("v1.2"), Some(Content::Text("v1.2".into())))]
    #[case("string", Value::Nil, None)]
    #[case("none", Value::Nil, None)]
    #[case("list", array(&["b", "a"]), Some(Content::List(vec!["b".into(), "a".into()])))]
    #[case("set", array(&["b", "a"]), Some(Content::Set(vec!["a".into(), "b".into()])))]
    #[case("hash", array(&["f", "v"]), Some(Content::Hash(map(&[("f", "v")]))))]
    #[case("zset", array(&["m", "1"]), Some(Content::Ranking(map(&[("m", "1")]))))]
    #[case(
        "stream",
        Value::Array(vec![Value::Array(vec![bulk("1-1"), array(&["value", "v1.2"])])]),
        Some(Content::List(vec!["v1.2".into()]))
    )]
    #[case("stream", Value::Array(vec![Value::Array(vec![bulk("1-1"), array(&[])])]), Some(Content::List(vec!["".into()])))]
    fn contents(#[case] kind: &str, #[case] value: Value, #[case] wanted: Option<Content>) {
        let replies = |ttl, value| Replies {
            kind: Value::SimpleString(kind.to_owned()),
            ttl: Value::Int(ttl),
            value,
        };
        let without = held(replies(-1, value.clone()));
        assert_eq!(without.as_ref().map(|held| &held.content), wanted.as_ref());
        assert!(without.is_none_or(|held| held.ttl.is_none()));
        let with = held(replies(70, value));
        assert!(with.is_none_or(|held| held.ttl == Some(70)));
    }
}
