//! A folder from a recorded history: the last writes of a key that ended wrong, in their order and
//! on their nodes, the faults in between, and what each node held.
//!
//! What it shows may have been a race: a folder that does not reproduce proves nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::script::quoted;
use super::{Folder, MOST_LINES, Plan, ReproductionError, Script, image, readme};
use crate::history::{Action, Content, Fate, Moment, Name, Operation, Phase, Saved, Subject};
use crate::judge::judge;
use crate::spec::KeydbSpec;
use crate::topology::{Role, Topology};
use crate::verdict::Verdict;

/// What judges the same of a history under another name than in a scenario.
const CALLED: &[(&str, &str)] = &[("agreement", "convergence"), ("expiries", "expires")];

/// The folder for a check that is broken in a history.
///
/// # Errors
/// [`ReproductionError::NotDerived`] if the history does not tell a key, or nothing was written to
/// it; those of [`Folder::of`].
pub fn folder(
    saved: &Saved,
    check: &str,
    name: &str,
    keydb: Option<&KeydbSpec>,
) -> Result<Folder, ReproductionError> {
    Folder::of(&plan(saved, check, name, keydb)?)
}

/// As [`folder`], before it is rendered.
///
/// # Errors
/// As [`folder`].
pub fn plan(
    saved: &Saved,
    check: &str,
    name: &str,
    keydb: Option<&KeydbSpec>,
) -> Result<Plan, ReproductionError> {
    let property = CALLED
        .iter()
        .find(|(called, _)| *called == check)
        .map_or(check, |(_, property)| property);
    let judgements = judge(saved);
    let broken = judgements.iter().map(|judgement| &judgement.finding);
    let finding = broken
        .into_iter()
        .find(|finding| finding.check == property && finding.verdict == Verdict::Broken)
        .ok_or_else(|| no(format!("the history does not break {property}")))?;
    let (database, key) =
        subject(&finding.state).ok_or_else(|| no(format!("{property} is about no single key")))?;
    let slot = Slot {
        saved,
        database,
        key,
    };
    let topology = topology(saved)?;
    let (script, expected) = slot.script(&topology)?;
    let image = match keydb {
        Some(keydb) => image(keydb)?,
        None => super::folder::official(crate::spec::DEFAULT_KEYDB),
    };
    let title = format!("{check}: {key} ended wrong");
    let mut readme = format!(
        "# {title}\n\nDerived by keydb-harness from the history of `{}`, seed {}. It repeats the last writes of this key, with \
         the faults that came between them, one after the other; where the servers raced, it **may not reproduce**: exit status 1 \
         proves nothing.\n\n**Promised:** {}.\n\n**Found:** {}\n\n",
        saved.identity, saved.seed, finding.promise, finding.evidence
    );
    let _ = write!(
        readme,
        "```text\n{}\n```\n\n{}\n## What was seen\n\n```text\n{}\n```\n",
        finding.state.trim_end(),
        readme::running(script.lines()),
        expected.join("\n")
    );
    Ok(Plan {
        name: project(name),
        title,
        topology,
        image,
        script,
        expected,
        readme,
    })
}

fn no(why: String) -> ReproductionError {
    ReproductionError::NotDerived(why)
}

/// The key that a trace is about, and its database: a trace begins with `key: ` or
/// `key (database 3): `.
fn subject(trace: &str) -> Option<(u8, &str)> {
    let (key, _) = trace.split_once(": ")?;
    let in_another = key
        .strip_suffix(')')
        .and_then(|key| key.rsplit_once(" (database "));
    Some(match in_another {
        Some((key, database)) => (database.parse().ok()?, key),
        None => (0, key),
    })
}

/// Small letters, digits and `-`, as a Compose project wants them.
fn project(name: &str) -> String {
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '-',
    };
    name.chars().map(plain).collect()
}

/// The cluster of a history, by its nodes' names.
fn topology(saved: &Saved) -> Result<Topology, ReproductionError> {
    let called = |what: &str| {
        let nodes = saved.persistence.keys();
        nodes.filter(|name| name.starts_with(what)).count()
    };
    let (primaries, replicas) = (called("primary"), called("replica"));
    let builder = Topology::mesh(primaries)
        .replicas(replicas)
        .option("repl-ping-replica-period", "1")
        .option("repl-timeout", "5");
    let builder = match replicas {
        0 => builder.without_proxy(),
        _ => builder,
    };
    let mut topology = builder.build()?;
    for node in &mut topology.nodes {
        if let Some(persistence) = saved.persistence.get(&node.name) {
            node.persistence = *persistence;
        }
    }
    Ok(topology)
}

/// A key of a history.
struct Slot<'a> {
    saved: &'a Saved,
    database: u8,
    key: &'a str,
}

/// Something to be repeated.
enum Happening<'a> {
    Write(&'a Operation),
    Fault { fault: &'a str, nodes: Vec<&'a str> },
    Recovery { fault: &'a str, nodes: Vec<&'a str> },
}

impl<'a> Slot<'a> {
    /// The steps, and what was seen.
    fn script(&self, topology: &Topology) -> Result<(Script, Vec<String>), ReproductionError> {
        let primaries: Vec<&str> = topology.primaries().map(|node| &*node.name).collect();
        let nodes: Vec<&str> = topology.nodes.iter().map(|node| &*node.name).collect();
        let seen: Vec<&str> = nodes
            .iter()
            .copied()
            .filter(|node| self.saved.finals.nodes.contains_key(*node))
            .collect();
        let first = *primaries
            .first()
            .ok_or_else(|| no("no primary".to_owned()))?;

        let writes = self.writes();
        if writes.is_empty() {
            return Err(no(format!("nothing acknowledged wrote {}", self.key)));
        }
        let faults = self.faults();
        let partitions = faults
            .iter()
            .filter(
                |(_, it)| matches!(it, Happening::Fault { fault, .. } if fault.starts_with("cut ")),
            )
            .count();
        // Everybody is in touch before and after, everybody is asked, and partitions are waited for.
        let fixed = 2 * nodes.len() + seen.len() + partitions * primaries.len();
        let room = MOST_LINES.saturating_sub(fixed).max(1);
        let mut happenings: Vec<(Moment, Happening<'_>)> = writes
            .iter()
            .rev()
            .take(room)
            .map(|operation| (operation.invoked, Happening::Write(operation)))
            .collect();
        let left_out = writes.len() - happenings.len();
        happenings.extend(faults);
        happenings.sort_by_key(|(at, _)| *at);

        let mut script = in_touch(Script::new(), first, &nodes, &primaries);
        if left_out > 0 {
            script = script.say(format!(
                "{left_out} earlier writes of the key are left out."
            ));
        }
        let mut away: BTreeSet<&str> = BTreeSet::new();
        for (at, happening) in &happenings {
            script = match happening {
                Happening::Write(operation) => {
                    let asked = self.saved.history.names.text(operation.node);
                    let serves = |node: &&str| !away.contains(*node);
                    let node = match primaries.iter().find(|node| **node == asked) {
                        Some(node) => Some(*node).filter(serves),
                        None => primaries.iter().copied().find(|node| serves(node)),
                    };
                    match node {
                        Some(node) => script
                            .say(format!("{at}"))
                            .typed(node, self.typed(operation)),
                        None => script.say(format!("{at}: a write on {asked}, which is away")),
                    }
                }
                Happening::Fault { fault, nodes } => {
                    let struck = struck(nodes, topology);
                    let script = script.say(format!("{at}: {fault}"));
                    match (repeated(fault), struck) {
                        (Some(Repeated::Partition), Some(node)) => {
                            let script = script.leave(node);
                            match fault.starts_with("cut ") {
                                true => script.links_down(&primaries),
                                false => script,
                            }
                        }
                        (Some(Repeated::Pause), Some(node)) => {
                            away.insert(node);
                            script.pause(node)
                        }
                        (Some(Repeated::Kill), Some(node)) => {
                            away.insert(node);
                            script.kill(node)
                        }
                        (Some(Repeated::Stop), Some(node)) => {
                            away.insert(node);
                            script.stop(node)
                        }
                        _ => script.say("This is not repeated here."),
                    }
                }
                Happening::Recovery { fault, nodes } => {
                    let struck = struck(nodes, topology);
                    let script = script.say(format!("{at}: no more {fault}"));
                    match (repeated(fault), struck) {
                        (Some(Repeated::Partition), Some(node)) => script.join(node),
                        (Some(Repeated::Pause), Some(node)) => {
                            away.remove(node);
                            script.unpause(node)
                        }
                        (Some(Repeated::Kill | Repeated::Stop), Some(node)) => {
                            away.remove(node);
                            script.start(node)
                        }
                        _ => script,
                    }
                }
            };
        }
        let there = |node: &&str| !away.contains(*node);
        let nodes: Vec<&str> = nodes.into_iter().filter(there).collect();
        let primaries: Vec<&str> = primaries.into_iter().filter(there).collect();
        if let Some(first) = primaries.first() {
            script = in_touch(script, first, &nodes, &primaries);
        }
        let mut expected = Vec::new();
        let question = self.question(&writes, &seen);
        for node in seen.into_iter().filter(there) {
            let (command, answer) = (question.command(self), question.answer(self.held(node)));
            expected.push(format!("{node} {command}: {answer}"));
            script = script.ask(node, command);
        }
        Ok((script, expected))
    }

    fn held(&self, node: &str) -> Option<&'a Content> {
        let data = self.saved.finals.nodes.get(node)?;
        let held = data.keys.get(&self.database)?.get(self.key)?;
        Some(&held.content)
    }

    /// What was acknowledged and changes the key, in the order in which it was sent.
    fn writes(&self) -> Vec<&'a Operation> {
        let history = &self.saved.history;
        let Some(name) = history.names.find(self.key) else {
            return Vec::new();
        };
        let mut writes: Vec<&Operation> = history
            .operations
            .iter()
            .filter(|operation| {
                operation.database == self.database
                    && operation.outcome.fate() == Fate::Ok
                    && changes(operation, name)
            })
            .collect();
        writes.sort_by_key(|operation| operation.invoked);
        writes
    }

    fn faults(&self) -> Vec<(Moment, Happening<'a>)> {
        let names = &self.saved.history.names;
        let events = self.saved.history.events.iter();
        events
            .filter_map(|event| {
                let Subject::Fault {
                    fault,
                    nodes,
                    phase,
                    ..
                } = &event.subject
                else {
                    return None;
                };
                let fault = names.text(*fault);
                let nodes: Vec<&str> = nodes.iter().map(|node| names.text(*node)).collect();
                let happening = match phase {
                    Phase::Bites => Happening::Fault { fault, nodes },
                    Phase::Recovering => Happening::Recovery { fault, nodes },
                    _ => return None,
                };
                Some((event.at, happening))
            })
            .collect()
    }

    /// A write as it is typed.
    fn typed(&self, operation: &Operation) -> String {
        let key = quoted(self.key);
        let names = &self.saved.history.names;
        let command = match &operation.action {
            Action::Set(value) => format!("SET {key} {value}"),
            Action::SetFor(value, ttl) => format!("SET {key} {value} PX {ttl}"),
            Action::Delete => format!("DEL {key}"),
            Action::Expire(ttl) => format!("PEXPIRE {key} {ttl}"),
            Action::Increment(by) => format!("INCRBY {key} {by}"),
            Action::Append(value) => format!("APPEND {key} '{value};'"),
            Action::Push(value) => format!("RPUSH {key} {value}"),
            Action::Add(value) => format!("SADD {key} {value}"),
            Action::Remove(value) => format!("SREM {key} {value}"),
            Action::PutField(field, value) => format!("HSET {key} f{field} {value}"),
            Action::Score(score, value) => format!("ZADD {key} {score} {value}"),
            Action::Log(value) => format!("XADD {key} '*' value {value}"),
            Action::SetAll(keys, value) | Action::ScriptSetAll(keys, value) => {
                let pairs = keys
                    .iter()
                    .map(|key| format!("{} {value}", quoted(names.text(*key))));
                format!("MSET {}", pairs.collect::<Vec<_>>().join(" "))
            }
            // These change nothing, and are none of the writes.
            Action::Get
            | Action::List
            | Action::Members
            | Action::Fields
            | Action::Ranking
            | Action::Entries
            | Action::GetAll(_)
            | Action::Publish(_) => "PING".to_owned(),
        };
        self.within(command)
    }

    /// A command in the key's database.
    fn within(&self, command: String) -> String {
        match self.database {
            0 => command,
            database => format!("-n {database} {command}"),
        }
    }

    /// How the key is read, by what its writers make of it, or else by what it is.
    fn question(&self, writes: &[&Operation], seen: &[&str]) -> Question {
        let made = writes.iter().rev().find_map(|write| match write.action {
            Action::Push(_) => Some(Question::List),
            Action::Add(_) | Action::Remove(_) => Some(Question::Set),
            Action::PutField(..) => Some(Question::Hash(self.fields(writes, seen))),
            Action::Score(..) => Some(Question::Ranking),
            Action::Log(_) => Some(Question::Stream),
            Action::Delete | Action::Expire(_) => None,
            _ => Some(Question::Text),
        });
        made.unwrap_or_else(|| {
            let content = seen.iter().find_map(|node| self.held(node));
            match content {
                Some(Content::List(_)) => Question::List,
                Some(Content::Set(_)) => Question::Set,
                Some(Content::Hash(_)) => Question::Hash(self.fields(writes, seen)),
                Some(Content::Ranking(_)) => Question::Ranking,
                Some(Content::Text(_)) | None => Question::Text,
            }
        })
    }

    /// Every field that was written or is held.
    fn fields(&self, writes: &[&Operation], seen: &[&str]) -> Vec<String> {
        let written = writes.iter().filter_map(|write| match write.action {
            Action::PutField(field, _) => Some(format!("f{field}")),
            _ => None,
        });
        let held = seen.iter().filter_map(|node| match self.held(node) {
            Some(Content::Hash(fields)) => Some(fields.keys().cloned()),
            _ => None,
        });
        let all: BTreeSet<String> = written.chain(held.flatten()).collect();
        all.into_iter().collect()
    }
}

/// Everybody hears `first`, and the primaries are heard by it.
fn in_touch(script: Script, first: &str, nodes: &[&str], primaries: &[&str]) -> Script {
    let others = nodes.iter().filter(|node| **node != first);
    let script = others.fold(script, |script, node| script.arrives(first, node));
    let peer = primaries.iter().find(|node| **node != first);
    peer.into_iter()
        .fold(script, |script, peer| script.arrives(peer, first))
}

/// Whether an operation changes a key, if it is done.
fn changes(operation: &Operation, key: Name) -> bool {
    match &operation.action {
        Action::SetAll(keys, _) | Action::ScriptSetAll(keys, _) => {
            operation.key == key || keys.contains(&key)
        }
        Action::Get
        | Action::List
        | Action::Members
        | Action::Fields
        | Action::Ranking
        | Action::Entries
        | Action::GetAll(_)
        | Action::Publish(_) => false,
        _ => operation.key == key,
    }
}

/// How a fault is repeated with Docker alone.
enum Repeated {
    Partition,
    Pause,
    Kill,
    Stop,
}

/// By the name that a fault has in a history. What a network cannot do by being gone, and what
/// befalls the proxy, is not repeated.
fn repeated(fault: &str) -> Option<Repeated> {
    let begins = |words: &[&str]| words.iter().any(|word| fault.starts_with(word));
    if begins(&["cut ", "black hole", "one way", "refuse new", "delay by"]) {
        Some(Repeated::Partition)
    } else if begins(&["pause "]) {
        Some(Repeated::Pause)
    } else if begins(&["kill "]) {
        Some(Repeated::Kill)
    } else if begins(&["stop "]) {
        Some(Repeated::Stop)
    } else {
        None
    }
}

/// The node that is struck: of a link, a replica rather than a primary, and the last one else.
fn struck<'t>(nodes: &[&str], topology: &'t Topology) -> Option<&'t str> {
    let known = || {
        topology
            .nodes
            .iter()
            .filter(|node| nodes.contains(&&*node.name))
    };
    let replica = known().find(|node| node.role == Role::Replica);
    replica
        .or_else(|| known().next_back())
        .map(|node| &*node.name)
}

/// How a key is read so that equal contents print alike.
enum Question {
    Text,
    List,
    Set,
    Hash(Vec<String>),
    Ranking,
    Stream,
}

impl Question {
    fn command(&self, slot: &Slot<'_>) -> String {
        let key = quoted(slot.key);
        slot.within(match self {
            Self::Text => format!("GET {key}"),
            Self::List => format!("LRANGE {key} 0 -1"),
            Self::Set => format!("SORT {key} ALPHA"),
            Self::Hash(fields) => format!("HMGET {key} {}", fields.join(" ")),
            Self::Ranking => format!("ZRANGE {key} 0 -1 WITHSCORES"),
            Self::Stream => format!("XLEN {key}"),
        })
    }

    /// The answer of a node that holds this, on one line.
    fn answer(&self, content: Option<&Content>) -> String {
        const NOTHING: &str = "(nothing)";
        let words: Vec<String> = match (self, content) {
            (Self::Stream, Some(Content::List(entries))) => vec![entries.len().to_string()],
            (Self::Stream, _) => vec!["0".to_owned()],
            (Self::Hash(fields), content) => {
                let value = |field: &String| match content {
                    Some(Content::Hash(held)) => held.get(field).cloned(),
                    _ => None,
                };
                let values = fields.iter().map(value);
                values
                    .map(|value| value.unwrap_or_else(|| NOTHING.to_owned()))
                    .collect()
            }
            (_, None) => vec![NOTHING.to_owned()],
            (_, Some(Content::Text(text))) => vec![text.clone()],
            (_, Some(Content::List(items) | Content::Set(items))) => items.clone(),
            (_, Some(Content::Hash(fields))) => fields.values().cloned().collect(),
            (_, Some(Content::Ranking(scores))) => {
                let mut ranked: Vec<(f64, &String, &String)> = scores
                    .iter()
                    .map(|(member, score)| (score.parse().unwrap_or(f64::NAN), member, score))
                    .collect();
                ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)));
                let words = ranked.into_iter();
                words
                    .flat_map(|(_, member, score)| [member.clone(), score.clone()])
                    .collect()
            }
        };
        words.join(" ")
    }
}

#[cfg(test)]
mod tests;
