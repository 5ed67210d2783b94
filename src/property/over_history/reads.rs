//! What a node has shown it does not take back: no older value after a newer one, and no emptiness.
//!
//! KeyDB's documentation (replication): during a synchronisation replicas 'can handle queries using
//! the old version of the dataset' (P45). Measured: a freshly started replica answers 'no such key'
//! for 70 to 350 ms before its first synchronisation (F11).
//!
//! Reads through a proxy that hides its server are not one node's, and are left out. A node is one
//! server: what one client read before another one asked counts for both, over restarts too; but a
//! node that ended in a way that may lose writes serves what its disk has until it is healed, and a
//! plain replica that moves to another primary may show less for a moment.
//! Staleness (how long after a newer write's acknowledgement an older value is read) is measured.

use super::breach::Breaches;
use super::effect::{Effect, effect};
use super::index::{Index, Kind, Standing};
use super::input::Case;
use super::judgement::{Gathered, Judgement, measure, times};
use super::reading::answered;
use crate::history::{Name, Operation, Outcome, Reply};
use crate::topology::PROXY;

/// What is promised.
pub const PROMISE: &str = "a node never shows an older value, or nothing, after a newer one";

/// What a read showed.
#[derive(Debug, Clone, Copy)]
enum Sight {
    Nothing,
    /// The value of this write.
    Of(u32),
    /// So many elements, or a counter's value.
    Much(i64),
}

/// The reads of one key at one node, in the order of their completion.
#[derive(Debug)]
struct AtNode {
    node: Name,
    /// When a read was completed; the read that showed the newest by then, and what it showed.
    newest: Vec<(u64, u32, Sight)>,
}

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let index = &case.index;
    let proxy = case.input.history.names.find(PROXY);
    let rewound = |read: &Operation| {
        let exposures = case.input.exposures.iter();
        let mut of_node =
            exposures.filter(|exposure| exposure.node == case.input.history.names.text(read.node));
        of_node.any(|exposure| exposure.rewinds(read.invoked))
    };
    let mut breaches = Breaches::default();
    let (mut n, mut ages) = (0, Vec::new());
    for slot in 0..index.slots.len() {
        if matches!(index.slots[slot].kind, Kind::Hash | Kind::Mixed) {
            continue;
        }
        let mut nodes: Vec<AtNode> = Vec::new();
        let mut shrinks: Option<bool> = None;
        let writes = Writes::of(index, slot);
        let removals = Removals::of(index, slot);
        for number in index.operations(slot).iter().copied() {
            let read = index.operation(number);
            if !answered(read) {
                continue;
            }
            let Some(sight) = sight(index, slot, number) else {
                continue;
            };
            if let Sight::Of(written) = sight {
                ages.extend(writes.age(index, written, read.invoked.0));
            }
            if Some(read.node) == proxy {
                continue;
            }
            n += 1;
            let place = nodes.iter().position(|at| at.node == read.node);
            let place = place.unwrap_or_else(|| {
                nodes.push(AtNode {
                    node: read.node,
                    newest: Vec::new(),
                });
                nodes.len() - 1
            });
            let earlier = &nodes[place].newest;
            let until = earlier.partition_point(|(completed, ..)| *completed <= read.invoked.0);
            let before = earlier[..until].last().copied();
            if let Some((_, other, shown)) = before
                && !rewound(read)
                && !case.was_moving(read)
                && back(index, slot, (shown, number, sight), &removals, &mut shrinks)
            {
                breaches.add(2, Some(slot), || {
                    told(index, slot, (other, shown), (number, sight))
                });
            }
            let newest = match earlier.last().copied() {
                Some((_, other, shown)) if !newer(index, shown, sight) => (other, shown),
                _ => (number, sight),
            };
            nodes[place]
                .newest
                .push((read.completed.0, newest.0, newest.1));
        }
    }
    let stale = ages.len();
    let mut measures = vec![measure("stale-reads", stale as f64, "reads")];
    measures.extend(times("staleness", ages));
    Gathered {
        check: "reads",
        promise: PROMISE,
        what: "reads of one node",
        n,
        breaches,
        note: String::new(),
        measures,
    }
    .concluded(case)
}

fn sight(index: &Index<'_>, slot: usize, read: u32) -> Option<Sight> {
    let Outcome::Ok(reply) = &index.operation(read).outcome else {
        return None;
    };
    match reply {
        Reply::Nil => Some(Sight::Nothing),
        Reply::Number(value) => Some(Sight::Much(*value)),
        Reply::Value(token) => index.writer(slot, *token).map(Sight::Of),
        Reply::Values(values) if values.is_empty() => Some(Sight::Nothing),
        Reply::Values(values) => Some(Sight::Much(i64::try_from(values.len()).unwrap_or(i64::MAX))),
        Reply::Done | Reply::Foreign(_) => None,
    }
}

/// Whether `now` shows more than `then`.
fn newer(index: &Index<'_>, then: Sight, now: Sight) -> bool {
    match (then, now) {
        (Sight::Nothing, _) => true,
        (Sight::Of(one), Sight::Of(other)) => {
            index.operation(other).invoked >= index.operation(one).invoked
        }
        (Sight::Much(one), Sight::Much(other)) => other >= one,
        _ => false,
    }
}

/// Whether a node that showed `then` may not show `now`, in `read`, later.
fn back(
    index: &Index<'_>,
    slot: usize,
    (then, read, now): (Sight, u32, Sight),
    removals: &Removals,
    shrinks: &mut Option<bool>,
) -> bool {
    match (then, now) {
        (Sight::Of(one), _) if index.standing(one) != Standing::Sure => false,
        (Sight::Of(one), Sight::Of(other)) => index.surely_before(other, one),
        (Sight::Of(one), Sight::Nothing) => !removals.explain(index, one, read),
        (Sight::Much(one), now) => {
            let less = match now {
                Sight::Nothing => one != 0,
                Sight::Much(other) => other < one,
                Sight::Of(_) => false,
            };
            // What may be lost with its node may be taken back too.
            let grows = |number: &u32| {
                let uncertain = index.standing(*number) == Standing::Excused;
                let by = effect(index.operation(*number));
                let falls = matches!(by, Effect::Increment(by) if by < 0);
                !uncertain && !falls && !removes(index, *number)
            };
            less && !*shrinks.get_or_insert_with(|| !index.operations(slot).iter().all(grows))
        }
        _ => false,
    }
}

/// What may have removed a key: by invocation, with the latest end up to there.
#[derive(Debug)]
struct Removals(Vec<(u64, u64)>);

impl Removals {
    fn of(index: &Index<'_>, slot: usize) -> Self {
        let operations = index.operations(slot).iter().copied();
        let removals = operations.filter(|number| removes(index, *number));
        let span = |number| (index.operation(number).invoked.0, index.ended(number));
        let mut removals: Vec<(u64, u64)> = removals.map(span).collect();
        removals.sort_unstable();
        let mut latest = 0;
        for (_, ended) in &mut removals {
            latest = latest.max(*ended);
            *ended = latest;
        }
        Self(removals)
    }

    /// Whether one may explain that `read` shows nothing of what `written` wrote.
    fn explain(&self, index: &Index<'_>, written: u32, read: u32) -> bool {
        let completed = index.operation(read).completed.0;
        let until = self.0.partition_point(|(invoked, _)| *invoked <= completed);
        let latest = self.0[..until].last();
        let invoked = index.operation(written).invoked.0;
        latest.is_some_and(|(_, ended)| !index.before(*ended, invoked))
    }
}

/// Whether an operation may remove a key or parts of it, now or later.
fn removes(index: &Index<'_>, number: u32) -> bool {
    index.standing(number) != Standing::Failed
        && matches!(
            effect(index.operation(number)),
            Effect::Delete | Effect::Expire(_) | Effect::Remove(_) | Effect::Set(_, Some(_))
        )
}

fn told(index: &Index<'_>, slot: usize, then: (u32, Sight), now: (u32, Sight)) -> String {
    let shown = |(read, sight): (u32, Sight)| {
        let what = match sight {
            Sight::Nothing => "nothing".to_owned(),
            Sight::Of(written) => format!("that of {}", index.told(written)),
            Sight::Much(value) => value.to_string(),
        };
        format!("{} showed {what}", index.told(read))
    };
    format!("{}: {}, then {}", index.key(slot), shown(then), shown(now))
}

/// The sure sets of a register: by invocation, with the earliest completion from there on.
#[derive(Debug)]
struct Writes(Vec<(u64, u64)>);

impl Writes {
    fn of(index: &Index<'_>, slot: usize) -> Self {
        let operations = index.operations(slot).iter().copied();
        let sets = operations.filter(|number| {
            index.standing(*number) == Standing::Sure
                && matches!(effect(index.operation(*number)), Effect::Set(..))
        });
        let sets = sets.map(|number| index.operation(number));
        let mut sets: Vec<(u64, u64)> = sets.map(|set| (set.invoked.0, set.completed.0)).collect();
        sets.sort_unstable();
        let mut earliest = u64::MAX;
        for (_, completed) in sets.iter_mut().rev() {
            earliest = earliest.min(*completed);
            *completed = earliest;
        }
        Self(sets)
    }

    /// How long before a read that showed `written` a surely newer write was acknowledged.
    fn age(&self, index: &Index<'_>, written: u32, read: u64) -> Option<u64> {
        let ended = index.ended(written);
        let newer = self
            .0
            .partition_point(|(invoked, _)| !index.before(ended, *invoked));
        let (_, completed) = self.0.get(newer)?;
        read.checked_sub(*completed).filter(|age| *age > 0)
    }
}
