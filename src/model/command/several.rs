//! Commands on several keys, or on all of a database: made of commands on one key.

use bytes::Bytes;
use rand::seq::IteratorRandom;
use redis_protocol::resp2::types::BytesFrame;

use super::argument::{self, command, is};
use super::{Command, OnView, Refusal, Run, glob, kind, reply};
use crate::model::keyspace::{Database, Keyspace, Write};
use crate::model::object::Object;
use crate::model::stamp::Stamp;

pub(super) const COMMANDS: &[Command] = &[
    writes("DEL", -2, del),
    writes("UNLINK", -2, del),
    reads("EXISTS", -2, exists),
    reads("TOUCH", -2, exists),
    reads("MGET", -2, mget),
    writes("MSET", -3, mset),
    writes("MSETNX", -3, msetnx),
    reads("KEYS", 2, keys),
    reads("DBSIZE", 1, dbsize),
    reads("RANDOMKEY", 1, randomkey),
    writes("FLUSHDB", -1, flushdb),
    writes("FLUSHALL", -1, flushall),
];

/// A command that only reads several keys.
pub(super) const fn reads(name: &'static str, arity: i32, run: OnView) -> Command {
    Command {
        name,
        arity,
        writes: false,
        run: Run::View(run),
    }
}

/// A command that writes several keys.
pub(super) const fn writes(name: &'static str, arity: i32, run: OnView) -> Command {
    Command {
        name,
        arity,
        writes: true,
        run: Run::View(run),
    }
}

/// A database as one command sees it.
pub(in crate::model) struct View<'a> {
    pub(in crate::model) keyspace: &'a mut Keyspace,
    /// The connection's database.
    pub(in crate::model) database: usize,
    /// Unix time in milliseconds.
    pub(in crate::model) now: u64,
    /// Gives out the stamps of writes.
    pub(in crate::model) stamp: &'a mut dyn FnMut() -> Stamp,
    /// What was written: database, key, write.
    pub(in crate::model) writes: Vec<(usize, Bytes, Write)>,
}

impl View<'_> {
    /// What a key of the connection's database holds.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Object> {
        self.data().get(key, self.now)
    }

    /// What a key of the connection's database holds, if that is of the type asked for.
    ///
    /// # Errors
    /// `WRONGTYPE` when it is of another.
    pub(super) fn get_as<T: kind::Kind>(&self, key: &[u8]) -> Result<Option<&T>, Refusal> {
        kind::of(self.get(key))
    }

    /// The connection's database.
    pub(super) fn data(&self) -> &Database {
        &self.keyspace.databases[self.database]
    }

    /// Carries out a command on one key of the connection's database.
    ///
    /// # Errors
    /// The reply of a refused command.
    pub(super) fn run(&mut self, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
        self.run_in(self.database, argv)
    }

    /// As [`Self::run`], in another database.
    ///
    /// # Errors
    /// The reply of a refused command.
    pub(super) fn run_in(
        &mut self,
        database: usize,
        argv: &[Bytes],
    ) -> Result<BytesFrame, Refusal> {
        let key = argv.get(1).cloned().unwrap_or_default();
        let (reply, write) = self
            .keyspace
            .run(database, &key, argv, self.now, &mut *self.stamp)?;
        if let Some(write) = write {
            self.writes.push((database, key, write));
        }
        Ok(reply)
    }
}

fn del(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let mut deleted = 0;
    for key in &argv[1..] {
        if view.get(key).is_some() {
            view.run(&command("DEL", key, []))?;
            deleted += 1;
        }
    }
    Ok(reply::size(deleted))
}

fn exists(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let there = argv[1..].iter().filter(|key| view.get(key).is_some());
    Ok(reply::size(there.count()))
}

fn mget(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let values = argv[1..]
        .iter()
        .map(|key| reply::bulk_or_nil(view.get_as::<Bytes>(key).ok().flatten()));
    Ok(BytesFrame::Array(values.collect()))
}

/// The keys and values of `MSET`.
fn pairs(argv: &[Bytes]) -> Result<impl Iterator<Item = (&Bytes, &Bytes)>, Refusal> {
    if argv.len().is_multiple_of(2) {
        return Err("ERR wrong number of arguments for MSET".to_owned());
    }
    Ok(argv[1..].chunks_exact(2).map(|pair| (&pair[0], &pair[1])))
}

fn set_all(view: &mut View<'_>, argv: &[Bytes]) -> Result<(), Refusal> {
    for (key, value) in pairs(argv)? {
        view.run(&command("SET", key, [value.clone()]))?;
    }
    Ok(())
}

fn mset(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    set_all(view, argv)?;
    Ok(reply::ok())
}

fn msetnx(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    if pairs(argv)?.any(|(key, _)| view.get(key).is_some()) {
        return Ok(reply::integer(0));
    }
    set_all(view, argv)?;
    Ok(reply::integer(1))
}

fn keys(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let keys = view.data().alive(view.now).map(|(key, _)| key);
    let matching = keys.filter(|key| glob::matches(&argv[1], key));
    Ok(reply::bulks(matching.cloned()))
}

fn dbsize(view: &mut View<'_>, _: &[Bytes]) -> Result<BytesFrame, Refusal> {
    Ok(reply::size(view.data().alive(view.now).count()))
}

fn randomkey(view: &mut View<'_>, _: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let keys = view.data().alive(view.now).map(|(key, _)| key);
    Ok(reply::bulk_or_nil(keys.choose(&mut rand::rng())))
}

/// Deletes every key of a database. Each stays as a tombstone, so that an older write that is still
/// on its way does not bring it back.
fn flush(view: &mut View<'_>, database: usize) -> Result<(), Refusal> {
    let alive = view.keyspace.databases[database].alive(view.now);
    let keys: Vec<Bytes> = alive.map(|(key, _)| key.clone()).collect();
    for key in keys {
        view.run_in(database, &command("DEL", &key, []))?;
    }
    Ok(())
}

/// Takes the arguments of a flush, which change nothing here.
fn check_flush(argv: &[Bytes]) -> Result<(), Refusal> {
    match &argv[1..] {
        [] => Ok(()),
        [mode] if is(mode, "SYNC") || is(mode, "ASYNC") => Ok(()),
        _ => Err(argument::SYNTAX.to_owned()),
    }
}

fn flushdb(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    check_flush(argv)?;
    flush(view, view.database)?;
    Ok(reply::ok())
}

fn flushall(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    check_flush(argv)?;
    for database in 0..view.keyspace.databases.len() {
        flush(view, database)?;
    }
    Ok(reply::ok())
}
