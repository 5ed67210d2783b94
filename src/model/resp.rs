//! RESP2 on a connection: commands in, as arrays or inline, and replies out.
//!
//! What comes is not to be trusted: lines, words and commands have KeyDB's limits (`networking.cpp`,
//! `proto-max-bulk-len`, `client-query-buffer-limit`), nothing is allocated for what was only
//! announced, and no byte is looked at twice, however the bytes come.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::encode::extend_encode;
use redis_protocol::resp2::types::BytesFrame;

/// Bytes that are no command: the connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Protocol error: {0}")]
pub(super) struct ProtocolError(pub(super) &'static str);

/// The longest inline command and the longest line of a length, in bytes, as in KeyDB.
const LONGEST_LINE: usize = 64 << 10;
/// The most words of a command, as in KeyDB.
const MOST_WORDS: usize = 1 << 20;
/// The longest word in bytes, as in KeyDB.
const LONGEST_WORD: usize = 512 << 20;
/// The longest command in bytes, as in KeyDB.
const LONGEST_COMMAND: usize = 1 << 30;

/// What was received and not yet carried out, and how far it was read.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Whoever takes bytes off the front does so between commands only.
    pub(super) bytes: BytesMut,
    /// The words of the command that is being read.
    words: Vec<Range<usize>>,
    /// Up to where it was read.
    at: usize,
    /// How many bytes after that were searched for the end of a line.
    searched: usize,
    /// How many of its words are to come, once that is known.
    left: Option<usize>,
    /// The length of the word that comes next, once that is known.
    length: Option<usize>,
}

impl From<&[u8]> for Received {
    fn from(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.into(),
            ..Self::default()
        }
    }
}

impl Received {
    /// Takes the first whole command off the front: `None` until there is one. An empty line is an
    /// empty command.
    ///
    /// # Errors
    /// The bytes do not begin with a command, or it is too long.
    pub(super) fn take_command(&mut self) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        match self.bytes.first() {
            None => return Ok(None),
            Some(b'*') => {}
            Some(_) => return self.take_inline(),
        }
        Ok(self.take_with_its_bytes()?.map(|(argv, _)| argv))
    }

    /// As [`Self::take_command`], for arrays only, with the bytes that the command was.
    ///
    /// # Errors
    /// The bytes do not begin with a command, or it is too long.
    pub(super) fn take_with_its_bytes(
        &mut self,
    ) -> Result<Option<(Vec<Bytes>, Bytes)>, ProtocolError> {
        if !self.read()? {
            return Ok(None);
        }
        let raw = self.bytes.split_to(self.at).freeze();
        let words = std::mem::take(&mut self.words).into_iter();
        let argv = words.map(|range| raw.slice(range)).collect();
        (self.at, self.left) = (0, None);
        Ok(Some((argv, raw)))
    }

    /// Reads on; gives whether a command is whole.
    fn read(&mut self) -> Result<bool, ProtocolError> {
        let mut left = match self.left {
            Some(left) => left,
            None => {
                let Some(line) = self.line("too big mbulk count string")? else {
                    return Ok(false);
                };
                number(b'*', &self.bytes[line], MOST_WORDS)
                    .ok_or(ProtocolError("invalid multibulk length"))?
            }
        };
        loop {
            self.left = Some(left);
            if left == 0 {
                return Ok(true);
            }
            let length = match self.length {
                Some(length) => length,
                None => {
                    let Some(line) = self.line("too big bulk count string")? else {
                        return Ok(false);
                    };
                    let line = &self.bytes[line];
                    if line.first() != Some(&b'$') {
                        return Err(ProtocolError("expected '$'"));
                    }
                    number(b'$', line, LONGEST_WORD)
                        .filter(|_| line[1] != b'-')
                        .ok_or(ProtocolError("invalid bulk length"))?
                }
            };
            self.length = Some(length);
            let end = self.at + length;
            if end > LONGEST_COMMAND {
                return Err(ProtocolError("too big a command"));
            }
            match self.bytes.get(end..end + 2) {
                Some(b"\r\n") => {}
                Some(_) => return Err(ProtocolError("a bulk is longer than it says")),
                None => return Ok(false),
            }
            self.words.push(self.at..end);
            self.at = end + 2;
            self.length = None;
            left -= 1;
        }
    }

    /// Reads on by a line, and gives where it stands without its end; `None` until it is whole.
    fn line(&mut self, too_long: &'static str) -> Result<Option<Range<usize>>, ProtocolError> {
        let rest = &self.bytes[self.at + self.searched..];
        let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
            self.searched += rest.len();
            if self.searched > LONGEST_LINE {
                return Err(ProtocolError(too_long));
            }
            return Ok(None);
        };
        let (begin, end) = (self.at, self.at + self.searched + end);
        (self.at, self.searched) = (end + 1, 0);
        if end - begin > LONGEST_LINE {
            return Err(ProtocolError(too_long));
        }
        let line = &self.bytes[begin..end];
        Ok(Some(begin..begin + line.trim_ascii_end().len()))
    }

    fn take_inline(&mut self) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        if self.line("too big inline request")?.is_none() {
            return Ok(None);
        }
        let line = self.bytes.split_to(std::mem::take(&mut self.at)).freeze();
        let words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .map(|word| line.slice_ref(word));
        Ok(Some(words.collect()))
    }
}

/// The number on a line after its type, not above the most; 0 for a negative one.
fn number(kind: u8, line: &[u8], most: usize) -> Option<usize> {
    let number = line.strip_prefix(&[kind])?;
    if number.first() == Some(&b'+') {
        return None;
    }
    let number: i64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    let number = usize::try_from(number.max(0)).ok()?;
    (number <= most).then_some(number)
}

/// The first command of these bytes: `None` if it is not whole.
///
/// # Errors
/// The bytes do not begin with a command.
pub(super) fn first_command(bytes: &[u8]) -> Result<Option<Vec<Bytes>>, ProtocolError> {
    Received::from(bytes).take_command()
}

/// Appends a command.
pub(super) fn put_command<W: AsRef<[u8]>>(buffer: &mut BytesMut, words: &[W]) {
    let words = words
        .iter()
        .map(|word| BytesFrame::BulkString(Bytes::copy_from_slice(word.as_ref())));
    put_reply(buffer, &BytesFrame::Array(words.collect()));
}

/// Appends a reply.
pub(super) fn put_reply(buffer: &mut BytesMut, reply: &BytesFrame) {
    // Into memory: it cannot fail but for lack of that.
    let _ = extend_encode(buffer, reply, false);
}

/// As [`simple`], of a text that was made.
pub(super) fn simple_owned(text: String) -> BytesFrame {
    BytesFrame::SimpleString(text.into())
}

/// A reply that is a word.
pub(super) fn simple(text: &'static str) -> BytesFrame {
    BytesFrame::SimpleString(Bytes::from_static(text.as_bytes()))
}

/// A reply that is bytes.
pub(super) fn bulk(text: impl Into<Bytes>) -> BytesFrame {
    BytesFrame::BulkString(text.into())
}

/// A reply that is an error. It is one line, whatever the client sent.
pub(super) fn error(text: impl AsRef<str>) -> BytesFrame {
    BytesFrame::Error(text.as_ref().replace(['\r', '\n'], " ").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    use rstest::rstest;

    fn taken(bytes: &[u8]) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        first_command(bytes)
    }

    #[test]
    fn commands_are_arrays_or_lines() {
        let get: Vec<Bytes> = vec!["GET".into(), "k".into()];
        assert_eq!(
            taken(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"),
            Ok(Some(get.clone()))
        );
        assert_eq!(taken(b"GET  k\r\n"), Ok(Some(get.clone())));
        assert_eq!(taken(b"GET k\n"), Ok(Some(get)));
        assert_eq!(taken(b"\r\n"), Ok(Some(vec![])));
        assert_eq!(taken(b"*2\r\n$3\r\nGET\r\n$1"), Ok(None));
        assert_eq!(taken(b"GET"), Ok(None));
        assert!(taken(b"*1\r\n:5\r\n").is_err());
        assert!(taken(b"*x\r\n").is_err());
    }

    #[test]
    fn what_follows_a_command_stays() {
        let mut received = Received::from(&b"PING\r\n*1\r\n$4\r\nPING\r\n"[..]);
        assert_eq!(received.take_command(), Ok(Some(vec!["PING".into()])));
        assert_eq!(received.take_command(), Ok(Some(vec!["PING".into()])));
        assert!(received.bytes.is_empty());
    }

    /// What was only announced takes no memory, and what may not come is refused at once.
    #[rstest]
    #[case::bulk(b"*1\r\n$999999999999\r\n".to_vec(), "invalid bulk length")]
    #[case::beyond_numbers(b"*1\r\n$99999999999999999999\r\n".to_vec(), "invalid bulk length")]
    #[case::negative_bulk(b"*1\r\n$-1\r\n".to_vec(), "invalid bulk length")]
    #[case::multibulk(b"*2147483648\r\n".to_vec(), "invalid multibulk length")]
    #[case::deep(b"*1\r\n".repeat(1 << 18), "expected '$'")]
    #[case::longer(b"*1\r\n$1\r\nPING\r\n".to_vec(), "a bulk is longer than it says")]
    #[case::inline(vec![b'x'; LONGEST_LINE + 1], "too big inline request")]
    #[case::count(vec![b'*'; LONGEST_LINE + 1], "too big mbulk count string")]
    #[case::length([&b"*1\r\n$"[..], &[b'1'; LONGEST_LINE + 1]].concat(), "too big bulk count string")]
    fn hostile_lengths_are_refused(#[case] bytes: Vec<u8>, #[case] why: &'static str) {
        assert_eq!(taken(&bytes), Err(ProtocolError(why)));
    }

    #[test]
    fn a_command_is_limited_as_a_whole() {
        let mut received = Received::from(&b"*2\r\n$1\r\n"[..]);
        assert_eq!(received.take_command(), Ok(None));
        // As if a gigabyte of words had come: this much memory is not for a test.
        (received.at, received.length) = (LONGEST_COMMAND, Some(1));
        let error = ProtocolError("too big a command");
        assert_eq!(received.take_command(), Err(error));
    }

    /// A slow sender of many words: each piece would cost as much as all that came before it.
    #[test]
    fn no_byte_is_looked_at_twice() {
        let words = 200_000;
        let mut received = Received::from(format!("*{words}\r\n").as_bytes());
        let began = std::time::Instant::now();
        for _ in 0..words {
            assert_eq!(received.take_command(), Ok(None));
            received.bytes.extend_from_slice(b"$1\r\nx\r\n");
        }
        let command = received.take_command().unwrap().unwrap();
        assert_eq!(command.len(), words);
        let took = began.elapsed();
        assert!(took < std::time::Duration::from_secs(20), "{took:?}");
    }
}
