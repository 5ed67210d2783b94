//! What a key holds after commands, worked out without a server: the measure of what nodes end with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What a key holds. Its text is that of [`crate::cluster::dataset`], for values without spaces and
/// brackets; `absent` if the key is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Nothing: the key is not there.
    #[default]
    Absent,
    /// A string.
    Text(String),
    /// A list, from its left.
    List(Vec<String>),
    /// A set.
    Set(BTreeSet<String>),
    /// A hash, by field.
    Hash(BTreeMap<String, String>),
    /// A sorted set, by score and member.
    Sorted(BTreeSet<(u32, String)>),
}

impl Held {
    /// After a command, whose words are those around the key; a refused one (a wrong type, no number)
    /// leaves it as it is, and so does one that is not in [`super::COMMANDS`].
    #[must_use]
    pub fn after(self, words: &[&str]) -> Self {
        match words {
            ["SET", value] => Self::Text((*value).to_owned()),
            ["DEL"] => Self::Absent,
            ["INCRBY", by] => self.increased(by),
            ["APPEND", tail] => match self {
                Self::Absent => Self::Text((*tail).to_owned()),
                Self::Text(text) => Self::Text(text + tail),
                other => other,
            },
            ["RPUSH", item] => match self {
                Self::Absent => Self::List(vec![(*item).to_owned()]),
                Self::List(mut items) => {
                    items.push((*item).to_owned());
                    Self::List(items)
                }
                other => other,
            },
            ["SADD", members @ ..] => {
                let added = members.iter().map(|member| (*member).to_owned());
                match self {
                    Self::Absent => Self::Set(added.collect()),
                    Self::Set(set) => Self::Set(set.into_iter().chain(added).collect()),
                    other => other,
                }
            }
            ["SREM", member] => match self {
                Self::Set(mut set) => {
                    set.remove(*member);
                    match set.is_empty() {
                        true => Self::Absent,
                        false => Self::Set(set),
                    }
                }
                other => other,
            },
            ["HSET", field, value] => {
                let added = ((*field).to_owned(), (*value).to_owned());
                match self {
                    Self::Absent => Self::Hash(BTreeMap::from([added])),
                    Self::Hash(hash) => Self::Hash(hash.into_iter().chain([added]).collect()),
                    other => other,
                }
            }
            ["ZADD", score, member] => {
                let added = (score.parse().unwrap_or(0), (*member).to_owned());
                match self {
                    Self::Absent => Self::Sorted(BTreeSet::from([added])),
                    Self::Sorted(set) => {
                        let others = set.into_iter().filter(|(_, known)| known != member);
                        Self::Sorted(others.chain([added]).collect())
                    }
                    other => other,
                }
            }
            _ => self,
        }
    }

    fn increased(self, by: &str) -> Self {
        let number = match &self {
            Self::Absent => Ok(0),
            Self::Text(text) => text.parse::<i64>(),
            _ => return self,
        };
        match (number, by.parse::<i64>()) {
            (Ok(number), Ok(by)) => Self::Text((number + by).to_string()),
            _ => self,
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |kind: &str, parts: Vec<String>| format!("{kind} [{}]", parts.join(" "));
        let text = match self {
            Self::Absent => "absent".to_owned(),
            Self::Text(text) => format!("string {text}"),
            Self::List(items) => listed("list", items.clone()),
            Self::Set(members) => listed("set", members.iter().cloned().collect()),
            Self::Hash(fields) => {
                let fields = fields
                    .iter()
                    .map(|(field, value)| format!("{field}={value}"));
                listed("hash", fields.collect())
            }
            Self::Sorted(members) => {
                let members = members.iter();
                let members = members.map(|(score, member)| format!("{member} {score}"));
                listed("zset", members.collect())
            }
        };
        f.write_str(&text)
    }
}
