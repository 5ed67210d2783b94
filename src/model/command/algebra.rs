//! Unions, intersections and differences of sets.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::argument::command;
use super::kind::Set;
use super::several::{View, reads, writes};
use super::{Command, Refusal, keys, reply};
use crate::model::object::{Data, Object};

pub(super) const COMMANDS: &[Command] = &[
    reads("SUNION", -2, |view, argv| show(view, argv, union)),
    reads("SINTER", -2, |view, argv| show(view, argv, intersection)),
    reads("SDIFF", -2, |view, argv| show(view, argv, difference)),
    writes("SUNIONSTORE", -3, |view, argv| store(view, argv, union)),
    writes("SINTERSTORE", -3, |view, argv| {
        store(view, argv, intersection)
    }),
    writes("SDIFFSTORE", -3, |view, argv| store(view, argv, difference)),
];

type Operation = fn(&Set, &Set) -> Set;

fn union(one: &Set, other: &Set) -> Set {
    one | other
}

fn intersection(one: &Set, other: &Set) -> Set {
    one & other
}

fn difference(one: &Set, other: &Set) -> Set {
    one - other
}

/// The operation's result over some keys, all of which must hold sets or nothing.
fn combine(view: &View<'_>, keys: &[Bytes], operation: Operation) -> Result<Set, Refusal> {
    let empty = Set::new();
    let mut sets = Vec::new();
    for key in keys {
        sets.push(view.get_as::<Set>(key)?.unwrap_or(&empty));
    }
    let Some((first, others)) = sets.split_first() else {
        return Ok(empty);
    };
    Ok(others
        .iter()
        .fold((*first).clone(), |sum, set| operation(&sum, set)))
}

fn show(view: &View<'_>, argv: &[Bytes], operation: Operation) -> Result<BytesFrame, Refusal> {
    Ok(reply::bulks(combine(view, &argv[1..], operation)?))
}

fn store(view: &mut View<'_>, argv: &[Bytes], operation: Operation) -> Result<BytesFrame, Refusal> {
    let target = &argv[1];
    let result = combine(view, &argv[2..], operation)?;
    let size = result.len();
    if result.is_empty() {
        view.run(&command("DEL", target, []))?;
    } else {
        let object = Object::new(Data::Set(result));
        view.run(&keys::restoring(target, &object)?)?;
    }
    Ok(reply::size(size))
}
