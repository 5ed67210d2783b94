//! A node's stream: its replication id, how long it is, its end, and who follows it.
//!
//! It exists from the node's start, so that nothing written before the first follower came is
//! missing from it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use super::backlog::Backlog;

/// A replication id that is none.
pub(in crate::model) const NO_REPLID: &str = "0000000000000000000000000000000000000000";

/// A server that follows this one.
#[derive(Debug)]
pub(in crate::model) struct Follower {
    pub(in crate::model) id: u64,
    pub(in crate::model) ip: IpAddr,
    /// The port it listens on, as it announced.
    pub(in crate::model) port: u16,
    /// Whether it is an active replica, and not a plain one.
    pub(in crate::model) is_active: bool,
    /// What it has acknowledged, and when.
    pub(in crate::model) acknowledged: u64,
    pub(in crate::model) heard: Instant,
    /// Where its part of the stream goes; closed when its connection is gone.
    pub(super) wire: UnboundedSender<Bytes>,
}

/// A node's own stream.
#[derive(Debug)]
pub(in crate::model) struct Stream {
    pub(in crate::model) replid: String,
    /// The id before the last change, honoured up to `second_offset`.
    pub(in crate::model) replid2: String,
    pub(in crate::model) second_offset: Option<u64>,
    /// The offset of its last byte.
    pub(in crate::model) offset: u64,
    pub(in crate::model) backlog: Backlog,
    pub(in crate::model) followers: Vec<Follower>,
    /// Since when nobody was seen to follow, while the node follows nobody either.
    alone_since: Option<Instant>,
    /// Whether the backlog was freed as nobody followed for so long.
    pub(in crate::model) freed: bool,
}

impl Stream {
    /// A stream that begins, or goes on, behind `offset`.
    pub(in crate::model) fn new(replid: String, offset: u64, backlog_size: u64) -> Self {
        let size = usize::try_from(backlog_size).unwrap_or(usize::MAX);
        Self {
            replid,
            replid2: NO_REPLID.to_owned(),
            second_offset: None,
            offset,
            backlog: Backlog::new(size, offset),
            followers: Vec::new(),
            alone_since: None,
            freed: false,
        }
    }

    /// Frees the backlog under a new id once nobody has followed for `time`, and the node nobody
    /// (`repl-backlog-ttl`; replication.cpp, replicationCron).
    pub(in crate::model) fn expire(&mut self, alone: bool, time: Duration, replid: String) {
        if !self.followers.is_empty() || !alone {
            self.alone_since = None;
            self.freed &= self.followers.is_empty();
            return;
        }
        let since = *self.alone_since.get_or_insert_with(Instant::now);
        if !self.freed && !time.is_zero() && since.elapsed() > time {
            self.replace(replid, self.offset);
            self.freed = true;
        }
    }

    /// Adds to the stream, for all who follow it now or later.
    pub(in crate::model) fn feed(&mut self, bytes: Bytes) {
        self.offset += bytes.len() as u64;
        self.backlog.push(&bytes);
        self.followers
            .retain(|follower| follower.wire.send(bytes.clone()).is_ok());
    }

    /// Goes on under another id: the old one is honoured up to here.
    pub(in crate::model) fn rename(&mut self, replid: String) {
        self.replid2 = std::mem::replace(&mut self.replid, replid);
        self.second_offset = Some(self.offset + 1);
    }

    /// Begins anew as a copy of another stream; whoever followed has to resync.
    pub(in crate::model) fn replace(&mut self, replid: String, offset: u64) {
        let size = self.backlog.size() as u64;
        *self = Self::new(replid, offset, size);
    }

    /// What a follower that knows the stream up to before `offset` misses; `None` if that cannot
    /// be told.
    pub(super) fn missed(&self, replid: &str, offset: u64) -> Option<Bytes> {
        let known = replid == self.replid
            || (replid == self.replid2 && self.second_offset.is_some_and(|end| offset <= end));
        known.then(|| self.backlog.since(offset)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_history_is_continued() {
        let mut stream = Stream::new("a".repeat(40), 10, 1 << 20);
        stream.feed(Bytes::from_static(b"hello"));
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        assert_eq!(stream.missed(&a, 11).as_deref(), Some(&b"hello"[..]));
        assert_eq!(stream.missed(&a, 16).as_deref(), Some(&b""[..]));
        assert_eq!(stream.missed(&a, 17), None);
        assert_eq!(stream.missed(&b, 11), None);
        stream.rename(b.clone());
        stream.feed(Bytes::from_static(b"more"));
        assert_eq!(stream.missed(&a, 16).as_deref(), Some(&b"more"[..]));
        assert_eq!(stream.missed(&a, 17), None, "written under the new id");
        assert_eq!(stream.missed(&b, 18).as_deref(), Some(&b"re"[..]));
    }
}
