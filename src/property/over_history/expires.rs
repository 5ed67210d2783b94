//! Times to live: what has run out is gone, nothing else has one, and none is lost or invented.
//!
//! KeyDB's documentation (replication): the stream carries 'keys expired or evicted', and replicas
//! hide what is logically expired (P42, P48). Measured: a full resync brings a key back without its
//! time to live (E5), old replicas show times that nobody gave (E8), `SET PX` is missing on older
//! nodes (F10).
//!
//! `expires=` of `INFO keyspace` counts besides: a time to live that no key shows is invented too.
//! Keys that expired without ever having a time to live are lost: `acknowledged`.
//!
//! Reads count too: a key that a node showed is there until its time is over, and no read shows it
//! afterwards. Each node ends a life by its own clock, and goes by what it has heard: only what
//! surely had reached a node, and only what is surely over everywhere, is held against a read.

use super::breach::Breaches;
use super::effect::{Effect, effect};
use super::index::Standing;
use super::input::Case;
use super::judgement::{Gathered, Judgement};
use super::lives;
use super::register::shown;
use crate::history::{Content, Held, Token};

/// What is promised.
pub const PROMISE: &str =
    "keys live as long as they were told to: none longer, none shorter, none without being told";

const MILLISECOND: u64 = 1_000_000;

/// What the writes of a key say of its time to live.
#[derive(Debug, Default, Clone, Copy)]
struct Told {
    /// Writes that may have happened and may have given a time to live.
    given: usize,
    /// Writes that may have happened and may have made the key without one.
    bare: usize,
    /// The last sure one among all writes, if all others that may have happened are surely before.
    last: Option<u32>,
}

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let index = &case.index;
    let mut breaches = Breaches::default();
    let (mut n, mut reads) = (0, 0);
    // By node and database: keys that show a time to live, and those that may have one unseen.
    let mut shown = vec![[Count::default(); 256]; index.nodes.len()];
    for slot in 0..index.slots.len() {
        let told = told(case, slot);
        if told.given > 0 {
            reads += lives::judge(case, slot, &mut breaches);
        }
        n += usize::from(index.slots[slot].name.is_some() && !index.nodes.is_empty());
        let database = usize::from(index.slots[slot].database);
        for (node, held) in index.held(slot).iter().enumerate() {
            shown[node][database].take(case, *held, told.given > 0);
            let Some(held) = held else { continue };
            if let Some(why) = wrong(case, slot, held, told) {
                let earlier = index.held(slot)[..node].iter().flatten();
                if earlier.clone().any(|other| other == held) {
                    continue;
                }
                let size = index.operations(slot).len();
                breaches.add(size, Some(slot), || {
                    let (key, name) = (index.key(slot), index.nodes[node]);
                    format!("{key} on {name} {why}")
                });
            }
        }
    }
    for ((name, data), counts) in case.input.finals.nodes.iter().zip(&shown) {
        for (database, expires) in &data.expires {
            let Count { least, most } = counts[usize::from(*database)];
            if !(least..=most).contains(expires) {
                breaches.add(0, None, || {
                    format!("{name} says expires={expires} of database {database}, its keys {least} to {most}")
                });
            }
        }
    }
    Gathered {
        check: "expires",
        promise: PROMISE,
        what: "keys",
        n,
        breaches,
        note: match reads {
            0 => String::new(),
            _ => format!("{reads} reads showed that a life lasted or was over"),
        },
        measures: Vec::new(),
    }
    .concluded(case)
}

/// How many keys of a database `expires=` may count.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    least: u64,
    most: u64,
}

impl Count {
    fn take(&mut self, case: &Case<'_>, held: Option<&Held>, given: bool) {
        let tolerance = u64::try_from(case.input.ttl_tolerance.as_millis()).unwrap_or(u64::MAX);
        let ttl = held.and_then(|held| held.ttl);
        self.least += u64::from(ttl.is_some_and(|ttl| ttl > tolerance));
        // An expired key is counted until it is removed.
        self.most += u64::from(ttl.is_some() || given && held.is_none());
    }
}

fn told(case: &Case<'_>, slot: usize) -> Told {
    let index = &case.index;
    let mut told = Told::default();
    let (mut last, mut ended): (Option<u32>, Option<u64>) = (None, None);
    for number in index.operations(slot).iter().copied() {
        let operation = index.operation(number);
        if index.standing(number) == Standing::Failed {
            continue;
        }
        match effect(operation) {
            Effect::Set(_, Some(_)) | Effect::Expire(_) => told.given += 1,
            Effect::Set(_, None) => told.bare += 1,
            Effect::Delete => {}
            Effect::Read => continue,
            // These leave times to live as they are.
            _ => {
                told.bare += 1;
                continue;
            }
        }
        let sure = index.standing(number) == Standing::Sure;
        let later = last.is_none_or(|last| index.operation(last).invoked <= operation.invoked);
        if sure && later {
            if let Some(last) = last {
                ended = ended.max(Some(index.ended(last)));
            }
            last = Some(number);
        } else {
            ended = ended.max(Some(index.ended(number)));
        }
    }
    let invoked = |last: u32| index.operation(last).invoked.0;
    told.last = last.filter(|last| ended.is_none_or(|ended| index.before(ended, invoked(*last))));
    told
}

/// What is wrong with a key's time to live on a node.
fn wrong(case: &Case<'_>, slot: usize, held: &Held, told: Told) -> Option<String> {
    let index = &case.index;
    index.slots[slot].name?;
    if told.given == 0 {
        let ttl = held.ttl?;
        return Some(format!(
            "is to live {ttl} ms more: nobody gave it a time to live"
        ));
    }
    let Some(last) = told.last else {
        // Nobody knows the order of its writes, but each of them gave it a time to live.
        let value = shown(&held.content);
        return (told.bare == 0 && held.ttl.is_none()).then(|| {
            format!("lives for ever as {value}: every write of it gave it a time to live")
        });
    };
    // What the last write wrote is there, or the last write was for whatever is there.
    let (ttl, value) = match effect(index.operation(last)) {
        Effect::Set(token, ttl) => (ttl, Some(token)),
        Effect::Expire(ttl) => (Some(ttl), None),
        _ => return None,
    };
    if let Some(value) = value {
        let Content::Text(text) = &held.content else {
            return None;
        };
        if text.parse::<Token>().ok() != Some(value) {
            return None;
        }
    }
    let Some(ttl) = ttl else {
        let ttl = held.ttl?;
        let told = index.told(last);
        return Some(format!("is to live {ttl} ms more: {told} gave it none"));
    };
    let tolerance = u64::try_from(case.input.ttl_tolerance.as_millis()).unwrap_or(u64::MAX);
    let operation = index.operation(last);
    let (from, read) = (case.input.finals_from.0, case.input.finals_at.0);
    let until = |from: u64| from.saturating_add(u64::from(ttl) * MILLISECOND);
    let least = until(operation.invoked.0).saturating_sub(read) / MILLISECOND;
    let most = until(operation.completed.0).saturating_sub(from) / MILLISECOND;
    match held.ttl {
        _ if until(operation.completed.0).saturating_add(tolerance * MILLISECOND) < from => {
            let (value, told) = (shown(&held.content), index.told(last));
            Some(format!("is still {value}: its time ran out after {told}"))
        }
        None => Some(format!("lives for ever after {}", index.told(last))),
        Some(left) if left > most + tolerance || left + tolerance < least => {
            let told = index.told(last);
            Some(format!(
                "is to live {left} ms more, not {least} to {most} ms as after {told}"
            ))
        }
        Some(_) => None,
    }
}
