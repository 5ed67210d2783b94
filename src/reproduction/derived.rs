//! A folder from a recorded history: the last writes of a key that ended wrong, in their order and
//! on their nodes, the faults in between, and what each node held.
//!
//! What it shows may have been a race: a folder that does not reproduce proves nothing.

mod question;
mod repeated;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use self::question::Question;
use self::repeated::{Repeated, repeated, struck};
use super::script::quoted;
use super::{Folder, MOST_LINES, Plan, ReproductionError, Script, image, readme};
use crate::history::{Action, Content, Fate, Moment, Name, Operation, Phase, Saved, Subject};
use crate::judge::judge;
use crate::spec::KeydbSpec;
use crate::topology::Topology;
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
        readme::running(&script),
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
    /// A command, and the node that was asked.
    Write {
        typed: String,
        asked: &'a str,
    },
    Fault {
        fault: &'a str,
        nodes: Vec<&'a str>,
    },
    Recovery {
        fault: &'a str,
        nodes: Vec<&'a str>,
    },
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
            .filter_map(|operation| Some((operation.invoked, self.typed(operation)?)))
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
                Happening::Write { typed, asked } => {
                    let serves = |node: &&str| !away.contains(*node);
                    let node = match primaries.iter().find(|node| *node == asked) {
                        Some(node) => Some(*node).filter(serves),
                        None => primaries.iter().copied().find(|node| serves(node)),
                    };
                    match node {
                        Some(node) => script.say(format!("{at}")).typed(node, typed),
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
        let held: Vec<&Content> = seen.iter().filter_map(|node| self.held(node)).collect();
        let question = Question::of(&writes, &held);
        let mut answers = BTreeSet::new();
        for node in seen.into_iter().filter(there) {
            let command = self.within(question.command(&quoted(self.key)));
            let answer = question.answer(self.held(node));
            expected.push(format!("{node} {command}: {answer}"));
            script = script.ask(node, command);
            answers.insert(answer);
        }
        // What they answer depends on earlier writes too, which may be left out.
        if answers.len() > 1 {
            script = script.apart();
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
                    && operation.action.is_write()
                    && touches(operation, name)
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

    /// A write to be repeated.
    fn typed(&self, operation: &Operation) -> Option<Happening<'a>> {
        let names = &self.saved.history.names;
        let typed = operation
            .action
            .typed(&quoted(self.key), |key| quoted(names.text(key)))?;
        Some(Happening::Write {
            typed: self.within(typed),
            asked: names.text(operation.node),
        })
    }

    /// A command in the key's database.
    fn within(&self, command: String) -> String {
        match self.database {
            0 => command,
            database => format!("-n {database} {command}"),
        }
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

/// Whether a key is among those of an operation.
fn touches(operation: &Operation, key: Name) -> bool {
    let others: &[Name] = match &operation.action {
        Action::SetAll(keys, _) | Action::ScriptSetAll(keys, _) => keys,
        _ => &[],
    };
    operation.key == key || others.contains(&key)
}

#[cfg(test)]
mod tests;
