//! Commands about replication links: `REPLICAOF` in its forms, `WAIT`, and what followers say.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;
use tokio::task::spawn_local;
use tokio::time::{Instant, timeout_at};

use super::text;
use crate::model::node::{Node, new_replid};
use crate::model::quirk::Quirk;
use crate::model::replication::{Master, follow, uuid};
use crate::model::resp::{error, simple, simple_owned};
use crate::model::session::{Next, Session};
use crate::model::stamp::Origin;

/// `PSYNC replid offset`.
pub(in crate::model) fn psync(node: &Node, argv: &[Bytes]) -> Next {
    if node.is_plain_replica()
        && !node
            .masters
            .borrow()
            .iter()
            .any(|master| master.link_up.get())
    {
        return Next::Reply(error(
            "NOMASTERLINK Can't SYNC while not connected with my master",
        ));
    }
    let offset: i64 = text(&argv[2]).parse().unwrap_or(-1);
    Next::Follow {
        replid: text(&argv[1]),
        // An offset that is none, such as -1, is not in any backlog.
        offset: u64::try_from(offset).unwrap_or(u64::MAX),
    }
}

/// `REPLCONF name value …`.
pub(in crate::model) fn replconf(node: &Node, session: &mut Session, argv: &[Bytes]) -> Next {
    if argv.len().is_multiple_of(2) {
        return Next::Reply(error("ERR syntax error"));
    }
    for pair in argv[1..].chunks_exact(2) {
        match text(&pair[0]).to_ascii_lowercase().as_str() {
            "listening-port" => match text(&pair[1]).parse() {
                Ok(port) => session.listening_port = port,
                Err(_) => return Next::Reply(error("ERR value is not an integer or out of range")),
            },
            "ack" | "getack" => return Next::Silence,
            "ip-address" => session.announced_ip = text(&pair[1]).parse().ok(),
            "capa" => session.is_active |= pair[1].eq_ignore_ascii_case(b"active"),
            // Who asks by its own identity is told the node's (P10).
            "uuid" => {
                let shared = node.quirks.has(Quirk::SharedIdentity);
                let origin = if shared { Origin(1) } else { node.origin };
                return Next::Reply(simple_owned(uuid(origin)));
            }
            "version" => {}
            other => {
                return Next::Reply(error(format!("ERR Unrecognized REPLCONF option: {other}")));
            }
        }
    }
    Next::Reply(simple("OK"))
}

/// `WAIT count milliseconds`: how many followers have all that was written before (P37).
pub(super) async fn wait(node: &Rc<Node>, argv: &[Bytes]) -> BytesFrame {
    let number = |word: &Bytes| {
        text(word)
            .parse::<i64>()
            .ok()
            .and_then(|n| u64::try_from(n).ok())
    };
    let (Some(wanted), Some(millis)) = (number(&argv[1]), number(&argv[2])) else {
        return error("ERR value is not an integer or out of range");
    };
    let written = node.stream.borrow().offset;
    let count = || {
        let stream = node.stream.borrow();
        let followers = stream.followers.iter();
        followers
            .filter(|follower| follower.acknowledged >= written)
            .count()
    };
    // Zero waits as long as it takes.
    let patience = if millis == 0 {
        Duration::from_secs(3600)
    } else {
        Duration::from_millis(millis)
    };
    let deadline = Instant::now() + patience;
    loop {
        let acknowledged = node.acknowledged.notified();
        if count() as u64 >= wanted || timeout_at(deadline, acknowledged).await.is_err() {
            return BytesFrame::Integer(i64::try_from(count()).unwrap_or(i64::MAX));
        }
    }
}

/// `REPLICAOF host port`, `REPLICAOF NO ONE`, `REPLICAOF REMOVE host port`.
pub(super) fn replicaof(node: &Rc<Node>, argv: &[Bytes]) -> BytesFrame {
    let words: Vec<String> = argv[1..].iter().map(text).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [no, one] if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") => {
            let were: Vec<_> = node.masters.borrow_mut().drain(..).collect();
            for master in &were {
                master.dropped.notify_one();
            }
            // docs commands.md: NO ONE does not discard the data (P34).
            if !were.is_empty() && !node.is_active() {
                node.stream.borrow_mut().rename(new_replid());
            }
            simple("OK")
        }
        [remove, host, port] if remove.eq_ignore_ascii_case("remove") => {
            let mut masters = node.masters.borrow_mut();
            let known =
                |master: &Rc<Master>| master.host == host && master.port.to_string() == port;
            let Some(position) = masters.iter().position(known) else {
                return error("ERR Master not found");
            };
            masters.remove(position).dropped.notify_one();
            simple("OK")
        }
        [host, port] => {
            let Ok(port) = port.parse() else {
                return error("ERR Invalid master port");
            };
            let mut masters = node.masters.borrow_mut();
            if masters
                .iter()
                .any(|master| master.host == host && master.port == port)
            {
                return simple("OK Already connected to specified master");
            }
            // docs multi-master.md: a further master is added, not put in the place of the
            // current one (P18); without multi-master it is (P33).
            if !node.config.borrow().is_set("multi-master") {
                for master in masters.drain(..) {
                    master.dropped.notify_one();
                }
            }
            let master = Rc::new(Master::new(host, port, None));
            masters.push(Rc::clone(&master));
            spawn_local(follow(Rc::clone(node), master));
            simple("OK")
        }
        _ => error("ERR wrong number of arguments for 'replicaof' command"),
    }
}
