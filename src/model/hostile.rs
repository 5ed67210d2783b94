//! What the model reads of connections and files, for [`crate::hostile`].

use std::net::SocketAddr;
use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;

use super::command;
use super::config::Config;
use super::log::Log;
use super::node::Node;
use super::persistence::Snapshot;
use super::quirk::Quirks;
use super::replication::{carry_out, take_in};
use super::resp::{self, ProtocolError, Received};
use super::session::{Next, Session};
use crate::relay::hostile::chunks;

/// Commands that wait, write files, open connections or end the node: what they read is read before.
const LEFT_OUT: &[&str] = &[
    "BGREWRITEAOF",
    "BGSAVE",
    "CONFIG",
    "REPLICAOF",
    "SAVE",
    "SHUTDOWN",
    "SLAVEOF",
    "WAIT",
];

/// All commands in these bytes, in whatever pieces they come, and why there are no more.
fn commands(pieces: &[&[u8]]) -> (Vec<Vec<Bytes>>, Option<ProtocolError>) {
    let mut received = Received::default();
    let mut commands = Vec::new();
    for piece in pieces {
        received.bytes.extend_from_slice(piece);
        loop {
            match received.take_command() {
                Ok(Some(command)) => commands.push(command),
                Ok(None) => break,
                Err(error) => return (commands, Some(error)),
            }
        }
    }
    (commands, None)
}

/// Takes commands apart, whole and in pieces: both give the same, and no more than came.
pub(crate) fn resp(bytes: &[u8]) {
    let whole = commands(&[bytes]);
    assert_eq!(commands(&chunks(bytes)), whole);
    let words: usize = whole.0.iter().flatten().map(Bytes::len).sum();
    assert!(words <= bytes.len());
}

fn node(config: &str) -> Option<Rc<Node>> {
    let config = Config::parse(config).ok()?;
    let node = Node::new(config, Quirks::default(), Log::new(|_| {}));
    node.loading.set(false);
    node.booted.set(true);
    Some(Rc::new(node))
}

/// Whether a command is only as large as what it makes: `SETRANGE` may make 512 MB of a few bytes, as in
/// KeyDB, which is not for a test.
fn is_small(argv: &[Bytes]) -> bool {
    let name = argv.first().map(|name| name.to_ascii_uppercase());
    let name = name.as_deref().unwrap_or_default();
    let seconds = argv
        .get(2)
        .and_then(|word| std::str::from_utf8(word).ok()?.parse::<f64>().ok());
    let sleeps = name == b"DEBUG" && seconds.is_some_and(|seconds| seconds > 0.0);
    let grows = name == b"SETRANGE" && argv.get(2).is_none_or(|offset| offset.len() > 5);
    !sleeps && !grows && LEFT_OUT.iter().all(|left| left.as_bytes() != name)
}

/// Carries out what a client sends, on a primary that is free to do all of it.
pub(crate) fn client(bytes: &[u8]) {
    let Some(node) = node("active-replica yes\nrequirepass \"\"\n") else {
        panic!("the configuration is sound");
    };
    let here = SocketAddr::from(([127, 0, 0, 1], 6379));
    let mut session = Session::new(1, here, here);
    let mut replies = BytesMut::new();
    let (commands, _) = commands(&[bytes]);
    for argv in commands.into_iter().filter(|argv| !argv.is_empty()) {
        let within: Option<Vec<Bytes>> = argv
            .get(2)
            .and_then(|inner| resp::first_command(inner).ok().flatten());
        if !is_small(&argv) || within.is_some_and(|inner| !is_small(&inner)) {
            continue;
        }
        let next = session.execute(&node, &argv).now_or_never();
        match next.expect("what waits is left out") {
            Next::Reply(reply) | Next::Close(reply) => resp::put_reply(&mut replies, &reply),
            Next::Silence | Next::Listen | Next::Follow { .. } => {}
        }
        replies.clear();
    }
}

/// Takes in what a master sends, on a primary and on a replica.
pub(crate) fn link(bytes: &[u8]) {
    for config in [
        "active-replica yes\nreplicaof 127.0.0.1 1\n",
        "replicaof 127.0.0.1 1\n",
    ] {
        let Some(node) = node(config) else {
            panic!("the configuration is sound");
        };
        let mut received = Received::from(bytes);
        while let Ok(Some((argv, raw))) = received.take_with_its_bytes() {
            let inner = argv.get(2).map(|inner| commands(&[inner]).0);
            if inner
                .unwrap_or_default()
                .iter()
                .all(|inner| is_small(inner))
            {
                carry_out(&node, &argv, &raw);
            }
        }
    }
}

/// Takes in a snapshot whose checksum fits, and writes it again.
pub(crate) fn snapshot(bytes: &[u8]) {
    let framed = Snapshot::framed(bytes);
    let Ok((snapshot, rest)) = Snapshot::from_bytes(&framed) else {
        return;
    };
    assert!(rest.is_empty());
    let small = |argv: &Vec<Bytes>| is_small(argv);
    let mut entries = snapshot.databases.iter().flat_map(|keys| keys.values());
    if !entries.all(|entry| entry.writes.iter().all(|write| small(&write.argv))) {
        return;
    }
    for config in ["active-replica yes\n", "replicaof 127.0.0.1 1\n"] {
        let Some(node) = node(config) else {
            panic!("the configuration is sound");
        };
        let taking = take_in(&node, snapshot.clone(), "replid", 7);
        taking
            .now_or_never()
            .expect("so few keys are taken in at once");
        let again = Snapshot::of(&node.keyspace.borrow()).to_bytes();
        assert!(again.is_ok());
    }
}

/// Reads a `keydb.conf`.
pub(crate) fn config(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(config) = Config::parse(&text) {
        let _ = (config.address(), config.number("repl-backlog-size"));
        let _ = Node::new(config, Quirks::default(), Log::new(|_| {}));
    }
}

/// Compares a pattern with a name, as channels and `KEYS` do.
pub(crate) fn pattern(bytes: &[u8]) {
    let (pattern, name) = bytes.split_at(bytes.len() / 2);
    let _ = command::matches(pattern, name);
}
