//! Files that were named by a user and answers of servers, read up to a limit: what is longer is no such
//! file or answer, and would fill the memory.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt};

/// The most of a configuration, a schedule or an expectations file, and of an answer of HAProxy's admin
/// socket, in bytes. The largest that the harness ships or has seen has 200 kB.
pub const TEXT: u64 = 16 << 20;
/// The most of a run's results, in bytes. Those of a whole catalogue have 3 MB.
pub const RESULTS: u64 = 256 << 20;

/// What is longer than it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it is longer than {} MiB, the most that is read of such a text; take the right one, or leave out what \
     is not needed",
    .most >> 20
)]
struct TooLong {
    most: u64,
}

/// The text of a file of at most so many bytes; one without an end, such as `/dev/zero`, is longer.
///
/// # Errors
/// It cannot be read, is longer ([`ErrorKind::FileTooLarge`]) or not UTF-8. The error does not name the
/// file.
pub fn file(path: &Path, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    let opened = File::open(path)?;
    opened
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    text(bytes, most)
}

/// What a server says until it closes the connection, at most so many bytes.
///
/// # Errors
/// As [`file()`].
pub async fn answer(stream: impl AsyncRead + Unpin, most: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut limited = stream.take(most.saturating_add(1));
    limited.read_to_end(&mut bytes).await?;
    text(bytes, most)
}

fn text(bytes: Vec<u8>, most: u64) -> io::Result<String> {
    if bytes.len() as u64 > most {
        return Err(io::Error::new(ErrorKind::FileTooLarge, TooLong { most }));
    }
    String::from_utf8(bytes).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_an_end_is_told_and_not_kept() {
        let error = file(Path::new("/dev/zero"), 1 << 20).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("longer than 1 MiB"), "{error}");
    }

    #[test]
    fn a_file_of_the_most_bytes_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(file(&path, 4).unwrap(), "1234");
        assert!(file(&path, 3).is_err());
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(file(&path, 4).unwrap_err().kind(), ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn an_answer_without_an_end_is_told_and_not_kept() {
        let error = answer(tokio::io::repeat(b'x'), 1 << 20).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert_eq!(answer(&b"pid: 1"[..], 6).await.unwrap(), "pid: 1");
    }
}
