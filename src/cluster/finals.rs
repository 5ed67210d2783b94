//! Reading all that the nodes hold.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use redis::Value;

use super::dataset::{BATCH, printed, read, scan, types_and_ttls};
use super::{ClientError, Cluster, Node};
use crate::history::{Content, Finals, Held, NodeData};

/// All keys of all live nodes, with their values and times to live. Traffic must have stopped.
///
/// # Errors
/// A node does not answer or refuses to be read; the error is that of the first such node.
pub async fn finals(cluster: &Cluster) -> Result<Finals, ClientError> {
    let nodes = cluster.live().map(|node| async move {
        let data = of_node(node).await?;
        Ok::<_, ClientError>((node.name().to_owned(), data))
    });
    let nodes = try_join_all(nodes).await?;
    Ok(Finals {
        nodes: nodes.into_iter().collect(),
    })
}

async fn of_node(node: &Node) -> Result<NodeData, ClientError> {
    let keyspace = node.info().await?.keyspace();
    let mut data = NodeData::default();
    let mut client = node.client().await?;
    for (database, stats) in keyspace {
        let Ok(number) = u8::try_from(database) else {
            continue;
        };
        data.expires.insert(number, stats.expires);
        client.select(database).await?;
        let mut held = BTreeMap::new();
        for batch in scan(&mut client).await?.chunks(BATCH) {
            let types = types_and_ttls(&mut client, batch).await?;
            let values = read(&mut client, batch, &types).await?;
            for ((key, pair), value) in batch.iter().zip(types.chunks(2)).zip(values) {
                let ttl = match pair[1] {
                    Value::Int(ttl) => u64::try_from(ttl).ok(),
                    _ => None,
                };
                if let Some(content) = content(&printed(&pair[0]), value) {
                    held.insert(text(key), Held { content, ttl });
                }
            }
        }
        data.keys.insert(number, held);
    }
    Ok(data)
}

/// A value as its type has it; none if the key is gone.
fn content(kind: &str, value: Value) -> Option<Content> {
    let items = match value {
        Value::Nil => return None,
        Value::Array(items) => items,
        Value::BulkString(bytes) => return Some(Content::Text(text(&bytes))),
        other => return Some(Content::Text(printed(&other))),
    };
    let texts = |items: &[Value]| items.iter().map(plain).collect::<Vec<_>>();
    let pairs = |items: &[Value]| {
        let pairs = items.chunks(2).filter_map(|pair| match pair {
            [first, second] => Some((plain(first), plain(second))),
            _ => None,
        });
        pairs.collect::<BTreeMap<_, _>>()
    };
    Some(match kind {
        "hash" => Content::Hash(pairs(&items)),
        "zset" => Content::Ranking(pairs(&items)),
        "set" => {
            let mut members = texts(&items);
            members.sort_unstable();
            Content::Set(members)
        }
        "stream" => Content::List(items.iter().map(last_value).collect()),
        _ => Content::List(texts(&items)),
    })
}

/// The last value of a stream's entry: an id, and fields with their values.
fn last_value(entry: &Value) -> String {
    let fields = match entry {
        Value::Array(parts) => parts.last(),
        _ => None,
    };
    match fields {
        Some(Value::Array(fields)) => fields.last().map(plain).unwrap_or_default(),
        _ => printed(entry),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => text(bytes),
        other => printed(other),
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn list(texts: &[&str]) -> Value {
        Value::Array(texts.iter().map(|text| bulk(text)).collect())
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs.map(|(a, b)| ((*a).into(), (*b).into())).collect()
    }

    #[rstest]
    #[case("string", bulk("v1.1"), Some(Content::Text("v1.1".into())))]
    #[case("none", Value::Nil, None)]
    #[case("list", list(&["b", "a"]), Some(Content::List(vec!["b".into(), "a".into()])))]
    #[case("set", list(&["b", "a"]), Some(Content::Set(vec!["a".into(), "b".into()])))]
    #[case("hash", list(&["f", "v"]), Some(Content::Hash(map(&[("f", "v")]))))]
    #[case("zset", list(&["m", "1"]), Some(Content::Ranking(map(&[("m", "1")]))))]
    #[case(
        "stream",
        Value::Array(vec![Value::Array(vec![bulk("1-1"), list(&["value", "v1.1"])])]),
        Some(Content::List(vec!["v1.1".into()]))
    )]
    fn values(#[case] kind: &str, #[case] value: Value, #[case] wanted: Option<Content>) {
        assert_eq!(content(kind, value), wanted);
    }
}
