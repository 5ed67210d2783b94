//! What the nodes hold of the pairs' keys in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;
use futures_util::future::{try_join, try_join_all};

use crate::cluster::dataset::timed_contents;
use crate::cluster::{ClientError, Cluster, Node};
use crate::property::conflict::{Cell, Ending};
use crate::workload::conflict::{Held, KEYS, Pair, for_hours};

/// What a node holds, by database and key, as [`Held`] is shown.
type Contents = BTreeMap<u32, BTreeMap<Vec<u8>, String>>;

/// What the live nodes hold.
pub(super) struct Ends {
    primaries: [Contents; 2],
    replicas: Vec<Contents>,
    absent: String,
}

impl Ends {
    /// On all nodes.
    pub(super) async fn read(cluster: &Cluster, pairs: &[Pair]) -> Result<Self> {
        let replicas = cluster.replicas().map(|node| contents(node, pairs));
        let (ends, replicas) = try_join(Self::of_primaries(cluster, pairs), async {
            Ok(try_join_all(replicas).await?)
        })
        .await?;
        Ok(Self { replicas, ..ends })
    }

    /// On the two primaries alone.
    pub(super) async fn of_primaries(cluster: &Cluster, pairs: &[Pair]) -> Result<Self> {
        let (one, two) = (cluster.node("primary1")?, cluster.node("primary2")?);
        let (one, two) = try_join(contents(one, pairs), contents(two, pairs)).await?;
        Ok(Self {
            primaries: [one, two],
            replicas: Vec::new(),
            absent: Held::default().to_string(),
        })
    }

    pub(super) fn on_primaries(&self, pair: &Pair, key: &str) -> [&str; 2] {
        let [one, two] = &self.primaries;
        [self.held(one, pair, key), self.held(two, pair, key)]
    }

    fn on_replicas<'a>(&'a self, pair: &'a Pair, key: &'a str) -> impl Iterator<Item = &'a str> {
        let replicas = self.replicas.iter();
        replicas.map(move |contents| self.held(contents, pair, key))
    }

    /// What a node holds under a key of the pair.
    fn held<'a>(&'a self, contents: &'a Contents, pair: &Pair, key: &str) -> &'a str {
        let database = contents.get(&pair.database);
        let held = database.and_then(|keys| keys.get(key.as_bytes()));
        held.map_or(&self.absent, String::as_str)
    }

    /// How the keys of a pair ended.
    pub(super) fn cell(&self, pair: &Pair, in_order: bool) -> Cell {
        let courses = pair.courses();
        let mut cell = Cell::default();
        for key in (0..KEYS).map(|number| pair.key(number)) {
            let replicas: Vec<&str> = self.on_replicas(pair, &key).collect();
            let primaries = self.on_primaries(pair, &key);
            cell.add(Ending::of(&courses, in_order, primaries, &replicas), 1);
        }
        cell
    }

    /// Whether what every node holds of each of these keys of a pair is right.
    pub(super) fn all(&self, pair: &Pair, keys: &[String], right: impl Fn(&str) -> bool) -> bool {
        keys.iter().all(|key| {
            let primaries = self.on_primaries(pair, key).into_iter();
            primaries.chain(self.on_replicas(pair, key)).all(&right)
        })
    }

    /// Whether a node lacks what is called so.
    pub(super) fn is_absent(&self, held: &str) -> bool {
        held == self.absent
    }
}

async fn contents(node: &Node, pairs: &[Pair]) -> Result<Contents, ClientError> {
    let databases: BTreeSet<u32> = pairs.iter().map(|pair| pair.database).collect();
    let mut contents = Contents::new();
    for database in databases {
        let held = timed_contents(node, database).await?.into_iter();
        let held = held.map(|(key, (value, left))| (key, shown(&value, left)));
        contents.insert(database, held.collect());
    }
    Ok(contents)
}

/// As [`Held`] is shown: entries of a stream without their ids, a time to live in hours begun.
fn shown(value: &str, left: Option<Duration>) -> String {
    let mut text = without_ids(value).unwrap_or_else(|| value.to_owned());
    if let Some(left) = left {
        text += &for_hours(left.as_secs().div_ceil(3600));
    }
    text
}

/// The text of a stream whose entries have one field each, by their values alone.
fn without_ids(value: &str) -> Option<String> {
    let entries = value.strip_prefix("stream ")?;
    let words = entries.split([' ', '[', ']']).filter(|it| !it.is_empty());
    let words: Vec<&str> = words.collect();
    let values = words.chunks(3).map(|entry| match entry {
        [id, _, value] if id.contains('-') => Some(*value),
        _ => None,
    });
    let values: Option<Vec<&str>> = values.collect();
    Some(format!("stream [{}]", values?.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("string 10", None, "string 10")]
    #[case("string 10", Some(7199), "string 10 for 2 h")]
    #[case("list [m a]", Some(3600), "list [m a] for 1 h")]
    #[case("stream [[1-0 [f m]] [17-1 [f a]]]", None, "stream [m a]")]
    #[case::fields_lost("stream [[1-0 []]]", None, "stream [[1-0 []]]")]
    fn text(#[case] value: &str, #[case] left: Option<u64>, #[case] wanted: &str) {
        assert_eq!(shown(value, left.map(Duration::from_secs)), wanted);
    }
}
