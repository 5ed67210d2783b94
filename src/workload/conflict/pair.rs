//! Two kinds of write on one key, the one on one primary and the other on the other.

use std::fmt;

use redis::{Pipeline, cmd};

use super::commands::{COMMANDS, Command, KEY, On};
use super::held::Held;

/// Keys of each pair.
pub const KEYS: usize = 6;

/// For how many databases pairs ask: one for each that empties its own, and database 0.
pub const DATABASES: u32 = 32;

/// What writes a key of a type before anything is done to it.
fn start_of(of: &str) -> &'static [&'static str] {
    match of {
        "list" => &["RPUSH", KEY, "m"],
        "set" => &["SADD", KEY, "m", "x", "y"],
        "hash" => &["HSET", KEY, "f", "m"],
        "zset" => &["ZADD", KEY, "1", "m"],
        "stream" => &["XADD", KEY, "*", "f", "m"],
        _ => &["SET", KEY, "10"],
    }
}

/// What gives a key a time to live that can be taken away.
const TIMED: &[&str] = &["EXPIRE", KEY, "10800"];

/// A cell of the matrix: a write on the first primary and a newer one on the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// On the first primary.
    pub first: &'static Command,
    /// On the second.
    pub second: &'static Command,
    /// The database of its keys: one of their own if a write of the pair empties it, else 0.
    pub database: u32,
}

/// The name of a pair, by those of its writes.
pub fn name(first: &str, second: &str) -> String {
    format!("{first} > {second}")
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(self.first.name, self.second.name))
    }
}

/// All pairs, by rows. Those are not there of which the one needs a key and the other none.
pub fn pairs() -> impl Iterator<Item = Pair> {
    let all = COMMANDS
        .iter()
        .flat_map(|first| COMMANDS.iter().map(move |second| (first, second)));
    let met = all.filter(|(first, second)| {
        !matches!(
            (first.on, second.on),
            (On::NoKey, On::AKey) | (On::AKey, On::NoKey)
        )
    });
    met.scan(0, |databases, (first, second)| {
        let own = first.empties() || second.empties();
        *databases += u32::from(own);
        Some(Pair {
            first,
            second,
            database: if own { *databases } else { 0 },
        })
    })
}

/// A pair's key after the one write, after the other, and after both in either order.
///
/// A primary passes on what a script wrote, not the script (all five releases, measured): on the other
/// it sets what it made of the value where it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Courses {
    /// As it is before.
    pub start: Held,
    /// As the first primary has it while it hears nothing.
    pub first: Held,
    /// As the second has it.
    pub second: Held,
    /// Both, the first one's write first: the order in which they are made.
    pub in_order: Held,
    /// Both, the second one's write first.
    pub against_order: Held,
}

impl Pair {
    /// The key's name, by its number.
    pub fn key(&self, number: usize) -> String {
        format!("{}>{}:{number}", self.first.name, self.second.name)
    }

    /// What is to be gone of this key's number: the names under which it was before it was renamed.
    pub fn sources(&self, number: usize) -> Vec<String> {
        let sides = [self.first.source(0), self.second.source(1)];
        let sources = sides.into_iter().flatten();
        let named = sources.map(|source| source.replace(KEY, &self.key(number)));
        named.collect()
    }

    /// What the key holds before: what both work on; nothing where they work on different types, so
    /// that each is taken where it is made.
    fn start(&self) -> Vec<&'static [&'static str]> {
        let of = match (self.first.on, self.second.on) {
            (On::NoKey, _) | (_, On::NoKey) => None,
            (On::Type(one), On::Type(other)) => (one == other).then_some(one),
            (On::Type(one), _) | (_, On::Type(one)) => Some(one),
            _ => Some("string"),
        };
        let mut start: Vec<_> = of.map(start_of).into_iter().collect();
        if [self.first, self.second]
            .iter()
            .any(|it| it.name == "PERSIST")
        {
            start.push(TIMED);
        }
        start
    }

    /// What its keys may come to hold.
    pub fn courses(&self) -> Courses {
        let after = |held: Held, commands: &[&[&str]]| {
            let commands = commands.iter();
            commands.fold(held, |held, words| held.after(words))
        };
        let start = after(Held::default(), &self.start());
        let [first, second] = [self.first.sent[0], self.second.sent[1]];
        let made = [first, second].map(|sent| after(start.clone(), sent));
        let passed_on = |held: &Held, side: usize, by: &Command| match by.runs() {
            true => made[side].clone(),
            false => after(held.clone(), by.sent[side]),
        };
        Courses {
            in_order: passed_on(&made[0], 1, self.second),
            against_order: passed_on(&made[1], 0, self.first),
            first: made[0].clone(),
            second: made[1].clone(),
            start,
        }
    }

    /// Whether one of its writes is not among the first eight.
    pub fn further(&self) -> bool {
        self.first.further || self.second.further
    }

    /// Whether the newer write makes what was there before irrelevant.
    pub fn overwrites(&self) -> bool {
        self.second.overwrites()
    }

    /// Whether the older one gives a time to live, or takes one away, and the newer one does so too or
    /// makes another value of it.
    pub fn replaces_expiry(&self) -> bool {
        let remakes = matches!(self.second.name, "SET" | "RENAME");
        self.first.times() && (self.second.times() || remakes)
    }

    /// Whether both change the key, each adding something else, in the same way.
    pub fn adds(&self) -> bool {
        self.first == self.second && self.first.edits()
    }

    /// Whether one changes the time to live alone and the other a part of the value alone.
    pub fn times(&self) -> bool {
        let (one, other) = (self.first, self.second);
        one.times() && other.edits() || one.edits() && other.times()
    }

    /// Whether a transaction is in it.
    pub fn transacts(&self) -> bool {
        [self.first, self.second]
            .iter()
            .any(|it| it.name == "MULTI")
    }

    /// Whether a key is renamed, and not gone with its database.
    pub fn renames(&self) -> bool {
        self.database == 0 && !self.sources(0).is_empty()
    }

    /// Its keys as they are before, and those that are renamed; nothing where they are not to be
    /// there.
    pub fn prepare(&self, pipe: &mut Pipeline) {
        self.add_to(pipe, &self.start());
        for source in (0..KEYS).flat_map(|number| self.sources(number)) {
            let (_, value) = source.rsplit_once(':').unwrap_or_default();
            pipe.cmd("SET").arg(&source).arg(value).ignore();
        }
    }

    /// The write of one primary, 0 or 1, on each of its keys.
    pub fn write(&self, side: usize, pipe: &mut Pipeline) {
        let command = [self.first, self.second][side];
        self.add_to(pipe, command.sent[side]);
    }

    fn add_to(&self, pipe: &mut Pipeline, commands: &[&[&str]]) {
        pipe.cmd("SELECT").arg(self.database).ignore();
        // A database is emptied once.
        let of_a_key = |words: &&[&str]| words.iter().any(|word| word.contains(KEY));
        let times = if commands.iter().any(of_a_key) {
            KEYS
        } else {
            1
        };
        for number in 0..times {
            let key = self.key(number);
            for words in commands {
                let mut command = cmd(words[0]);
                for word in &words[1..] {
                    command.arg(word.replace(KEY, &key));
                }
                pipe.add_command(command).ignore();
            }
        }
    }
}
