//! The replication backlog: the end of a node's stream, kept for those whose link broke.

use std::collections::VecDeque;

use bytes::Bytes;

/// The last bytes of a stream.
#[derive(Debug)]
pub(in crate::model) struct Backlog {
    bytes: VecDeque<u8>,
    size: usize,
    /// The offset of the stream's last byte.
    end: u64,
}

impl Backlog {
    /// An empty one behind `end`.
    pub(in crate::model) fn new(size: usize, end: u64) -> Self {
        Self {
            bytes: VecDeque::new(),
            size: size.max(16 << 10),
            end,
        }
    }

    /// Has it hold so many bytes from now on; the oldest go if they are too many.
    pub(in crate::model) fn resize(&mut self, size: u64) {
        self.size = usize::try_from(size).unwrap_or(usize::MAX).max(16 << 10);
        self.push(&[]);
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let surplus = self.bytes.len().saturating_sub(self.size);
        self.bytes.drain(..surplus);
        self.end += bytes.len() as u64;
    }

    /// The offset of its first byte.
    pub(in crate::model) fn first(&self) -> u64 {
        self.end + 1 - self.bytes.len() as u64
    }

    pub(in crate::model) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(in crate::model) fn size(&self) -> usize {
        self.size
    }

    /// Everything from `offset` on; `None` if it no longer holds that, or does not hold it yet.
    pub(super) fn since(&self, offset: u64) -> Option<Bytes> {
        if offset < self.first() || offset > self.end + 1 {
            return None;
        }
        let skip = usize::try_from(offset - self.first()).ok()?;
        Some(self.bytes.iter().skip(skip).copied().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_what_it_still_holds() {
        let mut backlog = Backlog::new(0, 100);
        assert_eq!(backlog.first(), 101);
        assert_eq!(backlog.since(101).as_deref(), Some(&b""[..]));
        backlog.push(b"abc");
        assert_eq!(backlog.since(102).as_deref(), Some(&b"bc"[..]));
        assert_eq!(backlog.since(104).as_deref(), Some(&b""[..]));
        assert_eq!(backlog.since(100), None, "before its beginning");
        assert_eq!(backlog.since(105), None, "after its end");
        backlog.push(&[b'x'; 16 << 10]);
        assert_eq!(backlog.len(), 16 << 10);
        assert_eq!(backlog.since(101), None, "overwritten");
    }
}
