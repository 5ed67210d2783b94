//! Saving, ending, and what a server tells of its commands and clients.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::{arity, digest, text};
use crate::model::command;
use crate::model::node::{Node, new_replid};
use crate::model::replication::Master;
use crate::model::resp::{bulk, error, simple, simple_owned};
use crate::model::session::Session;
use crate::model::stamp::now_millis;

/// `SAVE`, `BGSAVE`, `BGREWRITEAOF`, `LASTSAVE`, `TIME`, `SHUTDOWN`.
pub(super) fn run(node: &Node, name: &str, argv: &[Bytes]) -> BytesFrame {
    match name {
        "SAVE" | "BGSAVE" => match node.save(false) {
            Ok(()) if name == "SAVE" => simple("OK"),
            Ok(()) => simple("Background saving started"),
            Err(reason) => error(format!("ERR {reason}")),
        },
        "BGREWRITEAOF" => {
            node.rewrite_aof();
            simple("Background append only file rewriting started")
        }
        "LASTSAVE" => integer(node.last_save.get()),
        "TIME" => {
            let now = now_millis();
            let part = |number: u64| bulk(number.to_string());
            BytesFrame::Array(vec![part(now / 1000), part(now % 1000 * 1000)])
        }
        _ => {
            let save = !argv
                .get(1)
                .is_some_and(|word| word.eq_ignore_ascii_case(b"NOSAVE"));
            node.end(node.shut_down(save));
            simple("OK")
        }
    }
}

pub(super) fn integer(number: u64) -> BytesFrame {
    BytesFrame::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// `COMMAND INFO name…`: name, arity and flags of each that there is, nil for the others.
pub(super) fn command(argv: &[Bytes]) -> BytesFrame {
    if !argv
        .get(1)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"INFO"))
    {
        return error("ERR the model answers COMMAND INFO only");
    }
    let rows = argv[2..].iter().map(|name| {
        let capitals = text(name).to_ascii_uppercase();
        let data = command::find(&capitals);
        let Some(arity) = data.map(|data| data.arity).or_else(|| arity(&capitals)) else {
            return BytesFrame::Null;
        };
        let flag = match data {
            Some(data) if data.writes => "write",
            Some(_) => "readonly",
            None => "admin",
        };
        BytesFrame::Array(vec![
            bulk(capitals.to_ascii_lowercase()),
            BytesFrame::Integer(arity.into()),
            BytesFrame::Array(vec![simple(flag)]),
        ])
    });
    BytesFrame::Array(rows.collect())
}

/// `CLIENT ID|GETNAME|SETNAME|LIST`, of this connection only, and `CLIENT KILL` of links to masters.
pub(in crate::model) fn client(node: &Node, session: &mut Session, argv: &[Bytes]) -> BytesFrame {
    match (text(&argv[1]).to_ascii_uppercase().as_str(), argv.len()) {
        ("ID", 2) => integer(session.id),
        ("GETNAME", 2) if session.name.is_empty() => BytesFrame::Null,
        ("GETNAME", 2) => bulk(session.name.clone()),
        ("SETNAME", 3) => {
            session.name = argv[2].clone();
            simple("OK")
        }
        ("LIST", 2) => bulk(format!(
            "id={} addr={} laddr={} name={} db={}\n",
            session.id,
            session.from,
            session.to,
            text(&session.name),
            session.database
        )),
        ("KILL", 3 | 4) => kill(node, &argv[2..]),
        (other, _) => error(unknown_subcommand(other, "CLIENT")),
    }
}

/// `CLIENT KILL TYPE master|replica`, `CLIENT KILL address` of a master: links break.
fn kill(node: &Node, which: &[Bytes]) -> BytesFrame {
    let words: Vec<String> = which.iter().map(text).collect();
    let masters = node.masters.borrow();
    let all = match &words[..] {
        [kind, name] if kind.eq_ignore_ascii_case("TYPE") => {
            match name.to_ascii_lowercase().as_str() {
                "master" => true,
                "replica" | "slave" => {
                    let followers = std::mem::take(&mut node.stream.borrow_mut().followers);
                    return integer(followers.len() as u64);
                }
                _ => return error("ERR the model breaks replication links only"),
            }
        }
        [_] => false,
        _ => return error("ERR syntax error"),
    };
    let at = |master: &Master| format!("{}:{}", master.host, master.port);
    let killed = masters
        .iter()
        .filter(|master| master.link_up.get() && (all || words[0] == at(master)));
    let count = killed.map(|master| master.broken.notify_one()).count();
    match (all, count) {
        (false, 0) => error("ERR No such client"),
        (false, _) => simple("OK"),
        (true, count) => integer(count as u64),
    }
}

/// `DEBUG DIGEST`, `DEBUG SLEEP seconds`, `DEBUG CHANGE-REPL-ID`, `DEBUG FORCE-MASTER yes`.
pub(in crate::model) fn debug(node: &Node, session: &mut Session, argv: &[Bytes]) -> BytesFrame {
    match (text(&argv[1]).to_ascii_uppercase().as_str(), argv.get(2)) {
        ("DIGEST", None) => simple_owned(digest::of(&node.keyspace.borrow())),
        ("SLEEP", Some(seconds)) => {
            let seconds: f64 = text(seconds).parse().unwrap_or(0.0);
            let seconds = if seconds.is_nan() { 0.0 } else { seconds };
            // The whole server sleeps, as KeyDB does.
            std::thread::sleep(std::time::Duration::from_secs_f64(seconds.clamp(0.0, 60.0)));
            simple("OK")
        }
        ("FORCE-MASTER", Some(_)) => {
            session.poses_as_master = true;
            simple("OK")
        }
        ("CHANGE-REPL-ID", None) => {
            let offset = node.stream.borrow().offset;
            node.stream.borrow_mut().replace(new_replid(), offset);
            simple("OK")
        }
        (other, _) => error(unknown_subcommand(other, "DEBUG")),
    }
}

pub(super) fn unknown_subcommand(given: &str, command: &str) -> String {
    format!(
        "ERR Unknown subcommand or wrong number of arguments for '{}'. Try {command} HELP.",
        given.to_ascii_lowercase()
    )
}
