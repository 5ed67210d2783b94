//! One operation of one client.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Nanoseconds since the history began.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// How long after `earlier` this is; nothing if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Moment {
    fn from(since_the_beginning: Duration) -> Self {
        Self(u64::try_from(since_the_beginning.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Moment {
    /// Seconds, to the millisecond.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3} s", Duration::from_nanos(self.0).as_secs_f64())
    }
}

/// A value that only one operation of the run writes: which client, and its how many-th.
///
/// Its text (`v3.17`) is what is stored, so that every value read can be traced to its writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The client that wrote it.
    pub client: u32,
    /// Its number among the values of that client.
    pub number: u32,
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}", self.client, self.number)
    }
}

/// A text that is no token's: a value that nobody wrote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no value that a client of this harness writes")]
pub struct UnknownToken(pub String);

impl FromStr for Token {
    type Err = UnknownToken;

    fn from_str(text: &str) -> Result<Self, UnknownToken> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        text.strip_prefix('v')
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(client, of_it)| {
                Some(Self {
                    client: number(client)?,
                    number: number(of_it)?,
                })
            })
            .ok_or_else(|| UnknownToken(text.to_owned()))
    }
}

/// A text of the history's table [`Names`]: a key, a node, an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(pub u32);

/// The table of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    texts: Vec<std::sync::Arc<str>>,
    numbers: HashMap<std::sync::Arc<str>, u32>,
}

impl Names {
    /// The number of a text; a new one if it has none.
    pub fn number(&mut self, text: &str) -> Name {
        if let Some(number) = self.numbers.get(text) {
            return Name(*number);
        }
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let text: std::sync::Arc<str> = text.into();
        self.texts.push(std::sync::Arc::clone(&text));
        self.numbers.insert(text, number);
        Name(number)
    }

    /// The number of a text that has one.
    pub fn find(&self, text: &str) -> Option<Name> {
        self.numbers.get(text).copied().map(Name)
    }

    /// The text of a number; `?` if the table lacks it.
    pub fn text(&self, name: Name) -> &str {
        self.texts.get(name.0 as usize).map_or("?", |text| text)
    }

    /// All texts, in the order of their numbers.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.texts.iter().map(|text| &**text)
    }
}

/// What a client asked for. Milliseconds where a time to live is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// `SET key value`.
    Set(Token),
    /// `SET key value PX ttl`.
    SetFor(Token, u32),
    /// `GET`; of a counter a number, of a key of appends its values.
    Get,
    /// `DEL`.
    Delete,
    /// `PEXPIRE key ttl`.
    Expire(u32),
    /// `INCRBY`.
    Increment(i32),
    /// `APPEND key value;`: each value ends with a semicolon.
    Append(Token),
    /// `RPUSH`.
    Push(Token),
    /// `LRANGE 0 -1`.
    List,
    /// `SADD`.
    Add(Token),
    /// `SREM`.
    Remove(Token),
    /// `SMEMBERS`.
    Members,
    /// `HSET key field value`.
    PutField(u16, Token),
    /// `HGETALL`: values only, in the order of the fields' numbers.
    Fields,
    /// `ZADD key score member`.
    Score(i32, Token),
    /// `ZRANGE 0 -1`.
    Ranking,
    /// `XADD key * value token`.
    Log(Token),
    /// `XRANGE - +`: values only.
    Entries,
    /// `MULTI`, one `SET other value` for each key (the operation's own first), `EXEC`.
    SetAll(Box<[Name]>, Token),
    /// The same by a Lua script.
    ScriptSetAll(Box<[Name]>, Token),
    /// `MGET` of several keys (the operation's own first), as one sample.
    GetAll(Box<[Name]>),
    /// `PUBLISH` on the channel that `key` names.
    Publish(Token),
    /// A subscription to the channels that `key` is a pattern of, from its confirmation until its
    /// connection ended. Each is a client of its own.
    Subscribe,
    /// A message that the client's subscription heard on the channel that `key` names; the answer
    /// is the message. No two of a client have the same time.
    Hear,
}

/// What is known of an operation's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fate {
    /// Acknowledged.
    Ok,
    /// Surely not done: never sent, or refused.
    Fail,
    /// Sent and not answered: maybe done.
    Unknown,
}

/// What came of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Acknowledged, with this answer.
    Ok(Reply),
    /// Surely not done: never sent, or refused with this error.
    Fail(Name),
    /// Sent and not answered, for this reason: maybe done.
    Unknown(Name),
}

impl Outcome {
    /// What is known of the effect.
    pub fn fate(&self) -> Fate {
        match self {
            Self::Ok(_) => Fate::Ok,
            Self::Fail(_) => Fate::Fail,
            Self::Unknown(_) => Fate::Unknown,
        }
    }
}

/// The answer of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// `OK`, or an answer that tells nothing.
    Done,
    /// Nil: there is no such key.
    Nil,
    /// A number.
    Number(i64),
    /// One value.
    Value(Token),
    /// Several, in the order of the answer; none where a key was absent.
    Values(Box<[Option<Token>]>),
    /// A text that no client wrote.
    Foreign(Name),
}

/// One operation of one client: at most 200 bytes with its share of the names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Which client.
    pub client: u32,
    /// The node that the client's connection ended at, if that is known; `proxy` else.
    pub node: Name,
    /// Whether the connection went through the proxy.
    pub proxied: bool,
    /// The database.
    pub database: u8,
    /// How many replicas a `WAIT` after it confirmed: 0 where none was asked for.
    pub confirmed: u8,
    /// The key.
    pub key: Name,
    /// What was asked for.
    pub action: Action,
    /// When it was sent.
    pub invoked: Moment,
    /// When the answer came, or when it was given up.
    pub completed: Moment,
    /// What came of it.
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("v3.17", Some((3, 17)))]
    #[case("v0.0", Some((0, 0)))]
    #[case("v3", None)]
    #[case("3.17", None)]
    #[case("v3.17;", None)]
    #[case("v+3.17", None)]
    #[case("v4294967296.0", None)]
    fn tokens(#[case] text: &str, #[case] wanted: Option<(u32, u32)>) {
        let token = wanted.map(|(client, number)| Token { client, number });
        assert_eq!(text.parse().ok(), token);
        if let Some(token) = token {
            assert_eq!(token.to_string(), text);
        }
    }

    #[test]
    fn a_text_has_one_number() {
        let mut names = Names::default();
        let (a, b) = (names.number("a"), names.number("b"));
        assert_ne!(a, b);
        assert_eq!(names.number("a"), a);
        assert_eq!((names.text(b), names.find("c")), ("b", None));
        assert_eq!(names.text(Name(9)), "?");
    }
}
