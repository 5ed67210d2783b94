//! Seeded command sequences: every data command of the model, well formed and not.

use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A command: its name and arguments.
pub type Words = Vec<Vec<u8>>;

/// Commands and how their arguments are drawn. A letter is a class of words ([`Draw::word`]), capitals
/// are themselves, `?x` is there or not, `x+` is there up to three times, `<A|B>` is one of these,
/// `[A|B.x]` is none of these to all, each with the words behind its dots.
pub const GRAMMAR: &[(&str, &str)] = &[
    ("GET", "s"),
    ("SET", "s v [NX|XX|GET|KEEPTTL|EX.t|PX.m|EXAT.a|PXAT.b]"),
    ("SETNX", "s v"),
    ("SETEX", "s t v"),
    ("PSETEX", "s m v"),
    ("GETSET", "s v"),
    ("GETDEL", "s"),
    ("GETEX", "s [PERSIST|EX.t|PX.m|EXAT.a|PXAT.b]"),
    ("APPEND", "s v"),
    ("STRLEN", "s"),
    ("GETRANGE", "s i i"),
    ("SUBSTR", "s i i"),
    ("SETRANGE", "s i v"),
    ("INCR", "n"),
    ("DECR", "n"),
    ("INCRBY", "n i"),
    ("DECRBY", "n i"),
    ("INCRBYFLOAT", "g q"),
    ("LPUSH", "l e+"),
    ("RPUSH", "l e+"),
    ("LPUSHX", "l e+"),
    ("RPUSHX", "l e+"),
    ("LPOP", "l ?i"),
    ("RPOP", "l ?i"),
    ("LLEN", "l"),
    ("LRANGE", "l i i"),
    ("LINDEX", "l i"),
    ("LSET", "l i e"),
    ("LREM", "l i e"),
    ("LTRIM", "l i i"),
    ("LINSERT", "l <BEFORE|AFTER> e e"),
    ("SADD", "u e+"),
    ("SREM", "u e+"),
    ("SCARD", "u"),
    ("SISMEMBER", "u e"),
    ("SMISMEMBER", "u e+"),
    ("SMEMBERS", "u"),
    ("HSET", "h ev+"),
    ("HMSET", "h ev+"),
    ("HSETNX", "h e v"),
    ("HDEL", "h e+"),
    ("HINCRBY", "h e i"),
    ("HINCRBYFLOAT", "h e q"),
    ("HGET", "h e"),
    ("HMGET", "h e+"),
    ("HGETALL", "h"),
    ("HKEYS", "h"),
    ("HVALS", "h"),
    ("HLEN", "h"),
    ("HEXISTS", "h e"),
    ("HSTRLEN", "h e"),
    ("ZADD", "z [NX|XX|GT|LT|CH|INCR] fe+"),
    ("ZREM", "z e+"),
    ("ZINCRBY", "z f e"),
    ("ZPOPMIN", "z ?i"),
    ("ZPOPMAX", "z ?i"),
    ("ZREMRANGEBYRANK", "z i i"),
    ("ZSCORE", "z e"),
    ("ZCARD", "z"),
    ("ZCOUNT", "z r r"),
    ("ZRANGE", "z i i [REV|WITHSCORES]"),
    ("ZREVRANGE", "z i i [WITHSCORES]"),
    ("ZRANGEBYSCORE", "z r r [WITHSCORES]"),
    ("ZRANK", "z e"),
    ("ZREVRANK", "z e"),
    ("TYPE", "k"),
    ("DEL", "k+"),
    ("UNLINK", "k+"),
    ("EXISTS", "k+"),
    ("TOUCH", "k+"),
    ("TTL", "k"),
    ("PTTL", "k"),
    ("EXPIRE", "k t"),
    ("PEXPIRE", "k m"),
    ("EXPIREAT", "k a"),
    ("PEXPIREAT", "k b"),
    ("PERSIST", "k"),
    ("KEYS", "p"),
    ("SCAN", "0 COUNT 1000 [MATCH.p|TYPE.y]"),
    ("MGET", "k+"),
    ("MSET", "sv+"),
    ("MSETNX", "sv+"),
    ("DBSIZE", ""),
    ("FLUSHDB", "[ASYNC|SYNC]"),
    ("FLUSHALL", "[ASYNC|SYNC]"),
    ("RENAME", "k k"),
    ("RENAMENX", "k k"),
    ("COPY", "k k [REPLACE|DB.d]"),
    ("MOVE", "k d"),
    ("RPOPLPUSH", "l l"),
    ("LMOVE", "l l <LEFT|RIGHT> <LEFT|RIGHT>"),
    ("SMOVE", "u u e"),
];

/// The server's commands whose replies do not depend on the server.
const SERVER: &[(&str, &str)] = &[
    ("MULTI", ""),
    ("MULTI", ""),
    ("EXEC", ""),
    ("EXEC", ""),
    ("EXEC", ""),
    ("DISCARD", ""),
    ("WATCH", "k+"),
    ("WATCH", "k+"),
    ("UNWATCH", ""),
    ("SELECT", "d"),
    ("PING", "?e"),
    ("ECHO", "v"),
    ("AUTH", "e"),
    ("FROBNICATE", "k v"),
];

/// The commands whose replies are drawn by the server: tested by themselves.
pub const DRAWN_BY_THE_SERVER: &[&str] = &["SPOP", "SRANDMEMBER", "RANDOMKEY"];

/// Draws commands.
pub struct Draw {
    random: ChaCha8Rng,
}

const KEYS: &[(char, &[&str])] = &[
    ('s', &["s1", "s2", "n1"]),
    ('n', &["n1", "n2", "s1"]),
    ('g', &["g1", "n1"]),
    ('l', &["l1", "l2"]),
    ('u', &["u1", "u2"]),
    ('h', &["h1", "h2"]),
    ('z', &["z1", "z2"]),
];

const VALUES: &[&str] = &[
    "a",
    "b",
    "",
    "10",
    "-3",
    "3.5",
    "1e3",
    "two words",
    "9223372036854775807",
    "\u{1}é\r\n",
    "x\"\\",
    "007",
];
const ODD_INTEGERS: &[&str] = &[
    "1.5",
    "abc",
    "",
    " 1",
    "1 ",
    "+1",
    "01",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "1e2",
    "-0",
    "100",
];
const FLOATS: &[&str] = &[
    "1",
    "0",
    "-1.5",
    "3.14",
    "1e2",
    "1e-3",
    "0.1",
    "0.2",
    "100000",
    "1e17",
    "12345678901234",
    "2.50",
    "-0",
];
const ODD_FLOATS: &[&str] = &[
    "inf", "-inf", "+inf", "nan", "abc", "", "0x10", " 1", "1 ", "1e400", "infinity", ".5", "5.",
    "+3", "1e21", "1e-10", "--1",
];

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u32) -> bool {
        self.random.random_ratio(1, times)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    fn of(&mut self, words: &[&str]) -> Vec<u8> {
        words
            .choose(&mut self.random)
            .expect("some")
            .as_bytes()
            .to_vec()
    }

    /// A command, of the server's too.
    pub fn command(&mut self) -> Words {
        let table = if self.once_in(7) { SERVER } else { GRAMMAR };
        let (name, arguments) = loop {
            let row = table.choose(&mut self.random).expect("some");
            // What empties everything comes seldom.
            if !row.0.starts_with("FLUSH") || self.once_in(5) {
                break row;
            }
        };
        self.of_grammar(name, arguments)
    }

    /// The command of that row.
    pub fn of_grammar(&mut self, name: &str, arguments: &str) -> Words {
        let name = if self.once_in(4) {
            name.to_lowercase()
        } else {
            name.to_owned()
        };
        let mut words = vec![name.into_bytes()];
        for token in arguments.split_whitespace() {
            self.token(token, &mut words);
        }
        match self.random.random_range(0..50) {
            0 => {
                words.truncate(words.len().max(2) - 1);
            }
            1 => words.push(b"extra".to_vec()),
            _ => {}
        }
        words
    }

    fn token(&mut self, token: &str, words: &mut Words) {
        let inside = token.get(1..token.len() - 1).unwrap_or_default();
        if token.starts_with('[') {
            for _ in 0..*[0, 0, 1, 1, 1, 2].choose(&mut self.random).expect("some") {
                let option: Vec<&str> = inside.split('|').collect();
                let option = *option.choose(&mut self.random).expect("some");
                for token in option.split('.') {
                    self.token(token, words);
                }
            }
            if self.once_in(30) {
                words.push(b"NONSENSE".to_vec());
            }
        } else if token.starts_with('<') {
            let either: Vec<&str> = inside.split('|').collect();
            words.push(if self.once_in(10) {
                b"MIDDLE".to_vec()
            } else {
                self.of(&either)
            });
        } else if let Some(class) = token.strip_prefix('?') {
            if self.once_in(2) {
                self.token(class, words);
            }
        } else if let Some(classes) = token.strip_suffix('+') {
            for _ in 0..self.random.random_range(1..=3) {
                for class in classes.chars() {
                    let word = self.word(class);
                    words.push(word);
                }
            }
        } else if token.len() == 1 && token.starts_with(|c: char| c.is_lowercase()) {
            let class = token.chars().next().expect("one");
            let word = self.word(class);
            words.push(word);
        } else if self.once_in(5) {
            words.push(token.to_lowercase().into_bytes());
        } else {
            words.push(token.as_bytes().to_vec());
        }
    }

    /// A word of a class: a key of some kind, a value, a number, a time.
    fn word(&mut self, class: char) -> Vec<u8> {
        if let Some((_, keys)) = KEYS.iter().find(|(known, _)| *known == class) {
            return if self.once_in(8) {
                self.word('k')
            } else {
                self.of(keys)
            };
        }
        let now = jiff::Timestamp::now().as_millisecond();
        let odd = self.once_in(12);
        // TTLs end at once or long after the test.
        let ahead = self.random.random_range(1_000..100_000_i64);
        let ahead = if self.once_in(8) { -ahead } else { ahead };
        let number = match class {
            'i' | 't' | 'm' | 'a' | 'b' if odd => return self.of(ODD_INTEGERS),
            'i' => self.random.random_range(-4..8),
            't' => ahead,
            'm' => ahead * 1000,
            'a' => now / 1000 + ahead,
            'b' => now + ahead * 1000,
            'k' => {
                let all: Vec<&str> = KEYS
                    .iter()
                    .flat_map(|(_, keys)| *keys)
                    .copied()
                    .chain(["k1", "k2"])
                    .collect();
                return self.of(&all);
            }
            'v' => return self.of(VALUES),
            'e' => return self.of(&["a", "b", "c", "d", "10"]),
            'q' if !odd => {
                return self.of(&["1", "0", "-1.5", "0.25", "1e2", "100000", "2.50", "-0", "3"]);
            }
            'f' | 'q' if odd => return self.of(ODD_FLOATS),
            'f' => return self.of(FLOATS),
            'r' if odd => return self.of(ODD_FLOATS),
            'r' => return self.of(&["-inf", "+inf", "0", "(0", "1", "(1", "100", "3.14", "("]),
            'd' => return self.of(&["0", "0", "0", "1", "1", "15", "16", "-1", "x", ""]),
            'p' => {
                return self.of(&[
                    "*", "s*", "?1", "[lu]?", "[^s]1", "x*", "", "[a-m]1", "\\s1", "[",
                ]);
            }
            'y' => return self.of(&["string", "list", "hash", "ZSET", "set", "nonsense"]),
            other => panic!("no class of words '{other}'"),
        };
        number.to_string().into_bytes()
    }
}

/// A command as a person would type it.
pub fn typed(words: &[Vec<u8>]) -> String {
    let words: Vec<_> = words
        .iter()
        .map(|word| {
            let text = word.escape_ascii().to_string();
            if text.is_empty() || text.contains([' ', '\\', '"']) {
                format!("\"{text}\"")
            } else {
                text
            }
        })
        .collect();
    words.join(" ")
}
