//! What a node holds at the end was written by someone, and not replaced by something newer.
//!
//! KeyDB's documentation (active-rep): 'Each write is timestamped ...; the newest write will win.
//! This prevents stale data from overwriting new data' (P7, P15). Measured: partial resyncs swap
//! values (E5), a restart lets the older one win (F7), an append-only file rolls back (F3).
//!
//! Registers, fields of hashes, scores of members. Deletions and expiries are writes. Writes that
//! overlap may end either way; that they end the same way everywhere is `convergence`.

use super::breach::Breaches;
use super::index::Kind;
use super::input::Case;
use super::judgement::{Gathered, Judgement};
use super::register::{self, End, Explained};

/// What is promised.
pub const PROMISE: &str =
    "every value was written by someone, and never an older one stays over a newer one";

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let index = &case.index;
    let mut breaches = Breaches::default();
    let (mut n, mut forgiven) = (0, 0);
    register::ends(case, |end| {
        n += usize::from(end.bound.writes > 0 || end.shown.is_some());
        match why(case, end) {
            Some(why) => {
                let missed = match end.explained {
                    Explained::Older { newer, .. } | Explained::DeletedEarlier(newer) => {
                        Some(newer)
                    }
                    Explained::Refused(written) => Some(written),
                    _ => None,
                };
                breaches.add_of(end.bound.writes, Some(end.slot), missed, why);
            }
            None if end.bound.forgiven(index, end.written) => forgiven += 1,
            None => {}
        }
    });
    // Elements that nobody added.
    let mut elements = 0;
    for slot in 0..index.slots.len() {
        elements += strangers(case, slot, &mut breaches);
    }
    let mut note = String::new();
    if forgiven > 0 {
        note = format!("{forgiven} went back to an older value as the loss table allows");
    }
    Gathered {
        check: "explainable",
        promise: PROMISE,
        what: "values",
        n: n + elements,
        breaches,
        note,
        measures: Vec::new(),
    }
    .concluded(case)
}

/// Why a register's end cannot be explained; that something is merely missing is `acknowledged`.
fn why<'e>(case: &'e Case<'_>, end: &'e End<'_>) -> Option<impl FnOnce() -> String + 'e> {
    match end.explained {
        Explained::Well | Explained::Missing(_) => return None,
        Explained::Nobody
        | Explained::Refused(_)
        | Explained::Older { .. }
        | Explained::DeletedEarlier(_) => {}
    }
    Some(move || {
        let index = &case.index;
        let nodes = index.nodes_like(end.slot, end.node);
        let whose = end.whose(index);
        let shown = end.shown.as_deref().unwrap_or("nothing");
        match end.explained {
            Explained::Nobody => format!("{whose} is {shown} on {nodes}: nobody wrote that"),
            Explained::Refused(written) => {
                let told = index.told(written);
                format!("{whose} is {shown} on {nodes} though refused: {told}")
            }
            Explained::Older { written, newer } => format!(
                "{whose} is {shown} on {nodes} from {}, older than {}",
                index.told(written),
                index.told(newer)
            ),
            Explained::DeletedEarlier(newer) => format!(
                "{whose} is absent on {nodes}: every deletion is older than {}",
                index.told(newer)
            ),
            Explained::Well | Explained::Missing(_) => String::new(),
        }
    })
}

/// Counts the elements of a text, list, set or stream, and adds a breach for what nobody added.
fn strangers(case: &Case<'_>, slot: usize, breaches: &mut Breaches) -> usize {
    let index = &case.index;
    let kind = index.slots[slot].kind;
    if !matches!(kind, Kind::Text | Kind::List | Kind::Set | Kind::Stream) {
        return 0;
    }
    let mut count = 0;
    for (node, content) in index.contents(slot) {
        let Some(content) = content else { continue };
        let size = index.operations(slot).len();
        let Some(elements) = super::elements::of(content) else {
            breaches.add(size, Some(slot), || {
                let (key, nodes) = (index.key(slot), index.nodes_like(slot, node));
                format!(
                    "{key} is {} on {nodes}: of another kind",
                    register::shown(content)
                )
            });
            continue;
        };
        for element in elements {
            count += 1;
            let writer = element.ok().and_then(|token| index.writer(slot, token));
            let standing = writer.map(|writer| index.standing(writer));
            if standing.is_some_and(|standing| standing != super::Standing::Failed) {
                continue;
            }
            breaches.add(size, Some(slot), || {
                let (key, nodes) = (index.key(slot), index.nodes_like(slot, node));
                let shown = element.map_or_else(str::to_owned, |token| token.to_string());
                let why =
                    writer.map_or("nobody wrote that".to_owned(), |writer| index.told(writer));
                format!("{key} holds {shown} on {nodes}: {why}")
            });
        }
    }
    count
}
