//! What an upstream server sends over a replication link, taken apart.
//!
//! First come the replies to the handshake, a line each: to `PING`, `AUTH` and `REPLCONF`, at last
//! `+CONTINUE` or `+FULLRESYNC`. After the latter comes a snapshot: `$length` or `$EOF:mark`, lines
//! that are empty before it while it is being made, and its bytes. All that follows is commands as
//! RESP arrays, with empty lines in between at most. 6.3.4 wraps each write: `RREPLAY uuid payload
//! database mvcc`, where the payload is RESP itself, another `RREPLAY` for what was heard from a
//! peer (measured through a relay on a pair and a replica).
//!
//! Whatever comes goes on: the pieces that a [`Parser`] gives are, put together, what it was given,
//! and the same however that was cut up. What it does not understand it passes on as it came from
//! then on, and says so ([`Parser::lost`]).

use std::ops::Range;

use bytes::Bytes;

/// The longest line of a handshake, or of a length.
const LINE: usize = 4096;
/// The longest command that is taken apart; longer ones pass as they come.
const COMMAND: usize = 4 << 20;
/// The length of the mark that ends a snapshot of unknown length.
const MARK: usize = 40;

/// A part of what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Replies, the snapshot, empty lines, and whatever is no command.
    Other(Bytes),
    /// A whole command.
    Command(Command),
}

impl Piece {
    /// As it came.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Other(bytes) => bytes,
            Self::Command(command) => &command.raw,
        }
    }
}

/// A command as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    raw: Bytes,
    arguments: Vec<Range<usize>>,
}

impl Command {
    /// As it came.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Its name and its arguments.
    pub fn argv(&self) -> Vec<Bytes> {
        let arguments = self.arguments.iter();
        arguments
            .map(|range| self.raw.slice(range.clone()))
            .collect()
    }
}

/// Where in the stream a parser is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Handshake,
    /// After `+FULLRESYNC`.
    BeforeSnapshot,
    /// So many bytes of it are to come.
    Snapshot(u64),
    /// It ends with the mark; the last bytes that came.
    Unmeasured {
        mark: Vec<u8>,
        tail: Vec<u8>,
    },
    /// Before a command.
    Commands,
    /// In a command: so many arguments are to come, and the line of the next one's length.
    Length {
        left: u64,
    },
    /// In a command: so many bytes of an argument and its line end are to come, and arguments.
    Argument {
        bytes: u64,
        left: u64,
    },
    /// What came is not understood.
    Lost(&'static str),
}

/// Takes a stream apart.
#[derive(Debug, Clone)]
pub struct Parser {
    state: State,
    /// What came of the present line or command and was not given yet.
    pending: Vec<u8>,
    /// Where the present line begins in it.
    line: usize,
    arguments: Vec<Range<usize>>,
    /// Whether the present command is too long, and has been given in part.
    oversized: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// At the beginning of a connection.
    pub fn new() -> Self {
        Self::at(State::Handshake)
    }

    /// After the handshake and any snapshot.
    pub fn in_commands() -> Self {
        Self::at(State::Commands)
    }

    fn at(state: State) -> Self {
        Self {
            state,
            pending: Vec::new(),
            line: 0,
            arguments: Vec::new(),
            oversized: false,
        }
    }

    /// Why it does not understand what comes any more, if so.
    pub fn lost(&self) -> Option<&'static str> {
        match self.state {
            State::Lost(why) => Some(why),
            _ => None,
        }
    }

    /// Takes the next bytes, in whatever pieces they come, and gives what is whole.
    pub fn push(&mut self, mut came: &[u8], give: &mut impl FnMut(Piece)) {
        while !came.is_empty() {
            let taken = match &mut self.state {
                State::Handshake
                | State::BeforeSnapshot
                | State::Commands
                | State::Length { .. } => self.take_line(came, give),
                State::Argument { bytes, .. } => {
                    let taken = fitting(*bytes, came.len());
                    *bytes -= taken as u64;
                    self.pending.extend_from_slice(&came[..taken]);
                    self.end_argument(give);
                    taken
                }
                State::Snapshot(left) => {
                    let taken = fitting(*left, came.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::Commands;
                    }
                    other(&came[..taken], give);
                    taken
                }
                State::Unmeasured { mark, tail } => {
                    let (taken, ended) = until_mark(mark, tail, came);
                    if ended {
                        self.state = State::Commands;
                    }
                    other(&came[..taken], give);
                    taken
                }
                State::Lost(_) => {
                    other(came, give);
                    came.len()
                }
            };
            came = &came[taken..];
        }
    }

    /// Gives what was kept back because it is not whole: nothing more comes.
    pub fn end(&mut self, give: &mut impl FnMut(Piece)) {
        other(&std::mem::take(&mut self.pending), give);
        self.state = State::Lost("the stream has ended");
    }

    fn lose(&mut self, why: &'static str, give: &mut impl FnMut(Piece)) {
        self.state = State::Lost(why);
        other(&std::mem::take(&mut self.pending), give);
    }

    /// Gives what is pending as no command.
    fn give_pending(&mut self, give: &mut impl FnMut(Piece)) {
        other(&std::mem::take(&mut self.pending), give);
        self.line = 0;
    }

    fn take_line(&mut self, came: &[u8], give: &mut impl FnMut(Piece)) -> usize {
        let end = came.iter().position(|byte| *byte == b'\n');
        let taken = end.map_or(came.len(), |end| end + 1);
        // No more than tells that it is too long, whatever the pieces.
        let room = (LINE + 1).saturating_sub(self.pending.len() - self.line);
        let taken = taken.min(room);
        self.pending.extend_from_slice(&came[..taken]);
        if self.pending.len() - self.line > LINE {
            self.lose("a line is too long", give);
        } else if self.pending.last() == Some(&b'\n') && taken > 0 {
            self.end_line(give);
        }
        taken
    }

    fn end_line(&mut self, give: &mut impl FnMut(Piece)) {
        let line = self.pending[self.line..].trim_ascii_end();
        let next = match self.state {
            State::Handshake if line.starts_with(b"+FULLRESYNC") => Ok(State::BeforeSnapshot),
            State::Handshake if line.starts_with(b"+CONTINUE") => Ok(State::Commands),
            State::Handshake => Ok(State::Handshake),
            State::BeforeSnapshot if line.is_empty() => Ok(State::BeforeSnapshot),
            State::BeforeSnapshot => snapshot(line).ok_or("no snapshot follows +FULLRESYNC"),
            State::Commands if line.is_empty() => Ok(State::Commands),
            State::Commands => match number(b'*', line) {
                Some(0) => Ok(State::Commands),
                Some(left) => Ok(State::Length { left }),
                None => Err("a line stands where a command should"),
            },
            State::Length { left } => number(b'$', line)
                .and_then(|length| {
                    let bytes = length.checked_add(2)?;
                    Some(State::Argument { bytes, left })
                })
                .ok_or("an argument has no length"),
            ref state => Ok(state.clone()),
        };
        match next {
            Ok(next) => {
                let in_command = matches!(next, State::Length { .. } | State::Argument { .. });
                self.state = next;
                if in_command {
                    self.line = self.pending.len();
                    self.bound(give);
                } else {
                    self.give_pending(give);
                }
            }
            Err(why) => self.lose(why, give),
        }
    }

    /// After bytes of an argument have come.
    fn end_argument(&mut self, give: &mut impl FnMut(Piece)) {
        let State::Argument { bytes, left } = self.state else {
            return;
        };
        if bytes > 0 {
            return self.bound(give);
        }
        if !self.oversized {
            let end = self.pending.len() - 2;
            if &self.pending[end..] != b"\r\n" {
                return self.lose("an argument is longer than it says", give);
            }
            self.arguments.push(self.line..end);
        }
        self.line = self.pending.len();
        if left > 1 {
            self.state = State::Length { left: left - 1 };
            return self.bound(give);
        }
        self.state = State::Commands;
        let arguments = std::mem::take(&mut self.arguments);
        if std::mem::take(&mut self.oversized) {
            return self.give_pending(give);
        }
        self.line = 0;
        give(Piece::Command(Command {
            raw: std::mem::take(&mut self.pending).into(),
            arguments,
        }));
    }

    /// Keeps no more of a command than there is room for.
    fn bound(&mut self, give: &mut impl FnMut(Piece)) {
        let length = match self.state {
            State::Argument { bytes, .. } => bytes.saturating_add(self.pending.len() as u64),
            _ => self.pending.len() as u64,
        };
        if self.oversized || length > COMMAND as u64 {
            self.oversized = true;
            self.arguments.clear();
            self.give_pending(give);
        }
    }
}

fn other(bytes: &[u8], give: &mut impl FnMut(Piece)) {
    if !bytes.is_empty() {
        give(Piece::Other(Bytes::copy_from_slice(bytes)));
    }
}

fn fitting(left: u64, length: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(length)
}

/// The number on a line after its type.
fn number(kind: u8, line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(&[kind])?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The state after the line that announces a snapshot.
fn snapshot(line: &[u8]) -> Option<State> {
    match line.strip_prefix(b"$EOF:") {
        Some(mark) if mark.len() == MARK => Some(State::Unmeasured {
            mark: mark.to_vec(),
            tail: Vec::new(),
        }),
        Some(_) => None,
        None => match number(b'$', line)? {
            0 => Some(State::Commands),
            length => Some(State::Snapshot(length)),
        },
    }
}

/// How many of the bytes that came belong to the snapshot, and whether it ends with them.
fn until_mark(mark: &[u8], tail: &mut Vec<u8>, came: &[u8]) -> (usize, bool) {
    let before = tail.len();
    tail.extend_from_slice(came);
    let found = tail.windows(mark.len()).position(|window| window == mark);
    if let Some(position) = found {
        return (position + mark.len() - before, true);
    }
    let keep = tail.len().min(mark.len() - 1);
    tail.drain(..tail.len() - keep);
    (came.len(), false)
}

#[cfg(test)]
mod tests;
