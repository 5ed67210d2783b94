//! `ROLE`, in the form of 6.3.4.

use redis_protocol::resp2::types::BytesFrame;

use super::administration::integer;
use crate::model::node::Node;
use crate::model::replication::Master;
use crate::model::resp::bulk;

pub(super) fn reply(node: &Node) -> BytesFrame {
    let masters = node.masters.borrow();
    if masters.is_empty() {
        return as_master(node);
    }
    let role = if node.is_active() {
        "active-replica"
    } else {
        "slave"
    };
    let mut replies: Vec<_> = masters
        .iter()
        .map(|master| following(role, master))
        .collect();
    match replies.len() {
        1 => replies.remove(0),
        // Several masters make an array of arrays (measured).
        _ => BytesFrame::Array(replies),
    }
}

fn following(role: &'static str, master: &Master) -> BytesFrame {
    let offset = master
        .position
        .borrow()
        .as_ref()
        .map(|position| position.offset);
    BytesFrame::Array(vec![
        bulk(role),
        bulk(master.host.clone()),
        integer(master.port.into()),
        bulk(state(master)),
        offset.map_or(BytesFrame::Integer(-1), integer),
    ])
}

fn as_master(node: &Node) -> BytesFrame {
    let stream = node.stream.borrow();
    let followers = stream.followers.iter().map(|follower| {
        BytesFrame::Array(vec![
            bulk(follower.ip.to_string()),
            bulk(follower.port.to_string()),
            bulk(follower.acknowledged.to_string()),
        ])
    });
    BytesFrame::Array(vec![
        bulk("master"),
        integer(stream.offset),
        BytesFrame::Array(followers.collect()),
    ])
}

fn state(master: &Master) -> &'static str {
    if master.syncing.get() {
        "sync"
    } else if master.link_up.get() {
        "connected"
    } else {
        "connect"
    }
}
