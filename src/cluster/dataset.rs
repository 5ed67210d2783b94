//! Whether nodes hold the same data, and which keys differ.
//!
//! A digest first (`DEBUG DIGEST` covers values and whether a key has a TTL, not how long) together
//! with each database's count of keys and of keys with a TTL, since the digest does not see a
//! broken expiry. Only when these differ is every key read, and the differing ones are named.
//! INFO alone proves nothing: every divergence that was measured had all links `up`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use futures_util::future::try_join_all;
use redis::Value;

use super::info::KeyspaceStats;
use super::{Client, ClientError, Node};

/// How many differing keys are shown with their values.
const SHOWN: usize = 5;
/// How many keys are read at once.
const BATCH: usize = 200;
/// How much of a value is shown.
const SHOWN_CHARS: usize = 80;

/// The nodes' data compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How many keys each node holds, all databases together.
    pub keys: BTreeMap<String, u64>,
    /// The keys that differ; empty when the nodes agree.
    pub differing: Vec<Difference>,
    /// Differences of digests or key counts that no key explains, one sentence each.
    pub unexplained: Vec<String>,
    /// Databases in which INFO's count of keys with a TTL (`expires=`) differs, one sentence each.
    pub expires: Vec<String>,
}

/// A key that is not the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The database.
    pub database: u32,
    /// The key, lossily as text.
    pub key: String,
    /// What each node holds: a printed value, or `absent`.
    pub values: BTreeMap<String, String>,
}

impl Comparison {
    /// Whether all nodes hold the same keys, with equal values and with a TTL or without; says nothing of [`Self::expires`].
    pub fn agrees(&self) -> bool {
        self.differing.is_empty() && self.unexplained.is_empty()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.agrees() {
            let keys = self.keys.values().next().copied().unwrap_or(0);
            return write!(f, "{} nodes agree on {keys} keys", self.keys.len());
        }
        write!(f, "{} keys differ", self.differing.len())?;
        for difference in self.differing.iter().take(SHOWN) {
            write!(f, "; {difference}")?;
        }
        for sentence in &self.unexplained {
            write!(f, "; {sentence}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "db{} '{}':", self.database, self.key)?;
        let mut by_value: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (node, value) in &self.values {
            by_value.entry(value).or_default().push(node);
        }
        for (position, (value, nodes)) in by_value.iter().enumerate() {
            let comma = if position == 0 { "" } else { "," };
            write!(f, "{comma} {value} on {}", nodes.join(" "))?;
        }
        Ok(())
    }
}

/// Compares the data of `nodes`, which must answer.
///
/// # Errors
/// A node does not answer or refuses to be read; the error is that of the first such node.
pub async fn compare(nodes: &[&Node]) -> Result<Comparison, ClientError> {
    let summaries = try_join_all(nodes.iter().map(|node| summary(node))).await?;
    let keys: BTreeMap<String, u64> = nodes
        .iter()
        .zip(&summaries)
        .map(|(node, summary)| {
            (
                node.name().to_owned(),
                summary.keyspace.values().map(|stats| stats.keys).sum(),
            )
        })
        .collect();
    let databases: BTreeSet<u32> = summaries
        .iter()
        .flat_map(|summary| summary.keyspace.keys().copied())
        .collect();
    let expires = count_differences(nodes, &summaries, "expires", |stats| stats.expires);
    let keys_differ = count_differences(nodes, &summaries, "keys", |stats| stats.keys);
    let same_digest = summaries
        .windows(2)
        .all(|pair| pair[0].digest == pair[1].digest);
    if same_digest && keys_differ.is_empty() {
        return Ok(Comparison {
            keys,
            differing: Vec::new(),
            unexplained: Vec::new(),
            expires,
        });
    }
    let mut differing = Vec::new();
    for &database in &databases {
        let contents = try_join_all(nodes.iter().map(|node| contents(node, database))).await?;
        differing.extend(differences(database, nodes, &contents));
    }
    let mut unexplained = Vec::new();
    if differing.is_empty() {
        unexplained = keys_differ;
        if !same_digest {
            let digests = nodes.iter().zip(&summaries);
            let list: Vec<_> = digests
                .map(|(node, sum)| format!("{} {}", node.name(), sum.digest))
                .collect();
            unexplained.push(format!("digests differ: {}", list.join(", ")));
        }
    }
    Ok(Comparison {
        keys,
        differing,
        unexplained,
        expires,
    })
}

/// The digest of all databases that a connection's server computes.
///
/// # Errors
/// The server does not answer, or has DEBUG turned off.
pub async fn digest(client: &mut Client) -> Result<String, ClientError> {
    client.query(redis::cmd("DEBUG").arg("DIGEST")).await
}

#[derive(Debug, PartialEq, Eq)]
struct Summary {
    digest: String,
    keyspace: BTreeMap<u32, KeyspaceStats>,
}

async fn summary(node: &Node) -> Result<Summary, ClientError> {
    let digest = digest(&mut node.client().await?).await?;
    let keyspace = node.info().await?.keyspace();
    Ok(Summary { digest, keyspace })
}

/// Key to printed value.
type Contents = BTreeMap<Vec<u8>, String>;

async fn contents(node: &Node, database: u32) -> Result<Contents, ClientError> {
    let mut client = node.client().await?;
    client.select(database).await?;
    let mut keys = BTreeSet::new();
    let mut cursor: u64 = 0;
    loop {
        let (next, batch): (u64, Vec<Vec<u8>>) = client
            .query(redis::cmd("SCAN").arg(cursor).arg("COUNT").arg(1000))
            .await?;
        keys.extend(batch);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let keys: Vec<Vec<u8>> = keys.into_iter().collect();
    let mut contents = Contents::new();
    for batch in keys.chunks(BATCH) {
        for (key, value) in batch.iter().zip(values(&mut client, batch).await?) {
            // Gone between the scan and the read: as if it had never been seen.
            if let Some(value) = value {
                contents.insert(key.clone(), value);
            }
        }
    }
    Ok(contents)
}

/// The printed values of keys: type, value in an order of its own, and whether there is a TTL.
async fn values(client: &mut Client, keys: &[Vec<u8>]) -> Result<Vec<Option<String>>, ClientError> {
    let mut types = redis::pipe();
    for key in keys {
        types.cmd("TYPE").arg(key);
        types.cmd("PTTL").arg(key);
    }
    let types: Vec<Value> = client.pipeline(&types).await?;
    let mut reads = redis::pipe();
    for (key, pair) in keys.iter().zip(types.chunks(2)) {
        match printed(&pair[0]).as_str() {
            "list" => reads.cmd("LRANGE").arg(key).arg(0).arg(-1),
            "set" => reads.cmd("SMEMBERS").arg(key),
            "hash" => reads.cmd("HGETALL").arg(key),
            "zset" => reads
                .cmd("ZRANGE")
                .arg(key)
                .arg(0)
                .arg(-1)
                .arg("WITHSCORES"),
            "stream" => reads.cmd("XRANGE").arg(key).arg("-").arg("+"),
            _ => reads.cmd("GET").arg(key),
        };
    }
    let replies: Vec<Value> = client.pipeline(&reads).await?;
    Ok(types
        .chunks(2)
        .zip(replies)
        .map(|(pair, reply)| {
            let kind = printed(&pair[0]);
            if kind == "none" || matches!(reply, Value::Nil) {
                return None;
            }
            let ttl = if matches!(pair[1], Value::Int(-1)) {
                ""
            } else {
                " with TTL"
            };
            Some(format!("{kind} {}{ttl}", in_order(&kind, &reply)))
        })
        .collect())
}

/// A collection's reply as text that is equal for equal collections.
fn in_order(kind: &str, reply: &Value) -> String {
    let Value::Array(items) = reply else {
        return printed(reply);
    };
    let mut parts: Vec<String> = match kind {
        "hash" => items
            .chunks(2)
            .map(|pair| pair.iter().map(printed).collect::<Vec<_>>().join("="))
            .collect(),
        _ => items.iter().map(printed).collect(),
    };
    if matches!(kind, "set" | "hash") {
        parts.sort_unstable();
    }
    format!("[{}]", parts.join(" "))
}

fn printed(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => bytes.escape_ascii().to_string(),
        Value::SimpleString(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(printed).collect::<Vec<_>>().join(" ")
            )
        }
        other => format!("{other:?}"),
    }
}

fn differences(database: u32, nodes: &[&Node], contents: &[Contents]) -> Vec<Difference> {
    let all: BTreeSet<&Vec<u8>> = contents.iter().flat_map(Contents::keys).collect();
    all.into_iter()
        .filter(|key| {
            contents
                .windows(2)
                .any(|pair| pair[0].get(*key) != pair[1].get(*key))
        })
        .map(|key| Difference {
            database,
            key: key.escape_ascii().to_string(),
            values: nodes
                .iter()
                .zip(contents)
                .map(|(node, contents)| {
                    let value = contents.get(key).map_or("absent".to_owned(), |v| cut(v));
                    (node.name().to_owned(), value)
                })
                .collect(),
        })
        .collect()
}

/// A sentence for each database in which a count differs between nodes.
fn count_differences(
    nodes: &[&Node],
    summaries: &[Summary],
    what: &str,
    count: impl Fn(KeyspaceStats) -> u64,
) -> Vec<String> {
    let databases: BTreeSet<u32> = summaries
        .iter()
        .flat_map(|summary| summary.keyspace.keys().copied())
        .collect();
    let mut sentences = Vec::new();
    for database in databases {
        let counts: Vec<u64> = summaries
            .iter()
            .map(|summary| count(summary.keyspace.get(&database).copied().unwrap_or_default()))
            .collect();
        if counts.windows(2).any(|pair| pair[0] != pair[1]) {
            let list: Vec<_> = nodes
                .iter()
                .zip(&counts)
                .map(|(node, count)| format!("{} {count}", node.name()))
                .collect();
            sentences.push(format!("db{database} {what}= differs: {}", list.join(", ")));
        }
    }
    sentences
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn equal_sets_and_hashes_print_equally_whatever_their_order() {
        let one = Value::Array(vec![bulk("a"), bulk("b")]);
        let two = Value::Array(vec![bulk("b"), bulk("a")]);
        assert_eq!(in_order("set", &one), in_order("set", &two));
        assert_ne!(in_order("list", &one), in_order("list", &two));

        let one = Value::Array(vec![bulk("a"), bulk("1"), bulk("b"), bulk("2")]);
        let two = Value::Array(vec![bulk("b"), bulk("2"), bulk("a"), bulk("1")]);
        let crossed = Value::Array(vec![bulk("a"), bulk("2"), bulk("b"), bulk("1")]);
        assert_eq!(in_order("hash", &one), in_order("hash", &two));
        assert_ne!(in_order("hash", &one), in_order("hash", &crossed));
    }

    #[test]
    fn a_difference_groups_the_nodes_by_value() {
        let difference = Difference {
            database: 2,
            key: "k".to_owned(),
            values: [
                ("primary1", "absent"),
                ("primary2", "string 1"),
                ("replica1", "string 1"),
            ]
            .map(|(node, value)| (node.to_owned(), value.to_owned()))
            .into(),
        };
        assert_eq!(
            difference.to_string(),
            "db2 'k': absent on primary1, string 1 on primary2 replica1"
        );
    }
}
