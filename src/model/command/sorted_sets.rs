//! Commands on sorted sets: what changes them, and what asks for members. Ranges are in [`ranges`].

mod ranges;

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::argument::{self, command, integer, is};
use super::kind::{self, SortedSet};
use super::number::{score, score_text};
use super::{Command, Effect, Refusal, reads, reply, writes};
use crate::model::object::Slot;
pub(super) use ranges::COMMANDS as RANGES;

pub(super) const COMMANDS: &[Command] = &[
    writes("ZADD", -4, zadd),
    writes("ZREM", -3, zrem),
    writes("ZINCRBY", 4, zincrby),
    reads("ZSCORE", 3, zscore),
    reads("ZMSCORE", -3, zmscore),
    reads("ZCARD", 2, zcard),
    reads("ZRANK", 3, |slot, argv, _| rank(slot, argv, false)),
    reads("ZREVRANK", 3, |slot, argv, _| rank(slot, argv, true)),
    writes("ZPOPMIN", -2, |slot, argv, _| pop(slot, argv, false)),
    writes("ZPOPMAX", -2, |slot, argv, _| pop(slot, argv, true)),
];

const NOT_A_NUMBER: &str = "ERR resulting score is not a number (NaN)";

/// A score as an argument or a reply.
fn text(score: f64) -> Bytes {
    argument::text(score_text(score))
}

/// The members by score, then by name.
fn in_order(slot: &Slot, reverse: bool) -> Result<Vec<(&Bytes, f64)>, Refusal> {
    let members = kind::get::<SortedSet>(slot)?.into_iter().flatten();
    let mut members: Vec<_> = members.map(|(member, score)| (member, *score)).collect();
    // Stable, and the members are in order of their names already. Not `total_cmp`: -0 equals 0.
    members.sort_by(|one, other| {
        one.1
            .partial_cmp(&other.1)
            .unwrap_or(one.1.total_cmp(&other.1))
    });
    if reverse {
        members.reverse();
    }
    Ok(members)
}

/// The options of `ZADD`.
#[derive(Default)]
struct Options {
    absent: bool,
    present: bool,
    greater: bool,
    less: bool,
    changed: bool,
    increment: bool,
}

impl Options {
    /// The options, and the scores and members after them.
    fn parse(arguments: &[Bytes]) -> Result<(Self, &[Bytes]), Refusal> {
        let mut options = Self::default();
        let mut rest = arguments;
        while let [option, after @ ..] = rest {
            match option {
                option if is(option, "NX") => options.absent = true,
                option if is(option, "XX") => options.present = true,
                option if is(option, "GT") => options.greater = true,
                option if is(option, "LT") => options.less = true,
                option if is(option, "CH") => options.changed = true,
                option if is(option, "INCR") => options.increment = true,
                _ => break,
            }
            rest = after;
        }
        if rest.is_empty() || !rest.len().is_multiple_of(2) {
            return Err(argument::SYNTAX.to_owned());
        }
        if options.absent && options.present {
            return Err("ERR XX and NX options at the same time are not compatible".to_owned());
        }
        if [options.absent, options.greater, options.less]
            .iter()
            .filter(|given| **given)
            .count()
            > 1
        {
            return Err(
                "ERR GT, LT, and/or NX options at the same time are not compatible".to_owned(),
            );
        }
        if options.increment && rest.len() > 2 {
            return Err("ERR INCR option supports a single increment-element pair".to_owned());
        }
        Ok((options, rest))
    }

    /// The score a member gets, unless the options leave it as it is.
    fn result(&self, before: Option<f64>, score: f64) -> Result<Option<f64>, Refusal> {
        let Some(before) = before else {
            return Ok((!self.present).then_some(score));
        };
        if self.absent {
            return Ok(None);
        }
        let score = if self.increment {
            before + score
        } else {
            score
        };
        if score.is_nan() {
            return Err(NOT_A_NUMBER.to_owned());
        }
        let refused = (self.greater && score <= before) || (self.less && score >= before);
        Ok((!refused).then_some(score))
    }
}

fn zadd(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (options, pairs) = Options::parse(&argv[2..])?;
    let mut scored = Vec::new();
    for pair in pairs.chunks_exact(2) {
        scored.push((score(&pair[0])?, &pair[1]));
    }
    let sorted = kind::make::<SortedSet>(slot)?;
    let (mut added, mut updated) = (0, 0);
    let mut resulting = None;
    let mut done = Vec::new();
    for (score, member) in scored {
        let before = sorted.get(member).copied();
        let Some(score) = options.result(before, score)? else {
            continue;
        };
        resulting = Some(score);
        match before {
            None => added += 1,
            Some(before) if before == score => continue,
            Some(_) => updated += 1,
        }
        sorted.insert(member.clone(), score);
        done.extend([text(score), member.clone()]);
    }
    let reply = if options.increment {
        resulting.map_or(reply::NIL, |score| reply::bulk(text(score)))
    } else if options.changed {
        reply::integer(added + updated)
    } else {
        reply::integer(added)
    };
    if done.is_empty() {
        return Ok(Effect::read(reply));
    }
    Ok(Effect::wrote(reply, command("ZADD", &argv[1], done)))
}

fn zincrby(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (amount, member) = (score(&argv[2])?, &argv[3]);
    let before = kind::get::<SortedSet>(slot)?.and_then(|sorted| sorted.get(member));
    let sum = before.map_or(amount, |before| before + amount);
    if sum.is_nan() {
        return Err(NOT_A_NUMBER.to_owned());
    }
    kind::make::<SortedSet>(slot)?.insert(member.clone(), sum);
    Ok(Effect::wrote(reply::bulk(text(sum)), argv.to_vec()))
}

/// Removes members, and gives back the write to pass on, if there were any.
fn remove(
    slot: &mut Slot,
    key: &Bytes,
    members: Vec<Bytes>,
) -> Result<Option<Vec<Bytes>>, Refusal> {
    let Some(sorted) = kind::get_mut::<SortedSet>(slot)? else {
        return Ok(None);
    };
    let mut removed = members;
    removed.retain(|member| sorted.remove(member).is_some());
    Ok((!removed.is_empty()).then(|| command("ZREM", key, removed)))
}

fn zrem(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let write = remove(slot, &argv[1], argv[2..].to_vec())?;
    let removed = write.as_ref().map_or(0, |write| write.len() - 2);
    Ok(Effect {
        reply: reply::size(removed),
        write,
    })
}

fn score_or_nil(sorted: Option<&SortedSet>, member: &Bytes) -> BytesFrame {
    let score = sorted.and_then(|sorted| sorted.get(member));
    score.map_or(reply::NIL, |score| reply::bulk(text(*score)))
}

fn zscore(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    Ok(Effect::read(score_or_nil(kind::get(slot)?, &argv[2])))
}

fn zmscore(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let sorted = kind::get(slot)?;
    let scores = argv[2..].iter().map(|member| score_or_nil(sorted, member));
    Ok(Effect::read(BytesFrame::Array(scores.collect())))
}

fn zcard(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let size = kind::get::<SortedSet>(slot)?.map_or(0, SortedSet::len);
    Ok(Effect::read(reply::size(size)))
}

fn rank(slot: &Slot, argv: &[Bytes], reverse: bool) -> Result<Effect, Refusal> {
    let mut members = in_order(slot, reverse)?.into_iter();
    let rank = members.position(|(member, _)| member == &argv[2]);
    Ok(Effect::read(rank.map_or(reply::NIL, reply::size)))
}

fn pop(slot: &mut Slot, argv: &[Bytes], reverse: bool) -> Result<Effect, Refusal> {
    let count = match &argv[2..] {
        [] => 1,
        [count] => integer(count)?,
        _ => return Err(argument::SYNTAX.to_owned()),
    };
    let Some(count) = usize::try_from(count).ok().filter(|count| *count > 0) else {
        // Before it looks at the key (measured).
        return Ok(Effect::read(reply::bulks([])));
    };
    let popped: Vec<(Bytes, f64)> = in_order(slot, reverse)?
        .into_iter()
        .take(count)
        .map(|(member, score)| (member.clone(), score))
        .collect();
    let members = popped.iter().map(|(member, _)| member.clone()).collect();
    let write = remove(slot, &argv[1], members)?;
    let shown = popped
        .into_iter()
        .flat_map(|(member, score)| [member, text(score)]);
    Ok(Effect {
        reply: reply::bulks(shown),
        write,
    })
}
