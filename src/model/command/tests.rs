//! The commands against what KeyDB 6.3.4 replied.
//!
//! The tables in `measured/` were taken from a real server, its data flushed before each
//! ([`keydb_still_replies_so`] does it again). A line is
//! a command and the next its reply, as `keydb-cli` shows it; arguments are separated by spaces, and
//! `"` and `\` quote. After `>` the replies are the same; after `~` they are up to order; after `!`
//! the model knowingly differs.

mod passed_on;

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use redis_protocol::resp2::decode::decode_bytes;
use redis_protocol::resp2::encode::extend_encode;
use redis_protocol::resp2::types::BytesFrame;
use rstest::rstest;

use super::{Refusal, Run, View, find, keys, on_slot, overwrites, unknown_command};
use crate::model::keyspace::Keyspace;
use crate::model::stamp::{Origin, Stamp};

/// Long before the times that the tables name, long after those that have passed.
const NOW: u64 = 1_750_000_000_000;

/// A node that carries out commands, and another that takes in the writes that they pass on.
#[derive(Default)]
struct Pair {
    near: Keyspace,
    far: Keyspace,
    writes: u64,
}

impl Pair {
    fn call(&mut self, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
        let name = String::from_utf8_lossy(&argv[0]).to_ascii_uppercase();
        let command = find(&name).ok_or_else(|| unknown_command(argv))?;
        command.check_arity(argv)?;
        let writes = &mut self.writes;
        let mut stamp = || {
            *writes += 1;
            Stamp {
                mvcc: (NOW << 20) + *writes,
                origin: Origin(1),
            }
        };
        let mut view = View {
            keyspace: &mut self.near,
            database: 0,
            now: NOW,
            stamp: &mut stamp,
            writes: Vec::new(),
        };
        let reply = match command.run {
            Run::Slot(_) => view.run(argv),
            Run::View(run) => run(&mut view, argv),
        };
        let passed_on = view.writes;
        assert!(command.writes || passed_on.is_empty(), "{name} wrote");
        for (database, key, write) in passed_on {
            self.far.insert(database, &key, write);
        }
        self.assert_same();
        reply
    }

    fn assert_same(&self) {
        for (near, far) in self.near.databases.iter().zip(&self.far.databases) {
            let near: Vec<_> = near.alive(NOW).collect();
            let far: Vec<_> = far.alive(NOW).collect();
            assert_eq!(near, far, "what was passed on gives something else");
        }
    }
}

/// The arguments of a command line.
fn words(line: &str) -> Vec<Bytes> {
    let mut words = Vec::new();
    let mut rest = line.chars();
    let mut word: Option<String> = None;
    let mut quoted = false;
    while let Some(char) = rest.next() {
        match char {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' => word.get_or_insert_default().extend(rest.next()),
            ' ' if !quoted => words.extend(word.take().map(Bytes::from)),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word.map(Bytes::from));
    words
}

fn show(frame: &BytesFrame, sorted: bool) -> String {
    match frame {
        BytesFrame::SimpleString(text) => String::from_utf8_lossy(text).into_owned(),
        BytesFrame::Error(text) => format!("(error) {text}"),
        BytesFrame::Integer(number) => number.to_string(),
        BytesFrame::BulkString(bytes) => {
            let shown = bytes.iter().map(|&byte| match byte {
                b'"' | b'\\' => format!("\\x{byte:02x}"),
                32..127 => char::from(byte).to_string(),
                _ => format!("\\x{byte:02x}"),
            });
            format!("\"{}\"", shown.collect::<String>())
        }
        BytesFrame::Array(items) => {
            let mut items: Vec<_> = items.iter().map(|item| show(item, false)).collect();
            if sorted {
                items.sort();
            }
            format!("[{}]", items.join(" "))
        }
        BytesFrame::Null => "nil".to_owned(),
    }
}

/// A connection to a real server.
struct Server {
    stream: std::net::TcpStream,
    received: Vec<u8>,
}

impl Server {
    fn call(&mut self, argv: &[Bytes]) -> BytesFrame {
        let argv = argv.iter().cloned().map(BytesFrame::BulkString).collect();
        let mut sent = bytes::BytesMut::new();
        extend_encode(&mut sent, &BytesFrame::Array(argv), false).unwrap();
        self.stream.write_all(&sent).unwrap();
        loop {
            let received = Bytes::copy_from_slice(&self.received);
            if let Some((reply, length)) = decode_bytes(&received).unwrap() {
                self.received.drain(..length);
                return reply;
            }
            let mut piece = [0; 4096];
            let length = self.stream.read(&mut piece).unwrap();
            assert!(length > 0, "closed");
            self.received.extend_from_slice(&piece[..length]);
        }
    }
}

/// Measures the tables again, at the server that `KEYDB_MEASURED` names (`127.0.0.1:6379`): its data
/// is lost.
#[test]
#[ignore = "needs a KeyDB 6.3.4 to measure"]
fn keydb_still_replies_so() {
    let address = std::env::var("KEYDB_MEASURED").unwrap();
    let mut server = Server {
        stream: std::net::TcpStream::connect(address).unwrap(),
        received: Vec::new(),
    };
    let mut wrong = Vec::new();
    for table in TABLES {
        server.call(&words("FLUSHALL"));
        for (line, mark, command, measured) in rows(table) {
            let reply = show(&server.call(&words(command)), mark == "~");
            if reply != measured {
                wrong.push(format!("{line}\n  then: {measured}\n  now: {reply}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const TABLES: [&str; 7] = [
    include_str!("measured/strings.txt"),
    include_str!("measured/lists.txt"),
    include_str!("measured/sets.txt"),
    include_str!("measured/hashes.txt"),
    include_str!("measured/sorted_sets.txt"),
    include_str!("measured/keys.txt"),
    include_str!("measured/several.txt"),
];

/// The rows of a table: the whole line, its mark, its command, and the reply.
fn rows(table: &str) -> impl Iterator<Item = (&str, &str, &str, &str)> {
    let mut lines = table
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    std::iter::from_fn(move || {
        let (line, measured) = (lines.next()?, lines.next()?);
        let (mark, command) = line.split_once(' ')?;
        Some((line, mark, command, measured))
    })
}

#[rstest]
#[case::strings(TABLES[0])]
#[case::lists(TABLES[1])]
#[case::sets(TABLES[2])]
#[case::hashes(TABLES[3])]
#[case::sorted_sets(TABLES[4])]
#[case::keys(TABLES[5])]
#[case::several(TABLES[6])]
fn replies_as_measured(#[case] table: &str) {
    let mut pair = Pair::default();
    let mut wrong = Vec::new();
    for (line, mark, command, measured) in rows(table) {
        let reply = match pair.call(&words(command)) {
            Ok(reply) => show(&reply, mark == "~"),
            Err(refusal) => format!("(error) {refusal}"),
        };
        if (reply == measured) == (mark == "!") {
            wrong.push(format!("{line}\n  KeyDB: {measured}\n  model: {reply}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every key that is there throughout comes up, while others come and go.
#[test]
fn scan_misses_no_key() {
    let mut pair = Pair::default();
    for number in 0..300 {
        pair.call(&words(&format!("SET stays{number} v"))).unwrap();
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut cursor = "0".to_owned();
    let mut calls = 0;
    loop {
        let line = format!("SCAN {cursor} COUNT 7 MATCH stays*");
        let Ok(BytesFrame::Array(page)) = pair.call(&words(&line)) else {
            panic!("{line}");
        };
        let [BytesFrame::BulkString(next), BytesFrame::Array(keys)] = &page[..] else {
            panic!("{page:?}");
        };
        for key in keys {
            assert!(seen.insert(show(key, false)), "{key:?} came twice");
        }
        cursor = String::from_utf8(next.to_vec()).unwrap();
        calls += 1;
        if cursor == "0" {
            break;
        }
        pair.call(&words(&format!("SET comes{calls} v"))).unwrap();
        pair.call(&words(&format!("DEL comes{}", calls / 2)))
            .unwrap();
    }
    assert_eq!(seen.len(), 300);
    assert!(calls > 20, "{calls} calls");
}

#[rstest]
#[case("SET k v", true)]
#[case("SET k v PXAT 1", true)]
#[case("set k v KEEPTTL", false)]
#[case("SET k v NX", false)]
#[case("SET", false)]
#[case("SET k", false)]
#[case("DEL k", true)]
#[case("APPEND k v", false)]
fn knows_what_overwrites(#[case] command: &str, #[case] expected: bool) {
    assert_eq!(overwrites(&words(command)), expected);
}

#[test]
fn clients_cannot_restore() {
    assert!(find(keys::RESTORE).is_none());
}

#[test]
fn a_read_leaves_what_has_expired_to_an_older_write() {
    let mut slot = None;
    on_slot(&mut slot, &words("SET k v PXAT 2000"), 1000).unwrap();
    let reply = on_slot(&mut slot, &words("GET k"), 3000).unwrap().reply;
    assert_eq!(reply, BytesFrame::Null);
    assert!(on_slot(&mut slot, &words("LPOP k x"), 3000).is_err());
    let reply = on_slot(&mut slot, &words("APPEND k w"), 1500)
        .unwrap()
        .reply;
    assert_eq!(reply, BytesFrame::Integer(2));
}
