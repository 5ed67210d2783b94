//! How a key is asked for at the end, and what a node answers.

use std::collections::BTreeSet;

use crate::history::{Action, Content, Operation};

/// How a key is read so that equal contents print alike.
#[derive(Debug)]
pub(super) enum Question {
    Text,
    List,
    Set,
    Hash(Vec<String>),
    Ranking,
    Stream,
}

impl Question {
    /// By what its writers make of a key, or else by what nodes hold of it.
    pub(super) fn of(writes: &[&Operation], held: &[&Content]) -> Self {
        let made = writes.iter().rev().find_map(|write| match write.action {
            Action::Push(_) => Some(Self::List),
            Action::Add(_) | Action::Remove(_) => Some(Self::Set),
            Action::PutField(..) => Some(Self::Hash(fields(writes, held))),
            Action::Score(..) => Some(Self::Ranking),
            Action::Log(_) => Some(Self::Stream),
            Action::Delete | Action::Expire(_) => None,
            _ => Some(Self::Text),
        });
        made.unwrap_or_else(|| match held.first() {
            Some(Content::List(_)) => Self::List,
            Some(Content::Set(_)) => Self::Set,
            Some(Content::Hash(_)) => Self::Hash(fields(writes, held)),
            Some(Content::Ranking(_)) => Self::Ranking,
            Some(Content::Text(_)) | None => Self::Text,
        })
    }

    /// The command that reads a key, which is quoted already.
    pub(super) fn command(&self, key: &str) -> String {
        match self {
            Self::Text => format!("GET {key}"),
            Self::List => format!("LRANGE {key} 0 -1"),
            Self::Set => format!("SORT {key} ALPHA"),
            Self::Hash(fields) => format!("HMGET {key} {}", fields.join(" ")),
            Self::Ranking => format!("ZRANGE {key} 0 -1 WITHSCORES"),
            Self::Stream => format!("XLEN {key}"),
        }
    }

    /// The answer of a node that holds this, on one line.
    pub(super) fn answer(&self, content: Option<&Content>) -> String {
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

/// Every field that was written or is held.
fn fields(writes: &[&Operation], held: &[&Content]) -> Vec<String> {
    let written = writes.iter().filter_map(|write| match write.action {
        Action::PutField(field, _) => Some(format!("f{field}")),
        _ => None,
    });
    let held = held.iter().filter_map(|content| match content {
        Content::Hash(fields) => Some(fields.keys().cloned()),
        _ => None,
    });
    let all: BTreeSet<String> = written.chain(held.flatten()).collect();
    all.into_iter().collect()
}
