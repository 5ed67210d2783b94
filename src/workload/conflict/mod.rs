//! Pairs of commands on one key, as a table: each of eight kinds of write against each, the one on one
//! primary and the other, later, on the other.

mod held;

use std::fmt;

use redis::{Pipeline, cmd};

pub use held::Held;

/// Keys of each pair.
pub const KEYS: usize = 6;

/// A row of the table: a kind of write, as either primary makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// What it is called in the matrix.
    pub name: &'static str,
    /// The type of keys that it works on; none if it overwrites whatever is there.
    pub of: Option<&'static str>,
    /// What the first primary sends, and what the second: each one or two commands, by the words
    /// around the key.
    pub sent: [&'static [&'static [&'static str]]; 2],
}

/// Every kind of write. What the two primaries add is never the same.
pub const COMMANDS: [Command; 8] = [
    row("SET", None, [&[&["SET", "100"]], &[&["SET", "200"]]]),
    row("DEL", None, [&[&["DEL"]], &[&["DEL"]]]),
    row(
        "INCR",
        Some("string"),
        [&[&["INCRBY", "1"]], &[&["INCRBY", "2"]]],
    ),
    row(
        "APPEND",
        Some("string"),
        [&[&["APPEND", "3"]], &[&["APPEND", "4"]]],
    ),
    row(
        "RPUSH",
        Some("list"),
        [&[&["RPUSH", "a"]], &[&["RPUSH", "b"]]],
    ),
    row(
        "SADD/SREM",
        Some("set"),
        [
            &[&["SADD", "a"], &["SREM", "x"]],
            &[&["SADD", "b"], &["SREM", "y"]],
        ],
    ),
    row(
        "HSET",
        Some("hash"),
        [&[&["HSET", "g", "a"]], &[&["HSET", "h", "b"]]],
    ),
    row(
        "ZADD",
        Some("zset"),
        [&[&["ZADD", "2", "a"]], &[&["ZADD", "3", "b"]]],
    ),
];

const fn row(
    name: &'static str,
    of: Option<&'static str>,
    sent: [&'static [&'static [&'static str]]; 2],
) -> Command {
    Command { name, of, sent }
}

/// What writes a key of a type before anything is done to it.
fn start_of(of: &str) -> &'static [&'static str] {
    match of {
        "list" => &["RPUSH", "m"],
        "set" => &["SADD", "m", "x", "y"],
        "hash" => &["HSET", "f", "m"],
        "zset" => &["ZADD", "1", "m"],
        _ => &["SET", "10"],
    }
}

/// A cell of the matrix: a write on the first primary and a newer one on the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// On the first primary.
    pub first: &'static Command,
    /// On the second.
    pub second: &'static Command,
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

/// All pairs, by rows.
pub fn pairs() -> impl Iterator<Item = Pair> {
    let of_row = |first| {
        let seconds = COMMANDS.iter();
        seconds.map(move |second| Pair { first, second })
    };
    COMMANDS.iter().flat_map(of_row)
}

/// A pair's key after the one write, after the other, and after both in either order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Courses {
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

    /// What the key holds before: what both work on; nothing where they work on different types, so
    /// that each is taken where it is made.
    fn start(&self) -> Option<&'static [&'static str]> {
        match (self.first.of, self.second.of) {
            (None, None) => Some(start_of("string")),
            (Some(one), None) | (None, Some(one)) => Some(start_of(one)),
            (Some(one), Some(other)) => (one == other).then(|| start_of(one)),
        }
    }

    /// What its keys may come to hold.
    pub fn courses(&self) -> Courses {
        let start = match self.start() {
            Some(words) => Held::Absent.after(words),
            None => Held::Absent,
        };
        let [first, second] = [self.first.sent[0], self.second.sent[1]];
        let after = |held: Held, commands: &[&[&str]]| {
            let commands = commands.iter();
            commands.fold(held, |held, words| held.after(words))
        };
        Courses {
            first: after(start.clone(), first),
            second: after(start.clone(), second),
            in_order: after(after(start.clone(), first), second),
            against_order: after(after(start, second), first),
        }
    }

    /// Whether the newer write makes what was there before irrelevant.
    pub fn overwrites(&self) -> bool {
        self.second.of.is_none()
    }

    /// Whether both add to the key, each something else, in the same way.
    pub fn adds(&self) -> bool {
        self.first == self.second && self.first.of.is_some()
    }

    /// Its keys as they are before; no commands where they are not to be there.
    pub fn prepare(&self, pipe: &mut Pipeline) {
        if let Some(words) = self.start() {
            self.add_to(pipe, &[words]);
        }
    }

    /// The write of one primary, 0 or 1, on each of its keys.
    pub fn write(&self, side: usize, pipe: &mut Pipeline) {
        let command = [self.first, self.second][side];
        self.add_to(pipe, command.sent[side]);
    }

    fn add_to(&self, pipe: &mut Pipeline, commands: &[&[&str]]) {
        for number in 0..KEYS {
            for words in commands {
                let mut command = cmd(words[0]);
                command.arg(self.key(number)).arg(&words[1..]);
                pipe.add_command(command).ignore();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn pair(first: &str, second: &str) -> Pair {
        let mut all = pairs();
        let found = all.find(|it| it.first.name == first && it.second.name == second);
        found.unwrap()
    }

    #[rstest]
    #[case("SET", "SET", ["string 100", "string 200", "string 200", "string 100"])]
    #[case("SET", "DEL", ["string 100", "absent", "absent", "string 100"])]
    #[case("DEL", "RPUSH", ["absent", "list [m b]", "list [b]", "absent"])]
    #[case("SET", "INCR", ["string 100", "string 12", "string 102", "string 100"])]
    #[case("INCR", "APPEND", ["string 11", "string 104", "string 114", "string 105"])]
    #[case("RPUSH", "RPUSH", ["list [m a]", "list [m b]", "list [m a b]", "list [m b a]"])]
    #[case("SADD/SREM", "SADD/SREM", ["set [a m y]", "set [b m x]", "set [a b m]", "set [a b m]"])]
    #[case("HSET", "HSET", ["hash [f=m g=a]", "hash [f=m h=b]", "hash [f=m g=a h=b]", "hash [f=m g=a h=b]"])]
    #[case("ZADD", "ZADD", ["zset [m 1 a 2]", "zset [m 1 b 3]", "zset [m 1 a 2 b 3]", "zset [m 1 a 2 b 3]"])]
    #[case("RPUSH", "ZADD", ["list [a]", "zset [b 3]", "list [a]", "zset [b 3]"])]
    #[case("SET", "RPUSH", ["string 100", "list [m b]", "string 100", "string 100"])]
    fn what_a_pair_may_end_with(
        #[case] first: &str,
        #[case] second: &str,
        #[case] wanted: [&str; 4],
    ) {
        let it = pair(first, second).courses();
        let seen = [it.first, it.second, it.in_order, it.against_order];
        assert_eq!(seen.map(|held| held.to_string()), wanted);
    }

    #[test]
    fn each_primarys_write_is_taken_where_it_is_made_and_told_from_the_others() {
        assert_eq!(pairs().count(), 64);
        for pair in pairs() {
            let it = pair.courses();
            let deletes = [pair.first, pair.second].iter().all(|it| it.name == "DEL");
            assert_eq!(it.first == it.second, deletes, "{}", pair.key(0));
        }
        assert_eq!(pairs().filter(Pair::overwrites).count(), 16);
        assert_eq!(pairs().filter(Pair::adds).count(), 6);
    }
}
