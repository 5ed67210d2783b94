//! What reads showed of a key that was given a time to live: it is there until its time is over,
//! and not afterwards.

use super::breach::Breaches;
use super::effect::{Effect, effect};
use super::exposure::Loss;
use super::index::{Index, Standing};
use super::input::Case;
use super::reading::answered;
use crate::history::{Name, Outcome, Reply};

/// How far a server's idea of the time may be behind ours, in nanoseconds: it looks at the clock
/// once for many commands.
const SLACK: u64 = 50_000_000;
const MILLISECOND: u64 = 1_000_000;

/// A write of the key that may have been done.
#[derive(Debug, Clone, Copy)]
struct Change {
    invoked: u64,
    number: u32,
    /// When all that were invoked before it had surely ended; none if none were.
    before: Option<u64>,
    /// When the latest life was over that it, or one invoked before it, cut or stretched by itself.
    stretched: u64,
}

/// Adds what reads of a key with a time to live show to be wrong; how many showed anything.
pub(super) fn judge(case: &Case<'_>, slot: usize, breaches: &mut Breaches) -> usize {
    let index = &case.index;
    let changes = changes(index, slot);
    let proxy = case.input.history.names.find(crate::topology::PROXY);
    let tolerance = u64::try_from(case.input.ttl_tolerance.as_nanos()).unwrap_or(u64::MAX);
    // What each node showed last, and when the first read was completed that showed it.
    let mut shown: Vec<(Name, u32, u64)> = Vec::new();
    let mut count = 0;
    for number in index.operations(slot).iter().copied() {
        let read = index.operation(number);
        if !answered(read) {
            continue;
        }
        let until = changes.partition_point(|change| change.invoked <= read.completed.0);
        let Some(last) = changes[..until].last() else {
            continue;
        };
        match &read.outcome {
            Outcome::Ok(Reply::Value(token)) => {
                let Some(written) = index.writer(slot, *token) else {
                    continue;
                };
                if Some(read.node) != proxy {
                    let at = read.completed.0;
                    match shown.iter_mut().find(|(node, ..)| *node == read.node) {
                        Some((_, known, _)) if *known == written => {}
                        Some(newest) => *newest = (read.node, written, at),
                        None => shown.push((read.node, written, at)),
                    }
                }
                let Effect::Set(_, Some(ttl)) = effect(index.operation(written)) else {
                    continue;
                };
                count += 1;
                let over = over(index.ended(written), ttl).max(last.stretched);
                if over.saturating_add(tolerance) < read.invoked.0 {
                    let late = (read.invoked.0 - over) / MILLISECOND;
                    breaches.add(2, Some(slot), || {
                        let (key, of) = (index.key(slot), index.told(written));
                        let read = index.told(number);
                        format!("{key}: {read} showed it {late} ms after its time was over: {of}")
                    });
                }
            }
            Outcome::Ok(Reply::Nil) => {
                let (Effect::Set(_, Some(ttl)) | Effect::Expire(ttl)) =
                    effect(index.operation(last.number))
                else {
                    continue;
                };
                let sure = index.standing(last.number) == Standing::Sure
                    && last
                        .before
                        .is_none_or(|ended| index.before(ended, last.invoked));
                let over = over(last.invoked, ttl);
                if !sure || !arrived(index, last.number, number, &shown) {
                    continue;
                }
                let ended = restarted(case, read.node, last.invoked, read.completed.0);
                if ended || case.was_moving(read) {
                    continue;
                }
                count += 1;
                if read.completed.0.saturating_add(SLACK) < over {
                    let early = (over - read.completed.0) / MILLISECOND;
                    breaches.add(2, Some(slot), || {
                        let (key, of) = (index.key(slot), index.told(last.number));
                        let read = index.told(number);
                        format!(
                            "{key}: {read} showed nothing {early} ms before its time was over: {of}"
                        )
                    });
                }
            }
            _ => {}
        }
    }
    count
}

/// When a life that was given then is over.
fn over(given: u64, ttl: u32) -> u64 {
    given.saturating_add(u64::from(ttl) * MILLISECOND)
}

/// The writes of a key, by their invocation.
fn changes(index: &Index<'_>, slot: usize) -> Vec<Change> {
    let operations = index.operations(slot).iter().copied();
    let writes = operations.filter(|number| {
        let changes = matches!(
            effect(index.operation(*number)),
            Effect::Set(..) | Effect::Delete | Effect::Expire(_)
        );
        changes && index.standing(*number) != Standing::Failed
    });
    let mut changes: Vec<Change> = writes
        .map(|number| Change {
            invoked: index.operation(number).invoked.0,
            number,
            before: None,
            stretched: 0,
        })
        .collect();
    changes.sort_unstable_by_key(|change| (change.invoked, change.number));
    let (mut before, mut stretched) = (None, 0);
    for change in &mut changes {
        change.before = before;
        let ended = index.ended(change.number);
        before = before.max(Some(ended));
        if let Effect::Expire(ttl) = effect(index.operation(change.number)) {
            stretched = stretched.max(over(ended, ttl));
        }
        change.stretched = stretched;
    }
    changes
}

/// Whether a write had surely reached the node of a read: it was made there, or shown there.
fn arrived(index: &Index<'_>, write: u32, read: u32, shown: &[(Name, u32, u64)]) -> bool {
    let (made, read) = (index.operation(write), index.operation(read));
    let at = |completed: u64| completed <= read.invoked.0;
    (made.node == read.node && at(made.completed.0))
        || shown
            .iter()
            .any(|(node, other, completed)| (*node, *other) == (read.node, write) && at(*completed))
}

/// Whether a node ended, and may have come back with less, between two moments.
fn restarted(case: &Case<'_>, node: Name, from: u64, to: u64) -> bool {
    let name = case.input.history.names.text(node);
    case.input.exposures.iter().any(|exposure| {
        exposure.node == name
            && exposure.loss() != Loss::Forbidden
            && exposure.from.0 <= to
            && exposure.to.0 >= from
    })
}
