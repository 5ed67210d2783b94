//! The quirks that pass on something else than what was written.

use bytes::Bytes;

use super::envelope::Envelope;
use crate::model::keyspace::Write;
use crate::model::node::Node;
use crate::model::object::Data;
use crate::model::quirk::Quirk;
use crate::model::stamp::now_millis;

const COUNTS: &[&str] = &["INCR", "INCRBY", "DECR", "DECRBY"];
const APPENDS: &[&str] = &["RPUSH", "LPUSH", "APPEND"];

/// What a node with quirks passes on instead; none if that is what was written.
pub(in crate::model) fn altered(node: &Node, envelope: &Envelope) -> Option<Envelope> {
    let has = |quirk| node.quirks.has(quirk);
    let mut altered = envelope.clone();
    if has(Quirk::HalfATransaction) && envelope.writes.len() > 1 {
        altered.writes.truncate(envelope.writes.len() / 2);
    }
    altered.writes.retain(|(_, _, write)| {
        !(has(Quirk::TtlLost) && is_a(write, &["PEXPIREAT"])
            || has(Quirk::SortedSetsStayHome) && is_a(write, &["ZADD"]))
    });
    for (database, key, write) in &mut altered.writes {
        if has(Quirk::TtlLost) && is_a(write, &["SET"]) {
            write.argv.truncate(3);
        }
        if has(Quirk::ExpiresEarlyElsewhere)
            && is_a(write, &["SET", "PEXPIREAT"])
            && let Some(time) = write.argv.last_mut()
        {
            halve(time);
        }
        if has(Quirk::OldTtlStays) && is_a(write, &["SET"]) && write.argv.len() == 3 {
            write.argv.push(Bytes::from_static(b"KEEPTTL"));
        }
        if has(Quirk::CountersTravelAsValues)
            && is_a(write, COUNTS)
            && let Some(value) = text_of(node, *database, key)
        {
            write.argv = vec!["SET".into(), key.clone(), value, "KEEPTTL".into()];
        }
    }
    (altered != *envelope).then_some(altered)
}

/// Brings a time that is less than five seconds away half as near; anything else is left alone.
fn halve(time: &mut Bytes) {
    let now = now_millis();
    let until = std::str::from_utf8(time)
        .ok()
        .and_then(|time| time.parse::<u64>().ok());
    if let Some(left) = until.and_then(|until| until.checked_sub(now))
        && left < 5_000
    {
        *time = (now + left / 2).to_string().into();
    }
}

/// Whether it removes a key.
pub(in crate::model) fn deletes(write: &Write) -> bool {
    is_a(write, &["DEL"])
}

/// Whether it makes a list or text longer.
pub(in crate::model) fn appends(write: &Write) -> bool {
    is_a(write, APPENDS)
}

fn is_a(write: &Write, names: &[&str]) -> bool {
    let name = write.argv.first();
    name.is_some_and(|name| {
        names
            .iter()
            .any(|wanted| name.eq_ignore_ascii_case(wanted.as_bytes()))
    })
}

/// What a string holds now.
fn text_of(node: &Node, database: usize, key: &Bytes) -> Option<Bytes> {
    let keyspace = node.keyspace.borrow();
    let object = keyspace
        .databases
        .get(database)?
        .keys
        .get(key)?
        .now
        .as_ref()?;
    match &object.data {
        Data::String(text) => Some(text.clone()),
        _ => None,
    }
}
