//! Commands on hashes.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::argument::{self, command, integer};
use super::kind::{self, Hash};
use super::{Command, Effect, Refusal, number, reads, reply, writes};
use crate::model::object::Slot;

pub(super) const COMMANDS: &[Command] = &[
    writes("HSET", -4, hset),
    writes("HMSET", -4, hmset),
    writes("HSETNX", 4, hsetnx),
    reads("HGET", 3, hget),
    reads("HMGET", -3, hmget),
    reads("HGETALL", 2, hgetall),
    writes("HDEL", -3, hdel),
    reads("HLEN", 2, hlen),
    reads("HEXISTS", 3, hexists),
    reads("HKEYS", 2, hkeys),
    reads("HVALS", 2, hvals),
    writes("HINCRBY", 4, hincrby),
    writes("HINCRBYFLOAT", 4, hincrbyfloat),
    reads("HSTRLEN", 3, hstrlen),
];

/// Sets fields. Gives back how many are new, and the write to pass on: also one that changes
/// nothing, as KeyDB does, since it may yet be the newest.
fn set_fields(slot: &mut Slot, argv: &[Bytes], name: &str) -> Result<(usize, Vec<Bytes>), Refusal> {
    if !argv.len().is_multiple_of(2) {
        return Err(super::wrong_arity(name));
    }
    let hash = kind::make::<Hash>(slot)?;
    let fields = argv[2..].chunks_exact(2);
    let new = fields
        .filter(|pair| hash.insert(pair[0].clone(), pair[1].clone()).is_none())
        .count();
    Ok((new, command("HSET", &argv[1], argv[2..].iter().cloned())))
}

fn hset(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (new, write) = set_fields(slot, argv, "hset")?;
    Ok(Effect::wrote(reply::size(new), write))
}

fn hmset(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (_, write) = set_fields(slot, argv, "hmset")?;
    Ok(Effect::wrote(reply::ok(), write))
}

fn field<'a>(slot: &'a Slot, argv: &[Bytes]) -> Result<Option<&'a Bytes>, Refusal> {
    Ok(kind::get::<Hash>(slot)?.and_then(|hash| hash.get(&argv[2])))
}

fn hsetnx(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    if field(slot, argv)?.is_some() {
        return Ok(Effect::read(reply::integer(0)));
    }
    let (_, write) = set_fields(slot, argv, "hsetnx")?;
    Ok(Effect::wrote(reply::integer(1), write))
}

fn hget(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    Ok(Effect::read(reply::bulk_or_nil(field(slot, argv)?)))
}

fn hmget(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let hash = kind::get::<Hash>(slot)?;
    let values = argv[2..]
        .iter()
        .map(|field| reply::bulk_or_nil(hash.and_then(|hash| hash.get(field))));
    Ok(Effect::read(BytesFrame::Array(values.collect())))
}

/// A hash's fields and values.
fn fields(slot: &Slot) -> Result<impl Iterator<Item = (&Bytes, &Bytes)>, Refusal> {
    Ok(kind::get::<Hash>(slot)?.into_iter().flatten())
}

fn hgetall(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let all = fields(slot)?.flat_map(|(field, value)| [field.clone(), value.clone()]);
    Ok(Effect::read(reply::bulks(all)))
}

fn hkeys(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let names = fields(slot)?.map(|(field, _)| field.clone());
    Ok(Effect::read(reply::bulks(names)))
}

fn hvals(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let values = fields(slot)?.map(|(_, value)| value.clone());
    Ok(Effect::read(reply::bulks(values)))
}

fn hlen(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    Ok(Effect::read(reply::size(fields(slot)?.count())))
}

fn hexists(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    Ok(Effect::read(reply::flag(field(slot, argv)?.is_some())))
}

fn hstrlen(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let length = field(slot, argv)?.map_or(0, Bytes::len);
    Ok(Effect::read(reply::size(length)))
}

fn hdel(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let Some(hash) = kind::get_mut::<Hash>(slot)? else {
        return Ok(Effect::read(reply::integer(0)));
    };
    let fields = argv[2..].iter();
    let removed = fields.filter(|field| hash.remove(*field).is_some()).count();
    let reply = reply::size(removed);
    if removed == 0 {
        return Ok(Effect::read(reply));
    }
    Ok(Effect::wrote(reply, argv.to_vec()))
}

fn hincrby(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let amount = integer(&argv[3])?;
    let before = match field(slot, argv)? {
        Some(value) => argument::strict_integer(value).ok_or("ERR hash value is not an integer")?,
        None => 0,
    };
    let sum = before.checked_add(amount).ok_or(argument::OVERFLOW)?;
    let hash = kind::make::<Hash>(slot)?;
    hash.insert(argv[2].clone(), argument::text(sum.to_string()));
    Ok(Effect::wrote(reply::integer(sum), argv.to_vec()))
}

fn hincrbyfloat(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    number::score(&argv[3])?;
    let zero = argument::word("0");
    let before = field(slot, argv)?.unwrap_or(&zero);
    number::float(before).ok_or("ERR hash value is not a float")?;
    let sum = number::sum(before, &argv[3]).ok_or("ERR value is NaN or Infinity")?;
    let sum = argument::text(sum);
    let write = command("HSET", &argv[1], [argv[2].clone(), sum.clone()]);
    kind::make::<Hash>(slot)?.insert(argv[2].clone(), sum.clone());
    Ok(Effect::wrote(reply::bulk(sum), write))
}
