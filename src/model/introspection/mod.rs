//! What a server says of itself and how it is told what to be: everything but data and
//! transactions.

mod administration;
mod configuration;
mod digest;
mod info;
mod link;
mod role;

use std::rc::Rc;

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::node::Node;
use super::resp::{bulk, error, simple};
use super::session::Session;

pub(super) use administration::{client, debug};
pub(super) use link::{psync, replconf};

/// The server's commands: name, number of arguments with the name (negative: at least so many),
/// and whether they are served while it loads. KeyDB answers PING while it loads, although 'PING
/// shows the server is active' (docs haproxy.md, P30); the model does not.
const COMMANDS: &[(&str, i32, bool)] = &[
    ("AUTH", -2, true),
    ("BGREWRITEAOF", 1, false),
    ("BGSAVE", -1, false),
    ("CLIENT", -2, true),
    ("COMMAND", -1, true),
    ("CONFIG", -2, true),
    ("DEBUG", -2, false),
    ("DISCARD", 1, true),
    ("ECHO", 2, true),
    ("EXEC", 1, true),
    ("INFO", -1, true),
    ("LASTSAVE", 1, true),
    ("MULTI", 1, true),
    ("PING", -1, false),
    ("PSUBSCRIBE", -2, true),
    ("PSYNC", 3, false),
    ("PUBLISH", 3, true),
    ("PUNSUBSCRIBE", -1, true),
    ("QUIT", -1, true),
    ("REPLCONF", -1, true),
    ("REPLICAOF", -3, true),
    ("REPLPING", -1, false),
    ("ROLE", 1, true),
    ("RREPLAY", -3, true),
    ("SAVE", 1, false),
    ("SELECT", 2, true),
    ("SHUTDOWN", -1, true),
    ("SLAVEOF", -3, true),
    ("SUBSCRIBE", -2, true),
    ("TIME", 1, true),
    ("UNSUBSCRIBE", -1, true),
    ("UNWATCH", 1, true),
    ("WAIT", 3, false),
    ("WATCH", -2, true),
];

fn row(name: &str) -> Option<&'static (&'static str, i32, bool)> {
    COMMANDS.iter().find(|(known, ..)| *known == name)
}

/// The arity of a server's command, `None` if there is none of that name (in capitals).
pub(super) fn arity(name: &str) -> Option<i32> {
    row(name).map(|(_, arity, _)| *arity)
}

/// Whether a command is served while the server loads.
pub(super) fn is_served_while_loading(name: &str) -> bool {
    row(name).is_some_and(|(.., served)| *served)
}

/// Carries out a server's command.
pub(super) async fn run(
    node: &Rc<Node>,
    session: &mut Session,
    name: &str,
    argv: &[Bytes],
) -> BytesFrame {
    match name {
        "PING" if argv.len() > 1 => bulk(argv[1].clone()),
        "PING" | "REPLPING" => simple("PONG"),
        "ECHO" => bulk(argv[1].clone()),
        "INFO" => bulk(info::text(node, argv.get(1))),
        "ROLE" => role::reply(node),
        "COMMAND" => administration::command(argv),
        "CLIENT" => administration::client(node, session, argv),
        "CONFIG" => configuration::config(node, argv),
        "DEBUG" => administration::debug(node, session, argv),
        "WAIT" => link::wait(node, argv).await,
        "REPLICAOF" | "SLAVEOF" => link::replicaof(node, argv),
        "RREPLAY" => error("ERR Command must be sent from a master"),
        _ => administration::run(node, name, argv),
    }
}

/// A word of a command as text.
fn text(word: &Bytes) -> String {
    String::from_utf8_lossy(word).into_owned()
}
