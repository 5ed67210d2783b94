//! Commands on a key whatever it holds: existence, type, TTL.

use bytes::Bytes;

use super::argument::{self, Unit, command, integer};
use super::{Command, Effect, Refusal, reads, reply, writes};
use crate::model::object::{Object, Slot};

pub(super) const COMMANDS: &[Command] =
    &[
        reads("TYPE", 2, type_of),
        reads("TTL", -2, |slot, argv, now| {
            Ok(of_member(slot, argv)
                .unwrap_or_else(|| left(slot, now, |millis| (millis + 500) / 1000)))
        }),
        reads("PTTL", -2, |slot, argv, now| {
            Ok(of_member(slot, argv).unwrap_or_else(|| left(slot, now, |millis| millis)))
        }),
        writes("EXPIRE", 3, |slot, argv, now| {
            expire(slot, argv, Unit::Seconds, "expire", now)
        }),
        writes("PEXPIRE", 3, |slot, argv, now| {
            expire(slot, argv, Unit::Millis, "pexpire", now)
        }),
        writes("EXPIREAT", 3, |slot, argv, now| {
            expire(slot, argv, Unit::SecondsAt, "expireat", now)
        }),
        writes("PEXPIREAT", 3, |slot, argv, now| {
            expire(slot, argv, Unit::MillisAt, "pexpireat", now)
        }),
        writes("PERSIST", -2, persist),
    ];

/// Puts a whole value into a key: `KEYDB.MODELRESTORE key payload`. Not a client's command.
pub(super) const RESTORE: &str = "KEYDB.MODELRESTORE";

/// What is passed on but is no client's command on one key: a client's `DEL` takes several.
pub(super) const PASSED_ON: &[Command] = &[writes("DEL", 2, del), writes(RESTORE, 3, restore)];

/// The write that makes a key hold this.
///
/// # Errors
/// When it cannot be encoded.
pub(super) fn restoring(key: &Bytes, object: &Object) -> Result<Vec<Bytes>, Refusal> {
    let payload = postcard::to_stdvec(object).map_err(|error| format!("ERR {error}"))?;
    Ok(command(RESTORE, key, [Bytes::from(payload)]))
}

fn restore(slot: &mut Slot, argv: &[Bytes], now: u64) -> Result<Effect, Refusal> {
    let object: Object =
        postcard::from_bytes(&argv[2]).map_err(|error| format!("ERR Bad data format: {error}"))?;
    *slot = (!object.is_expired(now)).then_some(object);
    Ok(Effect::wrote(reply::ok(), argv.to_vec()))
}

fn del(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    if slot.take().is_none() {
        return Ok(Effect::read(reply::integer(0)));
    }
    Ok(Effect::wrote(
        reply::integer(1),
        command("DEL", &argv[1], []),
    ))
}

fn type_of(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let name = slot
        .as_ref()
        .map_or("none", |object| object.data.type_name());
    Ok(Effect::read(reply::simple(name)))
}

/// What is left of a key's time.
fn left(slot: &Slot, now: u64, unit: fn(u64) -> u64) -> Effect {
    let left = match slot {
        None => -2,
        Some(Object { expires: None, .. }) => -1,
        Some(Object {
            expires: Some(at), ..
        }) => i64::try_from(unit(at.saturating_sub(now))).unwrap_or(i64::MAX),
    };
    Effect::read(reply::integer(left))
}

/// Sets when the key expires, and gives back the write to pass on: a time that has passed deletes.
pub(super) fn expire_at(slot: &mut Slot, key: &Bytes, at: u64, now: u64) -> Vec<Bytes> {
    if at <= now {
        *slot = None;
        return command("DEL", key, []);
    }
    if let Some(object) = slot {
        object.expires = Some(at);
    }
    command("PEXPIREAT", key, [argument::text(at.to_string())])
}

fn expire(
    slot: &mut Slot,
    argv: &[Bytes],
    unit: Unit,
    name: &str,
    now: u64,
) -> Result<Effect, Refusal> {
    let at = unit
        .at(integer(&argv[2])?, now)
        .ok_or_else(|| format!("ERR invalid expire time in {name}"))?;
    if slot.is_none() {
        return Ok(Effect::read(reply::integer(0)));
    }
    let at = u64::try_from(at).unwrap_or(0);
    let write = expire_at(slot, &argv[1], at, now);
    Ok(Effect::wrote(reply::integer(1), write))
}

/// KeyDB's members can have a TTL of their own (`EXPIREMEMBER`); the model's have none.
fn of_member(slot: &Slot, argv: &[Bytes]) -> Option<Effect> {
    let none = if slot.is_some() { -1 } else { -2 };
    (argv.len() > 2).then(|| Effect::read(reply::integer(none)))
}

fn persist(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    if argv.len() > 2 {
        return Ok(Effect::read(reply::integer(0)));
    }
    let had = slot.as_mut().and_then(|object| object.expires.take());
    if had.is_none() {
        return Ok(Effect::read(reply::integer(0)));
    }
    Ok(Effect::wrote(
        reply::integer(1),
        command("PERSIST", &argv[1], []),
    ))
}
