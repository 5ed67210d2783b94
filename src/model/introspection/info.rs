//! `INFO`, in the form of 6.3.4, so that whoever reads KeyDB's reads the model's.
//!
//! What a model has no measure of (memory, CPU, I/O threads) is left out rather than invented.
//! `keydb_harness_model` says what it is.

use std::fmt::{Display, Write as _};
use std::time::Duration;

use bytes::Bytes;

use crate::model::KEYDB;
use crate::model::node::{Node, new_replid};
use crate::model::quirk::Quirk;
use crate::model::replication::Master;
use crate::model::stamp::now_millis;

/// A section that is being written.
struct Section<'a>(&'a mut String);

impl Section<'_> {
    fn put(&mut self, field: &str, value: impl Display) {
        // Into a string: it cannot fail.
        let _ = write!(self.0, "{field}:{value}\r\n");
    }
}

type Fill = fn(&Node, &mut Section<'_>);

const SECTIONS: &[(&str, Fill)] = &[
    ("Server", server),
    ("Clients", clients),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Keyspace", keyspace),
];

/// The whole text, or one section.
pub(super) fn text(node: &Node, section: Option<&Bytes>) -> String {
    let wanted = section
        .map(super::text)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let all = matches!(wanted.as_str(), "" | "all" | "default" | "everything");
    let mut text = String::new();
    for (title, fill) in SECTIONS {
        if !all && title.to_ascii_lowercase() != wanted {
            continue;
        }
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        let _ = write!(text, "# {title}\r\n");
        fill(node, &mut Section(&mut text));
    }
    text
}

fn server(node: &Node, section: &mut Section<'_>) {
    let executable = std::env::current_exe().unwrap_or_default();
    let uptime = node.started.elapsed().as_secs();
    section.put("redis_version", KEYDB);
    section.put("redis_git_sha1", "00000000");
    section.put("redis_git_dirty", 0);
    section.put(
        "redis_build_id",
        format_args!("model-{}", env!("CARGO_PKG_VERSION")),
    );
    section.put("keydb_harness_model", env!("CARGO_PKG_VERSION"));
    section.put("keydb_harness_quirks", &node.quirks);
    section.put("redis_mode", "standalone");
    section.put("os", std::env::consts::OS);
    section.put("arch_bits", usize::BITS);
    section.put("process_id", std::process::id());
    section.put("run_id", &node.run_id);
    section.put("tcp_port", node.config.borrow().get("port"));
    section.put("uptime_in_seconds", uptime);
    section.put("uptime_in_days", uptime / 86400);
    section.put("executable", executable.display());
    section.put("config_file", "");
}

fn clients(node: &Node, section: &mut Section<'_>) {
    section.put("connected_clients", node.stats.clients.get());
}

fn persistence(node: &Node, section: &mut Section<'_>) {
    let refuses = node
        .refuses_until
        .get()
        .is_some_and(|until| std::time::Instant::now() < until);
    section.put("loading", u8::from(node.loading.get() || refuses));
    section.put("rdb_bgsave_in_progress", 0);
    section.put("rdb_last_save_time", node.last_save.get());
    section.put("rdb_last_bgsave_status", "ok");
    section.put(
        "aof_enabled",
        u8::from(node.config.borrow().is_set("appendonly")),
    );
    section.put("aof_rewrite_in_progress", 0);
    section.put("aof_last_bgrewrite_status", "ok");
    section.put("aof_last_write_status", "ok");
}

fn stats(node: &Node, section: &mut Section<'_>) {
    let stats = &node.stats;
    section.put("total_connections_received", stats.connections.get());
    section.put("total_commands_processed", stats.commands.get());
    section.put("total_net_input_bytes", stats.bytes_in.get());
    section.put("total_net_output_bytes", stats.bytes_out.get());
    section.put("sync_full", stats.sync_full.get());
    section.put("sync_partial_ok", stats.sync_partial_ok.get());
    section.put("sync_partial_err", stats.sync_partial_err.get());
    section.put("unexpected_error_replies", 0);
    section.put("total_error_replies", stats.errors.get());
}

fn replication(node: &Node, section: &mut Section<'_>) {
    let masters = node.masters.borrow();
    let patience = Duration::from_secs(node.config.borrow().number("repl-backlog-ttl"));
    let mut stream = node.stream.borrow_mut();
    stream.expire(masters.is_empty(), patience, new_replid());
    let active = node.is_active();
    let alone = node.quirks.has(Quirk::MasterWhenAlone)
        && !masters.iter().any(|master| master.link_up.get());
    section.put(
        "role",
        match (masters.is_empty(), active) {
            (true, _) => "master",
            (false, true) if alone => "master",
            (false, true) => "active-replica",
            (false, false) => "slave",
        },
    );
    if !masters.is_empty() {
        let up = |master: &Master| master.link_up.get() || node.quirks.has(Quirk::UpWhileDown);
        let count = masters.iter().filter(|master| up(master)).count();
        section.put("master_global_link_status", word(count == masters.len()));
        section.put("connected_masters", count);
        for (number, master) in masters.iter().enumerate() {
            let prefix = if number == 0 {
                "master".to_owned()
            } else {
                format!("master_{number}")
            };
            let frozen = node.quirks.has(Quirk::FrozenReplicaOffset) && node.is_plain_replica();
            link(master, up(master), frozen, &prefix, section);
        }
        section.put("slave_priority", 100);
        section.put(
            "slave_read_only",
            u8::from(!active && node.config.borrow().is_set("replica-read-only")),
        );
        section.put("replica_announced", 1);
    }
    section.put("connected_slaves", stream.followers.len());
    if node.config.borrow().number("min-replicas-to-write") > 0 {
        section.put("min_slaves_good_slaves", stream.followers.len());
    }
    for (number, follower) in stream.followers.iter().enumerate() {
        section.put(
            &format!("slave{number}"),
            format_args!(
                "ip={},port={},state=online,offset={},lag={}",
                follower.ip,
                follower.port,
                follower.acknowledged,
                follower.heard.elapsed().as_secs()
            ),
        );
    }
    section.put("master_failover_state", "no-failover");
    let stale = node.quirks.has(Quirk::StaleReplid) && node.is_plain_replica();
    match node.first_replid(&stream.replid).filter(|_| stale) {
        Some(first) => section.put("master_replid", first),
        None => section.put("master_replid", &stream.replid),
    }
    section.put("master_replid2", &stream.replid2);
    section.put("master_repl_offset", stream.offset);
    let second = stream
        .second_offset
        .and_then(|offset| i64::try_from(offset).ok());
    section.put("second_repl_offset", second.unwrap_or(-1));
    section.put("repl_backlog_active", u8::from(!stream.freed));
    section.put("repl_backlog_size", stream.backlog.size());
    section.put("repl_backlog_first_byte_offset", stream.backlog.first());
    section.put("repl_backlog_histlen", stream.backlog.len());
}

fn link(master: &Master, up: bool, frozen: bool, prefix: &str, section: &mut Section<'_>) {
    let offset = master
        .position
        .borrow()
        .as_ref()
        .map_or(0, |position| position.offset);
    let offset = if frozen { offset.min(1) } else { offset };
    let silent = master
        .last_io
        .get()
        .filter(|_| up)
        .map(|last| last.elapsed().as_secs());
    let silent = silent.and_then(|seconds| i64::try_from(seconds).ok());
    section.put(&format!("{prefix}_host"), &master.host);
    section.put(&format!("{prefix}_port"), master.port);
    section.put(&format!("{prefix}_link_status"), word(up));
    section.put(
        &format!("{prefix}_last_io_seconds_ago"),
        silent.unwrap_or(-1),
    );
    section.put(
        &format!("{prefix}_sync_in_progress"),
        u8::from(master.syncing.get()),
    );
    // Servers print these two without a number for each master (I3): the model does so for the first.
    let prefix = match prefix {
        "master" => String::new(),
        other => format!("{other}_"),
    };
    section.put(&format!("{prefix}slave_read_repl_offset"), offset);
    section.put(&format!("{prefix}slave_repl_offset"), offset);
}

fn word(up: bool) -> &'static str {
    if up { "up" } else { "down" }
}

fn keyspace(node: &Node, section: &mut Section<'_>) {
    let now = now_millis();
    for (number, database) in node.keyspace.borrow().databases.iter().enumerate() {
        let (mut keys, mut expires, mut left) = (0_u64, 0_u64, 0_u64);
        for (_, object) in database.alive(now) {
            keys += 1;
            if let Some(at) = object.expires {
                expires += 1;
                left += at - now;
            }
        }
        if keys > 0 {
            let average = left / expires.max(1);
            section.put(
                &format!("db{number}"),
                format_args!("keys={keys},expires={expires},avg_ttl={average},cached_keys={keys}"),
            );
        }
    }
}
