//! The way of a write over the links: sent over which and when, arrived or not, overwritten by what.
//!
//! A write that brings a value into the world is known by it. Others (`DEL`, `PEXPIRE`) are taken to
//! be the first command of their kind on the key that came to a relay after they were invoked. What
//! a node answers to what it hears cannot be seen in the stream: a write that arrived and is not
//! there was refused, or overwritten.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::effect::{Effect, brings, effect};
use super::index::Standing;
use super::input::Case;
use crate::history::{Action, Content, Crossed, Crossing, Moment, Name, Token};

/// How many crossings are named.
const MOST: usize = 6;

/// What relays saw of a key: the way of one write on it, then how many on each link did not simply
/// pass. Nothing if there were no relays.
pub(super) fn told(case: &Case<'_>, slot: usize, write: Option<u32>) -> String {
    let all = case.input.crossings;
    if all.is_empty() {
        return String::new();
    }
    let of = case.index.slots[slot];
    let of_key = |crossing: &&Crossing| crossing.key.is_some() && crossing.key == of.name;
    let crossings: Vec<&Crossing> = all.iter().filter(of_key).collect();
    if crossings.is_empty() {
        return format!(" No relay saw it cross{}.", forgotten(case));
    }
    let way = Way {
        case,
        slot,
        links: links(case),
        crossings,
    };
    let mut text = String::new();
    if let Some(write) = write {
        way.of(write, &mut text);
    }
    way.summary(&mut text);
    text
}

/// What may be missing.
fn forgotten(case: &Case<'_>) -> String {
    match (case.input.forgotten, case.input.crossings.first()) {
        (0, _) | (_, None) => String::new(),
        (n, Some(first)) => {
            let from = first.arrived;
            format!(" (they forgot {n} writes from before {from})")
        }
    }
}

/// The links that something crossed: the nodes at their ends.
fn links<'a>(case: &Case<'a>) -> BTreeMap<Name, (&'a str, &'a str)> {
    let names = &case.input.history.names;
    let mut links = BTreeMap::new();
    for crossing in case.input.crossings {
        links.entry(crossing.link).or_insert_with(|| {
            let link = names.text(crossing.link);
            link.split_once("->").unwrap_or((link, ""))
        });
    }
    links
}

struct Way<'c, 'a> {
    case: &'c Case<'a>,
    slot: usize,
    links: BTreeMap<Name, (&'a str, &'a str)>,
    /// On the key, in whatever database.
    crossings: Vec<&'a Crossing>,
}

impl Way<'_, '_> {
    /// One write: the links that it crossed, and each node that does not show it.
    fn of(&self, write: u32, text: &mut String) {
        let index = &self.case.index;
        let operation = index.operation(write);
        let origin = self.name(operation.node);
        let Some(mine) = self.crossings_of(write) else {
            return;
        };
        let what = operation.action.told();
        let told: Vec<String> = mine
            .iter()
            .take(MOST)
            .map(|crossing| {
                let at = crossing.arrived;
                let (link, crossed) = (self.name(crossing.link), self.crossed(crossing.crossed));
                let back = match self.links.get(&crossing.link) {
                    Some((_, to)) if *to == origin => " back",
                    _ => "",
                };
                format!("came{back} over {link} at {at}, {crossed}")
            })
            .collect();
        match told.is_empty() {
            true => {
                let forgotten = forgotten(self.case);
                let _ = write!(text, " {what} came over no link{forgotten}.");
            }
            false => {
                let _ = write!(text, " {what} {}.", told.join("; "));
            }
        }
        for (place, node) in index.nodes.iter().copied().enumerate() {
            let content = index.held(self.slot)[place].map(|held| &held.content);
            if shows(content, write, self.case) != Some(false) {
                continue;
            }
            let into = |link: Name| self.links.get(&link).is_some_and(|(_, to)| *to == node);
            let here = mine.iter().rfind(|crossing| into(crossing.link));
            let (what, since) = match here {
                Some(crossing) => match crossing.crossed.passed() {
                    Some(at) => (format!("it arrived on {node}, and is not there"), Some(at)),
                    None => (
                        format!(
                            "it did not arrive on {node}: {}",
                            self.crossed(crossing.crossed)
                        ),
                        None,
                    ),
                },
                None if node == origin => (
                    format!("{node} acknowledged it, and does not show it"),
                    Some(operation.completed),
                ),
                None if self.links.values().any(|(_, to)| *to == node) => {
                    (format!("it was never sent to {node}"), None)
                }
                None => (format!("no relay stands before {node}"), None),
            };
            let by = since.and_then(|since| self.overwritten(write, node, content, since));
            let by = by.map(|by| format!(": overwritten by {by}"));
            let _ = write!(text, " Then {what}{}.", by.unwrap_or_default());
        }
    }

    /// What relays saw of a write, in the order of its arrival; none if it cannot be told from
    /// others.
    fn crossings_of(&self, write: u32) -> Option<Vec<&Crossing>> {
        let operation = self.case.index.operation(write);
        let all = self.crossings.iter().copied();
        if let Some(token) = brings(&operation.action) {
            let mine =
                all.filter(|crossing| crossing.token == Some(token) && !self.removes_one(crossing));
            return Some(mine.collect());
        }
        let commands: &[&str] = match operation.action {
            Action::Delete => &["DEL", "UNLINK"],
            Action::Expire(_) => &["PEXPIRE", "PEXPIREAT"],
            Action::Remove(_) => &["SREM"],
            _ => return None,
        };
        let value = match operation.action {
            Action::Remove(token) => Some(token),
            _ => None,
        };
        let database = self.case.index.slots[self.slot].database;
        let mut first: BTreeMap<Name, &Crossing> = BTreeMap::new();
        for crossing in all {
            let fits = crossing.database == database
                && crossing.arrived >= operation.invoked
                && commands.contains(&self.name(crossing.command))
                && crossing.token == value;
            if fits {
                first.entry(crossing.link).or_insert(crossing);
            }
        }
        let mut mine: Vec<&Crossing> = first.into_values().collect();
        mine.sort_by_key(|crossing| crossing.arrived);
        Some(mine)
    }

    fn removes_one(&self, crossing: &Crossing) -> bool {
        self.name(crossing.command) == "SREM"
    }

    /// What came to a node later and replaced a write: what it holds now, or else what came first.
    fn overwritten(
        &self,
        write: u32,
        node: &str,
        content: Option<&Content>,
        since: Moment,
    ) -> Option<String> {
        let index = &self.case.index;
        let slot = index.slots[self.slot];
        let now: Option<Token> = match content {
            Some(Content::Text(text)) => text.parse().ok(),
            _ => None,
        };
        let lost = effect(index.operation(write));
        // When, whether it is what is there now, and what it is.
        let mut later: Vec<(Moment, bool, String)> = Vec::new();
        for crossing in &self.crossings {
            let Some(at) = crossing.crossed.passed().filter(|at| *at >= since) else {
                continue;
            };
            let to = self.links.get(&crossing.link).map(|(_, to)| *to);
            let mine = crossing.token.is_some() && crossing.token == brings_of(lost);
            if to != Some(node) || crossing.database != slot.database || mine {
                continue;
            }
            let command = self.name(crossing.command);
            if replaces(lost, command, crossing.token) {
                let token = crossing.token.map(|token| format!(" {token}"));
                let (token, link) = (token.unwrap_or_default(), self.name(crossing.link));
                let is = crossing.token.is_some() && crossing.token == now;
                later.push((
                    at,
                    is,
                    format!("{command}{token}, passed on over {link} at {at}"),
                ));
            }
        }
        for number in index.operations(self.slot).iter().copied() {
            let operation = index.operation(number);
            let there = self.name(operation.node) == node && operation.completed >= since;
            if number == write || !there || index.standing(number) == Standing::Failed {
                continue;
            }
            let token = brings_of(effect(operation));
            let command = match effect(operation) {
                Effect::Set(..) => "SET",
                Effect::Delete => "DEL",
                Effect::Remove(_) => "SREM",
                Effect::Add(_) => "SADD",
                _ => continue,
            };
            if replaces(lost, command, token) {
                let is = token.is_some() && token == now;
                later.push((operation.completed, is, index.told(number)));
            }
        }
        later.sort_by_key(|(at, is, _)| (!is, *at));
        later.into_iter().next().map(|(_, _, told)| told)
    }

    /// On each link: how many writes of the key came, and those that did not simply pass.
    fn summary(&self, text: &mut String) {
        let mut links: Vec<String> = Vec::new();
        for link in self.links.keys() {
            let here = self.crossings.iter().filter(|one| one.link == *link);
            let here: Vec<&&Crossing> = here.collect();
            let strange = |one: &&&&Crossing| !matches!(one.crossed, Crossed::Passed(_));
            let strange: Vec<&&&Crossing> = here.iter().filter(strange).collect();
            if strange.is_empty() {
                continue;
            }
            let named: Vec<String> = strange
                .iter()
                .take(MOST)
                .map(|one| {
                    let token = one.token.map(|token| format!(" {token}"));
                    let (token, at) = (token.unwrap_or_default(), one.arrived);
                    let crossed = self.crossed(one.crossed);
                    format!("{}{token} of {at} {crossed}", self.name(one.command))
                })
                .collect();
            let more = match strange.len() - named.len() {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            links.push(format!(
                "on {} {} of {} writes of this key did not simply pass: {}{more}",
                self.name(*link),
                strange.len(),
                here.len(),
                named.join(", ")
            ));
        }
        if !links.is_empty() {
            let _ = write!(text, " Relays: {}.", links.join("; "));
        }
    }

    fn crossed(&self, crossed: Crossed) -> String {
        match crossed {
            Crossed::Passed(at) => format!("passed on at {at}"),
            Crossed::Overtaken(at) => format!("passed on after a later write at {at}"),
            Crossed::Changed(at, instead) => {
                format!("passed on as `{}` at {at}", self.name(instead))
            }
            Crossed::Repeated(at) => format!("passed on once more at {at}"),
            Crossed::Added(at) => format!("passed on at {at} though nobody sent it"),
            Crossed::Swallowed => "swallowed by the relay's filter".to_owned(),
            Crossed::Discarded => "thrown away by the relay".to_owned(),
            Crossed::Lost(at) => format!("lost with its connection, which was cut at {at}"),
            Crossed::Held => "still held in the relay".to_owned(),
        }
    }

    fn name(&self, name: Name) -> &str {
        self.case.input.history.names.text(name)
    }
}

fn brings_of(effect: Effect) -> Option<Token> {
    match effect {
        Effect::Set(token, _)
        | Effect::Add(token)
        | Effect::Remove(token)
        | Effect::Field(_, token)
        | Effect::Score(_, token) => Some(token),
        Effect::Delete | Effect::Expire(_) | Effect::Increment(_) | Effect::Read => None,
    }
}

/// Whether a command replaces what a write did.
fn replaces(lost: Effect, command: &str, token: Option<Token>) -> bool {
    let sets = ["SET", "SETEX", "PSETEX", "GETSET", "RESTORE"].contains(&command);
    let deletes = ["DEL", "UNLINK"].contains(&command);
    match lost {
        Effect::Set(..) => sets || deletes,
        Effect::Add(value) => sets || deletes || command == "SREM" && token == Some(value),
        Effect::Field(..) => deletes || ["HSET", "HMSET", "HDEL"].contains(&command),
        Effect::Score(..) => deletes || ["ZADD", "ZREM"].contains(&command),
        Effect::Remove(value) => command == "SADD" && token == Some(value),
        Effect::Delete => !deletes && !["PEXPIRE", "PEXPIREAT", "SREM"].contains(&command),
        Effect::Expire(_) | Effect::Increment(_) | Effect::Read => false,
    }
}

/// Whether a value shows a write; none if that cannot be told.
fn shows(content: Option<&Content>, write: u32, case: &Case<'_>) -> Option<bool> {
    let holds = |token: Token| {
        let mut elements = content.and_then(super::elements::of).into_iter().flatten();
        elements.any(|element| element == Ok(token))
    };
    let is =
        |text: Option<&String>, token: Token| text.is_some_and(|text| text.parse() == Ok(token));
    match effect(case.index.operation(write)) {
        Effect::Set(token, _) => Some(matches!(
            content,
            Some(Content::Text(text)) if is(Some(text), token)
        )),
        Effect::Add(token) => Some(holds(token)),
        Effect::Remove(token) => Some(!holds(token)),
        Effect::Delete => Some(content.is_none()),
        Effect::Field(field, token) => Some(match content {
            Some(Content::Hash(held)) => {
                let plain = held.get(&field.to_string());
                is(plain.or_else(|| held.get(&format!("f{field}"))), token)
            }
            _ => false,
        }),
        Effect::Score(_, token) => Some(matches!(
            content,
            Some(Content::Ranking(held)) if held.contains_key(&token.to_string())
        )),
        Effect::Expire(_) | Effect::Increment(_) | Effect::Read => None,
    }
}
