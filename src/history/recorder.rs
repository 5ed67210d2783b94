//! One clock for all that is recorded, and the events on it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::{Event, History, Moment, Name, Names, Operation, Phase, Subject};

/// A recording under way: what clients record for themselves is put in when it ends.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    names: Names,
    events: Vec<Event>,
    /// What each property of each node showed last.
    shown: HashMap<(Name, Name), Name>,
    /// The nodes by the run ids that they showed.
    lives: HashMap<String, String>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            noted: Mutex::default(),
        }
    }
}

impl Recorder {
    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// The time on its clock.
    pub fn now(&self) -> Moment {
        Moment::from(self.began.elapsed())
    }

    /// A fault reached a phase.
    pub fn fault(&self, fault: &str, nodes: &[String], phase: Phase, seen: &str) {
        let at = self.now();
        let mut noted = self.noted();
        let subject = Subject::Fault {
            fault: noted.names.number(fault),
            nodes: nodes.iter().map(|node| noted.names.number(node)).collect(),
            phase,
            seen: noted.names.number(seen),
        };
        noted.events.push(Event { at, subject });
    }

    /// A node was seen at `at` to show `value`: an event if it showed another before.
    pub fn state(&self, at: Moment, node: &str, what: &str, value: &str) {
        let mut noted = self.noted();
        let [node, what, value] = [node, what, value].map(|text| noted.names.number(text));
        if noted.shown.insert((node, what), value) == Some(value) {
            return;
        }
        let subject = Subject::State { node, what, value };
        noted.events.push(Event { at, subject });
    }

    /// A node was seen to have this `run_id`: it is how clients behind a proxy tell nodes apart.
    pub fn life(&self, node: &str, run_id: &str) {
        let mut noted = self.noted();
        if !noted.lives.contains_key(run_id) {
            noted.lives.insert(run_id.to_owned(), node.to_owned());
        }
    }

    /// The node that had this `run_id`.
    pub fn node_of(&self, run_id: &str) -> Option<String> {
        self.noted().lives.get(run_id).cloned()
    }

    /// Ends the recording with what clients recorded: operations whose names stand in the table
    /// beside them.
    pub fn finish(self, clients: Vec<(Names, Vec<Operation>)>) -> History {
        let length = self.now();
        let noted = self.noted.into_inner();
        let Noted {
            mut names,
            mut events,
            ..
        } = noted.unwrap_or_else(PoisonError::into_inner);
        let mut operations = Vec::with_capacity(clients.iter().map(|(_, all)| all.len()).sum());
        for (theirs, mut all) in clients {
            let ours: Vec<Name> = theirs.texts().map(|text| names.number(text)).collect();
            let renamed = |name: Name| ours.get(name.0 as usize).copied().unwrap_or(name);
            for operation in &mut all {
                operation.rename(renamed);
            }
            operations.append(&mut all);
        }
        operations.sort_by_key(|operation| operation.completed);
        events.sort_by_key(|event| event.at);
        History {
            names,
            operations,
            events,
            length,
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Action, Outcome, Reply, Token};

    fn operation(names: &mut Names, client: u32, completed: u64, error: Option<&str>) -> Operation {
        let keys = Box::new([names.number("a"), names.number("b")]);
        Operation {
            client,
            node: names.number("primary1"),
            proxied: true,
            database: 0,
            confirmed: 0,
            key: names.number("a"),
            action: Action::SetAll(keys, Token { client, number: 0 }),
            invoked: Moment(completed - 1),
            completed: Moment(completed),
            outcome: error.map_or(Outcome::Ok(Reply::Done), |error| {
                Outcome::Fail(names.number(error))
            }),
        }
    }

    #[test]
    fn what_clients_recorded_stands_in_one_order_with_one_table() {
        let recorder = Recorder::default();
        recorder.state(Moment(1), "primary1", "role", "active-replica");
        recorder.state(Moment(2), "primary1", "role", "active-replica");
        recorder.state(Moment(3), "primary1", "role", "master");
        let clients = [(0, 20, None), (1, 10, Some("READONLY"))].map(|(client, at, error)| {
            let mut names = Names::default();
            names.number("so that numbers differ");
            let operation = operation(&mut names, client, at, error);
            (names, vec![operation])
        });
        let history = recorder.finish(clients.into());
        let text = |name: Name| history.names.text(name).to_owned();
        assert_eq!(history.events.len(), 2, "what stays the same is no event");
        let first = &history.operations[0];
        assert_eq!((first.client, text(first.key)), (1, "a".to_owned()));
        assert!(matches!(&first.outcome, Outcome::Fail(name) if text(*name) == "READONLY"));
        let Action::SetAll(keys, _) = &first.action else {
            panic!("{:?}", first.action);
        };
        assert_eq!(keys.iter().map(|key| text(*key)).collect::<String>(), "ab");
    }

    #[test]
    fn a_life_is_known_by_its_first_node() {
        let recorder = Recorder::default();
        recorder.life("primary1", "x");
        recorder.life("primary2", "x");
        assert_eq!(recorder.node_of("x").as_deref(), Some("primary1"));
        assert_eq!(recorder.node_of("y"), None);
    }
}
