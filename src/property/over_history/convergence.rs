//! All nodes hold the same: value, time to live, database.
//!
//! KeyDB's documentation (active-rep): 'both servers will now propagate writes to each other', and
//! the README: 'both instances ... accept reads and writes while remaining synced' (P9, P66).
//! Measured: crossing `SET`s stay swapped for ever on 50 to 70 % of keys, with every link up (F6).

use super::breach::Breaches;
use super::input::Case;
use super::judgement::{Gathered, Judgement};
use super::register::shown;
use crate::history::{Content, Held, Token};

/// What is promised.
pub const PROMISE: &str = "all nodes hold the same data: value, time to live, database";

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let index = &case.index;
    let mut breaches = Breaches::default();
    let several = index.nodes.len() > 1;
    for slot in 0..index.slots.len() {
        let held = index.held(slot);
        let (Some(first), true) = (held.first(), several) else {
            continue;
        };
        let same = held.iter().all(|other| alike(case, *first, *other));
        if !same {
            let size = index.operations(slot).len();
            breaches.add(size, Some(slot), || differs(case, slot));
        }
    }
    let n = match several {
        true => index.slots.len(),
        false => 0,
    };
    Gathered {
        check: "convergence",
        promise: PROMISE,
        what: "keys on two nodes or more",
        n,
        breaches,
        note: String::new(),
        measures: Vec::new(),
    }
    .concluded(case)
}

/// Whether two nodes hold the same of a key. One that is about to expire may be gone on one. What
/// is left of a life is less by the time that passed between the nodes' answers.
fn alike(case: &Case<'_>, one: Option<&Held>, other: Option<&Held>) -> bool {
    let reading = case.input.finals_at.since(case.input.finals_from);
    let tolerance = case.input.ttl_tolerance + reading;
    let tolerance = u64::try_from(tolerance.as_millis()).unwrap_or(u64::MAX);
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one.content == other.content
                && match (one.ttl, other.ttl) {
                    (None, None) => true,
                    (Some(one), Some(other)) => one.abs_diff(other) <= tolerance,
                    _ => false,
                }
        }
        (Some(held), None) | (None, Some(held)) => held.ttl.is_some_and(|ttl| ttl <= tolerance),
    }
}

/// Which nodes hold what, and who wrote it when and where.
fn differs(case: &Case<'_>, slot: usize) -> String {
    let index = &case.index;
    let parts = index
        .held(slot)
        .iter()
        .enumerate()
        .filter_map(|(node, held)| {
            let earlier = &index.held(slot)[..node];
            if earlier.contains(held) {
                return None;
            }
            let alike = index.nodes.iter().zip(index.held(slot));
            let nodes: Vec<&str> = alike
                .filter(|(_, other)| *other == held)
                .map(|(name, _)| *name)
                .collect();
            let what = match held {
                None => "nothing".to_owned(),
                Some(Held { content, ttl }) => {
                    let writer = match content {
                        Content::Text(text) => text.parse::<Token>().ok(),
                        _ => None,
                    };
                    let writer = writer.and_then(|token| index.writer(slot, token));
                    let ttl = ttl
                        .map(|ttl| format!(" for {ttl} ms more"))
                        .unwrap_or_default();
                    let by = writer.map(|number| format!(", from {}", index.told(number)));
                    format!("{}{ttl}{}", shown(content), by.unwrap_or_default())
                }
            };
            Some(format!("{} {what}", nodes.join(" ")))
        });
    let parts: Vec<String> = parts.collect();
    format!("{} is {}", index.key(slot), parts.join(" | "))
}
