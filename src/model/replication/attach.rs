//! A server that asks to follow this one: what it misses, or everything, then the stream.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::stream::Follower;
use crate::model::node::Node;
use crate::model::persistence::Snapshot;
use crate::model::quirk::Quirk;
use crate::model::resp::Received;

/// What a follower said of itself before it asked.
#[derive(Debug, Clone, Copy)]
pub(in crate::model) struct Asking {
    pub(in crate::model) from: SocketAddr,
    pub(in crate::model) port: u16,
    /// The address that it announced instead of the one it comes from.
    pub(in crate::model) announced: Option<IpAddr>,
    pub(in crate::model) is_active: bool,
}

/// Answers `PSYNC replid offset` and then passes the stream on until the connection ends.
pub(in crate::model) async fn attach(
    node: &Rc<Node>,
    mut socket: TcpStream,
    mut received: Received,
    asking: Asking,
    replid: &str,
    offset: u64,
) {
    let name = format!("{}:{}", asking.from.ip(), asking.port);
    node.log
        .notice(format_args!("Replica {name} asks for synchronization"));
    let (id, mut wire) = grant(node, asking, &name, replid, offset);
    let (mut reader, mut writer) = socket.split();
    let writing = async {
        while let Some(bytes) = next(node, &mut wire).await {
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
    };
    let reading = async {
        while let Ok(command) = received.take_command() {
            match command {
                Some(argv) => note_acknowledgement(node, id, &argv),
                None => match reader.read_buf(&mut received.bytes).await {
                    Ok(0) | Err(_) => break,
                    Ok(_) => {}
                },
            }
        }
    };
    tokio::select! {
        () = writing => {}
        () = reading => {}
    }
    node.stream
        .borrow_mut()
        .followers
        .retain(|follower| follower.id != id);
    node.lost_followers.set(node.lost_followers.get() + 1);
    node.log
        .warning(format_args!("Connection with replica {name} lost."));
}

/// Decides between a partial and a full resync; nothing of the stream falls between the answer and
/// what is fed from then on, as no other task runs meanwhile.
fn grant(
    node: &Node,
    asking: Asking,
    name: &str,
    replid: &str,
    offset: u64,
) -> (u64, UnboundedReceiver<Bytes>) {
    let id = node.next_id();
    let mut stream = node.stream.borrow_mut();
    let (sender, receiver) = unbounded_channel();
    let missed = match stream.missed(replid, offset) {
        None if node.quirks.has(Quirk::ForeignOffset) => {
            let end = stream.offset;
            let middle = end.saturating_sub(7).max(stream.backlog.first());
            let replid = stream.replid.clone();
            stream.missed(&replid, middle)
        }
        missed => missed,
    };
    let answer = match missed {
        Some(missed) => {
            node.stats.sync_partial_ok.add(1);
            node.log.notice(format_args!(
                "Partial resynchronization request from {name} accepted. Sending {} bytes of backlog starting from offset {offset}.",
                missed.len()
            ));
            let mut answer = format!("+CONTINUE {}\r\n", stream.replid).into_bytes();
            if !node.quirks.has(Quirk::SkipsBacklog) {
                answer.extend(missed);
            }
            answer
        }
        None => {
            if replid != "?" {
                node.stats.sync_partial_err.add(1);
                node.log.notice(format_args!(
                    "Partial resynchronization not accepted: replica asked for '{replid}' from {offset}, my replication IDs are '{}' and '{}', my backlog begins at {}",
                    stream.replid, stream.replid2, stream.backlog.first()
                ));
            }
            node.stats.sync_full.add(1);
            if node.quirks.has(Quirk::NoTombstones) {
                node.forget_tombstones();
            }
            let snapshot = Snapshot::of(&node.keyspace.borrow());
            let Ok(payload) = snapshot.to_bytes() else {
                node.log.warning("no memory for a snapshot");
                return (id, receiver);
            };
            node.log.notice(format_args!(
                "Starting full synchronization of {name}: {} bytes",
                payload.len()
            ));
            let head = format!(
                "+FULLRESYNC {} {}\r\n${}\r\n",
                stream.replid,
                stream.offset,
                payload.len()
            );
            let mut answer = head.into_bytes();
            answer.extend(payload);
            answer
        }
    };
    // The receiver is held by the caller.
    let _ = sender.send(answer.into());
    let follower = Follower {
        id,
        ip: asking.announced.unwrap_or(asking.from.ip()),
        port: asking.port,
        is_active: asking.is_active,
        acknowledged: stream.offset,
        heard: Instant::now(),
        wire: sender,
    };
    stream.followers.push(follower);
    node.log.notice(format_args!(
        "Synchronization with replica {name} succeeded"
    ));
    (id, receiver)
}

/// The next part of the stream: all that has been written since the last, as a server sends what its
/// clients left in the buffer.
async fn next(node: &Node, wire: &mut UnboundedReceiver<Bytes>) -> Option<Bytes> {
    let first = wire.recv().await?;
    if node.quirks.has(Quirk::SlowToForward) && node.lost_followers.get() > 0 {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    if wire.is_empty() {
        return Some(first);
    }
    let mut all = BytesMut::from(first);
    while let Ok(more) = wire.try_recv() {
        all.extend_from_slice(&more);
    }
    Some(all.freeze())
}

fn note_acknowledgement(node: &Node, id: u64, argv: &[Bytes]) {
    let [name, what, offset] = argv else { return };
    if !name.eq_ignore_ascii_case(b"REPLCONF") || !what.eq_ignore_ascii_case(b"ACK") {
        return;
    }
    let offset = std::str::from_utf8(offset)
        .ok()
        .and_then(|text| text.parse().ok());
    let mut stream = node.stream.borrow_mut();
    let follower = stream
        .followers
        .iter_mut()
        .find(|follower| follower.id == id);
    if let (Some(follower), Some(offset)) = (follower, offset) {
        follower.acknowledged = offset;
        follower.heard = Instant::now();
    }
    drop(stream);
    node.acknowledged.notify_waiters();
}
