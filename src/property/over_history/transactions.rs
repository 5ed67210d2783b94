//! `MULTI` and scripts are all or nothing: at the end on every node, and in every sample.
//!
//! KeyDB's documentation (transactions): 'Either all of the commands or none are processed', and a
//! transaction's commands are executed in isolation (P40). Measured: neither is isolated from the
//! peer's crossing writes; both end swapped per key (E4).
//!
//! Where a node shows a transaction's value of one key, it shows of each other key that value or what
//! may have come after: not what is surely before, nor what another transaction of both keys wrote.

use super::breach::Breaches;
use super::effect::{Effect, effect, touched};
use super::index::{Index, Standing};
use super::input::Case;
use super::judgement::{Gathered, Judgement};
use crate::history::{Action, Content, Fate, Name, Operation, Outcome, Reply, Token};

/// What is promised.
pub const PROMISE: &str = "transactions and scripts are done as a whole or not at all";

/// What one key of a transaction shows: its value's writer, or the lack of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    Absent,
    /// Nobody's value: `explainable` judges it.
    Strange,
    By(u32),
}

fn is_transaction(operation: &Operation) -> bool {
    matches!(
        operation.action,
        Action::SetAll(..) | Action::ScriptSetAll(..)
    )
}

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let index = &case.index;
    let operations = &case.input.history.operations;
    let mut breaches = Breaches::default();
    let (mut n, mut samples) = (0, 0);
    let mut keys: Vec<(usize, Shown)> = Vec::new();
    for (number, operation) in (0u32..).zip(operations) {
        if is_transaction(operation) && index.standing(number) != Standing::Failed {
            n += usize::from(!index.nodes.is_empty());
            for node in 0..index.nodes.len() {
                keys.clear();
                keys.extend(
                    slots(index, operation).map(|slot| (slot, at_the_end(index, slot, node))),
                );
                if let Some((with, without, shown)) = half(index, number, &keys) {
                    breaches.add_of(2, Some(without), Some(number), || {
                        let at = format!("on {} at the end", index.nodes[node]);
                        told(index, number, with, without, shown, &at)
                    });
                }
            }
        } else if let (Action::GetAll(_), Fate::Ok) = (&operation.action, operation.outcome.fate())
        {
            let Some(values) = sampled(operation) else {
                continue;
            };
            samples += 1;
            keys.clear();
            let shown = values.iter().copied();
            keys.extend(slots(index, operation).zip(shown).map(|(slot, token)| {
                let by = |token| index.writer(slot, token).map_or(Shown::Strange, Shown::By);
                (slot, token.map_or(Shown::Absent, by))
            }));
            for position in 0..keys.len() {
                let (_, Shown::By(writer)) = keys[position] else {
                    continue;
                };
                if !is_transaction(index.operation(writer)) {
                    continue;
                }
                if let Some((with, without, shown)) = half(index, writer, &keys) {
                    breaches.add_of(3, Some(without), Some(writer), || {
                        let at = format!("in {}", index.told(number));
                        told(index, writer, with, without, shown, &at)
                    });
                    break;
                }
            }
        }
    }
    Gathered {
        check: "transactions",
        promise: PROMISE,
        what: "transactions and samples",
        n: if n == 0 { 0 } else { n + samples },
        breaches,
        note: format!("{samples} samples"),
        measures: Vec::new(),
    }
    .concluded(case)
}

fn slots<'o>(index: &'o Index<'_>, operation: &'o Operation) -> impl Iterator<Item = usize> + 'o {
    touched(operation).filter_map(|name| index.slot(operation.database, name))
}

fn at_the_end(index: &Index<'_>, slot: usize, node: usize) -> Shown {
    match index.held(slot)[node].map(|held| &held.content) {
        None => Shown::Absent,
        Some(Content::Text(text)) => {
            let token = text.parse::<Token>().ok();
            let writer = token.and_then(|token| index.writer(slot, token));
            writer.map_or(Shown::Strange, Shown::By)
        }
        Some(_) => Shown::Strange,
    }
}

/// A sample's values, one for each key that it touches.
fn sampled(operation: &Operation) -> Option<&[Option<Token>]> {
    let Outcome::Ok(Reply::Values(values)) = &operation.outcome else {
        return None;
    };
    (values.len() == touched(operation).count()).then_some(values)
}

/// A key that shows the transaction, and one of its keys that should and does not.
fn half(
    index: &Index<'_>,
    transaction: u32,
    keys: &[(usize, Shown)],
) -> Option<(usize, usize, Shown)> {
    let writes = |slot: usize| {
        let name: Option<Name> = index.slots[slot].name;
        let operation = index.operation(transaction);
        operation.database == index.slots[slot].database
            && touched(operation).any(|key| Some(key) == name)
    };
    let with = keys
        .iter()
        .find(|(_, shown)| *shown == Shown::By(transaction))?
        .0;
    let without = keys.iter().find(|(slot, shown)| {
        writes(*slot)
            && match shown {
                Shown::Strange => false,
                Shown::By(other) if *other == transaction => false,
                Shown::By(other) => {
                    index.surely_before(*other, transaction) || rivals(index, *other, with)
                }
                Shown::Absent => !deleted(index, *slot, transaction),
            }
    })?;
    Some((with, without.0, without.1))
}

/// Whether a writer is a transaction that writes this key as well: one of the two came last, on
/// both keys.
fn rivals(index: &Index<'_>, writer: u32, slot: usize) -> bool {
    let operation = index.operation(writer);
    is_transaction(operation) && slots(index, operation).any(|other| other == slot)
}

/// Whether a key may have been deleted, or have run out, after a transaction.
fn deleted(index: &Index<'_>, slot: usize, transaction: u32) -> bool {
    index.operations(slot).iter().any(|number| {
        index.standing(*number) != Standing::Failed
            && matches!(
                effect(index.operation(*number)),
                Effect::Delete | Effect::Expire(_) | Effect::Set(_, Some(_))
            )
            && !index.surely_before(*number, transaction)
    })
}

fn told(
    index: &Index<'_>,
    transaction: u32,
    with: usize,
    without: usize,
    shown: Shown,
    at: &str,
) -> String {
    let what = index.told(transaction);
    let shown = match shown {
        Shown::Absent => "is absent".to_owned(),
        Shown::Strange => "is nobody's".to_owned(),
        Shown::By(other) => format!("is from {}", index.told(other)),
    };
    let (with, without) = (index.key(with), index.key(without));
    format!("{what} is half done {at}: {with} shows it, {without} {shown}")
}
