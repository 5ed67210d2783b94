//! A tap: tells every write that goes downstream through a relay, and changes nothing.
//!
//! It takes the stream apart as it comes, and again as it goes on where a filter stands in between:
//! what came and did not go on was swallowed, what went on and did not come was added. Where a write
//! ends in the stream is joined with how far the relay has passed it on, piece by piece; what had
//! not crossed when its connection ended is lost.
//!
//! The stream of each connection is followed from its beginning, tapped or not, so that a tap may be
//! put on a live one.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;

use super::envelope::{Inner, is_idle, payload, text, unwrapped};
use super::stream::{Parser, Piece};
use crate::history::{Crossed, Crossing, Moment, Name, Recording, Token};

/// How many writes a tap remembers: 20 MB.
const MEMORY: usize = 1 << 18;
/// How many later writes may overtake one before it is taken to be swallowed.
const PATIENCE: u8 = 16;
/// How many writes that went on are remembered, to know those that go on again.
const RECENT: usize = 16;
/// How many bytes of a key or a name are told.
const LONGEST_NAME: usize = 512;
/// How much of what a filter made of a write is told.
const SHOWN: usize = 80;

/// Tells the writes of one link. Clones share what they have told.
#[derive(Debug, Clone)]
pub struct Tap(Arc<Tapped>);

#[derive(Debug)]
struct Tapped {
    recording: Recording,
    link: Name,
    name: String,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    told: VecDeque<Crossing>,
    forgotten: u64,
    /// Bytes that came, but for keep-alives.
    data: u64,
    /// When a write came last.
    last: Option<Instant>,
    /// By connection.
    open: BTreeMap<u64, Open>,
}

/// What is on its way in one connection.
#[derive(Debug, Default)]
struct Open {
    /// Came to a filter, and did not go on yet.
    inside: VecDeque<Waiting>,
    /// Went on, and waits to be passed on.
    queued: VecDeque<Waiting>,
    /// What was queued last: print and stamp.
    recent: VecDeque<(u64, u64)>,
}

#[derive(Debug, Clone)]
struct Waiting {
    crossing: Crossing,
    /// What it will have become once it is passed on.
    becomes: fn(Moment, Name) -> Crossed,
    /// What else is passed on for it.
    instead: Name,
    /// Where it ends in the stream that goes on.
    end: u64,
    /// Of its database and its words.
    print: u64,
    /// Of the time in its envelope; 0 if it is in none.
    stamp: u64,
    overtaken: u8,
}

impl Tap {
    /// A tap in the link of this name, on the recording's clock.
    pub fn new(recording: &Recording, link: &str) -> Self {
        Self(Arc::new(Tapped {
            recording: recording.clone(),
            link: recording.name(link),
            name: link.to_owned(),
            book: Mutex::default(),
        }))
    }

    /// The name of its link.
    pub fn link(&self) -> &str {
        &self.0.name
    }

    /// How many bytes came, but for keep-alives.
    pub fn data(&self) -> u64 {
        self.book().data
    }

    /// When a write came last.
    pub fn last(&self) -> Option<Instant> {
        self.book().last
    }

    /// Takes what it has told, in the order of its arrival, and how many it forgot before. What is
    /// still on its way is told as held, or swallowed by the filter that it is in.
    pub fn take(&self) -> (Vec<Crossing>, u64) {
        let mut book = self.book();
        for open in std::mem::take(&mut book.open).into_values() {
            for (waiting, crossed) in open.unfinished(Crossed::Held) {
                book.tell(waiting.crossing, crossed);
            }
        }
        let mut told: Vec<Crossing> = std::mem::take(&mut book.told).into();
        told.sort_by_key(|crossing| crossing.arrived);
        (told, std::mem::take(&mut book.forgotten))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write as it came, or went on, at a moment.
    fn waiting(&self, seen: Seen, arrived: Moment) -> Waiting {
        let Seen {
            inner,
            end,
            bytes,
            stamp,
        } = seen;
        let recording = &self.0.recording;
        let name = inner.argv.first().map(|name| name.to_ascii_uppercase());
        let command = recording.name(&shown(&name.unwrap_or_default()));
        Waiting {
            print: print_of(&(inner.database, &inner.argv)),
            crossing: Crossing {
                link: self.0.link,
                database: u8::try_from(inner.database).unwrap_or(u8::MAX),
                key: inner.argv.get(1).map(|key| recording.name(&shown(key))),
                command,
                token: inner.argv.iter().skip(2).find_map(token),
                hops: inner.hops,
                bytes,
                arrived,
                crossed: Crossed::Held,
            },
            becomes: |at, _| Crossed::Passed(at),
            instead: command,
            end,
            stamp,
            overtaken: 0,
        }
    }
}

impl Book {
    fn tell(&mut self, crossing: Crossing, crossed: Crossed) {
        if self.told.len() == MEMORY {
            self.told.pop_front();
            self.forgotten += 1;
        }
        self.told.push_back(Crossing {
            crossed,
            ..crossing
        });
    }
}

impl Open {
    /// All that did not cross: what became of each. `waits` is what became of those that were to.
    fn unfinished(self, waits: Crossed) -> impl Iterator<Item = (Waiting, Crossed)> {
        let inside = self.inside.into_iter();
        let inside = inside.map(|waiting| (waiting, Crossed::Swallowed));
        let queued = self.queued.into_iter();
        inside.chain(queued.map(move |waiting| (waiting, waits)))
    }

    /// A write comes out of the filter: which of those inside it is. Gives those that never came.
    fn comes_out(&mut self, mut out: Waiting, words: impl FnOnce() -> Name) -> Vec<Waiting> {
        let same = |one: &Waiting| one.print == out.print;
        let at_once = |one: &Waiting| one.stamp == out.stamp;
        let akin = |one: &Waiting| {
            one.crossing.key == out.crossing.key && (out.stamp != 0 || one.instead == out.instead)
        };
        let find = |is: &dyn Fn(&Waiting) -> bool| self.inside.iter().position(is);
        let again = self.recent.contains(&(out.print, out.stamp));
        let exact = find(&|one| same(one) && at_once(one));
        let place = exact.or_else(|| match again {
            true => None,
            false => find(&same)
                .or_else(|| find(&|one| akin(one) && at_once(one)))
                .or_else(|| find(&|one| akin(one) && one.instead == out.instead)),
        });
        self.recent.push_back((out.print, out.stamp));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        let Some(came) = place.and_then(|place| self.inside.remove(place)) else {
            out.becomes = match again {
                true => |at, _| Crossed::Repeated(at),
                false => |at, _| Crossed::Added(at),
            };
            self.queued.push_back(out);
            return Vec::new();
        };
        let mut gone = Vec::new();
        for earlier in self.inside.iter_mut().take(place.unwrap_or_default()) {
            earlier.overtaken += 1;
        }
        while let Some(first) = self.inside.front()
            && first.overtaken > PATIENCE
        {
            gone.extend(self.inside.pop_front());
        }
        out.becomes = match (came.print == out.print, came.overtaken) {
            (true, 0) => |at, _| Crossed::Passed(at),
            (true, _) => |at, _| Crossed::Overtaken(at),
            (false, _) => Crossed::Changed,
        };
        if came.print != out.print {
            out.instead = words();
        }
        out.crossing = came.crossing;
        self.queued.push_back(out);
        gone
    }
}

/// The stream of one connection, downstream.
#[derive(Debug)]
pub(super) struct Flow {
    connection: u64,
    came: Reader,
    /// Behind a filter.
    went: Option<Reader>,
    tap: Option<Tap>,
}

impl Flow {
    pub(super) fn new(connection: u64, filtered: bool) -> Self {
        Self {
            connection,
            came: Reader::new(),
            went: filtered.then(Reader::new),
            tap: None,
        }
    }

    /// These bytes came, and those go on; the tap is that of now.
    pub(super) fn came(&mut self, tap: Option<Tap>, came: &[u8], onward: &[u8]) {
        self.tap.clone_from(&tap);
        let Some(tap) = tap else {
            self.came.skip(came);
            if let Some(went) = &mut self.went {
                went.skip(onward);
            }
            return;
        };
        let now = Instant::now();
        let arrived = tap.0.recording.moment(now);
        let mut writes = Vec::new();
        let data = self.came.read(came, &tap, &mut writes);
        let mut book = tap.book();
        let book = &mut *book;
        book.data += data;
        if !writes.is_empty() {
            book.last = Some(now);
        }
        let came = writes.into_iter().map(|seen| tap.waiting(seen, arrived));
        let Some(went) = &mut self.went else {
            let open = book.open.entry(self.connection).or_default();
            open.queued.extend(came);
            return;
        };
        let mut gone = Vec::new();
        let open = book.open.entry(self.connection).or_default();
        open.inside.extend(came);
        let mut out = Vec::new();
        went.read(onward, &tap, &mut out);
        for seen in out {
            let inner = seen.inner.clone();
            let words = || tap.0.recording.name(&told(&inner));
            gone.extend(open.comes_out(tap.waiting(seen, arrived), words));
        }
        for waiting in gone {
            book.tell(waiting.crossing, Crossed::Swallowed);
        }
    }

    /// These bytes came, and are thrown away.
    pub(super) fn discarded(&mut self, tap: Option<Tap>, came: &[u8]) {
        self.tap.clone_from(&tap);
        let Some(tap) = tap else {
            return self.came.skip(came);
        };
        let now = Instant::now();
        let mut writes = Vec::new();
        let data = self.came.read(came, &tap, &mut writes);
        let mut book = tap.book();
        book.data += data;
        for seen in writes {
            book.last = Some(now);
            let waiting = tap.waiting(seen, tap.0.recording.moment(now));
            book.tell(waiting.crossing, Crossed::Discarded);
        }
    }

    /// All that waits is thrown away.
    pub(super) fn all_discarded(&mut self) {
        self.finish(|| Crossed::Discarded);
    }

    /// Of what goes on so many bytes have been passed on.
    pub(super) fn passed(&mut self, until: u64, at: Instant) {
        let Some(tap) = &self.tap else { return };
        let mut book = tap.book();
        let book = &mut *book;
        let Some(open) = book.open.get_mut(&self.connection) else {
            return;
        };
        let at = tap.0.recording.moment(at);
        let crossed = open.queued.partition_point(|waiting| waiting.end <= until);
        let crossed: Vec<Waiting> = open.queued.drain(..crossed).collect();
        for waiting in crossed {
            let becomes = (waiting.becomes)(at, waiting.instead);
            book.tell(waiting.crossing, becomes);
        }
    }

    fn finish(&mut self, waits: impl Fn() -> Crossed) {
        let Some(tap) = &self.tap else { return };
        let mut book = tap.book();
        let open = book.open.remove(&self.connection);
        for (waiting, crossed) in open.into_iter().flat_map(|open| open.unfinished(waits())) {
            book.tell(waiting.crossing, crossed);
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        let clock = self.tap.as_ref().map(|tap| tap.0.recording.clone());
        self.finish(|| Crossed::Lost(clock.as_ref().map_or(Moment(0), Recording::now)));
    }
}

/// A write in the stream.
#[derive(Debug)]
struct Seen {
    inner: Inner,
    end: u64,
    bytes: u32,
    stamp: u64,
}

/// Takes the stream of one connection apart.
#[derive(Debug)]
struct Reader {
    parser: Parser,
    /// How many bytes of it were taken apart.
    offset: u64,
    database: u32,
    /// Whether the handshake is over.
    greeted: bool,
    told_lost: bool,
}

impl Reader {
    fn new() -> Self {
        Self {
            parser: Parser::new(),
            offset: 0,
            database: 0,
            greeted: false,
            told_lost: false,
        }
    }

    fn pieces(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        self.parser.push(bytes, &mut |piece| pieces.push(piece));
        pieces
    }

    /// Follows the stream, and tells nothing.
    fn skip(&mut self, bytes: &[u8]) {
        for piece in self.pieces(bytes) {
            self.offset += piece.bytes().len() as u64;
            match piece {
                Piece::Command(command) if payload(&command.argv()).is_none() => {
                    let _ = unwrapped(&command.argv(), &mut self.database);
                }
                Piece::Command(_) => {}
                Piece::Other(bytes) => self.greeted |= greeting(&bytes).is_some(),
            }
        }
    }

    /// Adds the writes, and gives how many bytes are no keep-alives.
    fn read(&mut self, bytes: &[u8], tap: &Tap, writes: &mut Vec<Seen>) -> u64 {
        let mut data = 0;
        for piece in self.pieces(bytes) {
            let length = piece.bytes().len();
            self.offset += length as u64;
            let command = match piece {
                Piece::Command(command) => command,
                Piece::Other(bytes) => {
                    if !bytes.trim_ascii().is_empty() {
                        data += length as u64;
                    }
                    if let Some(kind) = greeting(&bytes).filter(|_| !self.greeted) {
                        self.greeted = true;
                        tap.0.recording.state(tap.link(), "resync", kind);
                    }
                    continue;
                }
            };
            let argv = command.argv();
            let Some(mut inner) = unwrapped(&argv, &mut self.database) else {
                data += length as u64;
                continue;
            };
            // `TOUCH` pads what a filter took away.
            inner.retain(|inner| {
                let touch = inner.argv.first().filter(|name| &name[..] == b"TOUCH");
                !is_idle(&inner.argv) && touch.is_none()
            });
            if inner.is_empty() {
                continue;
            }
            data += length as u64;
            let stamp = match payload(&argv) {
                Some(_) => print_of(&argv[4]).max(1),
                None => 0,
            };
            let each = u32::try_from(length / inner.len()).unwrap_or(u32::MAX);
            let end = self.offset;
            writes.extend(inner.into_iter().map(|inner| Seen {
                inner,
                end,
                bytes: each,
                stamp,
            }));
        }
        if let Some(why) = self.parser.lost().filter(|_| !self.told_lost) {
            self.told_lost = true;
            let state = format!("is not understood: {why}");
            tap.0.recording.state(tap.link(), "stream", &state);
        }
        data
    }
}

/// How a handshake ends.
fn greeting(line: &[u8]) -> Option<&'static str> {
    match line {
        _ if line.starts_with(b"+FULLRESYNC") => Some("full"),
        _ if line.starts_with(b"+CONTINUE") => Some("partial"),
        _ => None,
    }
}

fn print_of(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

/// A client's value, alone or as one of appends.
fn token(word: &Bytes) -> Option<Token> {
    let word = word.strip_suffix(b";").unwrap_or(word);
    word.starts_with(b"v").then(|| text(word)).flatten()
}

/// A word as text. Every name stays in the recording, so that a long one is told in part.
fn shown(word: &[u8]) -> String {
    let part = &word[..word.len().min(LONGEST_NAME)];
    let rest = if part.len() < word.len() { "..." } else { "" };
    match std::str::from_utf8(part) {
        Ok(text) => format!("{text}{rest}"),
        Err(_) => format!("{}{rest}", part.escape_ascii()),
    }
}

/// A command in short, with its database unless that is 0.
fn told(inner: &Inner) -> String {
    let words: Vec<String> = inner.argv.iter().map(|word| shown(word)).collect();
    let mut told = words.join(" ");
    if told.chars().count() > SHOWN {
        told = told.chars().take(SHOWN).chain("...".chars()).collect();
    }
    match inner.database {
        0 => told,
        database => format!("{told} in database {database}"),
    }
}

#[cfg(test)]
mod tests;
