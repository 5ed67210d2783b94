//! Roles, replids and links as the nodes showed them: all links are up at the end, both ways between
//! primaries.
//!
//! KeyDB's documentation: circular connections 'where two nodes are the master of each other' (P5),
//! and `keydb.conf`: 'After a network partition replicas automatically try to reconnect to masters
//! and resynchronize' (P59). A state's name is `role`, `replid`, `loading` or `link PEER`.
//!
//! The resyncs that nodes served, and the bytes that relays passed on over each link, are measured.

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breaches;
use super::input::Case;
use super::judgement::{Gathered, Judgement, measure};
use crate::history::{PASSED, RESYNCS, RUN, Subject};

/// What is promised.
pub const PROMISE: &str = "at the end every link is up, and links of primaries go both ways";

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let history = case.input.history;
    let names = &history.names;
    // By node and state: what it showed last.
    let mut last: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut changes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut resyncs: BTreeMap<&str, u64> = BTreeMap::new();
    // By link: how many bytes had been passed on at first, and at last.
    let mut passed: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for event in &history.events {
        let Subject::State { node, what, value } = &event.subject else {
            continue;
        };
        let [node, what, value] = [node, what, value].map(|name| names.text(*name));
        let kind = what.split(' ').next().unwrap_or(what);
        let before = last.insert((node, what), value);
        let changed = before.is_some_and(|before| before != value);
        if what == RUN && changed {
            // Another run counts from nothing.
            for what in RESYNCS {
                last.insert((node, what), "0");
            }
        }
        if RESYNCS.contains(&what) {
            // What it had served before it was watched is not counted.
            let more = number(value).saturating_sub(number(before.unwrap_or(value)));
            *resyncs.entry(what).or_default() += more;
        }
        if what == PASSED {
            let bytes = number(value);
            passed.entry(node).or_insert((bytes, bytes)).1 = bytes;
        }
        *changes.entry(kind).or_default() += usize::from(changed);
    }
    // Links end at nodes that answer: one that was struck and stays away has none.
    let answers = |node: &str| last.get(&(node, "answers")) != Some(&"no");
    let links: Vec<(&str, &str, &str)> = last
        .iter()
        .filter_map(|((node, what), value)| Some((*node, what.strip_prefix("link ")?, *value)))
        .filter(|(node, peer, _)| answers(node) && answers(peer))
        .collect();
    let mut breaches = Breaches::default();
    for (node, peer, value) in &links {
        if *value != "up" {
            breaches.add(0, None, || {
                format!("the link of {node} to {peer} is {value}")
            });
        }
        let primary = |node: &str| {
            matches!(
                last.get(&(node, "role")),
                Some(&("master" | "active-replica" | "primary"))
            )
        };
        let back = || last.contains_key(&(*peer, &*format!("link {node}")));
        if primary(node) && primary(peer) && !back() {
            breaches.add(0, None, || {
                format!("{node} follows {peer}, which does not follow it")
            });
        }
    }
    for ((node, what), value) in &last {
        if *what == "loading" && answers(node) && !matches!(*value, "0" | "no" | "false") {
            breaches.add(0, None, || format!("{node} still loads ({value})"));
        }
    }
    let replid_of = || last.iter().filter(|((_, what), _)| *what == "replid");
    let replids: BTreeSet<&str> = replid_of().map(|(_, replid)| *replid).collect();
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for ((node, _), replid) in replid_of() {
        groups.entry(replid).or_default().push(node);
    }
    let groups: Vec<String> = groups.values().map(|nodes| nodes.join(" ")).collect();
    let bytes = passed.iter().map(|(link, (first, last))| {
        let bytes = last.saturating_sub(*first);
        measure(&format!("bytes {link}"), bytes as f64, "bytes")
    });
    let count = |what: &str| resyncs.get(what).copied();
    let served = RESYNCS.into_iter().zip(["full", "partial", "refused"]);
    let served = served.filter_map(|(what, kind)| {
        let name = format!("{kind}-resyncs");
        Some(measure(&name, count(what)? as f64, "resyncs"))
    });
    let measures = ["role", "replid", "link", "loading"]
        .into_iter()
        .filter_map(|kind| {
            let count = changes.get(kind)?;
            Some(measure(
                &format!("{kind}-changes"),
                *count as f64,
                "changes",
            ))
        });
    let measures = measures.chain(served).chain(bytes);
    let mut notes = Vec::new();
    if !replids.is_empty() {
        notes.push(format!(
            "{} groups by replid: {}",
            replids.len(),
            groups.join(" | ")
        ));
    }
    if let [Some(full), Some(partial), refused] = RESYNCS.map(count) {
        let refused = refused.unwrap_or_default();
        notes.push(format!(
            "resyncs: {full} full, {partial} partial, {refused} partial refused"
        ));
    }
    if !passed.is_empty() {
        let all: u64 = passed
            .values()
            .map(|(first, last)| last.saturating_sub(*first))
            .sum();
        notes.push(format!("{all} bytes over {} links", passed.len()));
    }
    let note = notes.join("; ");
    Gathered {
        check: "topology-states",
        promise: PROMISE,
        what: "links",
        n: links.len(),
        breaches,
        note,
        measures: measures.collect(),
    }
    .concluded(case)
}

fn number(value: &str) -> u64 {
    value.parse().unwrap_or_default()
}
