//! Histories of a store that keeps every promise always hold; one corruption of its data always
//! makes the right property red.

use std::collections::BTreeMap;

use super::*;
use crate::history::{Action, Content, Held, Name, NodeData, Operation, Outcome, Reply, Token};
use proptest::prelude::*;

/// What a client does next: kind, which key, at which node, and whether it is refused (0),
/// unanswered and not done (1), unanswered and done (2), else acknowledged.
type Step = (u8, u8, bool, u8);

const KINDS: u8 = 14;

/// A linear store: one operation after the other, the newest wins, all nodes are one.
#[derive(Default)]
struct Store {
    history: History,
    keys: BTreeMap<String, Held>,
    given: BTreeMap<String, u64>,
}

impl Store {
    fn run(steps: &[Step]) -> (History, Finals) {
        let mut store = Self::default();
        // At the end every kind is there, set twice, and something is deleted.
        let all = (0..KINDS).chain(0..KINDS).map(|kind| (kind, 9, true, 9));
        for (number, step) in (0u32..).zip(steps.iter().copied().chain(all)) {
            store.step(number, step);
        }
        let end = store.history.operations.last().unwrap().completed;
        store.history.length = end;
        for (key, from) in &store.given {
            if let Some(held) = store.keys.get_mut(key) {
                held.ttl = held.ttl.map(|ttl| ttl - (end.0 - from) / 1_000_000);
            }
        }
        let count = store
            .keys
            .values()
            .filter(|held| held.ttl.is_some())
            .count();
        let data = NodeData {
            keys: [(0, store.keys)].into(),
            expires: [(0, count as u64)].into(),
        };
        let nodes = ["p1", "p2", "r1"].map(|node| (node.to_owned(), data.clone()));
        (
            store.history,
            Finals {
                nodes: nodes.into(),
            },
        )
    }

    fn name(&mut self, key: &str) -> Name {
        self.history.names.number(key)
    }

    fn step(&mut self, number: u32, (kind, which, first, fate): Step) {
        let token = Token {
            client: which.into(),
            number,
        };
        let key = |letter: &str| format!("{letter}{which}");
        let transaction: Vec<String> = ["m", "n", "o"].map(key).into();
        let (letter, action) = match kind {
            0 => ("d", Action::Set(token)),
            1 => ("d", Action::Delete),
            2 => ("x", Action::Set(token)),
            3 => ("y", Action::SetFor(token, 600_000)),
            4 => ("c", Action::Increment(i32::from(which) - 3)),
            5 => ("t", Action::Append(token)),
            6 => ("l", Action::Push(token)),
            7 => ("s", Action::Add(token)),
            8 => ("e", Action::Log(token)),
            9 => ("h", Action::PutField(u16::from(which % 2), token)),
            10 => ("z", Action::Score(7, token)),
            11 => ("x", Action::Get),
            12 | 13 => {
                let names = transaction.iter().map(|key| self.name(key)).collect();
                let action = match kind {
                    12 => Action::SetAll(names, token),
                    _ => Action::GetAll(names),
                };
                ("m", action)
            }
            _ => unreachable!(),
        };
        let key = key(letter);
        let value = token.to_string();
        let mut reply = Reply::Done;
        let done = fate >= 2;
        let at = 10_000_000 * u64::from(number);
        let text = |held: &Held| match &held.content {
            Content::Text(text) => text.parse::<Token>().ok(),
            _ => None,
        };
        match &action {
            Action::Get => {
                let token = self.keys.get(&key).and_then(text);
                reply = token.map_or(Reply::Nil, Reply::Value);
            }
            Action::GetAll(_) => {
                let held = transaction
                    .iter()
                    .map(|key| self.keys.get(key).and_then(text));
                reply = Reply::Values(held.collect());
            }
            Action::Delete => {
                let there = self.keys.contains_key(&key);
                reply = Reply::Number(there.into());
                if done {
                    self.keys.remove(&key);
                }
            }
            _ if !done => {}
            Action::SetAll(..) => {
                for key in &transaction {
                    self.put(key, Content::Text(value.clone()));
                }
            }
            Action::Set(_) => self.put(&key, Content::Text(value)),
            Action::SetFor(_, ttl) => {
                self.put(&key, Content::Text(value));
                self.keys.get_mut(&key).unwrap().ttl = Some(u64::from(*ttl));
                self.given.insert(key.clone(), at);
            }
            action => self.change(&key, action, value),
        }
        let outcome = match fate {
            0 => Outcome::Fail(self.name("refused")),
            1 | 2 => Outcome::Unknown(self.name("timed out")),
            _ => Outcome::Ok(reply),
        };
        let operation = Operation {
            client: token.client,
            node: self.name(if first { "p1" } else { "p2" }),
            proxied: false,
            database: 0,
            confirmed: 0,
            key: self.name(&key),
            action,
            invoked: Moment(at),
            completed: Moment(at + 1_000_000),
            outcome,
        };
        self.history.operations.push(operation);
    }

    fn put(&mut self, key: &str, content: Content) {
        self.keys
            .insert(key.to_owned(), Held { content, ttl: None });
    }

    fn change(&mut self, key: &str, action: &Action, value: String) {
        let empty = match action {
            Action::Increment(_) => Content::Text("0".to_owned()),
            Action::Append(_) => Content::Text(String::new()),
            Action::Add(_) => Content::Set(Vec::new()),
            Action::PutField(..) => Content::Hash(BTreeMap::new()),
            Action::Score(..) => Content::Ranking(BTreeMap::new()),
            _ => Content::List(Vec::new()),
        };
        let held = self.keys.entry(key.to_owned());
        let held = held.or_insert(Held {
            content: empty,
            ttl: None,
        });
        match (&mut held.content, action) {
            (Content::Text(text), Action::Increment(by)) => {
                *text = (text.parse::<i64>().unwrap() + i64::from(*by)).to_string();
            }
            (Content::Text(text), _) => text.push_str(&format!("{value};")),
            (Content::List(values) | Content::Set(values), _) => values.push(value),
            (Content::Hash(fields), Action::PutField(field, _)) => {
                fields.insert(field.to_string(), value);
            }
            (Content::Ranking(members), Action::Score(score, _)) => {
                members.insert(value, score.to_string());
            }
            other => unreachable!("{other:?}"),
        }
    }
}

/// What goes wrong with one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Corruption {
    /// It is dropped from one node.
    DropOnOne,
    /// An acknowledged write is dropped everywhere.
    Drop,
    /// An older value is put back everywhere.
    Older,
    /// A deleted key is back everywhere.
    Resurrect,
    /// An element is there twice.
    Duplicate,
    /// A counter counts one increment twice.
    CountTwice,
    /// Its time to live is gone.
    StripTtl,
    /// It has a time to live that nobody gave.
    InventTtl,
    /// It is in another database.
    WrongDatabase,
    /// Only a part of a transaction is there.
    HalfATransaction,
    /// A value that nobody wrote.
    Strange,
    /// The two last elements of a client are swapped.
    Swap,
}

use Corruption::*;

const CORRUPTIONS: &[(Corruption, &str)] = &[
    (DropOnOne, "convergence"),
    (Drop, "acknowledged"),
    (Older, "explainable"),
    (Resurrect, "deletes-stay"),
    (Duplicate, "exactly-once"),
    (CountTwice, "exactly-once"),
    (StripTtl, "expires"),
    (InventTtl, "expires"),
    (WrongDatabase, "acknowledged"),
    (HalfATransaction, "transactions"),
    (Strange, "explainable"),
    (Swap, "exactly-once"),
];

impl Corruption {
    /// Works on the keys of the last steps, which are known to be acknowledged.
    fn on(self, history: &History, finals: &mut Finals, choice: usize) {
        let written = |key: &str| -> Vec<String> {
            let key = history.names.find(key);
            let of_it = history
                .operations
                .iter()
                .filter(|operation| Some(operation.key) == key);
            let sure = of_it.filter(|operation| matches!(operation.outcome, Outcome::Ok(_)));
            let tokens =
                sure.filter_map(|operation| super::super::effect::brings(&operation.action));
            tokens.map(|token| token.to_string()).collect()
        };
        let any = ["x9", "y9", "t9", "l9", "s9", "e9", "h9", "z9", "m9"];
        let grown = ["t9", "l9", "e9"];
        for (position, data) in finals.nodes.values_mut().enumerate() {
            let keys = data.keys.get_mut(&0).unwrap();
            let text = |value: &str| Held {
                content: Content::Text(value.to_owned()),
                ttl: None,
            };
            match self {
                DropOnOne if position != 1 => {}
                DropOnOne | Drop => {
                    keys.remove(any[choice % any.len()]);
                }
                Older => {
                    let values = written("x9");
                    keys.insert("x9".to_owned(), text(&values[values.len() - 2]));
                }
                Resurrect => {
                    keys.insert("d9".to_owned(), text(written("d9").last().unwrap()));
                }
                Duplicate | Swap => {
                    let held = keys.get_mut(grown[choice % grown.len()]).unwrap();
                    let change = |values: &mut Vec<String>| match self {
                        Swap => {
                            let last = values.len() - 1;
                            values.swap(last, last - 1);
                        }
                        _ => values.push(values[choice % values.len()].clone()),
                    };
                    match &mut held.content {
                        Content::List(values) => change(values),
                        Content::Text(text) => {
                            let mut values: Vec<String> =
                                text.split_terminator(';').map(str::to_owned).collect();
                            change(&mut values);
                            *text = values.join(";") + ";";
                        }
                        other => unreachable!("{other:?}"),
                    }
                }
                CountTwice => {
                    let Content::Text(text) = &mut keys.get_mut("c9").unwrap().content else {
                        unreachable!()
                    };
                    // Unanswered ones make room for some, each of 6.
                    *text = (text.parse::<i64>().unwrap() + 6_000).to_string();
                }
                StripTtl => keys.get_mut("y9").unwrap().ttl = None,
                InventTtl => keys.get_mut("x9").unwrap().ttl = Some(500_000),
                WrongDatabase => {
                    let key = any[choice % any.len()];
                    let held = keys.remove(key).unwrap();
                    let other = data.keys.entry(3).or_default();
                    other.insert(key.to_owned(), held);
                }
                HalfATransaction => {
                    let values = written("m9");
                    keys.insert("n9".to_owned(), text(&values[values.len() - 2]));
                }
                Strange => {
                    keys.insert("x9".to_owned(), text("v77.77"));
                }
            }
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(
        (
            0..KINDS,
            prop::sample::select(vec![1u8, 2, 9]),
            any::<bool>(),
            0..12u8,
        ),
        0..80,
    )
}

fn broken(history: &History, finals: &Finals) -> Vec<String> {
    let judgements = judge_all(Input::new(history, finals)).into_iter();
    let broken = judgements.filter(|judgement| judgement.finding.verdict == Verdict::Broken);
    broken
        .map(|judgement| {
            format!(
                "{}: {}",
                judgement.finding.check, judgement.finding.evidence
            )
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_store_that_keeps_its_promises_is_never_red(steps in steps()) {
        let (history, finals) = Store::run(&steps);
        let broken = broken(&history, &finals);
        prop_assert!(broken.is_empty(), "{broken:?}");
    }

    #[test]
    fn one_corruption_makes_the_right_property_red(
        steps in steps(), which in 0..CORRUPTIONS.len(), choice in any::<usize>(),
    ) {
        let (corruption, property) = CORRUPTIONS[which];
        let (history, mut finals) = Store::run(&steps);
        corruption.on(&history, &mut finals, choice);
        let broken = broken(&history, &finals);
        let red = broken.iter().any(|text| text.starts_with(property));
        prop_assert!(red, "{corruption:?}: {broken:?}");
    }
}

#[test]
fn every_property_of_the_data_is_exercised_by_it() {
    let (history, finals) = Store::run(&[]);
    let silent: Vec<&str> = judge_all(Input::new(&history, &finals))
        .iter()
        .filter(|judgement| judgement.finding.verdict == Verdict::Inconclusive)
        .map(|judgement| named(&judgement.finding.check).unwrap().name)
        .collect();
    let wanted = ["messages", "availability", "topology-states", "quiet"];
    assert_eq!(silent, wanted);
}
