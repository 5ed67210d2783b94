//! Nothing changes after traffic stops, and no write crosses a relay.
//!
//! KeyDB's documentation (active-rep): there is 'logic to prevent infinitely bouncing queries between
//! clients in a loop' (P12). Keys that are bound to expire may go, and live shorter. The bytes that
//! cross relays besides keep-alives are measured: offsets must not grow by an echo.

use std::collections::BTreeMap;

use super::breach::Breaches;
use super::input::Case;
use super::judgement::{Gathered, Judgement, measure};
use super::register::shown;
use crate::history::{Crossing, DATA, Held, Name, Subject};

/// Its name in the table.
pub const NAME: &str = "quiet";
/// What is promised.
pub const PROMISE: &str = "nothing changes, and no write is sent, after traffic stops";

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
        n += crossed(case, &mut breaches);
    }
    let measures = case.input.later.and_then(|_| bytes(case));
    Gathered {
        check: NAME,
        promise: PROMISE,
        what: "keys that were looked at twice, and writes since",
        n,
        breaches,
        note: measures.map_or_else(String::new, |bytes| {
            format!("{bytes} bytes besides keep-alives crossed relays")
        }),
        measures: measures
            .map(|bytes| measure("quiet-bytes", bytes as f64, "bytes"))
            .into_iter()
            .collect(),
    }
    .concluded(case)
}

/// The writes of the history's keys that came to a relay after nodes were read. A deletion of what
/// is bound to expire is none of them. Gives how many there are.
fn crossed(case: &Case<'_>, breaches: &mut Breaches) -> usize {
    let mut n = 0;
    let index = &case.index;
    let names = &case.input.history.names;
    let all = case.input.crossings;
    let from = all.partition_point(|crossing| crossing.arrived < case.input.finals_at);
    for crossing in &all[from..] {
        let key = crossing.key;
        let Some(slot) = key.and_then(|key| index.slot(crossing.database, key)) else {
            continue;
        };
        let Crossing {
            link,
            command,
            arrived,
            ..
        } = *crossing;
        let mut held = index.held(slot).iter().flatten();
        let expires = held.any(|held| held.ttl.is_some());
        if expires && ["DEL", "UNLINK"].contains(&names.text(command)) {
            continue;
        }
        n += 1;
        breaches.add(1, Some(slot), || {
            let [command, link] = [command, link].map(|name| names.text(name));
            let key = index.key(slot);
            format!("{command} of {key} came over {link} at {arrived}")
        });
    }
    n
}

/// How many bytes besides keep-alives came to relays after nodes were read; none without relays.
fn bytes(case: &Case<'_>) -> Option<u64> {
    let history = case.input.history;
    let data = history.names.find(DATA)?;
    let mut links: BTreeMap<Name, (u64, u64)> = BTreeMap::new();
    for event in &history.events {
        let Subject::State { node, what, value } = event.subject else {
            continue;
        };
        if what == data && event.at >= case.input.finals_at {
            let bytes = history.names.text(value).parse().unwrap_or_default();
            links.entry(node).or_insert((bytes, bytes)).1 = bytes;
        }
    }
    let more = links.values().map(|(from, to)| to.saturating_sub(*from));
    (!links.is_empty()).then(|| more.sum())
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
