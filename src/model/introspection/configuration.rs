//! `CONFIG GET`, `CONFIG SET`, `CONFIG RESETSTAT`.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::administration::unknown_subcommand;
use super::text;
use crate::model::node::Node;
use crate::model::resp::{bulk, error, simple};

pub(super) fn config(node: &Node, argv: &[Bytes]) -> BytesFrame {
    match (text(&argv[1]).to_ascii_uppercase().as_str(), &argv[2..]) {
        ("GET", [name]) => get(node, &text(name).to_ascii_lowercase()),
        ("SET", [name, value]) => {
            let (name, value) = (text(name).to_ascii_lowercase(), text(value));
            let known = node.config.borrow().all().any(|(known, _)| known == name);
            if !known {
                return error(format!("ERR Unsupported CONFIG parameter: {name}"));
            }
            match node.config.borrow_mut().set(&name, &value) {
                Ok(()) => {}
                Err(reason) => {
                    return error(format!(
                        "ERR Invalid argument '{value}' for CONFIG SET '{name}' - {reason}"
                    ));
                }
            }
            if name == "appendonly" {
                node.rewrite_aof();
            }
            if name == "repl-backlog-size" {
                let size = node.config.borrow().number(&name);
                node.stream.borrow_mut().backlog.resize(size);
            }
            simple("OK")
        }
        ("RESETSTAT", []) => simple("OK"),
        (other, _) => error(unknown_subcommand(other, "CONFIG")),
    }
}

fn get(node: &Node, pattern: &str) -> BytesFrame {
    let mut words = Vec::new();
    if pattern == "replicaof" {
        let masters = node.masters.borrow();
        let all: Vec<_> = masters
            .iter()
            .map(|master| format!("{} {}", master.host, master.port))
            .collect();
        words.extend([bulk("replicaof"), bulk(all.join(" "))]);
    }
    let config = node.config.borrow();
    for (name, value) in config.all() {
        if pattern == "*" || pattern == name {
            words.extend([bulk(name.to_owned()), bulk(value.to_owned())]);
        }
    }
    BytesFrame::Array(words)
}
