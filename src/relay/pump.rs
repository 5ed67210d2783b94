//! One direction of one connection.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::time::Duration;

use bytes::{Buf, Bytes};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::io::AsyncWriteExt;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::passage::{Direction, Orders, Passage};
use super::tap::Flow;
use super::traffic::Crossing;
use super::{Filter, Shared};

/// How many bytes wait in the relay at most; then it reads no more, and the sender notices.
const ROOM: usize = 1 << 20;
/// The most that is read at once.
const CHUNK: usize = 64 << 10;
/// A throttled direction crosses in pieces of what passes in this time.
const PIECES_PER_SECOND: u64 = 20;

/// Why a connection stops other than by its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The relay cuts it.
    Cut,
    /// One side has reset it.
    Broken,
}

/// Bytes that came in together.
#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    arrived: Instant,
    /// Between 0 and 1: its part of the jitter.
    chance: f64,
}

/// How the sender ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It says no more.
    Closed,
    /// It has reset the connection.
    Reset,
}

#[derive(Debug)]
pub(super) struct Pump<'a> {
    shared: &'a Shared,
    direction: Direction,
    connection: u64,
    filter: Option<Box<dyn Filter>>,
    /// Of the data: what taps follow.
    flow: Option<Flow>,
    orders: watch::Receiver<Orders>,
    passage: Passage,
    generation: u64,
    chance: ChaCha8Rng,
    queue: VecDeque<Chunk>,
    held: usize,
    end: Option<End>,
    /// How many bytes were passed on.
    passed: u64,
    /// When, and how many bytes, the last time.
    last: Option<(Instant, usize)>,
    /// The bytes that still cross before the cut.
    budget: Option<u64>,
    /// The end of what was queued, in which the bytes to cut inside may begin.
    tail: Vec<u8>,
    /// Whether something was thrown away.
    maimed: bool,
}

impl Drop for Pump<'_> {
    fn drop(&mut self) {
        self.shared.ledger.lost(self.direction, self.held as u64);
    }
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        shared: &'a Shared,
        direction: Direction,
        connection: u64,
        filter: Option<Box<dyn Filter>>,
    ) -> Self {
        let mut orders = shared.orders.subscribe();
        let standing = orders.borrow_and_update().standing[direction.index()].clone();
        let seed = shared.seed ^ (connection << 1) ^ direction.index() as u64;
        let filtered = filter.is_some();
        let is_data = direction == Direction::TowardsDownstream;
        let mut pump = Self {
            shared,
            direction,
            connection,
            filter,
            flow: is_data.then(|| Flow::new(connection, filtered)),
            orders,
            passage: Passage::Pass,
            generation: standing.generation,
            chance: ChaCha8Rng::seed_from_u64(seed),
            queue: VecDeque::new(),
            held: 0,
            end: None,
            passed: 0,
            last: None,
            budget: None,
            tail: Vec::new(),
            maimed: false,
        };
        pump.obey(standing.passage);
        pump
    }

    /// Carries all until the sender has ended.
    pub(super) async fn run(
        mut self,
        reader: ReadHalf<'_>,
        mut writer: WriteHalf<'_>,
    ) -> Result<(), Stop> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let due = self.due();
            let now = Instant::now();
            let ready = due.is_some_and(|due| due <= now);
            if self.queue.is_empty() && !self.passage.is_shut() {
                match self.end {
                    Some(End::Closed) => {
                        let _ = writer.shutdown().await;
                        return Ok(());
                    }
                    Some(End::Reset) => return Err(Stop::Broken),
                    None => {}
                }
            }
            tokio::select! {
                biased;
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return Err(Stop::Broken);
                    }
                    self.look_at_orders()?;
                }
                can = writer.writable(), if ready => {
                    can.map_err(|_| Stop::Broken)?;
                    self.write(&writer)?;
                }
                () = sleep_until(due.unwrap_or(now)), if due.is_some() && !ready => {}
                can = reader.readable(), if self.end.is_none() && self.held < ROOM => {
                    can.map_err(|_| Stop::Broken)?;
                    self.read(&reader, &mut buffer);
                }
            }
        }
    }

    fn look_at_orders(&mut self) -> Result<(), Stop> {
        let orders = self.orders.borrow_and_update();
        let standing = &orders.standing[self.direction.index()];
        if standing.generation == self.generation {
            return Ok(());
        }
        self.generation = standing.generation;
        let passage = standing.passage.clone();
        drop(orders);
        if self.maimed && passage != Passage::Discard {
            return Err(Stop::Cut);
        }
        self.obey(passage);
        Ok(())
    }

    fn obey(&mut self, passage: Passage) {
        self.budget = match passage {
            Passage::CutAfter(bytes) => Some(bytes),
            _ => None,
        };
        self.tail.clear();
        self.passage = passage;
        if self.passage == Passage::Discard {
            let lost = std::mem::take(&mut self.held);
            self.queue.clear();
            self.maimed |= lost > 0;
            self.shared.ledger.lost(self.direction, lost as u64);
            if let Some(flow) = &mut self.flow {
                flow.all_discarded();
            }
        }
    }

    /// When the first chunk that waits may cross; none if nothing waits, or may cross at all.
    fn due(&self) -> Option<Instant> {
        let chunk = self.queue.front()?;
        let last = self.last.map_or(chunk.arrived, |(when, _)| when);
        match &self.passage {
            Passage::Hold | Passage::Discard => None,
            Passage::Pass | Passage::CutAfter(_) | Passage::CutInside(_) => Some(chunk.arrived),
            Passage::Delay { by, jitter } => {
                Some((chunk.arrived + *by + jitter.mul_f64(chunk.chance)).max(last))
            }
            Passage::Throttle { bytes_per_second } => {
                let bytes = self.last.map_or(0, |(_, bytes)| bytes);
                #[allow(clippy::cast_precision_loss)]
                let wait = bytes as f64 / (*bytes_per_second).max(1) as f64;
                Some(last + Duration::from_secs_f64(wait))
            }
        }
    }

    fn read(&mut self, reader: &ReadHalf<'_>, buffer: &mut [u8]) {
        match reader.try_read(buffer) {
            Ok(0) => {
                self.end = Some(End::Closed);
                let mut onward = Vec::new();
                if let Some(filter) = &mut self.filter {
                    filter.end(&mut onward);
                }
                self.enqueue(&[], onward);
            }
            Ok(length) if self.passage == Passage::Discard => {
                self.maimed = true;
                self.shared.ledger.discarded(self.direction, length);
                if let Some(flow) = &mut self.flow {
                    let tap = self.shared.tapped().clone();
                    flow.discarded(tap, &buffer[..length]);
                }
            }
            Ok(length) => {
                let came = &buffer[..length];
                let onward = match &mut self.filter {
                    Some(filter) => {
                        let mut onward = Vec::new();
                        filter.bytes(came, &mut onward);
                        onward
                    }
                    None => came.to_vec(),
                };
                self.enqueue(came, onward);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.end = Some(End::Reset),
        }
    }

    fn enqueue(&mut self, came: &[u8], onward: Vec<u8>) {
        let (length, kept) = (came.len(), onward.len());
        self.shared.ledger.seen(self.direction, length, kept);
        if let Some(flow) = &mut self.flow {
            let tap = self.shared.tapped().clone();
            flow.came(tap, came, &onward);
        }
        if onward.is_empty() {
            return;
        }
        self.look_for_cut(&onward);
        self.held += onward.len();
        self.queue.push_back(Chunk {
            bytes: onward.into(),
            arrived: Instant::now(),
            chance: self.chance.random(),
        });
    }

    /// Sets the budget when the bytes to cut inside are among what comes.
    fn look_for_cut(&mut self, onward: &[u8]) {
        let Passage::CutInside(wanted) = &self.passage else {
            return;
        };
        if self.budget.is_some() || wanted.is_empty() {
            return;
        }
        let before = self.tail.len();
        self.tail.extend_from_slice(onward);
        let found = self
            .tail
            .windows(wanted.len())
            .position(|window| window == &wanted[..]);
        if let Some(position) = found {
            let until = (position + wanted.len() / 2).saturating_sub(before);
            self.budget = Some((self.held + until) as u64);
        }
        let keep = self.tail.len().min(wanted.len() - 1);
        self.tail.drain(..self.tail.len() - keep);
    }

    fn write(&mut self, writer: &WriteHalf<'_>) -> Result<(), Stop> {
        let Some(chunk) = self.queue.front_mut() else {
            return Ok(());
        };
        let mut piece = &chunk.bytes[..];
        if let Passage::Throttle { bytes_per_second } = self.passage {
            let most = usize::try_from((bytes_per_second / PIECES_PER_SECOND).max(1));
            piece = &piece[..piece.len().min(most.unwrap_or(usize::MAX))];
        }
        if let Some(budget) = self.budget {
            let budget = usize::try_from(budget).unwrap_or(usize::MAX);
            piece = &piece[..piece.len().min(budget)];
        }
        let written = match piece.is_empty() {
            true => 0,
            false => match writer.try_write(piece) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => return Err(Stop::Broken),
            },
        };
        let now = Instant::now();
        self.shared.ledger.passed(Crossing {
            arrived: chunk.arrived.into_std(),
            passed: now.into_std(),
            direction: self.direction,
            connection: self.connection,
            offset: self.passed,
            bytes: u32::try_from(written).unwrap_or(u32::MAX),
        });
        chunk.bytes.advance(written);
        if chunk.bytes.is_empty() {
            self.queue.pop_front();
        }
        self.held -= written;
        self.passed += written as u64;
        if let Some(flow) = &mut self.flow {
            flow.passed(self.passed, now.into_std());
        }
        self.last = Some((now, written));
        if let Some(budget) = &mut self.budget {
            *budget -= written as u64;
            if *budget == 0 {
                return Err(Stop::Cut);
            }
        }
        Ok(())
    }
}
