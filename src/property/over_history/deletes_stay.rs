//! What was deleted after its last write does not come back.
//!
//! KeyDB's documentation (multi-master): 'If a master deletes a key that exists on another master
//! the replica will no longer contain a copy of that key' (P24, P15). Measured: every full resync
//! undoes every delete (F5), an append-only file brings back what the peer deleted (F4).

use super::breach::Breaches;
use super::effect::{Effect, effect};
use super::elements;
use super::index::{Index, Kind, Standing};
use super::input::Case;
use super::judgement::{Gathered, Judgement};
use super::register::shown;
use crate::history::{Content, Token};

/// What is promised.
pub const PROMISE: &str = "what was deleted after its last write stays deleted";

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let index = &case.index;
    let mut breaches = Breaches::default();
    let mut n = 0;
    let mut members = Vec::new();
    for slot in 0..index.slots.len() {
        if index.nodes.is_empty() {
            break;
        }
        let of_all = |effect: Effect| !matches!(effect, Effect::Read | Effect::Remove(_));
        let writes = index.operations(slot).iter().copied();
        if let Some(deletion) = last_deletion(index, writes, of_all) {
            n += 1;
            for (node, content) in index.contents(slot) {
                let Some(content) = content else { continue };
                let size = index.operations(slot).len();
                breaches.add_of(size, Some(slot), Some(deletion), || {
                    let (key, nodes) = (index.key(slot), index.nodes_like(slot, node));
                    format!(
                        "{key} is {} on {nodes} after {}",
                        shown(content),
                        index.told(deletion)
                    )
                });
            }
        } else if index.slots[slot].kind == Kind::Set {
            n += removed(index, slot, &mut members, &mut breaches);
        } else if index.slots[slot].kind == Kind::Register {
            n += back(index, slot, &mut breaches);
        }
    }
    Gathered {
        check: "deletes-stay",
        promise: PROMISE,
        what: "deleted keys and members",
        n,
        breaches,
        note: String::new(),
        measures: Vec::new(),
    }
    .concluded(case)
}

/// The sure deletion that every other write which may have happened is surely before. Expiries
/// change nothing that a deletion removed.
fn last_deletion(
    index: &Index<'_>,
    writes: impl Iterator<Item = u32> + Clone,
    counts: impl Fn(Effect) -> bool,
) -> Option<u32> {
    let mut last: Option<u32> = None;
    let mut ended: Option<u64> = None;
    for number in writes {
        let what = effect(index.operation(number));
        if !counts(what) || index.standing(number) == Standing::Failed {
            continue;
        }
        match what {
            Effect::Delete | Effect::Remove(_) => {
                let sure = index.standing(number) == Standing::Sure;
                let later =
                    |other: u32| index.operation(other).invoked <= index.operation(number).invoked;
                if sure && last.is_none_or(later) {
                    last = Some(number);
                }
            }
            Effect::Expire(_) => {}
            _ => ended = ended.max(Some(index.ended(number))),
        }
    }
    let invoked = |last: u32| index.operation(last).invoked.0;
    last.filter(|last| ended.is_none_or(|ended| index.before(ended, invoked(*last))))
}

/// A register that other writes may have brought back, but not with this value: how many.
fn back(index: &Index<'_>, slot: usize, breaches: &mut Breaches) -> usize {
    let operations = index.operations(slot).iter().copied();
    let deletions = operations.filter(|number| {
        index.standing(*number) == Standing::Sure
            && matches!(effect(index.operation(*number)), Effect::Delete)
    });
    let Some(last) = deletions.max_by_key(|number| index.operation(*number).invoked) else {
        return 0;
    };
    let mut found = 0;
    for (node, content) in index.contents(slot) {
        let Some(Content::Text(text)) = content else {
            continue;
        };
        let writer = text
            .parse()
            .ok()
            .and_then(|token| index.writer(slot, token));
        if !writer.is_some_and(|writer| index.surely_before(writer, last)) {
            continue;
        }
        found = 1;
        breaches.add_of(index.operations(slot).len(), Some(slot), Some(last), || {
            let (key, nodes) = (index.key(slot), index.nodes_like(slot, node));
            format!("{key} is {text} on {nodes} after {}", index.told(last))
        });
    }
    found
}

/// Members that were removed from a set for good: how many.
fn removed(
    index: &Index<'_>,
    slot: usize,
    members: &mut Vec<(Token, u32)>,
    breaches: &mut Breaches,
) -> usize {
    members.clear();
    let operations = index.operations(slot).iter().copied();
    let removals = operations
        .clone()
        .any(|number| matches!(effect(index.operation(number)), Effect::Remove(_)));
    if !removals {
        return 0;
    }
    members.extend(
        operations.filter_map(|number| match effect(index.operation(number)) {
            Effect::Add(token) | Effect::Remove(token) => Some((token, number)),
            _ => None,
        }),
    );
    members.sort_unstable();
    let gone: Vec<(Token, u32)> = members
        .chunk_by(|(one, _), (other, _)| one == other)
        .filter_map(|writes| {
            let numbers = writes.iter().map(|(_, number)| *number);
            Some((writes.first()?.0, last_deletion(index, numbers, |_| true)?))
        })
        .collect();
    for (node, content) in index.contents(slot) {
        let Some(Content::Set(_)) = content else {
            continue;
        };
        for token in content
            .and_then(elements::of)
            .into_iter()
            .flatten()
            .flatten()
        {
            let Ok(place) = gone.binary_search_by_key(&token, |(token, _)| *token) else {
                continue;
            };
            breaches.add_of(2, Some(slot), Some(gone[place].1), || {
                let (key, nodes) = (index.key(slot), index.nodes_like(slot, node));
                format!(
                    "{key} holds {token} on {nodes} after {}",
                    index.told(gone[place].1)
                )
            });
        }
    }
    gone.len()
}
