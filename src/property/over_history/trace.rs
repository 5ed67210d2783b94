//! Where was it lost? A key followed through the history, in one paragraph.

use std::fmt::Write as _;

use super::index::{Effect, effect};
use super::input::Case;
use super::register::shown;
use crate::history::{Event, Name, Subject};

/// How many writes, events and crossings a paragraph names.
const MOST: usize = 6;

/// How long around a key's last writes events are of interest, in nanoseconds.
const AROUND: u64 = 2_000_000_000;

/// Follows a key; none if the history does not know it.
pub fn of(case: &Case<'_>, database: u8, key: &str) -> Option<String> {
    let name = case.input.history.names.find(key)?;
    Some(of_slot(case, case.index.slot(database, name)?))
}

/// Follows a key: its last writes, what befell the cluster around them, what relays saw of it, and
/// who holds it at the end.
pub(super) fn of_slot(case: &Case<'_>, slot: usize) -> String {
    let index = &case.index;
    let writes: Vec<u32> = index
        .operations(slot)
        .iter()
        .copied()
        .filter(|number| effect(index.operation(*number)) != Effect::Read)
        .collect();
    let mut text = format!("{}: ", index.key(slot));
    match writes.len() {
        0 => text.push_str("no operation wrote it"),
        n if n > MOST => {
            let _ = write!(text, "the last {MOST} of {n} writes are ");
        }
        _ => {}
    }
    let last = &writes[writes.len().saturating_sub(MOST)..];
    let told: Vec<String> = last.iter().map(|number| index.told(*number)).collect();
    text.push_str(&told.join(", then "));
    text.push('.');
    let from = last
        .iter()
        .map(|number| index.operation(*number).invoked.0)
        .min();
    let to = last
        .iter()
        .map(|number| index.operation(*number).completed.0)
        .max();
    if let (Some(from), Some(to)) = (from, to) {
        around(
            case,
            from.saturating_sub(AROUND),
            to.saturating_add(AROUND),
            &mut text,
        );
    }
    crossed(case, index.slots[slot].name, &mut text);
    let ends = index.contents(slot).map(|(node, content)| {
        let what = content.map_or("nothing".to_owned(), shown);
        format!("{} {what}", index.nodes_like(slot, node))
    });
    let ends: Vec<String> = ends.collect();
    let _ = write!(text, " At the end: {}.", ends.join(" | "));
    text
}

/// What befell the cluster between two moments.
fn around(case: &Case<'_>, from: u64, to: u64, text: &mut String) {
    let events = &case.input.history.events;
    let within: Vec<&Event> = events
        .iter()
        .filter(|event| (from..=to).contains(&event.at.0))
        .collect();
    if within.is_empty() {
        text.push_str(" Nothing befell the cluster within 2 s of them.");
        return;
    }
    // Faults say more than states.
    let (faults, states): (Vec<&Event>, Vec<&Event>) = within
        .iter()
        .partition(|event| matches!(event.subject, Subject::Fault { .. }));
    let left = MOST.saturating_sub(faults.len());
    let mut chosen: Vec<&Event> = faults
        .into_iter()
        .chain(states.into_iter().take(left))
        .collect();
    chosen.sort_by_key(|event| event.at);
    let told: Vec<String> = chosen.iter().map(|event| told(case, event)).collect();
    let more = match within.len() - chosen.len() {
        0 => String::new(),
        n => format!(" and {n} more"),
    };
    let _ = write!(text, " Around them: {}{more}.", told.join(", "));
}

fn told(case: &Case<'_>, event: &Event) -> String {
    let names = &case.input.history.names;
    let at = event.at;
    match &event.subject {
        Subject::Fault {
            fault, phase, seen, ..
        } => {
            let seen = match names.text(*seen) {
                "" => String::new(),
                seen => format!(" ({seen})"),
            };
            let phase = format!("{phase:?}").to_lowercase();
            format!("{} {phase}{seen} at {at}", names.text(*fault))
        }
        Subject::State { node, what, value } => {
            let [node, what, value] = [node, what, value].map(|name| names.text(*name));
            format!("{node} shows {what} {value} at {at}")
        }
    }
}

/// What relays saw of a key.
fn crossed(case: &Case<'_>, key: Option<Name>, text: &mut String) {
    if case.input.crossings.is_empty() {
        return;
    }
    let crossings = case.input.crossings.iter();
    let of_it: Vec<String> = crossings
        .filter(|crossing| crossing.key.is_some() && crossing.key == key)
        .map(|crossing| {
            let token = crossing.token.map(|token| format!("{token} "));
            let (link, fate, at) = (&crossing.link, &crossing.fate, crossing.at);
            format!("{}{fate} on {link} at {at}", token.unwrap_or_default())
        })
        .collect();
    match of_it.len() {
        0 => text.push_str(" No relay saw it cross."),
        n => {
            let shown = &of_it[n.saturating_sub(MOST)..];
            let _ = write!(text, " Relays: {}.", shown.join(", "));
        }
    }
}
