//! The data commands, as KeyDB 6.3.4 answers them.
//!
//! Nearly all are functions of one key's value: they change the value, reply, and say which write
//! to pass on, so that it gives the same result wherever it is carried out on the same value (a
//! relative TTL becomes a time, a conditional SET an unconditional one, a random choice what was
//! chosen). Commands on several keys are made of those ([`several`]).
//!
//! To add a command: a function and a row in its file's table.

mod algebra;
mod argument;
mod glob;
mod hashes;
mod keys;
mod kind;
mod lists;
mod number;
mod reply;
mod scan;
mod sets;
mod several;
mod sorted_sets;
mod strings;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::HashMap;
use std::sync::LazyLock;

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::object::Slot;
pub(super) use glob::matches;
pub(super) use several::View;

/// An error reply, with its code word: `WRONGTYPE …`, `ERR …`.
pub(super) type Refusal = String;

/// What a command did to a key.
#[derive(Debug)]
pub(super) struct Effect {
    pub(super) reply: BytesFrame,
    /// The write to pass on, if it wrote: a command on the same key.
    pub(super) write: Option<Vec<Bytes>>,
}

impl Effect {
    /// Nothing was written.
    fn read(reply: BytesFrame) -> Self {
        Self { reply, write: None }
    }

    /// The command is passed on as another one.
    fn wrote(reply: BytesFrame, write: Vec<Bytes>) -> Self {
        Self {
            reply,
            write: Some(write),
        }
    }
}

/// Carries out a command on the value of its key; the second argument is the whole command, its
/// name first, the third the time in Unix milliseconds. An expired value is gone before it is
/// called, and an empty collection is removed afterwards.
type OnSlot = fn(&mut Slot, &[Bytes], u64) -> Result<Effect, Refusal>;
/// Carries out a command on a database.
type OnView = fn(&mut View<'_>, &[Bytes]) -> Result<BytesFrame, Refusal>;

/// How a command is carried out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Run {
    /// On the value of the key that is its first argument.
    Slot(OnSlot),
    /// On several keys, or on all of a database.
    View(OnView),
}

/// A row of a command table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command {
    /// In capitals.
    pub(super) name: &'static str,
    /// The number of arguments with the name; negative: at least so many.
    pub(super) arity: i32,
    /// Whether it may write: a read-only replica, or a node that loads, then refuses it.
    pub(super) writes: bool,
    pub(super) run: Run,
}

/// A command that only reads one key.
const fn reads(name: &'static str, arity: i32, run: OnSlot) -> Command {
    Command {
        name,
        arity,
        writes: false,
        run: Run::Slot(run),
    }
}

/// A command that writes one key.
const fn writes(name: &'static str, arity: i32, run: OnSlot) -> Command {
    Command {
        name,
        arity,
        writes: true,
        run: Run::Slot(run),
    }
}

static TABLE: LazyLock<HashMap<&'static str, Command>> = LazyLock::new(|| {
    [
        strings::COMMANDS,
        lists::COMMANDS,
        sets::COMMANDS,
        hashes::COMMANDS,
        sorted_sets::COMMANDS,
        sorted_sets::RANGES,
        keys::COMMANDS,
        several::COMMANDS,
        scan::COMMANDS,
        transfer::COMMANDS,
        algebra::COMMANDS,
    ]
    .into_iter()
    .flatten()
    .map(|command| (command.name, *command))
    .collect()
});

/// The client's command of this name, in capitals.
pub(super) fn find(name: &str) -> Option<&'static Command> {
    TABLE.get(name)
}

impl Command {
    /// Refuses a command with too few or too many arguments.
    ///
    /// # Errors
    /// KeyDB's error reply.
    pub(super) fn check_arity(&self, argv: &[Bytes]) -> Result<(), Refusal> {
        let given = i32::try_from(argv.len()).unwrap_or(i32::MAX);
        if given == self.arity || (self.arity < 0 && given >= -self.arity) {
            return Ok(());
        }
        Err(wrong_arity(self.name))
    }
}

/// The reply to a command that does not exist. KeyDB shows the name and the arguments only as far as
/// 128 bytes (measured).
pub(super) fn unknown_command(argv: &[Bytes]) -> Refusal {
    const SHOWN: usize = 128;
    let text = |bytes: &[u8], most: usize| {
        String::from_utf8_lossy(&bytes[..bytes.len().min(most)]).replace(['\r', '\n'], " ")
    };
    let mut shown = String::new();
    for argument in argv.iter().skip(1) {
        if shown.len() >= SHOWN {
            break;
        }
        let argument = text(argument, SHOWN - shown.len());
        shown.push_str(&format!("`{argument}`, "));
    }
    let name = argv
        .first()
        .map(|name| text(name, SHOWN))
        .unwrap_or_default();
    format!("ERR unknown command `{name}`, with args beginning with: {shown}")
}

/// The reply to a command with too few or too many arguments.
pub(super) fn wrong_arity(name: &str) -> Refusal {
    format!(
        "ERR wrong number of arguments for '{}' command",
        name.to_ascii_lowercase()
    )
}

/// Carries out a client's command on one key, or a write that is passed on, on the value of its key
/// at `now` (Unix milliseconds). A command that writes nothing leaves the value as it is, also one
/// whose time is over: an older write may still come, and must find what it would have found.
///
/// # Errors
/// The reply of a refused command; the value is as before.
pub(super) fn on_slot(slot: &mut Slot, argv: &[Bytes], now: u64) -> Result<Effect, Refusal> {
    let name = argv
        .first()
        .map(|name| name.to_ascii_uppercase())
        .unwrap_or_default();
    let name = std::str::from_utf8(&name).unwrap_or_default();
    let passed_on = keys::PASSED_ON.iter().find(|command| command.name == name);
    let Some(command) = passed_on.or_else(|| find(name)) else {
        return Err(unknown_command(argv));
    };
    let Run::Slot(run) = command.run else {
        return Err("ERR not a command on one key".to_owned());
    };
    command.check_arity(argv)?;
    let expired = slot.take_if(|object| object.is_expired(now));
    let effect = run(slot, argv, now);
    if slot.as_ref().is_some_and(|object| object.data.is_empty()) {
        *slot = None;
    }
    if !matches!(&effect, Ok(Effect { write: Some(_), .. })) && expired.is_some() {
        *slot = expired;
    }
    effect
}

/// Carries out a client's command on a database.
///
/// # Errors
/// The reply of a refused command.
pub(super) fn run(
    view: &mut View<'_>,
    command: &Command,
    argv: &[Bytes],
) -> Result<BytesFrame, Refusal> {
    match command.run {
        Run::Slot(_) => view.run(argv),
        Run::View(run) => run(view, argv),
    }
}

/// Whether a write's result does not depend on what the key held.
pub(super) fn overwrites(argv: &[Bytes]) -> bool {
    let Some(name) = argv.first() else {
        return false;
    };
    if argument::is(name, "SET") {
        // Only what is passed on is known to be unconditional.
        return match argv {
            [_, _, _] => true,
            [_, _, _, until, _] => argument::is(until, "PXAT"),
            _ => false,
        };
    }
    argument::is(name, "DEL") || argument::is(name, keys::RESTORE)
}

/// Whether two writes to one key give the same in either order: counters do not wait for each
/// other.
pub(super) fn commute(one: &[Bytes], other: &[Bytes]) -> bool {
    let adds = |argv: &[Bytes]| {
        argv.first()
            .is_some_and(|name| name.eq_ignore_ascii_case(b"INCRBY"))
    };
    adds(one) && adds(other)
}
