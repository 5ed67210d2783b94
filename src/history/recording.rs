//! What a run records while it goes on: one clock, one table of names, for all who record.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use super::{Event, History, Moment, Name, Names, Operation, Phase, Subject};

/// How many operations a chunk of a client's record holds: no record ever doubles.
const CHUNK: usize = 4096;

/// A history that is being recorded. Clones share it: traffic, watcher and faults each hold one.
#[derive(Debug, Clone)]
pub struct Recording {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    began: Instant,
    /// The same by the wall clock.
    date: Timestamp,
    clients: AtomicU32,
    names: Mutex<Names>,
    events: Mutex<Vec<Event>>,
    operations: Mutex<Vec<Vec<Operation>>>,
}

impl Default for Recording {
    fn default() -> Self {
        Self::new()
    }
}

impl Recording {
    /// Begins a recording: its clock starts now.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                began: Instant::now(),
                date: Timestamp::now(),
                clients: AtomicU32::new(0),
                names: Mutex::default(),
                events: Mutex::default(),
                operations: Mutex::default(),
            }),
        }
    }

    /// When it began by the wall clock, in Unix milliseconds: logs of servers are put beside it by that.
    pub fn began(&self) -> i64 {
        self.shared.date.as_millisecond()
    }

    /// The time on its clock.
    pub fn now(&self) -> Moment {
        self.shared.began.elapsed().into()
    }

    /// The time on its clock at an instant; its beginning for what was before.
    pub fn moment(&self, at: Instant) -> Moment {
        at.saturating_duration_since(self.shared.began).into()
    }

    /// The number of a text in its table.
    pub fn name(&self, text: &str) -> Name {
        locked(&self.shared.names).number(text)
    }

    /// Takes the next `count` client numbers and gives the first: no two clients of a recording
    /// share one, and so no two write the same value.
    pub fn clients(&self, count: u32) -> u32 {
        self.shared.clients.fetch_add(count, Ordering::Relaxed)
    }

    /// Records that a fault which strikes `nodes` reached a phase, and what was seen of it.
    pub fn fault(&self, name: &str, nodes: &[String], phase: Phase, seen: &str) {
        let subject = Subject::Fault {
            fault: self.name(name),
            nodes: nodes.iter().map(|node| self.name(node)).collect(),
            phase,
            seen: self.name(seen),
        };
        self.event(subject);
    }

    /// Records that a node, or the proxy, shows something new from now on.
    pub fn state(&self, node: &str, what: &str, value: &str) {
        let subject = Subject::State {
            node: self.name(node),
            what: self.name(what),
            value: self.name(value),
        };
        self.event(subject);
    }

    fn event(&self, subject: Subject) {
        let mut events = locked(&self.shared.events);
        // Under the lock, so that the events are in the order of their time.
        let at = self.now();
        events.push(Event { at, subject });
    }

    /// Takes over what a client recorded.
    pub fn deposit(&self, record: Record) {
        locked(&self.shared.operations).extend(record.chunks);
    }

    /// Ends the recording: everything that was deposited until now, in the order of its
    /// completion. What is recorded later is lost.
    pub fn finish(&self) -> History {
        let chunks = std::mem::take(&mut *locked(&self.shared.operations));
        let mut operations = Vec::with_capacity(chunks.iter().map(Vec::len).sum());
        for chunk in chunks {
            operations.extend(chunk);
        }
        operations.sort_unstable_by_key(|operation: &Operation| {
            (operation.completed, operation.client, operation.invoked)
        });
        History {
            names: std::mem::take(&mut *locked(&self.shared.names)),
            operations,
            events: std::mem::take(&mut *locked(&self.shared.events)),
            length: self.now(),
        }
    }
}

/// The operations of one client, which it alone writes while it works.
#[derive(Debug, Default)]
pub struct Record {
    chunks: Vec<Vec<Operation>>,
}

impl Record {
    /// Adds an operation.
    pub fn push(&mut self, operation: Operation) {
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(operation),
            full => {
                // A first chunk grows as it must: most clients are short.
                let mut chunk = Vec::with_capacity(if full.is_some() { CHUNK } else { 0 });
                chunk.push(operation);
                self.chunks.push(chunk);
            }
        }
    }

    /// The operation added last.
    pub fn last_mut(&mut self) -> Option<&mut Operation> {
        self.chunks.last_mut()?.last_mut()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Action, Outcome, Reply};

    #[test]
    fn records_of_several_clients_are_merged_by_completion() {
        let recording = Recording::new();
        let first = recording.clients(2);
        assert_eq!(recording.clients(1), first + 2);
        for client in 0..2 {
            let mut record = Record::default();
            for n in 0..CHUNK as u64 + 10 {
                record.push(Operation {
                    client,
                    node: recording.name("primary1"),
                    proxied: false,
                    database: 0,
                    confirmed: 0,
                    key: recording.name("k"),
                    action: Action::Get,
                    invoked: Moment(n),
                    completed: Moment(2 * n + u64::from(client)),
                    outcome: Outcome::Ok(Reply::Nil),
                });
            }
            recording.deposit(record);
        }
        recording.fault("kill primary1", &["primary1".into()], Phase::Bites, "gone");
        recording.state("primary2", "role", "active-replica");
        let history = recording.finish();
        assert_eq!(history.operations.len(), 2 * (CHUNK + 10));
        assert!(
            history
                .operations
                .is_sorted_by_key(|operation| operation.completed)
        );
        assert_eq!(history.events.len(), 2);
        assert!(history.events[0].at <= history.events[1].at);
        assert!(history.events[1].at <= history.length);
    }
}
