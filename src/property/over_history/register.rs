//! What may stand in a register at the end: the heart of `explainable` and `acknowledged`.

use super::effect::{Effect, effect};
use super::index::{Index, Kind, Standing};
use super::input::Case;
use crate::history::{Content, Token};

/// The writes of one register (a key, a hash's field, a member's score) that bound its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Bound {
    /// The sure set that was invoked last.
    pub set: Option<u32>,
    /// The sure set or deletion that was invoked last.
    pub change: Option<u32>,
    /// The same as `set`, with what may be lost with its node.
    pub excused: Option<u32>,
    /// When the last deletion that may have happened had surely ended.
    deleted: Option<u64>,
    /// How many writes there are.
    pub writes: usize,
}

/// How a value at the end is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Explained {
    /// By a write.
    Well,
    /// By nobody's.
    Nobody,
    /// By one that was refused.
    Refused(u32),
    /// By one that is surely before a sure one.
    Older { written: u32, newer: u32 },
    /// Absent, and what deleted it is surely before this set.
    DeletedEarlier(u32),
    /// Absent, and nothing deletes it.
    Missing(u32),
}

impl Bound {
    /// Takes a write into account. `due` says whether a time to live has run out at the end.
    pub fn take(&mut self, index: &Index<'_>, number: u32, due: impl Fn(u64, u32) -> bool) {
        let standing = index.standing(number);
        if standing == Standing::Failed {
            return;
        }
        let invoked = index.operation(number).invoked.0;
        let later = |other: &Option<u32>| {
            other.is_none_or(|other| index.operation(other).invoked.0 <= invoked)
        };
        let sure = standing == Standing::Sure;
        let (sets, deletes) = match effect(index.operation(number)) {
            Effect::Set(_, None) | Effect::Field(..) | Effect::Score(..) | Effect::Add(_) => {
                (true, false)
            }
            Effect::Set(_, Some(ttl)) => (true, due(invoked, ttl)),
            Effect::Delete | Effect::Remove(_) => (false, true),
            Effect::Expire(ttl) => (false, due(invoked, ttl)),
            Effect::Increment(_) | Effect::Read => return,
        };
        self.writes += 1;
        if sets && sure && later(&self.set) {
            self.set = Some(number);
        }
        if sets && standing != Standing::Maybe && later(&self.excused) {
            self.excused = Some(number);
        }
        if (sets || deletes) && sure && later(&self.change) {
            self.change = Some(number);
        }
        if deletes {
            self.deleted = self.deleted.max(Some(index.ended(number)));
        }
    }

    /// Whether a deletion may have come after `set`.
    pub fn deletes(&self, index: &Index<'_>, set: u32) -> bool {
        let invoked = index.operation(set).invoked.0;
        self.deleted
            .is_some_and(|ended| !index.before(ended, invoked))
    }

    /// How the absence of a value is explained.
    pub fn absence(&self, index: &Index<'_>) -> Explained {
        match (self.set, self.deleted) {
            (None, _) => Explained::Well,
            (Some(set), _) if self.deletes(index, set) => Explained::Well,
            (Some(set), None) => Explained::Missing(set),
            (Some(set), Some(_)) => Explained::DeletedEarlier(set),
        }
    }

    /// How the value that `written` wrote is explained.
    pub fn value(&self, index: &Index<'_>, written: u32) -> Explained {
        if index.standing(written) == Standing::Failed {
            return Explained::Refused(written);
        }
        match self.change {
            Some(newer) if newer != written && index.surely_before(written, newer) => {
                Explained::Older { written, newer }
            }
            _ => Explained::Well,
        }
    }

    /// Whether the end is well only because a write may be lost with its node.
    pub fn forgiven(&self, index: &Index<'_>, written: Option<u32>) -> bool {
        let Some(newest) = self.excused else {
            return false;
        };
        if self.set == Some(newest) {
            return false;
        }
        match written {
            Some(written) => written != newest && index.surely_before(written, newest),
            None => !self.deletes(index, newest),
        }
    }
}

/// One value at the end, on one of the nodes that hold the same.
pub(super) struct End<'r> {
    pub slot: usize,
    /// The first node that holds this.
    pub node: usize,
    /// The field or member.
    pub part: Option<String>,
    /// What is there, as text.
    pub shown: Option<String>,
    /// Who wrote what is there; none if it is absent, or nobody's.
    pub written: Option<u32>,
    pub explained: Explained,
    pub bound: &'r Bound,
}

impl End<'_> {
    /// `key`, or `key field 3`.
    pub fn whose(&self, index: &Index<'_>) -> String {
        let key = index.key(self.slot);
        match &self.part {
            Some(part) => format!("{key} {part}"),
            None => key,
        }
    }
}

/// Whether a time to live that was given at `invoked` may have run out when finals were read.
pub(super) fn due<'c>(case: &'c Case<'_>) -> impl Fn(u64, u32) -> bool + Copy + 'c {
    let tolerance = u64::try_from(case.input.ttl_tolerance.as_nanos()).unwrap_or(u64::MAX);
    let read = case.input.finals_at.0.saturating_add(tolerance);
    move |invoked, ttl| invoked.saturating_add(u64::from(ttl) * 1_000_000) <= read
}

/// Goes through the ends of all registers, fields and scores.
pub(super) fn ends(case: &Case<'_>, mut each: impl FnMut(&End<'_>)) {
    let mut scratch = Vec::new();
    for slot in 0..case.index.slots.len() {
        match case.index.slots[slot].kind {
            Kind::Register | Kind::Unwritten => whole(case, slot, &mut each),
            Kind::Hash | Kind::Ranking => parts(case, slot, &mut scratch, &mut each),
            _ => {}
        }
    }
}

fn whole(case: &Case<'_>, slot: usize, each: &mut impl FnMut(&End<'_>)) {
    let index = &case.index;
    if index.slots[slot].name.is_none() {
        return; // No operation's: a probe's, or there before.
    }
    let mut bound = Bound::default();
    for number in index.operations(slot) {
        bound.take(index, *number, due(case));
    }
    for (node, content) in index.contents(slot) {
        let shown = content.map(shown);
        let written = match content {
            Some(Content::Text(text)) => text.parse().ok(),
            _ => None,
        };
        let written = written.and_then(|token: Token| index.writer(slot, token));
        let explained = match (content, written) {
            (None, _) => bound.absence(index),
            (Some(_), None) => Explained::Nobody,
            (Some(_), Some(written)) => bound.value(index, written),
        };
        each(&End {
            slot,
            node,
            part: None,
            shown,
            written,
            explained,
            bound: &bound,
        });
    }
}

/// A field's number, or a member, as one number.
fn packed(token: Token) -> u64 {
    u64::from(token.client) << 32 | u64::from(token.number)
}

fn parts(
    case: &Case<'_>,
    slot: usize,
    scratch: &mut Vec<(u64, u32)>,
    each: &mut impl FnMut(&End<'_>),
) {
    let index = &case.index;
    scratch.clear();
    let mut of_all = Bound::default();
    for number in index.operations(slot) {
        match effect(index.operation(*number)) {
            Effect::Field(field, _) => scratch.push((u64::from(field), *number)),
            Effect::Score(_, member) => scratch.push((packed(member), *number)),
            _ => of_all.take(index, *number, due(case)),
        }
    }
    scratch.sort_unstable();
    let ranking = index.slots[slot].kind == Kind::Ranking;
    // What nobody ever put there.
    for (node, content) in index.contents(slot) {
        let held = match content {
            Some(Content::Hash(held)) if !ranking => held,
            Some(Content::Ranking(held)) if ranking => held,
            Some(content) => {
                each(&End {
                    slot,
                    node,
                    part: None,
                    shown: Some(shown(content)),
                    written: None,
                    explained: Explained::Nobody,
                    bound: &of_all,
                });
                continue;
            }
            None => continue,
        };
        for (part, value) in held {
            let known = number_of(part, ranking).is_some_and(|part| {
                scratch
                    .binary_search_by_key(&part, |(part, _)| *part)
                    .is_ok()
            });
            if !known {
                each(&End {
                    slot,
                    node,
                    part: Some(named(part, ranking)),
                    shown: Some(value.clone()),
                    written: None,
                    explained: Explained::Nobody,
                    bound: &of_all,
                });
            }
        }
    }
    for writes in scratch.chunk_by(|(one, _), (other, _)| one == other) {
        let mut bound = of_all;
        for (_, number) in writes {
            bound.take(index, *number, due(case));
        }
        let Some(part) = writes.first().map(|(_, number)| part_of(index, *number)) else {
            continue;
        };
        for (node, content) in index.contents(slot) {
            let value = match content {
                Some(Content::Hash(held)) if !ranking => {
                    held.get(&part).or_else(|| held.get(&format!("f{part}")))
                }
                Some(Content::Ranking(held)) if ranking => held.get(&part),
                _ => None,
            };
            let written = value.and_then(|value| wrote(index, writes, value, ranking));
            let explained = match (value, written) {
                (None, _) => bound.absence(index),
                (Some(_), None) => Explained::Nobody,
                (Some(_), Some(written)) => bound.value(index, written),
            };
            each(&End {
                slot,
                node,
                part: Some(named(&part, ranking)),
                shown: value.cloned(),
                written,
                explained,
                bound: &bound,
            });
        }
    }
}

fn number_of(part: &str, ranking: bool) -> Option<u64> {
    if ranking {
        return part.parse().ok().map(packed);
    }
    part.strip_prefix('f')
        .unwrap_or(part)
        .parse::<u16>()
        .ok()
        .map(u64::from)
}

fn named(part: &str, ranking: bool) -> String {
    match ranking {
        true => format!("member {part}"),
        false => format!("field {part}"),
    }
}

fn part_of(index: &Index<'_>, number: u32) -> String {
    match effect(index.operation(number)) {
        Effect::Field(field, _) => field.to_string(),
        Effect::Score(_, member) => member.to_string(),
        _ => String::new(),
    }
}

/// The write of this value among those of a field or member; the last of equal ones that was not
/// refused.
fn wrote(index: &Index<'_>, writes: &[(u64, u32)], value: &str, ranking: bool) -> Option<u32> {
    let token: Option<Token> = value.parse().ok();
    let score: Option<f64> = value.parse().ok();
    let same = |number: u32| match effect(index.operation(number)) {
        Effect::Field(_, written) => !ranking && Some(written) == token,
        Effect::Score(written, _) => ranking && Some(f64::from(written)) == score,
        _ => false,
    };
    let same = writes
        .iter()
        .map(|(_, number)| *number)
        .filter(|number| same(*number));
    same.max_by_key(|number| {
        (
            index.standing(*number) != Standing::Failed,
            index.ended(*number),
        )
    })
}

/// A value in short.
pub(super) fn shown(content: &Content) -> String {
    let few = |values: &[String]| match values {
        [] => "nothing".to_owned(),
        all if all.len() <= 6 => all.join(" "),
        [first, .., last] => format!("{first} ... {last} ({} values)", values.len()),
        [one] => one.clone(),
    };
    let pairs = |pairs: &std::collections::BTreeMap<String, String>| {
        let pairs: Vec<String> = pairs
            .iter()
            .map(|(part, value)| format!("{part}={value}"))
            .collect();
        few(&pairs)
    };
    match content {
        Content::Text(text) if text.len() <= 80 => text.clone(),
        Content::Text(text) => format!("a text of {} bytes", text.len()),
        Content::List(values) => format!("[{}]", few(values)),
        Content::Set(values) => format!("{{{}}}", few(values)),
        Content::Hash(held) | Content::Ranking(held) => format!("{{{}}}", pairs(held)),
    }
}
