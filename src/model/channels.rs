//! Channels: who listens to which, and the messages that come from here and from other nodes.
//!
//! What is published on a primary is heard on every node, once (measured on 6.3.4 and older): a
//! message travels in the stream like a write, and belongs to no database. What is published on a
//! plain replica is heard there only. KeyDB promises no second attempt, and nothing keeps a message.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::types::BytesFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::command::matches;
use super::keyspace::Write;
use super::node::Node;
use super::quirk::Quirk;
use super::replication::Envelope;
use super::resp::{self, Received, bulk, error, simple};
use super::stamp::{Origin, now_millis};

/// The command that a message travels as.
const PUBLISH: &[u8] = b"PUBLISH";

/// The channels of a node.
#[derive(Debug, Default)]
pub(super) struct Channels {
    listeners: Vec<Listener>,
    /// The newest message of each node that was heard of: what is not newer is known.
    newest: BTreeMap<Origin, u64>,
    /// A quirk's count of messages that were published here.
    published: u64,
}

#[derive(Debug)]
struct Listener {
    id: u64,
    channels: BTreeSet<Bytes>,
    patterns: BTreeSet<Bytes>,
    wire: UnboundedSender<BytesFrame>,
}

impl Listener {
    fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

impl Channels {
    /// Gives a message to all who listen; how many times it was heard.
    fn deliver(&self, channel: &Bytes, message: &Bytes) -> i64 {
        let mut count = 0;
        for listener in &self.listeners {
            let mut tell = |frames: Vec<BytesFrame>| {
                // A connection that is gone hears nothing.
                count += i64::from(listener.wire.send(BytesFrame::Array(frames)).is_ok());
            };
            let (what, pattern) = ("message", "pmessage");
            if listener.channels.contains(channel) {
                tell(vec![
                    bulk(what),
                    bulk(channel.clone()),
                    bulk(message.clone()),
                ]);
            }
            for wanted in &listener.patterns {
                if matches(wanted, channel) {
                    tell(vec![
                        bulk(pattern),
                        bulk(wanted.clone()),
                        bulk(channel.clone()),
                        bulk(message.clone()),
                    ]);
                }
            }
        }
        count
    }
}

/// Whether what travels is a message.
pub(super) fn is_message(write: &Write) -> bool {
    let name = write.argv.first();
    name.is_some_and(|name| name.eq_ignore_ascii_case(PUBLISH))
}

/// `PUBLISH channel message`.
pub(super) fn publish(node: &Node, argv: &[Bytes]) -> BytesFrame {
    let count = node.channels.borrow().deliver(&argv[1], &argv[2]);
    // A plain replica's stream is its primary's.
    if !node.is_plain_replica() {
        let mvcc = node.clock.borrow_mut().tick(now_millis());
        let stamp = node.stamp(mvcc);
        let argv = argv.to_vec();
        let envelope = Envelope {
            origin: node.origin,
            writes: vec![(0, argv[1].clone(), Write { stamp, argv })],
        };
        let mut channels = node.channels.borrow_mut();
        channels.published += 1;
        let lost = node.quirks.has(Quirk::MessagesLost) && channels.published.is_multiple_of(10);
        if !lost {
            node.feed(envelope.to_bytes());
        }
    }
    BytesFrame::Integer(count)
}

/// Takes in a message of another node, once. Gives back whether it was new.
pub(super) fn hear(node: &Node, write: &Write) -> bool {
    let [_, channel, message] = &write.argv[..] else {
        return false;
    };
    let mut channels = node.channels.borrow_mut();
    let newest = channels.newest.entry(write.stamp.origin).or_default();
    if write.stamp.mvcc <= *newest {
        return false;
    }
    *newest = write.stamp.mvcc;
    // Nobody had subscribed here before this process began; its own of an earlier life among them.
    if write.stamp.millis() < node.born {
        return true;
    }
    channels.deliver(channel, message);
    if node.quirks.has(Quirk::MessagesTwiceAfterLoss) && node.lost_a_peer() {
        channels.deliver(channel, message);
    }
    true
}

/// Serves a connection from its first subscription on, until it has none. Gives back whether it
/// goes on.
pub(super) async fn listen(
    node: &Node,
    socket: &mut TcpStream,
    received: &mut Received,
    first: Vec<Bytes>,
) -> bool {
    let (wire, mut heard) = unbounded_channel();
    let id = node.next_id();
    node.channels.borrow_mut().listeners.push(Listener {
        id,
        channels: BTreeSet::new(),
        patterns: BTreeSet::new(),
        wire,
    });
    let mut out = BytesMut::new();
    let mut next = Some(first);
    let goes_on = loop {
        let mut subscribed = true;
        while let Some(argv) = next.take() {
            subscribed = answer(node, id, &argv, &mut out);
            if !subscribed {
                break;
            }
            next = received.take_command().unwrap_or_default();
        }
        while let Ok(message) = heard.try_recv() {
            resp::put_reply(&mut out, &message);
        }
        node.stats.bytes_out.add(out.len() as u64);
        if socket.write_all(&out).await.is_err() {
            break false;
        }
        out.clear();
        if !subscribed {
            break true;
        }
        tokio::select! {
            message = heard.recv() => match message {
                Some(message) => resp::put_reply(&mut out, &message),
                None => break false,
            },
            read = socket.read_buf(&mut received.bytes) => match read {
                Ok(0) | Err(_) => break false,
                Ok(count) => {
                    node.stats.bytes_in.add(count as u64);
                    match received.take_command() {
                        Ok(command) => next = command,
                        Err(_) => break false,
                    }
                }
            },
        }
    };
    let listeners = &mut node.channels.borrow_mut().listeners;
    listeners.retain(|listener| listener.id != id);
    goes_on
}

/// Answers a command of a connection that listens. Gives back whether it listens still.
fn answer(node: &Node, id: u64, argv: &[Bytes], out: &mut BytesMut) -> bool {
    let Some(name) = argv.first() else {
        return true;
    };
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let mut channels = node.channels.borrow_mut();
    let listener = channels.listeners.iter_mut();
    let Some(listener) = listener.into_iter().find(|listener| listener.id == id) else {
        return false;
    };
    let by_pattern = name.starts_with('p');
    let mut tell = |what: Option<Bytes>, count: usize| {
        let what = what.map_or(BytesFrame::Null, bulk);
        let count = BytesFrame::Integer(i64::try_from(count).unwrap_or(i64::MAX));
        let reply = BytesFrame::Array(vec![bulk(name.clone()), what, count]);
        resp::put_reply(out, &reply);
    };
    match name.as_str() {
        "subscribe" | "psubscribe" if argv.len() > 1 => {
            for what in &argv[1..] {
                match by_pattern {
                    true => listener.patterns.insert(what.clone()),
                    false => listener.channels.insert(what.clone()),
                };
                tell(Some(what.clone()), listener.count());
            }
        }
        "unsubscribe" | "punsubscribe" => {
            let held = match by_pattern {
                true => &listener.patterns,
                false => &listener.channels,
            };
            let all: Vec<Bytes> = match &argv[1..] {
                [] => held.iter().cloned().collect(),
                some => some.to_vec(),
            };
            if all.is_empty() {
                tell(None, listener.count());
            }
            for what in all {
                match by_pattern {
                    true => listener.patterns.remove(&what),
                    false => listener.channels.remove(&what),
                };
                tell(Some(what), listener.count());
            }
        }
        "ping" => {
            let said = argv.get(1).cloned().unwrap_or_default();
            resp::put_reply(out, &BytesFrame::Array(vec![bulk("pong"), bulk(said)]));
        }
        "quit" => {
            resp::put_reply(out, &simple("OK"));
            // Its messages end here; the client closes.
            return false;
        }
        _ => {
            let refusal = format!(
                "ERR Can't execute '{name}': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT are allowed in this context"
            );
            resp::put_reply(out, &error(refusal));
        }
    }
    listener.count() > 0
}

/// The answer to `UNSUBSCRIBE` and `PUNSUBSCRIBE` of a connection that listens to nothing.
pub(super) fn listens_to_nothing(name: &str, argv: &[Bytes]) -> BytesFrame {
    let what = argv.get(1).cloned().map_or(BytesFrame::Null, bulk);
    BytesFrame::Array(vec![
        bulk(name.to_ascii_lowercase()),
        what,
        BytesFrame::Integer(0),
    ])
}
