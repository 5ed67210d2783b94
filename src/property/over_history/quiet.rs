//! Nothing changes after traffic stops.
//!
//! KeyDB's documentation (active-rep): there is 'logic to prevent infinitely bouncing queries between
//! clients in a loop' (P12). Keys that are bound to expire may go, and live shorter.

use super::breach::Breaches;
use super::input::Case;
use super::judgement::{Gathered, Judgement};
use super::register::shown;
use crate::history::Held;

/// Its name in the table.
pub const NAME: &str = "quiet";
/// What is promised.
pub const PROMISE: &str = "nothing changes after traffic stops";

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let mut breaches = Breaches::default();
    let mut n = 0;
    let index = &case.index;
    if let Some(later) = case.input.later {
        for (place, node) in index.nodes.iter().copied().enumerate() {
            let Some(data) = later.nodes.get(node) else {
                breaches.add(0, None, || format!("{node} was not there any more"));
                continue;
            };
            for slot in 0..index.slots.len() {
                let of = &index.slots[slot];
                let before = index.held(slot)[place];
                let after = data
                    .keys
                    .get(&of.database)
                    .and_then(|keys| keys.get(of.key));
                n += usize::from(before.is_some() || after.is_some());
                if !same(before, after) {
                    breaches.add(index.operations(slot).len(), Some(slot), || {
                        let key = index.key(slot);
                        format!(
                            "{key} on {node} was {}, became {}",
                            told(before),
                            told(after)
                        )
                    });
                }
            }
            for (database, keys) in &data.keys {
                let earlier = case.input.finals.nodes.get(node);
                let earlier = earlier.and_then(|data| data.keys.get(database));
                let new = keys.iter().filter(|(key, _)| {
                    let known = index.slots_of(*database, key);
                    known.is_none() && earlier.is_none_or(|keys| !keys.contains_key(*key))
                });
                for (key, held) in new {
                    n += 1;
                    breaches.add(0, None, || {
                        format!("{key} on {node} was nothing, became {}", told(Some(held)))
                    });
                }
            }
        }
    }
    Gathered {
        check: NAME,
        promise: PROMISE,
        what: "keys that were looked at twice",
        n,
        breaches,
        note: String::new(),
        measures: Vec::new(),
    }
    .concluded(case)
}

fn same(before: Option<&Held>, after: Option<&Held>) -> bool {
    match (before, after) {
        (None, None) => true,
        (Some(before), None) => before.ttl.is_some(),
        (None, Some(_)) => false,
        (Some(before), Some(after)) => {
            before.content == after.content
                && match (before.ttl, after.ttl) {
                    (None, None) => true,
                    (Some(before), Some(after)) => after <= before,
                    _ => false,
                }
        }
    }
}

fn told(held: Option<&Held>) -> String {
    match held {
        None => "nothing".to_owned(),
        Some(Held { content, ttl }) => {
            let ttl = ttl
                .map(|ttl| format!(" for {ttl} ms more"))
                .unwrap_or_default();
            format!("{}{ttl}", shown(content))
        }
    }
}
