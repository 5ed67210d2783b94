//! What a key holds after commands, worked out without a server: the measure of what nodes end with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Seconds of the hours in which a key's time to live is told.
const HOUR: u32 = 3600;

/// What a key holds, and how long it is to live.
///
/// Its text is that of [`crate::cluster::dataset`], for values without spaces and brackets, entries
/// of a stream without their ids; `absent` if the key is not there; with the hours that it has left,
/// the last one begun: `string 1 for 2 h`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    value: Value,
    hours: Option<u32>,
    /// Its database was emptied, so that there is nothing to rename.
    emptied: bool,
}

/// A value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Value {
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
    /// A stream: the one value of each entry.
    Stream(Vec<String>),
}

impl Held {
    /// After a command; a refused one (a wrong type, no number) leaves it as it is, and so does one
    /// that is not in [`super::COMMANDS`]. Of RENAME the source ends with what it holds: `x:100`.
    #[must_use]
    pub fn after(self, words: &[&str]) -> Self {
        let there = self.value != Value::Absent;
        match words {
            ["SET", _, value] => self.overwritten(value),
            ["SETNX", _, value] if !there => self.overwritten(value),
            ["RENAME", source, _] if !self.emptied => {
                let (_, value) = source.rsplit_once(':').unwrap_or_default();
                self.overwritten(value)
            }
            ["DEL", _] => Self {
                value: Value::Absent,
                hours: None,
                ..self
            },
            ["FLUSHDB"] => Self {
                emptied: true,
                ..Self::default()
            },
            ["EXPIRE", _, seconds] if there => Self {
                hours: seconds.parse().ok().map(|it: u32| it.div_ceil(HOUR)),
                ..self
            },
            ["PERSIST", _] => Self {
                hours: None,
                ..self
            },
            ["EVAL", _, _, _, by] => match (self.value.number(), by.parse::<i64>()) {
                (Some(number), Ok(by)) => self.overwritten(&(2 * number + by).to_string()),
                _ => self,
            },
            _ => self.changed(words),
        }
    }

    /// By a string that has no time to live.
    fn overwritten(self, value: &str) -> Self {
        Self {
            value: Value::Text(value.to_owned()),
            hours: None,
            ..self
        }
    }

    /// By a command that leaves the time to live as it is.
    fn changed(self, words: &[&str]) -> Self {
        let value = self.value.after(words);
        let hours = self.hours.filter(|_| value != Value::Absent);
        Self {
            value,
            hours,
            ..self
        }
    }
}

impl Value {
    fn after(self, words: &[&str]) -> Self {
        match words {
            ["INCRBY", _, by] => match (self.number(), by.parse::<i64>()) {
                (Some(number), Ok(by)) => Self::Text((number + by).to_string()),
                _ => self,
            },
            ["APPEND", _, tail] => match self {
                Self::Absent => Self::Text((*tail).to_owned()),
                Self::Text(text) => Self::Text(text + tail),
                other => other,
            },
            ["RPUSH", _, item] => match self {
                Self::Absent => Self::List(vec![(*item).to_owned()]),
                Self::List(items) => Self::List(with(items, item)),
                other => other,
            },
            ["SADD", _, members @ ..] => {
                let added = members.iter().map(|member| (*member).to_owned());
                match self {
                    Self::Absent => Self::Set(added.collect()),
                    Self::Set(set) => Self::Set(set.into_iter().chain(added).collect()),
                    other => other,
                }
            }
            ["SREM", _, member] => match self {
                Self::Set(mut set) => {
                    set.remove(*member);
                    match set.is_empty() {
                        true => Self::Absent,
                        false => Self::Set(set),
                    }
                }
                other => other,
            },
            ["HSET", _, field, value] => {
                let added = ((*field).to_owned(), (*value).to_owned());
                match self {
                    Self::Absent => Self::Hash(BTreeMap::from([added])),
                    Self::Hash(hash) => Self::Hash(hash.into_iter().chain([added]).collect()),
                    other => other,
                }
            }
            ["ZADD", _, score, member] => {
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
            ["XADD", _, _, _, value] => match self {
                Self::Absent => Self::Stream(vec![(*value).to_owned()]),
                Self::Stream(entries) => Self::Stream(with(entries, value)),
                other => other,
            },
            _ => self,
        }
    }

    /// What counts on from it: 0 where there is nothing yet, none where it is no number.
    fn number(&self) -> Option<i64> {
        match self {
            Self::Absent => Some(0),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }
}

fn with(mut items: Vec<String>, item: &str) -> Vec<String> {
    items.push(item.to_owned());
    items
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)?;
        match self.hours {
            Some(hours) => write!(f, "{}", for_hours(hours.into())),
            None => Ok(()),
        }
    }
}

/// How a text of what a key holds ends that has so many hours to live.
pub fn for_hours(hours: u64) -> String {
    format!(" for {hours} h")
}

impl fmt::Display for Value {
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
            Self::Stream(values) => listed("stream", values.clone()),
        };
        f.write_str(&text)
    }
}
