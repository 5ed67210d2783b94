//! A client's connection: commands in, replies out, in order.

use std::rc::Rc;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

use super::channels::listen;
use super::node::Node;
use super::replication::{Asking, attach};
use super::resp::{self, Received};
use super::session::{Next, Session};

/// Replies that are held back for more to come, in bytes.
const HELD_BACK: usize = 64 << 10;

/// Serves every client that connects.
pub(super) async fn accept(node: Rc<Node>, listener: TcpListener) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of descriptors, say: others end meanwhile.
            tokio::task::yield_now().await;
            continue;
        };
        // A reply is not held back to be joined with the next.
        let _ = socket.set_nodelay(true);
        node.stats.connections.add(1);
        let node = Rc::clone(&node);
        spawn_local(async move {
            node.stats.clients.set(node.stats.clients.get() + 1);
            serve(&node, socket).await;
            node.stats.clients.set(node.stats.clients.get() - 1);
        });
    }
}

async fn serve(node: &Rc<Node>, mut socket: TcpStream) {
    let (Ok(from), Ok(to)) = (socket.peer_addr(), socket.local_addr()) else {
        return;
    };
    let mut session = Session::new(node.next_id(), from, to);
    let (mut received, mut replies) = (Received::default(), BytesMut::new());
    loop {
        let command = match received.take_command() {
            Ok(command) => command,
            Err(error) => {
                resp::put_reply(&mut replies, &resp::error(format!("ERR {error}")));
                let _ = socket.write_all(&replies).await;
                return;
            }
        };
        let Some(argv) = command else {
            if flush(node, &mut socket, &mut replies).await.is_err() {
                return;
            }
            match socket.read_buf(&mut received.bytes).await {
                Ok(0) | Err(_) => return,
                Ok(count) => node.stats.bytes_in.add(count as u64),
            }
            continue;
        };
        if argv.is_empty() {
            continue;
        }
        match session.execute(node, &argv).await {
            Next::Reply(reply) => resp::put_reply(&mut replies, &reply),
            Next::Silence => {}
            Next::Close(reply) => {
                resp::put_reply(&mut replies, &reply);
                let _ = flush(node, &mut socket, &mut replies).await;
                return;
            }
            Next::Listen => {
                if flush(node, &mut socket, &mut replies).await.is_err()
                    || !listen(node, &mut socket, &mut received, argv).await
                {
                    return;
                }
            }
            Next::Follow { replid, offset } => {
                if flush(node, &mut socket, &mut replies).await.is_err() {
                    return;
                }
                let asking = Asking {
                    from,
                    port: session.listening_port,
                    announced: session.announced_ip,
                    is_active: session.is_active,
                };
                return attach(node, socket, received, asking, &replid, offset).await;
            }
        }
        if replies.len() > HELD_BACK && flush(node, &mut socket, &mut replies).await.is_err() {
            return;
        }
    }
}

async fn flush(node: &Node, socket: &mut TcpStream, replies: &mut BytesMut) -> std::io::Result<()> {
    if replies.is_empty() {
        return Ok(());
    }
    node.stats.bytes_out.add(replies.len() as u64);
    socket.write_all(replies).await?;
    replies.clear();
    Ok(())
}
