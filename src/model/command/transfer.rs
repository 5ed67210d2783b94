//! Commands that take a value or an element from one key to another.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::argument::{self, command, integer, is};
use super::kind::{List, Set};
use super::several::{View, writes};
use super::{Command, Refusal, keys, reply};
use crate::model::object::Object;

pub(super) const COMMANDS: &[Command] = &[
    writes("RENAME", 3, rename),
    writes("RENAMENX", 3, renamenx),
    writes("COPY", -3, copy),
    writes("MOVE", 3, move_to),
    writes("RPOPLPUSH", 3, |view, argv| {
        move_element(view, argv, End::Right, End::Left)
    }),
    writes("LMOVE", 5, |view, argv| {
        let (from, to) = (End::parse(&argv[3])?, End::parse(&argv[4])?);
        move_element(view, argv, from, to)
    }),
    writes("SMOVE", 4, smove),
];

const SAME_OBJECT: &str = "ERR source and destination objects are the same";

fn rename(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let (from, to) = (&argv[1], &argv[2]);
    let object = view.get(from).ok_or(argument::NO_SUCH_KEY)?.clone();
    if from != to {
        view.run(&keys::restoring(to, &object)?)?;
        view.run(&command("DEL", from, []))?;
    }
    Ok(reply::ok())
}

fn renamenx(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    view.get(&argv[1]).ok_or(argument::NO_SUCH_KEY)?;
    if view.get(&argv[2]).is_some() {
        return Ok(reply::integer(0));
    }
    rename(view, argv)?;
    Ok(reply::integer(1))
}

/// The number of a database.
fn database(view: &View<'_>, argument: &[u8]) -> Result<usize, Refusal> {
    usize::try_from(integer(argument)?)
        .ok()
        .filter(|database| *database < view.keyspace.databases.len())
        .ok_or_else(|| "ERR DB index is out of range".to_owned())
}

/// A copy of a key's value for another key, unless there is none or the other one holds something.
fn to_put(
    view: &View<'_>,
    from: &Bytes,
    database: usize,
    to: &Bytes,
    replace: bool,
) -> Option<Object> {
    let object = view.get(from)?;
    let taken = view.keyspace.databases[database]
        .get(to, view.now)
        .is_some();
    (replace || !taken).then(|| object.clone())
}

fn copy(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let (from, to) = (&argv[1], &argv[2]);
    let mut target = view.database;
    let mut replace = false;
    let mut rest = argv[3..].iter();
    while let Some(option) = rest.next() {
        if is(option, "REPLACE") {
            replace = true;
        } else if is(option, "DB")
            && let Some(number) = rest.next()
        {
            target = database(view, number)?;
        } else {
            return Err(argument::SYNTAX.to_owned());
        }
    }
    if target == view.database && from == to {
        return Err(SAME_OBJECT.to_owned());
    }
    let Some(object) = to_put(view, from, target, to, replace) else {
        return Ok(reply::integer(0));
    };
    view.run_in(target, &keys::restoring(to, &object)?)?;
    Ok(reply::integer(1))
}

fn move_to(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let key = &argv[1];
    let target = database(view, &argv[2])?;
    if target == view.database {
        return Err(SAME_OBJECT.to_owned());
    }
    let Some(object) = to_put(view, key, target, key, false) else {
        return Ok(reply::integer(0));
    };
    view.run_in(target, &keys::restoring(key, &object)?)?;
    view.run(&command("DEL", key, []))?;
    Ok(reply::integer(1))
}

/// An end of a list.
#[derive(Debug, Clone, Copy)]
enum End {
    Left,
    Right,
}

impl End {
    fn parse(argument: &[u8]) -> Result<Self, Refusal> {
        match argument {
            end if is(end, "LEFT") => Ok(Self::Left),
            end if is(end, "RIGHT") => Ok(Self::Right),
            _ => Err(argument::SYNTAX.to_owned()),
        }
    }

    fn pop(self) -> &'static str {
        match self {
            Self::Left => "LPOP",
            Self::Right => "RPOP",
        }
    }

    fn push(self) -> &'static str {
        match self {
            Self::Left => "LPUSH",
            Self::Right => "RPUSH",
        }
    }
}

fn move_element(
    view: &mut View<'_>,
    argv: &[Bytes],
    from: End,
    to: End,
) -> Result<BytesFrame, Refusal> {
    let (source, target) = (&argv[1], &argv[2]);
    let element = match view.get_as::<List>(source)? {
        None => None,
        Some(list) => match from {
            End::Left => list.front(),
            End::Right => list.back(),
        },
    };
    let Some(element) = element.cloned() else {
        return Ok(reply::NIL);
    };
    view.get_as::<List>(target)?;
    // Pushed first: within one list of one element, popping first would remove the key and its TTL.
    view.run(&command(to.push(), target, [element.clone()]))?;
    view.run(&command(from.pop(), source, []))?;
    Ok(reply::bulk(element))
}

fn smove(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let (source, target, member) = (&argv[1], &argv[2], &argv[3]);
    if view.get(source).is_none() {
        return Ok(reply::integer(0));
    }
    let there = view
        .get_as::<Set>(source)?
        .is_some_and(|set| set.contains(member));
    view.get_as::<Set>(target)?;
    if there && source != target {
        view.run(&command("SREM", source, [member.clone()]))?;
        view.run(&command("SADD", target, [member.clone()]))?;
    }
    Ok(reply::flag(there))
}
