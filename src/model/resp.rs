//! RESP2 on a connection: commands in, as arrays or inline, and replies out.

use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::encode::extend_encode;
use redis_protocol::resp2::types::BytesFrame;

/// Bytes that are no command: the connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Protocol error: {0}")]
pub(super) struct ProtocolError(pub(super) &'static str);

/// The longest inline command, as in KeyDB.
const LONGEST_INLINE: usize = 64 << 10;

/// Takes the first whole command off the buffer: `None` until there is one. An empty line is an
/// empty command.
///
/// # Errors
/// The buffer does not begin with a command.
pub(super) fn take_command(buffer: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
    match buffer.first() {
        None => return Ok(None),
        Some(b'*') => {}
        Some(_) => return take_inline(buffer),
    }
    Ok(take_with_its_bytes(buffer)?.map(|(argv, _)| argv))
}

/// As [`take_command`], for arrays only, with the bytes that the command was.
///
/// # Errors
/// The buffer does not begin with a command.
pub(super) fn take_with_its_bytes(
    buffer: &mut BytesMut,
) -> Result<Option<(Vec<Bytes>, Bytes)>, ProtocolError> {
    match decode_bytes_mut(buffer) {
        Ok(None) => Ok(None),
        Ok(Some((BytesFrame::Array(frames), _, raw))) => {
            let argv = frames.into_iter().map(|frame| match frame {
                BytesFrame::BulkString(bytes) => Ok(bytes),
                _ => Err(ProtocolError("expected '$'")),
            });
            Ok(Some((argv.collect::<Result<_, _>>()?, raw)))
        }
        Ok(Some((_, _, raw))) => Ok(Some((Vec::new(), raw))),
        Err(_) => Err(ProtocolError("invalid multibulk length")),
    }
}

fn take_inline(buffer: &mut BytesMut) -> Result<Option<Vec<Bytes>>, ProtocolError> {
    let Some(end) = buffer.iter().position(|byte| *byte == b'\n') else {
        if buffer.len() > LONGEST_INLINE {
            return Err(ProtocolError("too big inline request"));
        }
        return Ok(None);
    };
    let line = buffer.split_to(end + 1).freeze();
    let words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
        .map(|word| line.slice_ref(word));
    Ok(Some(words.collect()))
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

    fn taken(bytes: &[u8]) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        take_command(&mut BytesMut::from(bytes))
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
        let mut buffer = BytesMut::from(&b"PING\r\n*1\r\n$4\r\nPING\r\n"[..]);
        assert_eq!(take_command(&mut buffer), Ok(Some(vec!["PING".into()])));
        assert_eq!(take_command(&mut buffer), Ok(Some(vec!["PING".into()])));
        assert!(buffer.is_empty());
    }
}
