//! Roles, replids and links as the nodes showed them: all links are up at the end, both ways between
//! primaries.
//!
//! KeyDB's documentation: circular connections 'where two nodes are the master of each other' (P5),
//! and `keydb.conf`: 'After a network partition replicas automatically try to reconnect to masters
//! and resynchronize' (P59). A state's name is `role`, `replid`, `loading` or `link PEER`.

use std::collections::{BTreeMap, BTreeSet};

use super::breach::Breaches;
use super::input::Case;
use super::judgement::{Gathered, Judgement, measure};
use crate::history::Subject;

/// What is promised.
pub const PROMISE: &str = "at the end every link is up, and links of primaries go both ways";

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let history = case.input.history;
    let names = &history.names;
    // By node and state: what it showed last.
    let mut last: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    let mut changes: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &history.events {
        let Subject::State { node, what, value } = &event.subject else {
            continue;
        };
        let [node, what, value] = [node, what, value].map(|name| names.text(*name));
        let kind = what.split(' ').next().unwrap_or(what);
        let changed = last
            .insert((node, what), value)
            .is_some_and(|before| before != value);
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
    let note = match replids.len() {
        0 => String::new(),
        n => format!("{n} groups by replid: {}", groups.join(" | ")),
    };
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
