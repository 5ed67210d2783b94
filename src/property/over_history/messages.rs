//! Messages of channels: heard as they were published, at most once, in their publisher's order, on
//! every node while all links are up.
//!
//! KeyDB's documentation (pubsub): 'Messages sent by other clients to these channels will be pushed
//! by KeyDB to all the subscribed clients'; it promises no second attempt, so what is published while
//! a fault lasts may be lost (Q7). Measured on 6.3.4, 6.2.2 and 6.0.18, pairs, meshes and rings of
//! three and their replicas: what is published on a primary is heard once on every node, in order;
//! what is published on a replica is heard on that replica only.
//!
//! That a message was missed is told by what came after it on the same way: one that was published
//! later on the same node and was heard. No clock decides, but for a subscription that hears nothing
//! more at all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::breach::Breaches;
use super::exposure::followers;
use super::index::{Index, Standing};
use super::input::Case;
use super::judgement::{Gathered, Judgement};
use crate::history::{Action, Event, Moment, Name, Names, Outcome, Phase, Reply, Subject, Token};
use crate::topology::PROXY;

/// Its name in the table.
pub const NAME: &str = "messages";
/// What is promised.
pub const PROMISE: &str = "every message is heard as it was published, at most once, in order, and where all is well everywhere";

/// How long a subscription that hears nothing more is given.
const SILENCE: Duration = Duration::from_secs(10);
/// How much earlier than it was seen a link may have broken, and how much later all flows again.
const AROUND: Duration = Duration::from_secs(1);

/// A message that was published.
#[derive(Debug, Clone, Copy)]
struct Published {
    number: u32,
    node: Name,
    /// Nanoseconds.
    invoked: u64,
    completed: u64,
}

/// A connection that listened.
#[derive(Debug, Default)]
struct Subscription {
    node: Option<Name>,
    from: u64,
    to: u64,
    /// When which message was heard first.
    heard: HashMap<Token, u64>,
}

/// Judges it.
pub fn judge(case: &Case<'_>) -> Judgement {
    let mut breaches = Breaches::default();
    let published = published(case);
    let (subscriptions, heard) = heard(case, &published, &mut breaches);
    let due = missed(case, &published, &subscriptions, &mut breaches);
    Gathered {
        check: NAME,
        promise: PROMISE,
        what: "messages that were heard or had to be",
        n: heard + due,
        breaches,
        note: format!(
            "{} published, {} subscriptions, {due} times had one to be heard",
            published.len(),
            subscriptions.len()
        ),
        measures: Vec::new(),
    }
    .concluded(case)
}

/// Every message that may have been published, or was refused.
fn published(case: &Case<'_>) -> HashMap<Token, Published> {
    let operations = (0u32..).zip(&case.input.history.operations);
    let messages = operations.filter_map(|(number, operation)| match operation.action {
        Action::Publish(token) => Some((
            token,
            Published {
                number,
                node: operation.node,
                invoked: operation.invoked.0,
                completed: operation.completed.0,
            },
        )),
        _ => None,
    });
    messages.collect()
}

/// What every subscription heard, by its client, and how much that was in all.
fn heard(
    case: &Case<'_>,
    published: &HashMap<Token, Published>,
    breaches: &mut Breaches,
) -> (HashMap<u32, Subscription>, usize) {
    let index = &case.index;
    let names = &case.input.history.names;
    let proxy = names.find(PROXY);
    let mut subscriptions: HashMap<u32, Subscription> = HashMap::new();
    // By subscription, publisher and node: the message that was heard last.
    let mut last: HashMap<(u32, u32, Name), Token> = HashMap::new();
    let mut count = 0;
    for (number, operation) in (0u32..).zip(&case.input.history.operations) {
        if !matches!(operation.action, Action::Hear | Action::Subscribe) {
            continue;
        }
        let subscription = subscriptions.entry(operation.client).or_default();
        if operation.action == Action::Subscribe {
            subscription.node = Some(operation.node);
            (subscription.from, subscription.to) = (operation.invoked.0, operation.completed.0);
            continue;
        }
        count += 1;
        let hearing = || index.told(number);
        let token = match operation.outcome {
            Outcome::Ok(Reply::Value(token)) => token,
            Outcome::Ok(Reply::Foreign(text)) => {
                breaches.add(1, None, || {
                    format!(
                        "{} was '{}': nobody published that",
                        hearing(),
                        names.text(text)
                    )
                });
                continue;
            }
            _ => continue,
        };
        let channel = |number: u32| index.operation(number).key;
        let source = published.get(&token);
        let Some(source) = source.filter(|source| channel(source.number) == operation.key) else {
            breaches.add(1, None, || {
                let channel = names.text(operation.key);
                format!(
                    "{} was {token} on {channel}: nobody published that",
                    hearing()
                )
            });
            continue;
        };
        if index.standing(source.number) == Standing::Failed {
            breaches.add(2, None, || {
                format!(
                    "{} was {token}, though refused: {}",
                    hearing(),
                    index.told(source.number)
                )
            });
        }
        let at = operation.completed.0;
        if let Some(first) = subscription.heard.get(&token) {
            let first = Moment(*first);
            breaches.add(2, None, || {
                let of = index.told(source.number);
                format!(
                    "{} was {token} for the second time, after {first}: {of}",
                    hearing()
                )
            });
            continue;
        }
        subscription.heard.insert(token, at);
        // Where it was published is not known, or whether it was at all then.
        if Some(source.node) == proxy || !is_sure(index, source.number) {
            continue;
        }
        let way = (operation.client, token.client, source.node);
        let before = last.insert(way, token);
        if let Some(before) = before.filter(|before| before.number > token.number) {
            breaches.add(3, None, || {
                let of = index.told(source.number);
                format!(
                    "{} was {token}, after {before}, which came later: {of}",
                    hearing()
                )
            });
        }
    }
    (subscriptions, count)
}

/// Whether a message was acknowledged.
fn is_sure(index: &Index<'_>, number: u32) -> bool {
    matches!(index.standing(number), Standing::Sure | Standing::Excused)
}

/// Looks for acknowledged messages that a subscription did not hear: how many it had to.
fn missed(
    case: &Case<'_>,
    published: &HashMap<Token, Published>,
    subscriptions: &HashMap<u32, Subscription>,
    breaches: &mut Breaches,
) -> usize {
    let index = &case.index;
    let names = &case.input.history.names;
    let troubles = Troubles::of(case);
    let followers = followers(case.input.history);
    // By node, each in the order of their invocation.
    let mut by_node: BTreeMap<Name, Vec<(Token, Published)>> = BTreeMap::new();
    for (token, message) in published {
        if is_sure(index, message.number) {
            by_node
                .entry(message.node)
                .or_default()
                .push((*token, *message));
        }
    }
    for messages in by_node.values_mut() {
        messages.sort_unstable_by_key(|(token, message)| (message.invoked, *token));
    }
    let mut due = 0;
    let mut clients: Vec<&u32> = subscriptions.keys().collect();
    clients.sort_unstable();
    for client in clients {
        let subscription = &subscriptions[client];
        let Some(at) = subscription.node else {
            continue;
        };
        for (node, messages) in &by_node {
            if names.text(*node) == PROXY || (*node != at && followers.contains(node)) {
                continue;
            }
            let from = messages.partition_point(|(_, sent)| sent.invoked < subscription.from);
            let to = messages.partition_point(|(_, sent)| sent.invoked < subscription.to);
            let messages = &messages[from..to];
            // From each message on: when the first of them was heard.
            let mut next = vec![u64::MAX; messages.len() + 1];
            for (place, (token, _)) in messages.iter().enumerate().rev() {
                let heard = subscription.heard.get(token).copied();
                next[place] = next[place + 1].min(heard.unwrap_or(u64::MAX));
            }
            for (token, sent) in messages {
                if subscription.heard.contains_key(token) {
                    due += 1;
                    continue;
                }
                let later = messages.partition_point(|(_, other)| other.invoked < sent.completed);
                let silence = u64::try_from(SILENCE.as_nanos()).unwrap_or(u64::MAX);
                let over = sent.completed.saturating_add(silence);
                let until = next[later].min(if over <= subscription.to {
                    over
                } else {
                    u64::MAX
                });
                if until == u64::MAX || troubles.any(sent.invoked, until) {
                    continue;
                }
                due += 1;
                breaches.add(2, None, || {
                    let of = index.told(sent.number);
                    let why = match next[later] {
                        u64::MAX => format!("nor anything later until {}", Moment(subscription.to)),
                        heard => format!("but one that came later at {}", Moment(heard)),
                    };
                    format!(
                        "subscriber {client} on {} did not hear {token}, {why}: {of}",
                        names.text(at)
                    )
                });
            }
        }
    }
    due
}

/// When a fault lasted, a link was not up or a server did not answer.
#[derive(Debug, Default)]
struct Troubles {
    /// From and to, nanoseconds, sorted; with the latest end up to there.
    spans: Vec<(u64, u64)>,
}

impl Troubles {
    fn of(case: &Case<'_>) -> Self {
        let names = &case.input.history.names;
        let events = &case.input.history.events;
        let around = u64::try_from(AROUND.as_nanos()).unwrap_or(u64::MAX);
        let mut spans: Vec<(u64, u64)> = Vec::new();
        let mut open: BTreeMap<(Name, Name), (u64, &Subject)> = BTreeMap::new();
        let mut silent: HashSet<&str> = HashSet::new();
        for Event { at, subject } in events {
            let Some((whose, lasts)) = trouble(subject, names) else {
                continue;
            };
            if let Subject::State { node, what, .. } = subject
                && names.text(*what) == "answers"
            {
                match lasts {
                    true => silent.insert(names.text(*node)),
                    false => silent.remove(names.text(*node)),
                };
            }
            match lasts {
                true => {
                    open.entry(whose).or_insert((at.0, subject));
                }
                false => spans.extend(open.remove(&whose).map(|(from, _)| (from, at.0))),
            }
        }
        // What a node that stays away leaves behind has come to rest with the last change.
        let last = events.last().map_or(0, |event| event.at.0);
        spans.extend(open.into_values().map(|(from, subject)| {
            let away = match subject {
                Subject::Fault { nodes, .. } => {
                    nodes.iter().all(|node| silent.contains(names.text(*node)))
                }
                Subject::State { node, what, .. } => {
                    let peer = names.text(*what).split_once(' ').map(|(_, peer)| peer);
                    silent.contains(names.text(*node))
                        || peer.is_some_and(|peer| silent.contains(peer))
                }
            };
            (from, if away { last } else { u64::MAX })
        }));
        for (from, to) in &mut spans {
            (*from, *to) = (from.saturating_sub(around), to.saturating_add(around));
        }
        spans.sort_unstable();
        let mut latest = 0;
        for (_, to) in &mut spans {
            latest = latest.max(*to);
            *to = latest;
        }
        Self { spans }
    }

    /// Whether there was any between two moments.
    fn any(&self, from: u64, to: u64) -> bool {
        let begun = self.spans.partition_point(|(begin, _)| *begin <= to);
        let latest = self.spans[..begun].last();
        latest.is_some_and(|(_, end)| *end >= from)
    }
}

/// Which trouble an event is about, and whether it lasts from then on.
fn trouble(subject: &Subject, names: &Names) -> Option<((Name, Name), bool)> {
    match subject {
        Subject::Fault { fault, phase, .. } => {
            let lasts = !matches!(phase, Phase::Healed | Phase::Toothless);
            Some(((*fault, *fault), lasts))
        }
        Subject::State { node, what, value } => {
            let well = match names.text(*what).split(' ').next() {
                Some("answers") => "yes",
                Some("link") => "up",
                Some("loading" | "sync") => "no",
                _ => return None,
            };
            Some(((*node, *what), names.text(*value) != well))
        }
    }
}
