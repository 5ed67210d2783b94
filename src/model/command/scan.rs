//! `SCAN` and its likes: a pass over keys or members in pieces.
//!
//! Keys are passed in the order of a hash of their name, and the cursor is the hash to go on at. So
//! a key that is there throughout comes up once, whatever others come and go.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

use super::argument::{self, integer, is};
use super::several::{self, View};
use super::{Command, Effect, Refusal, glob, number, reads, reply};
use crate::model::command::kind::{self, Hash, Kind, Set, SortedSet};
use crate::model::object::Slot;

pub(super) const COMMANDS: &[Command] = &[
    several::reads("SCAN", -2, scan),
    reads("SSCAN", -3, |slot, argv, _| {
        scan_members::<Set>(slot, argv, |set, options| {
            let members = set.iter().filter(|member| options.matches(member));
            members.cloned().collect()
        })
    }),
    reads("HSCAN", -3, |slot, argv, _| {
        scan_members::<Hash>(slot, argv, |hash, options| {
            let fields = hash.iter().filter(|(field, _)| options.matches(field));
            fields
                .flat_map(|(field, value)| [field.clone(), value.clone()])
                .collect()
        })
    }),
    reads("ZSCAN", -3, |slot, argv, _| {
        scan_members::<SortedSet>(slot, argv, |sorted, options| {
            let members = sorted.iter().filter(|(member, _)| options.matches(member));
            members
                .flat_map(|(member, score)| {
                    let score = argument::text(number::score_text(*score));
                    [member.clone(), score]
                })
                .collect()
        })
    }),
];

/// The most calls that a pass over a database takes: each looks at every key, so that `COUNT` is
/// raised where more would take too long. It is only a hint (redis.io, SCAN).
const MOST_CALLS: usize = 64;

/// The options of a scan.
struct Options<'a> {
    pattern: Option<&'a [u8]>,
    count: usize,
    type_name: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(arguments: &'a [Bytes], of_keys: bool) -> Result<Self, Refusal> {
        let mut options = Self {
            pattern: None,
            count: 10,
            type_name: None,
        };
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().ok_or(argument::SYNTAX)?;
            if is(option, "COUNT") {
                options.count = match usize::try_from(integer(value)?) {
                    Ok(count) if count > 0 => count,
                    _ => return Err(argument::SYNTAX.to_owned()),
                };
            } else if is(option, "MATCH") {
                options.pattern = Some(value);
            } else if is(option, "TYPE") && of_keys {
                options.type_name = Some(value);
            } else {
                return Err(argument::SYNTAX.to_owned());
            }
        }
        Ok(options)
    }

    fn matches(&self, name: &[u8]) -> bool {
        self.pattern
            .is_none_or(|pattern| glob::matches(pattern, name))
    }
}

/// A cursor, as C's `strtoul` reads it: an empty one is zero, a negative one wraps around.
fn cursor(text: &[u8]) -> Result<u64, Refusal> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let number = match (text, digits) {
        ([], _) => Some(0),
        (_, [b'0'..=b'9', ..]) => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse::<u64>().ok()),
        _ => None,
    };
    let number = number.ok_or("ERR invalid cursor")?;
    Ok(if negative {
        number.wrapping_neg()
    } else {
        number
    })
}

fn page(cursor: u64, items: Vec<Bytes>) -> BytesFrame {
    BytesFrame::Array(vec![reply::bulk(cursor.to_string()), reply::bulks(items)])
}

fn scan(view: &mut View<'_>, argv: &[Bytes]) -> Result<BytesFrame, Refusal> {
    let from = cursor(&argv[1])?;
    let options = Options::parse(&argv[2..], true)?;
    let place = |key: &Bytes| u64::from(crc32fast::hash(key));
    let mut seen = 0;
    let mut ahead: Vec<_> = view
        .data()
        .alive(view.now)
        .inspect(|_| seen += 1)
        .map(|(key, object)| (place(key), key, object))
        .filter(|(place, ..)| *place >= from)
        .collect();
    let count = options.count.max(seen / MOST_CALLS);
    // The next call begins after this one's last place: keys that share a place come together.
    let next = if count < ahead.len() {
        let (_, last, _) = ahead.select_nth_unstable_by_key(count - 1, |(place, ..)| *place);
        last.0 + 1
    } else {
        u64::MAX
    };
    ahead.retain(|(place, ..)| *place < next);
    let more = next != u64::MAX;
    let keys = ahead.into_iter().filter(|(_, key, object)| {
        let of_type = |name: &[u8]| is(name, object.data.type_name());
        options.matches(key) && options.type_name.is_none_or(of_type)
    });
    let keys = keys.map(|(_, key, _)| key.clone()).collect();
    Ok(page(if more { next } else { 0 }, keys))
}

/// All of a collection at once, as KeyDB does with small ones.
fn scan_members<T: Kind>(
    slot: &Slot,
    argv: &[Bytes],
    members: impl FnOnce(&T, &Options<'_>) -> Vec<Bytes>,
) -> Result<Effect, Refusal> {
    let from = cursor(&argv[2])?;
    let Some(collection) = kind::get::<T>(slot)? else {
        return Ok(Effect::read(page(0, Vec::new())));
    };
    let options = Options::parse(&argv[3..], false)?;
    let items = match from {
        0 => members(collection, &options),
        _ => Vec::new(),
    };
    Ok(Effect::read(page(0, items)))
}
