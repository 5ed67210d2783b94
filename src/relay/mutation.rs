//! A relay that loses, doubles, swaps or changes chosen commands: what no KeyDB should ever do, so
//! that every check can be seen to notice it on real servers.
//!
//! **Offsets stay honest where they can.** A server counts the bytes of the stream it hears, says so
//! (`REPLCONF ACK`), and asks for what follows when it connects anew. If bytes were taken away, its
//! count would lag behind for ever: `WAIT` would never be satisfied, and the next partial resync
//! would begin in the middle of a command that it has already heard. So what is missing is made up
//! for with a `PING` of that length, which changes nothing; if that cannot be had in this length
//! (14 bytes, or 20 and more), with the next one that can. What was put in (a doubled command) is
//! taken from the upstream server's own keep-alive pings, one each `repl-ping-replica-period`; until
//! then the count runs ahead, `WAIT` is satisfied too early, and a partial resync is refused. No
//! link breaks because of either.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::envelope::{Inner, commands, encoded, is_idle, payload, text, unwrapped};
use super::stream::{Command, Parser, Piece};
use super::{Filter, MakeFilter};

/// What is done to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It does not arrive.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// It arrives after the write that follows it. If none follows until the next keep-alive, it
    /// arrives as it came.
    SwapWithNext,
    /// It arrives without its time to live: `SET` without it, `EXPIRE` and its like not at all.
    StripTtl,
    /// It is carried out in this database.
    Database(u32),
}

/// Which commands are changed, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What is done to them.
    pub change: Change,
    /// Commands of this name, whatever its case; all if there is none.
    pub command: Option<String>,
    /// Commands whose first argument begins so.
    pub key_prefix: String,
    /// Every how-manieth of these; 0 counts as 1.
    pub every: u64,
}

impl Rule {
    /// Does this to every write.
    pub fn new(change: Change) -> Self {
        Self {
            change,
            command: None,
            key_prefix: String::new(),
            every: 1,
        }
    }

    /// Only to commands of this name.
    #[must_use]
    pub fn of(mut self, command: &str) -> Self {
        self.command = Some(command.to_owned());
        self
    }

    /// Only to commands whose first argument, mostly the key, begins so.
    #[must_use]
    pub fn on(mut self, key_prefix: &str) -> Self {
        self.key_prefix = key_prefix.to_owned();
        self
    }

    /// Only to every `n`-th of these.
    #[must_use]
    pub fn every(mut self, n: u64) -> Self {
        self.every = n;
        self
    }

    fn fits(&self, argv: &[Bytes]) -> bool {
        let [name, key, ..] = argv else { return false };
        let named = self.command.as_ref();
        named.is_none_or(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
            && key.starts_with(self.key_prefix.as_bytes())
    }
}

/// The rules of a mutating relay; they may change at any time.
#[derive(Debug, Clone, Default)]
pub struct Mutator(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    rules: Vec<(Rule, u64)>,
    changed: u64,
    lost: Option<&'static str>,
}

impl Mutator {
    /// Without rules: all passes as it comes.
    pub fn new() -> Self {
        Self::default()
    }

    /// These rules hold from now on; the first that fits a command is applied to it.
    pub fn set(&self, rules: impl IntoIterator<Item = Rule>) {
        self.book().rules = rules.into_iter().map(|rule| (rule, 0)).collect();
    }

    /// How many commands were changed.
    pub fn changed(&self) -> u64 {
        self.book().changed
    }

    /// Why some connection's stream was not understood, if so: it passes as it comes.
    pub fn lost(&self) -> Option<&'static str> {
        self.book().lost
    }

    /// The filter to put [towards downstream](super::Direction::TowardsDownstream).
    pub fn filter(&self) -> MakeFilter {
        let mutator = self.clone();
        MakeFilter::new(move || Box::new(Mutating::new(mutator.clone())))
    }

    /// What is to be done to a command.
    fn change_of(&self, argv: &[Bytes]) -> Option<Change> {
        let mut book = self.book();
        let (rule, seen) = book.rules.iter_mut().find(|(rule, _)| rule.fits(argv))?;
        *seen += 1;
        seen.is_multiple_of(rule.every.max(1))
            .then_some(rule.change)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The filter of one connection.
#[derive(Debug)]
struct Mutating {
    mutator: Mutator,
    parser: Parser,
    /// How many bytes more went on than came; negative if fewer did.
    drift: i64,
    /// A command that waits for the next one.
    held: Option<Command>,
    /// The database of commands that are in no envelope.
    database: u32,
}

impl Filter for Mutating {
    fn bytes(&mut self, came: &[u8], onward: &mut Vec<u8>) {
        let mut pieces = Vec::new();
        self.parser.push(came, &mut |piece| pieces.push(piece));
        for piece in pieces {
            match piece {
                Piece::Other(bytes) => {
                    self.release(onward);
                    onward.extend_from_slice(&bytes);
                }
                Piece::Command(command) => self.command(command, onward),
            }
        }
        if let Some(why) = self.parser.lost() {
            self.mutator.book().lost.get_or_insert(why);
        }
    }

    fn end(&mut self, onward: &mut Vec<u8>) {
        self.release(onward);
        self.parser
            .end(&mut |piece| onward.extend_from_slice(piece.bytes()));
    }
}

impl Mutating {
    fn new(mutator: Mutator) -> Self {
        Self {
            mutator,
            parser: Parser::new(),
            drift: 0,
            held: None,
            database: 0,
        }
    }

    fn command(&mut self, command: Command, onward: &mut Vec<u8>) {
        let argv = command.argv();
        let Some(inner) = unwrapped(&argv, &mut self.database) else {
            self.release(onward);
            onward.extend_from_slice(command.raw());
            return;
        };
        if inner.iter().all(|inner| is_idle(&inner.argv)) {
            self.release(onward);
            self.idle(&command, &inner[0].argv, onward);
            return;
        }
        if let Some(first) = self.held.take() {
            let (a, b) = swapped(&first, &command);
            self.mutator.book().changed += 1;
            self.send(
                first.raw().len() + command.raw().len(),
                &[a, b].concat(),
                onward,
            );
            return;
        }
        let change = |inner: &Inner| match is_idle(&inner.argv) {
            true => None,
            false => self.mutator.change_of(&inner.argv),
        };
        let changes: Vec<Option<Change>> = inner.iter().map(change).collect();
        if changes.contains(&Some(Change::SwapWithNext)) {
            self.held = Some(command);
            return;
        }
        match changed(&argv, &mut changes.into_iter(), self.database) {
            Some(bytes) => {
                self.mutator.book().changed += 1;
                self.send(command.raw().len(), &bytes, onward);
            }
            None => onward.extend_from_slice(command.raw()),
        }
    }

    /// A command waited in vain for another.
    fn release(&mut self, onward: &mut Vec<u8>) {
        if let Some(held) = self.held.take() {
            onward.extend_from_slice(held.raw());
        }
    }

    /// Sends these bytes instead of so many.
    fn send(&mut self, came: usize, bytes: &[u8], onward: &mut Vec<u8>) {
        onward.extend_from_slice(bytes);
        self.drift += length(bytes.len()) - length(came);
        if let Some(padding) = padding(-self.drift) {
            onward.extend_from_slice(&padding);
            self.drift = 0;
        }
    }

    /// A command that changes no data: makes up for what went on too much or too little.
    fn idle(&mut self, command: &Command, argv: &[Bytes], onward: &mut Vec<u8>) {
        let came = length(command.raw().len());
        let is_ping = argv[0].eq_ignore_ascii_case(b"PING");
        if !is_ping || self.drift == 0 {
            onward.extend_from_slice(command.raw());
        } else if self.drift >= came {
            self.drift -= came;
        } else if let Some(ping) = padding(came - self.drift) {
            onward.extend_from_slice(&ping);
            self.drift = 0;
        } else {
            onward.extend_from_slice(command.raw());
        }
    }
}

fn length(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// A command as it goes on after the changes of all that it holds, in their order: nothing, once or
/// more often. None if it stays.
fn changed(
    argv: &[Bytes],
    changes: &mut dyn Iterator<Item = Option<Change>>,
    database: u32,
) -> Option<Vec<u8>> {
    let Some(payload) = payload(argv) else {
        return changed_alone(argv, changes.next()??, database);
    };
    let mut argv = argv.to_vec();
    let inside = commands(payload)?;
    // The envelope of one command says where it is carried out.
    if let [only] = &inside[..]
        && super::envelope::payload(only).is_none()
    {
        let change = changes.next()??;
        if let Change::Database(other) = change {
            argv[3] = other.to_string().into();
            return Some(encoded(&argv));
        }
        argv[2] = changed_alone(only, change, database)?.into();
    } else {
        let database = text(&argv[3]).unwrap_or(database);
        let mut any = false;
        let mut onward = Vec::new();
        for command in &inside {
            let bytes = changed(command, changes, database);
            any |= bytes.is_some();
            onward.extend(bytes.unwrap_or_else(|| encoded(command)));
        }
        if !any {
            return None;
        }
        argv[2] = onward.into();
    }
    match argv[2].is_empty() {
        true => Some(Vec::new()),
        false => Some(encoded(&argv)),
    }
}

/// As [`changed`], for a command that is no envelope.
fn changed_alone(argv: &[Bytes], change: Change, database: u32) -> Option<Vec<u8>> {
    match change {
        Change::Drop => Some(Vec::new()),
        Change::Duplicate => Some([encoded(argv), encoded(argv)].concat()),
        Change::StripTtl => stripped(argv),
        Change::Database(other) => {
            let select = |number: u32| {
                encoded(&[
                    Bytes::from_static(b"SELECT"),
                    Bytes::from(number.to_string()),
                ])
            };
            Some([select(other), encoded(argv), select(database)].concat())
        }
        Change::SwapWithNext => None,
    }
}

/// A command without its time to live; none if it has none.
fn stripped(argv: &[Bytes]) -> Option<Vec<u8>> {
    let name = argv.first()?.to_ascii_uppercase();
    match (&name[..], argv) {
        (b"EXPIRE" | b"PEXPIRE" | b"EXPIREAT" | b"PEXPIREAT", _) => Some(Vec::new()),
        (b"SETEX" | b"PSETEX", [_, key, _, value]) => {
            let set = Bytes::from_static(b"SET");
            Some(encoded(&[set, key.clone(), value.clone()]))
        }
        (b"SET" | b"GETEX", _) => {
            let first = if name == b"SET" { 3 } else { 2 };
            let is_ttl = |word: &Bytes| {
                let names: [&[u8]; 4] = [b"EX", b"PX", b"EXAT", b"PXAT"];
                names.iter().any(|ttl| word.eq_ignore_ascii_case(ttl))
            };
            let at = argv.iter().skip(first).position(is_ttl)? + first;
            let mut argv = argv.to_vec();
            argv.drain(at..(at + 2).min(argv.len()));
            Some(encoded(&argv))
        }
        (b"RESTORE", [name, key, ttl, rest @ ..]) if &ttl[..] != b"0" => {
            let mut argv = vec![name.clone(), key.clone(), Bytes::from_static(b"0")];
            argv.extend(rest.iter().cloned());
            Some(encoded(&argv))
        }
        _ => None,
    }
}

/// Two commands in the other order. The envelopes stay where they are, with what they say of the
/// time, by which servers tell what they have already seen: their content is swapped.
fn swapped(first: &Command, second: &Command) -> (Vec<u8>, Vec<u8>) {
    let (mut a, mut b) = (first.argv(), second.argv());
    if payload(&a).is_some() && payload(&b).is_some() {
        for part in [2, 3] {
            std::mem::swap(&mut a[part], &mut b[part]);
        }
        return (encoded(&a), encoded(&b));
    }
    (second.raw().to_vec(), first.raw().to_vec())
}

/// A command of this many bytes that changes nothing; there is none of every length.
fn padding(length: i64) -> Option<Vec<u8>> {
    let length = usize::try_from(length).ok()?;
    let ping = Bytes::from_static(b"PING");
    if length == encoded(std::slice::from_ref(&ping)).len() {
        return Some(encoded(&[ping]));
    }
    // Where the digits of a length grow by one, a longer name fills the gap.
    let touch = Bytes::from_static(b"TOUCH");
    let all = [ping, touch].into_iter().flat_map(|name| {
        let frame = encoded(&[name.clone(), Bytes::new()]).len();
        let most = length.checked_sub(frame);
        let sizes = most
            .into_iter()
            .flat_map(|most| most.saturating_sub(9)..=most);
        sizes.map(move |size| encoded(&[name.clone(), Bytes::from(vec![b'x'; size])]))
    });
    let mut fitting = all.filter(|command| command.len() == length);
    fitting.next()
}

#[cfg(test)]
mod tests;
