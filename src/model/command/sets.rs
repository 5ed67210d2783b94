//! Commands on sets.

use bytes::Bytes;
use rand::seq::{IndexedRandom, IteratorRandom};
use redis_protocol::resp2::types::BytesFrame;

use super::argument::{self, command, integer};
use super::kind::{self, Set};
use super::{Command, Effect, Refusal, reads, reply, writes};
use crate::model::object::Slot;

pub(super) const COMMANDS: &[Command] = &[
    writes("SADD", -3, sadd),
    writes("SREM", -3, srem),
    reads("SCARD", 2, scard),
    reads("SISMEMBER", 3, sismember),
    reads("SMISMEMBER", -3, smismember),
    reads("SMEMBERS", 2, smembers),
    writes("SPOP", -2, spop),
    reads("SRANDMEMBER", -2, srandmember),
];

fn sadd(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let set = kind::make::<Set>(slot)?;
    let members = argv[2..].iter();
    let added: Vec<Bytes> = members
        .filter(|member| set.insert((*member).clone()))
        .cloned()
        .collect();
    let reply = reply::size(added.len());
    if added.is_empty() {
        return Ok(Effect::read(reply));
    }
    Ok(Effect::wrote(reply, argv.to_vec()))
}

fn srem(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let Some(set) = kind::get_mut::<Set>(slot)? else {
        return Ok(Effect::read(reply::integer(0)));
    };
    let removed = argv[2..]
        .iter()
        .filter(|member| set.remove(*member))
        .count();
    let reply = reply::size(removed);
    if removed == 0 {
        return Ok(Effect::read(reply));
    }
    Ok(Effect::wrote(reply, argv.to_vec()))
}

fn scard(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let size = kind::get::<Set>(slot)?.map_or(0, Set::len);
    Ok(Effect::read(reply::size(size)))
}

fn has(set: Option<&Set>, member: &Bytes) -> BytesFrame {
    reply::flag(set.is_some_and(|set| set.contains(member)))
}

fn sismember(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    Ok(Effect::read(has(kind::get(slot)?, &argv[2])))
}

fn smismember(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let set = kind::get(slot)?;
    let members = argv[2..].iter().map(|member| has(set, member));
    Ok(Effect::read(BytesFrame::Array(members.collect())))
}

fn smembers(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let members = kind::get::<Set>(slot)?.into_iter().flatten();
    Ok(Effect::read(reply::bulks(members.cloned())))
}

fn spop(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let count = match &argv[2..] {
        [] => None,
        [count] => Some(argument::count(count)?),
        _ => return Err(argument::SYNTAX.to_owned()),
    };
    let mut popped = Vec::new();
    if let Some(set) = kind::get_mut::<Set>(slot)? {
        let count = count.unwrap_or(1).min(set.len());
        popped = set.iter().cloned().sample(&mut rand::rng(), count);
        for member in &popped {
            set.remove(member);
        }
    }
    let reply = match count {
        Some(_) => reply::bulks(popped.iter().cloned()),
        None => reply::bulk_or_nil(popped.first()),
    };
    if popped.is_empty() {
        return Ok(Effect::read(reply));
    }
    Ok(Effect::wrote(reply, command("SREM", &argv[1], popped)))
}

/// The most members that are drawn with repetition: a reply is kept until it is sent. KeyDB draws as many as
/// it is asked for.
const MOST_CHOSEN: usize = 1 << 20;

fn srandmember(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let count = match &argv[2..] {
        [] => None,
        [count] => Some(integer(count)?),
        _ => return Err(argument::SYNTAX.to_owned()),
    };
    let members: Vec<&Bytes> = kind::get::<Set>(slot)?.into_iter().flatten().collect();
    let mut random = rand::rng();
    let Some(count) = count else {
        let chosen = members.choose(&mut random);
        return Ok(Effect::read(reply::bulk_or_nil(chosen.copied())));
    };
    let size = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    if count < 0 && size > MOST_CHOSEN {
        return Err("ERR value is out of range".to_owned());
    }
    let chosen: Vec<Bytes> = if count < 0 {
        // A negative count may give a member several times.
        (0..size)
            .map_while(|_| members.choose(&mut random).map(|member| (*member).clone()))
            .collect()
    } else {
        let size = size.min(members.len());
        members.into_iter().cloned().sample(&mut random, size)
    };
    Ok(Effect::read(reply::bulks(chosen)))
}
