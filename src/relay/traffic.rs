//! What a relay counts, and what it remembers of what crossed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Direction;

/// How many crossings are remembered: 3 MB.
const MEMORY: usize = 1 << 16;

/// The bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// Came in.
    pub seen: u64,
    /// Were passed on.
    pub passed: u64,
    /// Wait in the relay.
    pub held: u64,
    /// Were thrown away: discarded, or lost with their connection.
    pub dropped: u64,
    /// What a filter took away, or put in if it is negative.
    pub filtered: i64,
}

/// Connections through a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// That were taken.
    pub made: u64,
    /// That the upstream server did not take.
    pub unreachable: u64,
    /// That live now.
    pub live: u64,
    /// That the relay reset of its own accord.
    pub cut: u64,
}

/// A piece of a connection that crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// When it came in.
    pub arrived: Instant,
    /// When it was passed on.
    pub passed: Instant,
    /// Which way it went.
    pub direction: Direction,
    /// Which connection of the relay it belongs to; they are counted from 1.
    pub connection: u64,
    /// How many bytes of that connection were passed on this way before it.
    pub offset: u64,
    /// How many bytes it is.
    pub bytes: u32,
}

#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    traffic: [Traffic; 2],
    connections: Connections,
    crossings: VecDeque<Crossing>,
    forgotten: u64,
}

impl Ledger {
    pub(super) fn traffic(&self, direction: Direction) -> Traffic {
        self.book().traffic[direction.index()]
    }

    pub(super) fn connections(&self) -> Connections {
        self.book().connections
    }

    pub(super) fn crossings(&self) -> Vec<Crossing> {
        self.book().crossings.iter().copied().collect()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.book().forgotten
    }

    /// A connection was taken; gives its number.
    pub(super) fn made(&self) -> u64 {
        let connections = &mut self.book().connections;
        connections.made += 1;
        connections.live += 1;
        connections.made
    }

    pub(super) fn unreachable(&self) {
        self.book().connections.unreachable += 1;
    }

    pub(super) fn cut(&self) {
        self.book().connections.cut += 1;
    }

    pub(super) fn ended(&self) {
        self.book().connections.live -= 1;
    }

    /// Bytes came in of which `kept` will be passed on.
    pub(super) fn seen(&self, direction: Direction, bytes: usize, kept: usize) {
        let traffic = &mut self.book().traffic[direction.index()];
        traffic.seen += bytes as u64;
        traffic.held += kept as u64;
        let (bytes, kept) = (i64::try_from(bytes), i64::try_from(kept));
        traffic.filtered += bytes.unwrap_or(i64::MAX) - kept.unwrap_or(i64::MAX);
    }

    /// Bytes came in and were thrown away.
    pub(super) fn discarded(&self, direction: Direction, bytes: usize) {
        let traffic = &mut self.book().traffic[direction.index()];
        traffic.seen += bytes as u64;
        traffic.dropped += bytes as u64;
    }

    /// Bytes that waited are thrown away.
    pub(super) fn lost(&self, direction: Direction, bytes: u64) {
        let traffic = &mut self.book().traffic[direction.index()];
        traffic.held -= bytes;
        traffic.dropped += bytes;
    }

    pub(super) fn passed(&self, crossing: Crossing) {
        let mut book = self.book();
        let traffic = &mut book.traffic[crossing.direction.index()];
        traffic.passed += u64::from(crossing.bytes);
        traffic.held -= u64::from(crossing.bytes);
        if book.crossings.len() == MEMORY {
            book.crossings.pop_front();
            book.forgotten += 1;
        }
        book.crossings.push_back(crossing);
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
