//! Acknowledged writes survive, but for what asynchronous replication allows.
//!
//! KeyDB's documentation (active-rep): a failed server comes back 'without the risk of overwriting
//! new data', and masters 'share their new data' when a connection is restored (P6, P15, P16, P22).
//! What is allowed to be lost is [`super::TABLE`]. Measured: up to 519 acknowledged writes never
//! reach the peer after a restart (F1, F2), stream entries are refused by it (F8).
//!
//! The words are those of Jepsen's `set-full`: a write is *stable* if every node holds it at the end
//! (of a register: holds it, or what may have replaced it), *stale* if a read after its
//! acknowledgement missed it all the same, *lost* if a node lacks it. The nodes' data at the end is
//! read of all, so *never read* only says that no client saw it.

use super::breach::Breaches;
use super::effect::{Effect, effect};
use super::index::{Index, Kind, Standing};
use super::input::Case;
use super::judgement::{Gathered, Judgement, measure, times};
use super::register::{self, Bound, End, Explained};
use super::{elements, reading};

/// What is promised.
pub const PROMISE: &str = "every acknowledged write survives";

#[derive(Debug, Default)]
struct Tally {
    /// Writes that must be there.
    n: usize,
    lost: usize,
    stale: usize,
    allowed: usize,
    breaches: Breaches,
}

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let mut tally = Tally::default();
    let seen = reading::sightings(case);
    register::ends(case, |end| registered(case, end, &mut tally));
    let mut marks = vec![0; case.input.history.operations.len()];
    let mut stamp = 0;
    for slot in 0..case.index.slots.len() {
        grown(case, slot, &seen, &mut tally, &mut marks, &mut stamp);
    }
    let Tally {
        n,
        lost,
        stale,
        allowed,
        breaches,
    } = tally;
    let never_read = seen.never(case);
    let mut measures = vec![
        measure("acknowledged", n as f64, "writes"),
        measure("stable", n.saturating_sub(lost + stale) as f64, "writes"),
        measure("stale", stale as f64, "writes"),
        measure("lost", lost as f64, "writes"),
        measure("lost-as-allowed", allowed as f64, "writes"),
        measure("never-read", never_read as f64, "writes"),
    ];
    measures.extend(times("visible-elsewhere", seen.delays(case)));
    let note = match allowed {
        0 => String::new(),
        _ => format!("{allowed} more were lost as the loss table allows"),
    };
    Gathered {
        check: "acknowledged",
        promise: PROMISE,
        what: "acknowledged writes",
        n,
        breaches,
        note,
        measures,
    }
    .concluded(case)
}

/// A register's end on one node: only its newest write must be there.
fn registered(case: &Case<'_>, end: &End<'_>, tally: &mut Tally) {
    let index = &case.index;
    let Bound { set, writes, .. } = *end.bound;
    if end.node == 0 && set.is_some() {
        tally.n += 1;
    }
    let lost = match (end.explained, set) {
        (Explained::Missing(set) | Explained::DeletedEarlier(set), _) => Some(set),
        (Explained::Older { written, .. }, Some(set)) if index.surely_before(written, set) => {
            Some(set)
        }
        _ => None,
    };
    let Some(lost) = lost else {
        if end.bound.forgiven(index, end.written) {
            tally.allowed += 1;
        }
        return;
    };
    tally.lost += 1;
    tally
        .breaches
        .add_of(writes, Some(end.slot), Some(lost), || {
            let (whose, nodes) = (end.whose(index), index.nodes_like(end.slot, end.node));
            let shown = end.shown.as_deref().unwrap_or("absent");
            format!(
                "{whose} is {shown} on {nodes}, without {}",
                index.told(lost)
            )
        });
}

/// A text, list, set or stream: each element that was added and not removed must be there.
fn grown(
    case: &Case<'_>,
    slot: usize,
    seen: &reading::Sightings,
    tally: &mut Tally,
    marks: &mut [u32],
    stamp: &mut u32,
) {
    let index = &case.index;
    if !matches!(
        index.slots[slot].kind,
        Kind::Text | Kind::List | Kind::Set | Kind::Stream
    ) || index.nodes.is_empty()
    {
        return;
    }
    let removals = Removals::of(case, slot);
    let reads = reading::reads(index, slot);
    let mut lacking: Vec<(u32, usize)> = Vec::new();
    for (node, content) in index.contents(slot) {
        *stamp += 1;
        for element in content.and_then(elements::of).into_iter().flatten() {
            let writer = element.ok().and_then(|token| index.writer(slot, token));
            if let Some(writer) = writer {
                marks[writer as usize] = *stamp;
            }
        }
        let absent = |number: &u32| marks[*number as usize] != *stamp;
        let absent = index.operations(slot).iter().copied().filter(absent);
        lacking.extend(absent.filter_map(|number| {
            let added = matches!(effect(index.operation(number)), Effect::Add(_));
            (added && !removals.explain(index, number)).then_some((number, node))
        }));
    }
    lacking.sort_unstable();
    for number in index.operations(slot).iter().copied() {
        let Effect::Add(_) = effect(index.operation(number)) else {
            continue;
        };
        let from = lacking.partition_point(|(lost, _)| *lost < number);
        let nodes = lacking[from..]
            .iter()
            .take_while(|(lost, _)| *lost == number);
        let mut nodes = nodes.map(|(_, node)| *node).peekable();
        let lost = nodes.peek().is_some();
        match index.standing(number) {
            Standing::Failed | Standing::Maybe => continue,
            Standing::Excused => {
                tally.allowed += usize::from(lost);
                continue;
            }
            Standing::Sure => {}
        }
        tally.n += 1;
        if lost {
            tally.lost += 1;
            tally.breaches.add_of(1, Some(slot), Some(number), || {
                let nodes: Vec<String> = nodes.map(|node| index.nodes_like(slot, node)).collect();
                let (key, nodes) = (index.key(slot), nodes.join(" "));
                format!("{key} on {nodes} lacks {}", index.told(number))
            });
        } else if removals.none() && seen.missed(index, number, &reads) {
            tally.stale += 1;
        }
    }
}

/// What may have removed elements of a key.
struct Removals {
    /// Deletions of the whole key.
    of_all: Bound,
    /// Removed values and when their removal had surely ended, sorted.
    of_one: Vec<(crate::history::Token, u64)>,
}

impl Removals {
    fn of(case: &Case<'_>, slot: usize) -> Self {
        let index = &case.index;
        let mut of_all = Bound::default();
        let mut of_one = Vec::new();
        for number in index.operations(slot).iter().copied() {
            match effect(index.operation(number)) {
                Effect::Delete | Effect::Expire(_) => {
                    of_all.take(index, number, register::due(case));
                }
                Effect::Remove(token) if index.standing(number) != Standing::Failed => {
                    of_one.push((token, index.ended(number)));
                }
                _ => {}
            }
        }
        of_one.sort_unstable();
        Self { of_all, of_one }
    }

    fn none(&self) -> bool {
        self.of_all.writes == 0 && self.of_one.is_empty()
    }

    /// Whether the absence of what this operation added may be one's doing.
    fn explain(&self, index: &Index<'_>, added: u32) -> bool {
        let Effect::Add(token) = effect(index.operation(added)) else {
            return false;
        };
        let invoked = index.operation(added).invoked.0;
        let from = self.of_one.partition_point(|(other, _)| *other < token);
        let mut of_it = self.of_one[from..]
            .iter()
            .take_while(|(other, _)| *other == token);
        of_it.any(|(_, ended)| !index.before(*ended, invoked)) || self.of_all.deletes(index, added)
    }
}
