//! Whether nodes hold the same data, and which keys differ.
//!
//! A digest first (`DEBUG DIGEST` covers values and whether a key has a TTL, not how long) together
//! with each database's count of keys and of keys with a TTL, since the digest does not see a
//! broken expiry. Only when these differ is every key read, and the differing ones are named.
//! INFO alone proves nothing: every divergence that was measured had all links `up`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::Value;
use sha2::{Digest, Sha256};

use super::info::{Info, KeyspaceStats};
use super::{Client, ClientError, Node, Timeouts};

/// How many differing keys are shown with their values.
const SHOWN: usize = 5;
/// How many keys are read at once.
const BATCH: usize = 200;
/// How often a key is asked for again that was refused.
const ROUNDS: usize = 20;
/// The reply to `PTTL` of a key that lives for ever.
const NO_TTL: Value = Value::Int(-1);
/// How much of a value is shown.
const SHOWN_CHARS: usize = 80;
/// What the printed value of a key with a TTL ends on.
pub(crate) const WITH_TTL: &str = " with TTL";

/// The nodes' data compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// How many keys each node holds, all databases together.
    pub keys: BTreeMap<String, u64>,
    /// The keys that differ; empty when the nodes agree.
    pub differing: Vec<Difference>,
    /// Differences of digests or key counts that no key explains, one sentence each.
    pub unexplained: Vec<String>,
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
    /// Whether all nodes hold the same keys, with equal values and with a TTL or without; says nothing of how
    /// many a node counts with one ([`expires`]).
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
    let names: Vec<&str> = nodes.iter().map(|node| node.name()).collect();
    let mut clients = clients(nodes).await?;
    let summaries = try_join_all(clients.iter_mut().map(summary)).await?;
    let mut all = BTreeMap::new();
    if !look_alike(&names, &summaries) {
        for database in databases(&summaries) {
            let contents = try_join_all(nodes.iter().map(|node| contents(node, database))).await?;
            all.insert(database, contents);
        }
    }
    Ok(compared(&names, &summaries, &all))
}

/// As [`compare`], by digests and counts only: whether nodes differ, not in what. For looking
/// again and again.
///
/// # Errors
/// A node does not answer; the error is that of the first such node.
pub async fn glance(nodes: &[&Node]) -> Result<Comparison, ClientError> {
    let names: Vec<&str> = nodes.iter().map(|node| node.name()).collect();
    let mut clients = clients(nodes).await?;
    let counted = try_join_all(clients.iter_mut().map(count)).await?;
    // Digests go through every key: where counts differ they need not be asked for.
    let summaries = match same_counts(&names, &counted) {
        true => try_join_all(clients.iter_mut().map(summary)).await?,
        false => counted,
    };
    Ok(compared(&names, &summaries, &BTreeMap::new()))
}

/// The databases in which the nodes count different numbers of keys with a TTL, one sentence each. For
/// looking again and again.
///
/// # Errors
/// A node does not answer; the error is that of the first such node.
pub async fn expires(nodes: &[&Node]) -> Result<Vec<String>, ClientError> {
    let names: Vec<&str> = nodes.iter().map(|node| node.name()).collect();
    let mut clients = clients(nodes).await?;
    let counted = try_join_all(clients.iter_mut().map(count)).await?;
    Ok(expires_differ(&names, &counted))
}

/// A connection to each node, which waits for what goes through all of its data.
async fn clients(nodes: &[&Node]) -> Result<Vec<Client>, ClientError> {
    let connecting = nodes.iter().map(|node| node.client_with(Timeouts::LONG));
    try_join_all(connecting).await
}

fn expires_differ(names: &[&str], summaries: &[Summary]) -> Vec<String> {
    count_differences(names, summaries, "expires", |stats| stats.expires)
}

/// Whether the nodes hold the same by their digests and counts of keys, so that no key need be
/// read.
fn look_alike(names: &[&str], summaries: &[Summary]) -> bool {
    same_digest(summaries) && same_counts(names, summaries)
}

/// Whether the nodes hold as many keys as each other in each database.
fn same_counts(names: &[&str], summaries: &[Summary]) -> bool {
    count_differences(names, summaries, "keys", |stats| stats.keys).is_empty()
}

/// The comparison of nodes by their summaries, and by their contents where they were read: by
/// database, one for each node.
fn compared(
    names: &[&str],
    summaries: &[Summary],
    contents: &BTreeMap<u32, Vec<Contents>>,
) -> Comparison {
    let keys = names
        .iter()
        .zip(summaries)
        .map(|(name, summary)| {
            let keys = summary.keyspace.values().map(|stats| stats.keys).sum();
            ((*name).to_owned(), keys)
        })
        .collect();
    let differing: Vec<Difference> = contents
        .iter()
        .flat_map(|(database, contents)| differences(*database, names, contents))
        .collect();
    let mut unexplained = Vec::new();
    if differing.is_empty() {
        unexplained = count_differences(names, summaries, "keys", |stats| stats.keys);
        if !same_digest(summaries) {
            let list: Vec<_> = names
                .iter()
                .zip(summaries)
                .map(|(name, summary)| format!("{name} {}", summary.digest))
                .collect();
            unexplained.push(format!("digests differ: {}", list.join(", ")));
        }
    }
    Comparison {
        keys,
        differing,
        unexplained,
    }
}

fn same_digest(summaries: &[Summary]) -> bool {
    summaries
        .windows(2)
        .all(|pair| pair[0].digest == pair[1].digest)
}

/// Every database in which any node holds keys.
fn databases(summaries: &[Summary]) -> BTreeSet<u32> {
    summaries
        .iter()
        .flat_map(|summary| summary.keyspace.keys().copied())
        .collect()
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
    /// Empty if it was not asked for.
    digest: String,
    keyspace: BTreeMap<u32, KeyspaceStats>,
}

async fn summary(client: &mut Client) -> Result<Summary, ClientError> {
    let digest = digest(client).await?;
    let counted = count(client).await?;
    Ok(Summary { digest, ..counted })
}

/// As [`summary`], without the digest.
async fn count(client: &mut Client) -> Result<Summary, ClientError> {
    let text: String = client.query(redis::cmd("INFO").arg("keyspace")).await?;
    let (digest, keyspace) = (String::new(), Info::parse(&text).keyspace());
    Ok(Summary { digest, keyspace })
}

/// Key to printed value.
pub(crate) type Contents = BTreeMap<Vec<u8>, String>;

pub(crate) async fn contents(node: &Node, database: u32) -> Result<Contents, ClientError> {
    let mut contents = Contents::new();
    for (key, replies) in read(node, database).await? {
        // Gone between the scan and the read: as if it had never been seen.
        if let Some(value) = held(&replies.kind, &replies.ttl, &replies.value) {
            contents.insert(key, value);
        }
    }
    Ok(contents)
}

/// What a key holds, without its time to live, and that one.
pub(crate) type Timed = (String, Option<Duration>);

/// As [`contents`], with how long each key is to live yet.
pub(crate) async fn timed_contents(
    node: &Node,
    database: u32,
) -> Result<BTreeMap<Vec<u8>, Timed>, ClientError> {
    let mut contents = BTreeMap::new();
    for (key, replies) in read(node, database).await? {
        if let Some(value) = held(&replies.kind, &NO_TTL, &replies.value) {
            let left = match replies.ttl {
                Value::Int(millis) => u64::try_from(millis).ok().map(Duration::from_millis),
                _ => None,
            };
            contents.insert(key, (value, left));
        }
    }
    Ok(contents)
}

/// What a server replied of one key.
pub(super) struct Replies {
    /// To `TYPE`.
    pub(super) kind: Value,
    /// To `PTTL`.
    pub(super) ttl: Value,
    /// To the command that reads a key of this type.
    pub(super) value: Value,
}

/// Everything that a node says of the keys of a database, in their order.
pub(super) async fn read(
    node: &Node,
    database: u32,
) -> Result<Vec<(Vec<u8>, Replies)>, ClientError> {
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
    let mut all = Vec::with_capacity(keys.len());
    for batch in keys.chunks(BATCH) {
        let replies = replies(&mut client, batch).await?;
        all.extend(batch.iter().cloned().zip(replies));
    }
    Ok(all)
}

/// What a server replies of some keys; a key that gets another type between the question for its type
/// and that for its value is asked for again.
async fn replies(client: &mut Client, keys: &[Vec<u8>]) -> Result<Vec<Replies>, ClientError> {
    let mut all = ask(client, keys).await?;
    for _ in 0..ROUNDS {
        let refused = |replies: &Replies| matches!(replies.value, Value::ServerError(_));
        let again: Vec<usize> = (0..all.len()).filter(|it| refused(&all[*it])).collect();
        if again.is_empty() {
            break;
        }
        let keys: Vec<Vec<u8>> = again.iter().map(|it| keys[*it].clone()).collect();
        for (place, replies) in again.into_iter().zip(ask(client, &keys).await?) {
            all[place] = replies;
        }
    }
    let refused = all.iter().find_map(|replies| match &replies.value {
        Value::ServerError(error) => Some(error),
        _ => None,
    });
    match refused {
        Some(error) => {
            let detail = error.details().unwrap_or_default();
            Err(ClientError::Refused(format!("{} {detail}", error.code())))
        }
        None => Ok(all),
    }
}

async fn ask(client: &mut Client, keys: &[Vec<u8>]) -> Result<Vec<Replies>, ClientError> {
    let mut types = redis::pipe();
    for key in keys {
        types.cmd("TYPE").arg(key);
        types.cmd("PTTL").arg(key);
    }
    let types: Vec<Value> = client.pipeline(&types).await?;
    let mut reads = redis::pipe();
    reads.ignore_errors();
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
    let values: Vec<Value> = client.pipeline(&reads).await?;
    let mut types = types.into_iter();
    Ok(values
        .into_iter()
        .filter_map(|value| {
            Some(Replies {
                kind: types.next()?,
                ttl: types.next()?,
                value,
            })
        })
        .collect())
}

/// What a node holds under a key, by the replies to TYPE, PTTL and the read: text that is equal for
/// equal values only. `None` if the key is gone.
fn held(kind: &Value, ttl: &Value, reply: &Value) -> Option<String> {
    let kind = printed(kind);
    if kind == "none" || matches!(reply, Value::Nil) {
        return None;
    }
    let ttl = if *ttl == NO_TTL { "" } else { WITH_TTL };
    Some(format!("{kind} {}{ttl}", in_order(&kind, reply)))
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
        Value::BulkString(bytes) => quoted(bytes),
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

/// Bytes as text; in quotes where they could be taken for the marks between a collection's elements
/// or for what follows a value.
fn quoted(bytes: &[u8]) -> String {
    // Most is plain, and may be megabytes.
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'\\' | b'\'' | b'"');
    let text = match bytes.iter().all(plain) {
        true => String::from_utf8_lossy(bytes).into_owned(),
        false => bytes.escape_ascii().to_string(),
    };
    let is_mark = |byte: &u8| matches!(byte, b' ' | b'=' | b'[' | b']');
    if text.is_empty() || bytes.iter().any(is_mark) {
        format!("\"{text}\"")
    } else {
        text
    }
}

fn differences(database: u32, names: &[&str], contents: &[Contents]) -> Vec<Difference> {
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
            values: names
                .iter()
                .zip(contents)
                .map(|(name, contents)| {
                    let value = contents.get(key).map_or("absent".to_owned(), |v| cut(v));
                    ((*name).to_owned(), value)
                })
                .collect(),
        })
        .collect()
}

/// A sentence for each database in which a count differs between nodes.
fn count_differences(
    names: &[&str],
    summaries: &[Summary],
    what: &str,
    count: impl Fn(KeyspaceStats) -> u64,
) -> Vec<String> {
    let mut sentences = Vec::new();
    for database in databases(summaries) {
        let counts: Vec<u64> = summaries
            .iter()
            .map(|summary| count(summary.keyspace.get(&database).copied().unwrap_or_default()))
            .collect();
        if counts.windows(2).any(|pair| pair[0] != pair[1]) {
            let list: Vec<_> = names
                .iter()
                .zip(&counts)
                .map(|(name, count)| format!("{name} {count}"))
                .collect();
            sentences.push(format!("db{database} {what}= differs: {}", list.join(", ")));
        }
    }
    sentences
}

/// The beginning of a text; of a longer one also the length and the beginning of its SHA-256, so
/// that values which differ further on are not shown as one.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => {
            let digest = Sha256::digest(text);
            let digest: String = digest.iter().take(4).map(|b| format!("{b:02x}")).collect();
            let length = text.chars().count();
            format!("{}… ({length} characters, SHA-256 {digest}…)", &text[..end])
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
