//! Everything that a node holds, to the end of each TTL: for comparing it with what it, or another,
//! holds later.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redis::Value;

use super::dataset::{self, Contents};
use super::{Client, ClientError, Node};

/// Keys that are asked for at once.
const BATCH: usize = 200;
/// Differences that are told.
const TOLD: usize = 4;
/// How far an end may seem to move in a file: a server tells the time by a clock that it reads now and
/// then. A TTL that was kept as a time to live would move by as long as a restart takes.
pub(crate) const ROUNDING: Duration = Duration::from_millis(300);
/// How far it may move between nodes: what travels as a time to live ends as much later as it took.
pub(crate) const TRAVEL: Duration = Duration::from_secs(30);

/// A database and a key, or a key and a member of it.
type Place = (u32, Vec<u8>);

/// When something ends, in milliseconds since 1970: not before the first, not after the second. A
/// TTL is told at some time between question and answer.
type End = (i128, i128);

/// Values, ends and groups of a node at one time.
#[derive(Debug, Default)]
pub(crate) struct Holdings {
    /// By database.
    values: BTreeMap<u32, Contents>,
    /// Of keys that have one.
    ends: BTreeMap<Place, End>,
    /// Of members that have one: the key ends on the member's name.
    members: BTreeMap<Place, End>,
    /// What a stream says of its groups.
    groups: BTreeMap<Place, String>,
    /// Keys with a TTL in each database, as INFO counts them.
    expires: BTreeMap<u32, u64>,
}

/// What is looked at, the promise, and what was seen.
pub(crate) type Aspect = (&'static str, &'static str, Result<String, String>);

impl Holdings {
    /// Reads everything.
    pub(crate) async fn of(node: &Node) -> Result<Self, ClientError> {
        let mut all = Self::default();
        let keyspace = node.info().await?.keyspace();
        let mut client = node.client().await?;
        for (database, stats) in keyspace {
            let contents = dataset::contents(node, database).await?;
            client.select(database).await?;
            let bound = contents
                .iter()
                .filter(|(_, value)| value.ends_with(dataset::WITH_TTL));
            let bound: Vec<Vec<u8>> = bound.map(|(key, _)| key.clone()).collect();
            for keys in bound.chunks(BATCH) {
                let asked: Vec<Vec<&[u8]>> = keys.iter().map(|key| vec![&**key]).collect();
                for (key, end) in keys.iter().zip(ends(&mut client, &asked).await?) {
                    if let Some(end) = end {
                        all.ends.insert((database, key.clone()), end);
                    }
                }
            }
            for key in contents.keys() {
                let text = String::from_utf8_lossy(key);
                if text.contains(":member-ttl-") {
                    for member in [b"a", b"b"] {
                        let asked = ends(&mut client, &[vec![key, member]]).await?;
                        let name = [key, &b" "[..], member].concat();
                        if let Some(Some(end)) = asked.first() {
                            all.members.insert((database, name), *end);
                        }
                    }
                }
                if text.contains(":stream-read") {
                    let groups = groups(&mut client, key).await?;
                    all.groups.insert((database, key.clone()), groups);
                }
            }
            all.expires.insert(database, stats.expires);
            all.values.insert(database, contents);
        }
        Ok(all)
    }

    /// Compares with what the same node holds later, or another; ends may differ by `moves`.
    pub(crate) fn kept(&self, after: &Self, moves: Duration) -> Vec<Aspect> {
        let flat = |all: &Self| -> BTreeMap<Place, String> {
            let databases = all.values.iter();
            databases
                .flat_map(|(database, contents)| {
                    let contents = contents.iter();
                    contents.map(|(key, value)| ((*database, key.clone()), value.clone()))
                })
                .collect()
        };
        let moves = moves.as_millis() as i128;
        let same = |a: &End, b: &End| a.0 <= b.1 + moves && b.0 <= a.1 + moves;
        vec![
            (
                "values",
                "every database has the same keys, of the same types, with the same values",
                compared(&flat(self), &flat(after), |a, b| a == b, "keys"),
            ),
            (
                "ttls",
                "what has a TTL ends when it did before, and nothing else does",
                compared(&self.ends, &after.ends, same, "keys with a TTL"),
            ),
            (
                "member-ttls",
                "members with a TTL end at the same time as before",
                compared(&self.members, &after.members, same, "members with a TTL"),
            ),
            (
                "groups",
                "groups of streams have the same consumers and pending entries",
                compared(&self.groups, &after.groups, |a, b| a == b, "streams"),
            ),
            (
                "expires",
                "INFO counts as many keys with a TTL as there are",
                after.counted(),
            ),
        ]
    }

    /// Whether INFO counts the keys with a TTL, or with members that have one (measured: all releases
    /// count those as well).
    fn counted(&self) -> Result<String, String> {
        let bound = self.ends.keys().cloned();
        let members = self.members.keys().map(|(database, member)| {
            // The name of a member is one letter behind a blank.
            (*database, member[..member.len().saturating_sub(2)].to_vec())
        });
        let bound: BTreeSet<Place> = bound.chain(members).collect();
        let wrong: Vec<String> = self
            .expires
            .iter()
            .filter_map(|(database, count)| {
                let there = bound.iter().filter(|(of, _)| of == database).count();
                (there as u64 != *count)
                    .then(|| format!("db{database} expires={count}, {there} keys have a TTL"))
            })
            .collect();
        match wrong.is_empty() {
            true => Ok(format!("{} databases", self.expires.len())),
            false => Err(wrong.join("; ")),
        }
    }
}

/// The ends of keys, or of a member of each, that have one.
async fn ends(client: &mut Client, asked: &[Vec<&[u8]>]) -> Result<Vec<Option<End>>, ClientError> {
    let mut pipe = redis::pipe();
    for words in asked {
        pipe.cmd("PTTL").arg(words);
    }
    let sent = now();
    let seen: Vec<Value> = client.pipeline(&pipe).await?;
    let received = now();
    let end = |value: &Value| match value {
        Value::Int(left) if *left >= 0 => {
            let left = i128::from(*left);
            Some((sent + left, received + left))
        }
        _ => None,
    };
    Ok(seen.iter().map(end).collect())
}

/// Milliseconds since 1970.
fn now() -> i128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |time| {
        i128::try_from(time.as_millis()).unwrap_or(i128::MAX)
    })
}

/// What a stream says of its groups and of what is pending in them, but for how long.
async fn groups(client: &mut Client, key: &[u8]) -> Result<String, ClientError> {
    let shown: Value = client
        .query(redis::cmd("XINFO").arg("GROUPS").arg(key))
        .await?;
    let pending: Value = client
        .query(redis::cmd("XPENDING").arg(key).arg("readers"))
        .await?;
    Ok(format!("{shown:?} {pending:?}"))
}

/// Places whose content differs, and how.
fn compared<T: std::fmt::Debug>(
    before: &BTreeMap<Place, T>,
    after: &BTreeMap<Place, T>,
    same: impl Fn(&T, &T) -> bool,
    what: &str,
) -> Result<String, String> {
    let mut differing = Vec::new();
    for (place, was) in before {
        match after.get(place) {
            Some(is) if same(was, is) => {}
            Some(is) => differing.push(format!("{}: {}, was {}", at(place), cut(is), cut(was))),
            None => differing.push(format!("{}: absent, was {}", at(place), cut(was))),
        }
    }
    for (place, is) in after {
        if !before.contains_key(place) {
            differing.push(format!("{}: {}, was absent", at(place), cut(is)));
        }
    }
    match differing.len() {
        0 => Ok(format!("{} {what}", before.len())),
        count => {
            differing.truncate(TOLD);
            let of = before.len();
            Err(format!(
                "{count} of {of} {what} differ: {}",
                differing.join("; ")
            ))
        }
    }
}

fn at((database, key): &Place) -> String {
    format!("db{database} '{}'", key.escape_ascii())
}

fn cut<T: std::fmt::Debug>(value: &T) -> String {
    let text = format!("{value:?}");
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
