//! The rows of the table: kinds of write, as either primary makes them.

/// In the words of a command: the key.
pub(super) const KEY: &str = "{key}";

/// What there has to be for a write to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Whatever there is or is not: it is overwritten, or gone.
    Anything,
    /// A key, of any type.
    AKey,
    /// No key.
    NoKey,
    /// A key of this type, or none.
    Type(&'static str),
}

/// A row of the table: a kind of write, as either primary makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// What it is called in the matrix.
    pub name: &'static str,
    /// What it works on.
    pub on: On,
    /// Whether it is one of the first eight, which the embedded model has as well; checks of their own
    /// judge the further ones.
    pub further: bool,
    /// What the first primary sends, and what the second: commands, by their words, with `{key}` for
    /// the key.
    pub sent: [&'static [&'static [&'static str]]; 2],
}

/// What reads the key and writes it: twice what it was and a little more, without a TTL.
const SCRIPT: &str = "redis.call('SET', KEYS[1], (redis.call('GET', KEYS[1]) or 0) * 2 + ARGV[1])";

/// Every kind of write. What the two primaries add is never the same.
///
/// Whole numbers below 10000 have no time stamp of their own (upstream's source, `setExpire` and
/// `dbAddCore` in db.cpp; measured): what EXPIRE meets is one, what makes a key anew is none.
///
/// RENAME brings another key, which is there before, under the pair's name: so is a key published
/// that was made ready under another one. That it is gone from where it was is judged as well.
pub const COMMANDS: [Command; 16] = [
    row(
        "SET",
        On::Anything,
        [&[&["SET", KEY, "100"]], &[&["SET", KEY, "200"]]],
    ),
    row("DEL", On::AKey, [&[&["DEL", KEY]], &[&["DEL", KEY]]]),
    row(
        "INCR",
        On::Type("string"),
        [&[&["INCRBY", KEY, "1"]], &[&["INCRBY", KEY, "2"]]],
    ),
    row(
        "APPEND",
        On::Type("string"),
        [&[&["APPEND", KEY, "3"]], &[&["APPEND", KEY, "4"]]],
    ),
    row(
        "RPUSH",
        On::Type("list"),
        [&[&["RPUSH", KEY, "a"]], &[&["RPUSH", KEY, "b"]]],
    ),
    row(
        "SADD/SREM",
        On::Type("set"),
        [
            &[&["SADD", KEY, "a"], &["SREM", KEY, "x"]],
            &[&["SADD", KEY, "b"], &["SREM", KEY, "y"]],
        ],
    ),
    row(
        "HSET",
        On::Type("hash"),
        [&[&["HSET", KEY, "g", "a"]], &[&["HSET", KEY, "h", "b"]]],
    ),
    row(
        "ZADD",
        On::Type("zset"),
        [&[&["ZADD", KEY, "2", "a"]], &[&["ZADD", KEY, "3", "b"]]],
    ),
    further(
        "EXPIRE",
        On::AKey,
        [&[&["EXPIRE", KEY, "3600"]], &[&["EXPIRE", KEY, "7200"]]],
    ),
    further(
        "PERSIST",
        On::AKey,
        [&[&["PERSIST", KEY]], &[&["PERSIST", KEY]]],
    ),
    further(
        "SETNX",
        On::NoKey,
        [&[&["SETNX", KEY, "30000"]], &[&["SETNX", KEY, "40000"]]],
    ),
    further(
        "RENAME",
        On::Anything,
        [
            &[&["RENAME", "{key}:50000", KEY]],
            &[&["RENAME", "{key}:60000", KEY]],
        ],
    ),
    further(
        "XADD",
        On::Type("stream"),
        [
            &[&["XADD", KEY, "*", "f", "a"]],
            &[&["XADD", KEY, "*", "f", "b"]],
        ],
    ),
    further(
        "MULTI",
        On::Type("string"),
        [
            &[
                &["MULTI"],
                &["INCRBY", KEY, "5"],
                &["APPEND", KEY, "7"],
                &["EXEC"],
            ],
            &[
                &["MULTI"],
                &["INCRBY", KEY, "6"],
                &["APPEND", KEY, "8"],
                &["EXEC"],
            ],
        ],
    ),
    further(
        "EVAL",
        On::Type("string"),
        [
            &[&["EVAL", SCRIPT, "1", KEY, "1"]],
            &[&["EVAL", SCRIPT, "1", KEY, "2"]],
        ],
    ),
    further("FLUSHDB", On::AKey, [&[&["FLUSHDB"]], &[&["FLUSHDB"]]]),
];

const fn row(name: &'static str, on: On, sent: [&'static [&'static [&'static str]]; 2]) -> Command {
    Command {
        name,
        on,
        further: false,
        sent,
    }
}

const fn further(
    name: &'static str,
    on: On,
    sent: [&'static [&'static [&'static str]]; 2],
) -> Command {
    Command {
        further: true,
        ..row(name, on, sent)
    }
}

impl Command {
    /// The names of what it sends: a server may lack one.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.sent[0].iter().map(|words| words[0])
    }

    /// Whether what was there before is irrelevant after it.
    pub fn overwrites(&self) -> bool {
        matches!(self.name, "SET" | "DEL" | "RENAME" | "FLUSHDB")
    }

    /// Whether it changes a key's time to live and nothing else.
    pub fn times(&self) -> bool {
        matches!(self.name, "EXPIRE" | "PERSIST")
    }

    /// Whether it changes a part of what a key holds, and leaves the time to live as it is.
    pub fn edits(&self) -> bool {
        matches!(self.on, On::Type(_)) && !self.runs()
    }

    /// Whether it is a script, which sets what it makes of the value.
    pub fn runs(&self) -> bool {
        self.name == "EVAL"
    }

    /// Whether it works on a whole database.
    pub fn empties(&self) -> bool {
        self.name == "FLUSHDB"
    }

    /// What the key is called that a primary, 0 or 1, renames.
    pub fn source(&self, side: usize) -> Option<&'static str> {
        let mut sent = self.sent[side].iter();
        sent.find_map(|words| match words {
            ["RENAME", source, _] => Some(*source),
            _ => None,
        })
    }
}
