//! Where was it lost? A key followed through the history, in one paragraph.

use std::fmt::Write as _;

use super::effect::{Effect, effect};
use super::index::Standing;
use super::input::Case;
use super::register::shown;
use super::way;
use crate::history::{DATA, Event, PASSED, RUN, Subject};

/// How many writes and events a paragraph names.
const MOST: usize = 6;

/// How long around a key's last writes events are of interest, in nanoseconds.
const AROUND: u64 = 2_000_000_000;

/// Follows a key; none if the history does not know it.
pub fn of(case: &Case<'_>, database: u8, key: &str) -> Option<String> {
    let name = case.input.history.names.find(key)?;
    Some(of_slot(case, case.index.slot(database, name)?, None))
}

/// Follows a key: its last writes, and the one that is missed, if that is known; what befell the
/// cluster around them, what relays saw, and who holds it at the end.
pub(super) fn of_slot(case: &Case<'_>, slot: usize, missed: Option<u32>) -> String {
    let index = &case.index;
    let writes: Vec<u32> = index
        .operations(slot)
        .iter()
        .copied()
        .filter(|number| effect(index.operation(*number)) != Effect::Read)
        .collect();
    let first = writes.len().saturating_sub(MOST);
    let mut last = writes[first..].to_vec();
    let early = missed.filter(|missed| writes[..first].contains(missed));
    if let (Some(early), Some(oldest)) = (early, last.first_mut()) {
        *oldest = early;
    }
    let mut text = format!("{}: ", index.key(slot));
    match (writes.len(), early) {
        (0, _) => text.push_str("no operation wrote it"),
        (n, None) if n > MOST => {
            let _ = write!(text, "the last {MOST} of {n} writes are ");
        }
        (n, Some(_)) => {
            let _ = write!(text, "the missed one of {n} writes, and the last, are ");
        }
        _ => {}
    }
    let told: Vec<String> = last.iter().map(|number| index.told(*number)).collect();
    text.push_str(&told.join(", then "));
    text.push('.');
    let of_interest = missed.map_or(last, |missed| vec![missed]);
    let from = of_interest
        .iter()
        .map(|number| index.operation(*number).invoked.0)
        .min();
    let to = of_interest
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
    text.push_str(&way::told(
        case,
        slot,
        missed.or_else(|| newest(case, &writes)),
    ));
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
        .filter(|event| (from..=to).contains(&event.at.0) && !counts(case, event))
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

/// Whether an event only says how far something is.
fn counts(case: &Case<'_>, event: &Event) -> bool {
    let Subject::State { what, .. } = &event.subject else {
        return false;
    };
    [DATA, PASSED, RUN].contains(&case.input.history.names.text(*what))
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

/// The sure write that was invoked last.
fn newest(case: &Case<'_>, writes: &[u32]) -> Option<u32> {
    let index = &case.index;
    let writes = writes.iter().copied();
    writes
        .filter(|number| index.standing(*number) == Standing::Sure)
        .max_by_key(|number| index.operation(*number).invoked)
}
