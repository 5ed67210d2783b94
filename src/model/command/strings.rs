//! Commands on strings and counters.

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::types::BytesFrame;

use super::argument::{self, Unit, command, integer, is};
use super::{Command, Effect, Refusal, kind, number, reads, reply, writes};
use crate::model::object::{Data, Object, Slot};

pub(super) const COMMANDS: &[Command] = &[
    reads("GET", 2, get),
    writes("SET", -3, set),
    writes("SETNX", 3, setnx),
    writes("SETEX", 4, |slot, argv, now| {
        set_for(slot, argv, Unit::Seconds, "setex", now)
    }),
    writes("PSETEX", 4, |slot, argv, now| {
        set_for(slot, argv, Unit::Millis, "psetex", now)
    }),
    writes("GETSET", 3, getset),
    writes("GETDEL", 2, getdel),
    writes("GETEX", -2, getex),
    writes("APPEND", 3, append),
    reads("STRLEN", 2, strlen),
    reads("GETRANGE", 4, getrange),
    reads("SUBSTR", 4, getrange),
    writes("SETRANGE", 4, setrange),
    writes("INCR", 2, |slot, argv, _| add(slot, argv, 1)),
    writes("DECR", 2, |slot, argv, _| add(slot, argv, -1)),
    writes("INCRBY", 3, |slot, argv, _| {
        add(slot, argv, integer(&argv[2])?)
    }),
    writes("DECRBY", 3, |slot, argv, _| {
        let amount = integer(&argv[2])?;
        // KeyDB overflows in silence here (measured); what it says elsewhere is meant.
        add(slot, argv, amount.checked_neg().ok_or(argument::OVERFLOW)?)
    }),
    writes("INCRBYFLOAT", 3, incrbyfloat),
];

/// KeyDB's default `proto-max-bulk-len`.
const LONGEST: usize = 512 * 1024 * 1024;

fn value(slot: &Slot) -> Result<BytesFrame, Refusal> {
    Ok(reply::bulk_or_nil(kind::get::<Bytes>(slot)?))
}

fn get(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    Ok(Effect::read(value(slot)?))
}

/// Puts a string in the place of whatever was there; a time that has passed leaves nothing.
fn put(slot: &mut Slot, key: &Bytes, value: &Bytes, expires: Option<u64>, now: u64) -> Vec<Bytes> {
    if expires.is_some_and(|at| at <= now) {
        *slot = None;
        return command("DEL", key, []);
    }
    *slot = Some(Object {
        data: Data::String(value.clone()),
        expires,
    });
    let until = expires.map(|at| [argument::word("PXAT"), argument::text(at.to_string())]);
    command(
        "SET",
        key,
        std::iter::once(value.clone()).chain(until.into_iter().flatten()),
    )
}

/// The options of `SET`.
#[derive(Default)]
struct Options<'a> {
    absent: bool,
    present: bool,
    get: bool,
    keep: bool,
    expiry: Option<(Unit, &'a Bytes)>,
}

impl<'a> Options<'a> {
    fn parse(arguments: &'a [Bytes]) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let unit = Unit::of_option(option);
            let other_unit = || {
                let given = options.expiry.map(|(unit, _)| unit);
                given.is_some_and(|given| Some(given) != unit)
            };
            if is(option, "NX") && !options.present && !options.get {
                options.absent = true;
            } else if is(option, "XX") && !options.absent {
                options.present = true;
            } else if is(option, "GET") && !options.absent {
                options.get = true;
            } else if is(option, "KEEPTTL") && options.expiry.is_none() {
                options.keep = true;
            } else if let Some(unit) = unit
                && !options.keep
                && !other_unit()
                && let Some(time) = rest.next()
            {
                options.expiry = Some((unit, time));
            } else {
                return Err(argument::SYNTAX.to_owned());
            }
        }
        Ok(options)
    }
}

fn set(slot: &mut Slot, argv: &[Bytes], now: u64) -> Result<Effect, Refusal> {
    let options = Options::parse(&argv[3..])?;
    let expires = match options.expiry {
        Some((unit, time)) => Some(argument::expiry(time, unit, "set", now)?),
        None => None,
    };
    let before = if options.get {
        Some(value(slot)?)
    } else {
        None
    };
    if (options.absent && slot.is_some()) || (options.present && slot.is_none()) {
        return Ok(Effect::read(before.unwrap_or(reply::NIL)));
    }
    let reply = before.unwrap_or_else(reply::ok);
    let was_there = slot.is_some();
    let kept = slot.as_ref().and_then(|object| object.expires);
    if options.keep {
        put(slot, &argv[1], &argv[2], kept, now);
        let write = command(
            "SET",
            &argv[1],
            [argv[2].clone(), argument::word("KEEPTTL")],
        );
        return Ok(Effect::wrote(reply, write));
    }
    let write = put(slot, &argv[1], &argv[2], expires, now);
    if slot.is_none() && !was_there {
        return Ok(Effect::read(reply));
    }
    Ok(Effect::wrote(reply, write))
}

fn setnx(slot: &mut Slot, argv: &[Bytes], now: u64) -> Result<Effect, Refusal> {
    if slot.is_some() {
        return Ok(Effect::read(reply::integer(0)));
    }
    let write = put(slot, &argv[1], &argv[2], None, now);
    Ok(Effect::wrote(reply::integer(1), write))
}

fn set_for(
    slot: &mut Slot,
    argv: &[Bytes],
    unit: Unit,
    name: &str,
    now: u64,
) -> Result<Effect, Refusal> {
    let expires = argument::expiry(&argv[2], unit, name, now)?;
    let write = put(slot, &argv[1], &argv[3], Some(expires), now);
    Ok(Effect::wrote(reply::ok(), write))
}

fn getset(slot: &mut Slot, argv: &[Bytes], now: u64) -> Result<Effect, Refusal> {
    let before = value(slot)?;
    let write = put(slot, &argv[1], &argv[2], None, now);
    Ok(Effect::wrote(before, write))
}

fn getdel(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let before = value(slot)?;
    if slot.take().is_none() {
        return Ok(Effect::read(before));
    }
    Ok(Effect::wrote(before, command("DEL", &argv[1], [])))
}

fn getex(slot: &mut Slot, argv: &[Bytes], now: u64) -> Result<Effect, Refusal> {
    let (persist, expiry) = match &argv[2..] {
        [persist, rest @ ..]
            if is(persist, "PERSIST") && rest.iter().all(|again| is(again, "PERSIST")) =>
        {
            (true, None)
        }
        arguments => {
            let options = Options::parse(arguments)?;
            if options.absent || options.present || options.get || options.keep {
                return Err(argument::SYNTAX.to_owned());
            }
            (false, options.expiry)
        }
    };
    let before = value(slot)?;
    let Some(object) = slot else {
        return Ok(Effect::read(before));
    };
    if persist && object.expires.take().is_some() {
        return Ok(Effect::wrote(before, command("PERSIST", &argv[1], [])));
    }
    let Some((unit, time)) = expiry else {
        return Ok(Effect::read(before));
    };
    let expires = argument::expiry(time, unit, "getex", now)?;
    let write = super::keys::expire_at(slot, &argv[1], expires, now);
    Ok(Effect::wrote(before, write))
}

fn append(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let string = kind::make::<Bytes>(slot)?;
    let mut joined = BytesMut::from(&string[..]);
    joined.extend_from_slice(&argv[2]);
    *string = joined.freeze();
    Ok(Effect::wrote(reply::size(string.len()), argv.to_vec()))
}

fn strlen(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let length = kind::get::<Bytes>(slot)?.map_or(0, Bytes::len);
    Ok(Effect::read(reply::size(length)))
}

fn getrange(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (start, stop) = (integer(&argv[2])?, integer(&argv[3])?);
    let empty = Bytes::new();
    let string = kind::get::<Bytes>(slot)?.unwrap_or(&empty);
    if string.is_empty() || (start < 0 && stop < 0 && start > stop) {
        return Ok(Effect::read(reply::bulk(empty)));
    }
    // Unlike a list's, a string's end before its start still gives its first byte (measured).
    let length = i64::try_from(string.len()).unwrap_or(i64::MAX);
    let stop = if stop < 0 {
        (stop + length).max(0)
    } else {
        stop
    };
    let range = argument::span(string.len(), start, stop);
    Ok(Effect::read(reply::bulk(string.slice(range))))
}

fn setrange(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let offset = integer(&argv[2])?;
    let Ok(offset) = usize::try_from(offset) else {
        return Err("ERR offset is out of range".to_owned());
    };
    let patch = &argv[3];
    let before = kind::get::<Bytes>(slot)?;
    if patch.is_empty() {
        return Ok(Effect::read(reply::size(before.map_or(0, Bytes::len))));
    }
    let end = offset.saturating_add(patch.len());
    if end > LONGEST {
        return Err("ERR string exceeds maximum allowed size (proto-max-bulk-len)".to_owned());
    }
    let string = kind::make::<Bytes>(slot)?;
    let mut patched = BytesMut::from(&string[..]);
    if patched.len() < end {
        patched.resize(end, 0);
    }
    patched[offset..end].copy_from_slice(patch);
    *string = patched.freeze();
    Ok(Effect::wrote(reply::size(string.len()), argv.to_vec()))
}

fn add(slot: &mut Slot, argv: &[Bytes], amount: i64) -> Result<Effect, Refusal> {
    let before = match kind::get::<Bytes>(slot)? {
        Some(string) => integer(string)?,
        None => 0,
    };
    let sum = before.checked_add(amount).ok_or(argument::OVERFLOW)?;
    *kind::make::<Bytes>(slot)? = argument::text(sum.to_string());
    let write = command("INCRBY", &argv[1], [argument::text(amount.to_string())]);
    Ok(Effect::wrote(reply::integer(sum), write))
}

fn incrbyfloat(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let zero = argument::word("0");
    let before = kind::get::<Bytes>(slot)?.unwrap_or(&zero);
    number::score(before)?;
    number::score(&argv[2])?;
    let sum = number::sum(before, &argv[2]).ok_or("ERR increment would produce NaN or Infinity")?;
    let sum = argument::text(sum);
    *kind::make::<Bytes>(slot)? = sum.clone();
    let write = command("SET", &argv[1], [sum.clone(), argument::word("KEEPTTL")]);
    Ok(Effect::wrote(reply::bulk(sum), write))
}
