//! Increments, appended and pushed values count exactly once.
//!
//! KeyDB's documentation (active-rep): UUIDs 'prevent rebroadcasting changes to the master that sent
//! them', with 'logic to prevent infinitely bouncing queries' (P11, P12), and the README: both accept
//! writes 'while remaining synced' (P66). Measured: a full resync drops the other side's increments
//! and elements (E5).
//!
//! A counter ends between the sum of what surely counts and that plus what may: it was not answered,
//! or may be lost with its node. Appends and pushes are there at most once; one client's values that
//! one node acknowledged keep their order. That none is lost is `acknowledged` too.

use super::breach::Breaches;
use super::effect::{Effect, effect};
use super::elements;
use super::index::{Index, Kind, Standing};
use super::input::Case;
use super::judgement::{Gathered, Judgement};
use super::register::shown;
use crate::history::{Content, Name};

/// What is promised.
pub const PROMISE: &str =
    "every increment, append and push counts exactly once, in its client's order";

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let index = &case.index;
    let mut breaches = Breaches::default();
    let mut n = 0;
    let mut scratch = Scratch::default();
    for slot in 0..index.slots.len() {
        if index.nodes.is_empty() {
            break;
        }
        n += match index.slots[slot].kind {
            Kind::Counter => counter(index, slot, &mut breaches),
            Kind::Text | Kind::List | Kind::Stream => {
                grown(index, slot, &mut scratch, &mut breaches)
            }
            _ => 0,
        };
    }
    Gathered {
        check: "exactly-once",
        promise: PROMISE,
        what: "increments, appends and pushes",
        n,
        breaches,
        note: String::new(),
        measures: Vec::new(),
    }
    .concluded(case)
}

fn counter(index: &Index<'_>, slot: usize, breaches: &mut Breaches) -> usize {
    let (mut sure, mut least, mut most) = (0i64, 0i64, 0i64);
    let mut n = 0;
    for number in index.operations(slot).iter().copied() {
        let by = match effect(index.operation(number)) {
            Effect::Increment(by) => i64::from(by),
            Effect::Read => continue,
            // Deleted or bound to expire: any sum may be left.
            _ if index.standing(number) == Standing::Failed => continue,
            _ => return 0,
        };
        match index.standing(number) {
            Standing::Failed => {}
            Standing::Sure => {
                n += 1;
                sure += by;
            }
            Standing::Maybe | Standing::Excused => {
                least += by.min(0);
                most += by.max(0);
            }
        }
    }
    let range = sure + least..=sure + most;
    for (node, content) in index.contents(slot) {
        let value = match content {
            None => Some(0),
            Some(Content::Text(text)) => text.parse().ok(),
            Some(_) => None,
        };
        if value.is_some_and(|value: i64| range.contains(&value)) {
            continue;
        }
        breaches.add(index.operations(slot).len(), Some(slot), || {
            let (key, nodes) = (index.key(slot), index.nodes_like(slot, node));
            let is = content.map_or("absent".to_owned(), shown);
            let (least, most) = (range.start(), range.end());
            let wanted = match least == most {
                true => least.to_string(),
                false => format!("{least} to {most}"),
            };
            format!("{key} is {is} on {nodes}, not {wanted}: {n} increments were acknowledged")
        });
    }
    n
}

#[derive(Debug, Default)]
struct Scratch {
    /// Writers of a value's elements, with their places in it.
    places: Vec<(u32, u32)>,
}

fn grown(index: &Index<'_>, slot: usize, scratch: &mut Scratch, breaches: &mut Breaches) -> usize {
    let operations = index.operations(slot).iter().copied();
    let sure = operations.filter(|number| {
        index.standing(*number) == Standing::Sure
            && matches!(effect(index.operation(*number)), Effect::Add(_))
    });
    let n = sure.count();
    for (node, content) in index.contents(slot) {
        let Some(elements) = content.and_then(elements::of) else {
            continue;
        };
        let places = &mut scratch.places;
        places.clear();
        let writers = elements.map(|element| index.writer(slot, element.ok()?));
        places.extend(
            (0u32..)
                .zip(writers)
                .filter_map(|(place, writer)| Some((writer?, place))),
        );
        // Operations are numbered in the order of their completion: so is one client's own order.
        places.sort_unstable();
        let at = |node: usize| (index.key(slot), index.nodes_like(slot, node));
        for pair in places.windows(2) {
            if let [(one, _), (other, _)] = pair
                && one == other
            {
                breaches.add_of(1, Some(slot), Some(*one), || {
                    let (key, nodes) = at(node);
                    format!("{key} on {nodes} holds twice {}", index.told(*one))
                });
            }
        }
        ordered(index, places, |one, other| {
            breaches.add_of(2, Some(slot), Some(one), || {
                let (key, nodes) = at(node);
                format!(
                    "{key} on {nodes} holds {} after {}",
                    index.told(one),
                    index.told(other)
                )
            });
        });
    }
    n
}

/// Calls `wrong` with each value that stands after a later one of the same client at the same node.
fn ordered(index: &Index<'_>, places: &[(u32, u32)], mut wrong: impl FnMut(u32, u32)) {
    let mut last: Vec<((u32, Name), u32, u32)> = Vec::new();
    for (number, place) in places.iter().copied() {
        let operation = index.operation(number);
        // Unanswered ones may be done late.
        let answered = matches!(index.standing(number), Standing::Sure | Standing::Excused);
        if !answered {
            continue;
        }
        let who = (operation.client, operation.node);
        match last.binary_search_by_key(&who, |(who, ..)| *who) {
            Err(free) => last.insert(free, (who, number, place)),
            Ok(found) => {
                let (_, earlier, before) = last[found];
                let in_turn = index.operation(earlier).completed <= operation.invoked;
                if in_turn && place < before && earlier != number {
                    wrong(earlier, number);
                }
                if place > before || !in_turn {
                    last[found] = (who, number, place);
                }
            }
        }
    }
}
