//! Every parser of what comes from outside, as a function of bytes that ends, whatever they are, without a
//! panic and without more memory than they account for.
//!
//! [`PARSERS`] is fed by `fuzz/`, a target each, and by property tests with arbitrary bytes and with what
//! becomes of the corpus when it is damaged. To add a parser: a line here, a file in `fuzz/fuzz_targets/`, and
//! a few seeds in `fuzz/corpus/`.
//!
//! It is there with the feature `fuzzing` only, and panics where a parser breaks its promise.

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::cluster::haproxy_stat;
use crate::cluster::info::Info;
use crate::cluster::role::RoleReply;
use crate::history::Saved;
use crate::schedule::Schedule;
use crate::verdict::expectation::Expectations;

/// A parser of what comes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Parser {
    /// That of its fuzz target and of the folder with its seeds.
    pub name: &'static str,
    /// Reads these bytes; panics if that breaks a promise.
    pub read: fn(&[u8]),
}

/// All of them.
pub const PARSERS: &[Parser] = &[
    parser("expectations", expectations),
    parser("haproxy_stat", haproxy_statistics),
    parser("history", history),
    parser("history_lines", history_lines),
    parser("info", info),
    #[cfg(feature = "attached")]
    parser("inventory", inventory),
    parser("model_client", crate::model::hostile::client),
    parser("model_config", crate::model::hostile::config),
    parser("model_link", crate::model::hostile::link),
    parser("model_pattern", crate::model::hostile::pattern),
    parser("model_resp", crate::model::hostile::resp),
    parser("model_snapshot", crate::model::hostile::snapshot),
    parser("relay_stream", crate::relay::hostile::stream),
    parser("relay_tap", crate::relay::hostile::tapped),
    parser("role", role),
    parser("schedule", schedule),
    parser("traffic_reply", crate::workload::traffic::hostile::replies),
];

const fn parser(name: &'static str, read: fn(&[u8])) -> Parser {
    Parser { name, read }
}

/// Reads these bytes with the parser of this name.
///
/// # Panics
/// There is none of that name, or it breaks a promise.
pub fn read(name: &str, bytes: &[u8]) {
    let parser = PARSERS.iter().find(|parser| parser.name == name);
    let parser = parser.unwrap_or_else(|| panic!("no parser is called {name}"));
    (parser.read)(bytes);
}

fn info(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let info = Info::parse(&text);
    let replication = info.replication();
    let _ = (info.keyspace(), info.loading(), info.version());
    let kept = info.entries().iter();
    let kept: usize = kept.map(|entry| entry.key.len() + entry.value.len()).sum();
    assert!(kept <= text.len());
    assert!(replication.masters.len() + replication.slaves.len() <= info.entries().len());
    let _ = info.to_string();
}

fn role(bytes: &[u8]) {
    if let Ok(value) = redis::parse_redis_value(bytes) {
        let _ = RoleReply::from(value).role();
    }
}

fn haproxy_statistics(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match haproxy_stat::parse(&text) {
        Ok(rows) => assert!(rows.len() <= text.lines().count()),
        Err(error) => assert!(error.to_string().len() <= 1024 + 2 * text.len()),
    }
}

fn expectations(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(error) = Expectations::parse("hostile.toml", &text) {
        assert!(error.to_string().starts_with("expectations hostile.toml: "));
    }
}

#[cfg(feature = "attached")]
fn inventory(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    // Files that it names are not there.
    let nowhere = Path::new("/nowhere/at/all");
    if let Ok(inventory) = crate::attached::inventory::Inventory::parse(&text, nowhere) {
        assert!(inventory.members.len() <= text.len());
    }
}

fn schedule(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(schedule) = text.parse::<Schedule>() {
        let again: Schedule = schedule.to_string().parse().expect("its own text is read");
        assert_eq!(again, schedule);
    }
}

/// The file as it lies on disk.
fn history(bytes: &[u8]) {
    if let Ok(saved) = Saved::read(Path::new("hostile.zst"), bytes) {
        let again = saved.bytes().expect("there is memory for it");
        let again = Saved::read(Path::new("again.zst"), &again[..]);
        assert_eq!(again.expect("what was written is read"), saved);
    }
}

/// Its lines, which no damage to a compressed file would bring about.
fn history_lines(bytes: &[u8]) {
    if let Ok(compressed) = zstd::encode_all(bytes, 1) {
        history(&compressed);
    }
}
