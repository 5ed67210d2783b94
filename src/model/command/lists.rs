//! Commands on lists.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::argument::{self, command, integer, is, span};
use super::kind::{self, List};
use super::{Command, Effect, Refusal, reads, reply, writes};
use crate::model::object::Slot;

pub(super) const COMMANDS: &[Command] = &[
    writes("LPUSH", -3, |slot, argv, _| {
        push(slot, argv, List::push_front)
    }),
    writes("RPUSH", -3, |slot, argv, _| {
        push(slot, argv, List::push_back)
    }),
    writes("LPUSHX", -3, |slot, argv, _| {
        push_if_there(slot, argv, "LPUSH", List::push_front)
    }),
    writes("RPUSHX", -3, |slot, argv, _| {
        push_if_there(slot, argv, "RPUSH", List::push_back)
    }),
    writes("LPOP", -2, |slot, argv, _| {
        pop(slot, argv, "LPOP", List::pop_front)
    }),
    writes("RPOP", -2, |slot, argv, _| {
        pop(slot, argv, "RPOP", List::pop_back)
    }),
    reads("LLEN", 2, llen),
    reads("LRANGE", 4, lrange),
    reads("LINDEX", 3, lindex),
    writes("LSET", 4, lset),
    writes("LREM", 4, lrem),
    writes("LTRIM", 4, ltrim),
    writes("LINSERT", 5, linsert),
    reads("LPOS", -3, lpos),
];

fn push(slot: &mut Slot, argv: &[Bytes], end: fn(&mut List, Bytes)) -> Result<Effect, Refusal> {
    let list = kind::make::<List>(slot)?;
    for element in &argv[2..] {
        end(list, element.clone());
    }
    Ok(Effect::wrote(reply::size(list.len()), argv.to_vec()))
}

fn push_if_there(
    slot: &mut Slot,
    argv: &[Bytes],
    name: &'static str,
    end: fn(&mut List, Bytes),
) -> Result<Effect, Refusal> {
    if slot.is_none() {
        return Ok(Effect::read(reply::integer(0)));
    }
    let write = command(name, &argv[1], argv[2..].iter().cloned());
    push(slot, &write, end)
}

fn pop(
    slot: &mut Slot,
    argv: &[Bytes],
    name: &'static str,
    end: fn(&mut List) -> Option<Bytes>,
) -> Result<Effect, Refusal> {
    let count = match &argv[2..] {
        [] => None,
        [count] => Some(argument::count(count)?),
        _ => return Err(super::wrong_arity(name)),
    };
    if count == Some(0) {
        // Before it looks at the key (measured).
        return Ok(Effect::read(reply::NIL));
    }
    let Some(list) = kind::get_mut::<List>(slot)? else {
        return Ok(Effect::read(reply::NIL));
    };
    let popped: Vec<Bytes> = std::iter::from_fn(|| end(list))
        .take(count.unwrap_or(1))
        .collect();
    let done = count.map(|_| argument::text(popped.len().to_string()));
    let reply = match count {
        Some(_) => reply::bulks(popped),
        None => reply::bulk_or_nil(popped.first()),
    };
    Ok(Effect::wrote(reply, command(name, &argv[1], done)))
}

fn llen(slot: &mut Slot, _: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let length = kind::get::<List>(slot)?.map_or(0, List::len);
    Ok(Effect::read(reply::size(length)))
}

fn lrange(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (start, stop) = (integer(&argv[2])?, integer(&argv[3])?);
    let empty = List::new();
    let list = kind::get::<List>(slot)?.unwrap_or(&empty);
    let elements = list.range(span(list.len(), start, stop));
    Ok(Effect::read(reply::bulks(elements.cloned())))
}

/// The position of an index that is counted from the end when negative.
fn position(length: usize, index: i64) -> Option<usize> {
    let distance = usize::try_from(index.unsigned_abs()).ok()?;
    let position = if index < 0 {
        length.checked_sub(distance)?
    } else {
        distance
    };
    (position < length).then_some(position)
}

fn lindex(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let Some(list) = kind::get::<List>(slot)? else {
        return Ok(Effect::read(reply::NIL));
    };
    let position = position(list.len(), integer(&argv[2])?);
    let element = position.and_then(|position| list.get(position));
    Ok(Effect::read(reply::bulk_or_nil(element)))
}

fn lset(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let list = kind::get_mut::<List>(slot)?.ok_or(argument::NO_SUCH_KEY)?;
    let position = position(list.len(), integer(&argv[2])?).ok_or("ERR index out of range")?;
    list[position] = argv[3].clone();
    Ok(Effect::wrote(reply::ok(), argv.to_vec()))
}

fn lrem(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (count, element) = (integer(&argv[2])?, &argv[3]);
    let Some(list) = kind::get_mut::<List>(slot)? else {
        return Ok(Effect::read(reply::integer(0)));
    };
    let most = match usize::try_from(count.unsigned_abs()) {
        Ok(0) | Err(_) => usize::MAX,
        Ok(most) => most,
    };
    let mut found: Vec<usize> = (0..list.len())
        .filter(|&position| list[position] == element)
        .collect();
    if count < 0 {
        found.drain(..found.len().saturating_sub(most));
    } else {
        found.truncate(most);
    }
    if found.is_empty() {
        return Ok(Effect::read(reply::integer(0)));
    }
    let mut position = 0;
    list.retain(|_| {
        position += 1;
        found.binary_search(&(position - 1)).is_err()
    });
    Ok(Effect::wrote(reply::size(found.len()), argv.to_vec()))
}

fn ltrim(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (start, stop) = (integer(&argv[2])?, integer(&argv[3])?);
    let Some(list) = kind::get_mut::<List>(slot)? else {
        return Ok(Effect::read(reply::ok()));
    };
    let kept = span(list.len(), start, stop);
    if kept.len() == list.len() {
        return Ok(Effect::read(reply::ok()));
    }
    list.truncate(kept.end);
    list.drain(..kept.start);
    Ok(Effect::wrote(reply::ok(), argv.to_vec()))
}

fn linsert(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let after = match &argv[2] {
        place if is(place, "BEFORE") => 0,
        place if is(place, "AFTER") => 1,
        _ => return Err(argument::SYNTAX.to_owned()),
    };
    let Some(list) = kind::get_mut::<List>(slot)? else {
        return Ok(Effect::read(reply::integer(0)));
    };
    let Some(pivot) = list.iter().position(|element| element == &argv[3]) else {
        return Ok(Effect::read(reply::integer(-1)));
    };
    list.insert(pivot + after, argv[4].clone());
    Ok(Effect::wrote(reply::size(list.len()), argv.to_vec()))
}

fn lpos(slot: &mut Slot, argv: &[Bytes], _: u64) -> Result<Effect, Refusal> {
    let (mut rank, mut count, mut longest) = (1, None, 0);
    let mut rest = argv[3..].iter();
    while let Some(option) = rest.next() {
        let value = rest.next().ok_or(argument::SYNTAX)?;
        let not_negative = |name: &str| {
            argument::count(value).map_err(|_| format!("ERR {name} can't be negative"))
        };
        if is(option, "RANK") {
            rank = integer(value)?;
            if rank == 0 {
                return Err(
                    "ERR RANK can't be zero: use 1 to start from the first match, \
                            2 from the second, ..."
                        .to_owned(),
                );
            }
        } else if is(option, "COUNT") {
            count = Some(not_negative("COUNT")?);
        } else if is(option, "MAXLEN") {
            longest = not_negative("MAXLEN")?;
        } else {
            return Err(argument::SYNTAX.to_owned());
        }
    }
    let empty = List::new();
    let list = kind::get::<List>(slot)?.unwrap_or(&empty);
    let all = |length: usize| if length == 0 { usize::MAX } else { length };
    let forward = list.iter().enumerate();
    let compared: Box<dyn Iterator<Item = (usize, &Bytes)>> = if rank > 0 {
        Box::new(forward)
    } else {
        Box::new(forward.rev())
    };
    let skipped = usize::try_from(rank.unsigned_abs()).unwrap_or(usize::MAX) - 1;
    let found = compared
        .take(all(longest))
        .filter(|(_, element)| *element == &argv[2])
        .skip(skipped)
        .take(all(count.unwrap_or(1)))
        .map(|(position, _)| reply::size(position));
    let found: Vec<BytesFrame> = found.collect();
    Ok(Effect::read(match count {
        Some(_) => BytesFrame::Array(found),
        None => found.into_iter().next().unwrap_or(reply::NIL),
    }))
}
