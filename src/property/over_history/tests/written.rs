//! Histories as text. Times are milliseconds; parts are separated by `; `.
//!
//! - operations: `NODE FROM-TO KEY COMMAND [ARGUMENTS] [! | ? | wait N | -> ANSWER]`: refused,
//!   unanswered, confirmed. The client is that of the value, or `cN` before the node; 0 else. A key
//!   of another database is `3/x`; a node with a `^` is reached through the proxy.
//! - events: `AT fault WORD WHOM PHASE`, `AT state NODE WHAT VALUE` (WHAT may have two words).
//! - crossings: `AT LINK KEY COMMAND [VALUE] FATE [AT]`, the fate a lower-case word; of one that was
//!   `changed` what went on instead follows, with `_` for spaces.
//! - exposures: `NODE STRIKE FROM-TO RETURNS`.
//! - finals: `NODE: KEY=VALUE KEY~TTL=VALUE`; values are texts, `[a,b]` lists, `{a,b}` sets,
//!   `(f:a,g:b)` hashes and `<a:1,b:2>` sorted sets; `#3:7` is `expires=7` of database 3.

use std::collections::BTreeMap;

use crate::history::{
    Action, Content, Crossed, Crossing, Event, Finals, Held, History, Moment, Name, Names,
    NodeData, Operation, Outcome, Phase, Reply, Subject, Token,
};
use crate::property::over_history::{Exposure, Fsync, Returns, Strike};

fn moment(text: &str) -> Moment {
    Moment(text.parse::<u64>().unwrap() * 1_000_000)
}

fn span(text: &str) -> (Moment, Moment) {
    let (from, to) = text.split_once('-').unwrap();
    (moment(from), moment(to))
}

fn keyed(text: &str) -> (u8, &str) {
    let (database, key) = text.split_once('/').unwrap_or(("0", text));
    (database.parse().unwrap(), key)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split("; ")
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// Operations in the order of their completion, and events in the order of their time.
pub fn history(operations: &str, events: &str) -> History {
    let mut history = History::default();
    for part in parts(operations) {
        let operation = operation(part, &mut history.names);
        history.operations.push(operation);
    }
    history
        .operations
        .sort_by_key(|operation| operation.completed);
    for part in parts(events) {
        let event = event(part, &mut history.names);
        history.events.push(event);
    }
    let last = history
        .operations
        .iter()
        .map(|operation| operation.completed);
    let last = last
        .chain(history.events.iter().map(|event| event.at))
        .max();
    history.length = last.unwrap_or_default();
    history
}

fn operation(text: &str, names: &mut Names) -> Operation {
    let mut words = text.split_whitespace().peekable();
    let client = words.next_if(|word| word.starts_with('c') && word[1..].parse::<u32>().is_ok());
    let client = client.map(|word| word[1..].parse().unwrap());
    let node = words.next().unwrap();
    let (invoked, completed) = span(words.next().unwrap());
    let (database, key) = keyed(words.next().unwrap());
    let command = words.next().unwrap();
    let mut arguments = Vec::new();
    while let Some(word) = words.next_if(|word| !["!", "?", "wait", "->"].contains(word)) {
        arguments.push(word);
    }
    let token = || arguments.last().unwrap().parse::<Token>().unwrap();
    let number = |place: usize| arguments[place].parse::<i64>().unwrap();
    let keys: Box<[Name]> = match command {
        "MULTI" | "EVAL" | "MGET" => arguments[0]
            .split(',')
            .map(|key| names.number(key))
            .collect(),
        _ => Box::new([]),
    };
    let action = match command {
        "SET" => Action::Set(token()),
        "SETPX" => Action::SetFor(token(), number(0) as u32),
        "GET" => Action::Get,
        "DEL" => Action::Delete,
        "PEXPIRE" => Action::Expire(number(0) as u32),
        "INCRBY" => Action::Increment(number(0) as i32),
        "APPEND" => Action::Append(token()),
        "RPUSH" => Action::Push(token()),
        "LRANGE" => Action::List,
        "SADD" => Action::Add(token()),
        "SREM" => Action::Remove(token()),
        "SMEMBERS" => Action::Members,
        "HSET" => Action::PutField(number(0) as u16, token()),
        "ZADD" => Action::Score(number(0) as i32, token()),
        "XADD" => Action::Log(token()),
        "XRANGE" => Action::Entries,
        "PUBLISH" => Action::Publish(token()),
        "PSUBSCRIBE" => Action::Subscribe,
        "message" => Action::Hear,
        "MULTI" => Action::SetAll(keys, token()),
        "EVAL" => Action::ScriptSetAll(keys, token()),
        "MGET" => Action::GetAll(keys),
        other => panic!("{other}"),
    };
    let mut confirmed = 0;
    let outcome = match words.next() {
        None => Outcome::Ok(Reply::Done),
        Some("!") => Outcome::Fail(names.number("refused")),
        Some("?") => Outcome::Unknown(names.number("timed out")),
        Some("wait") => {
            confirmed = words.next().unwrap().parse().unwrap();
            Outcome::Ok(Reply::Done)
        }
        _ => Outcome::Ok(answer(words.next().unwrap(), names)),
    };
    let client = client.unwrap_or_else(|| {
        let token = arguments.last().and_then(|word| word.parse::<Token>().ok());
        token.map_or(0, |token| token.client)
    });
    let (node, proxied) = match node.strip_suffix('^') {
        Some(node) => (node, true),
        None => (node, node == "proxy"),
    };
    Operation {
        client,
        node: names.number(node),
        proxied,
        database,
        confirmed,
        key: names.number(key),
        action,
        invoked,
        completed,
        outcome,
    }
}

fn answer(text: &str, names: &mut Names) -> Reply {
    let value = |text: &str| (text != "nil").then(|| text.parse().unwrap());
    if text == "nil" {
        Reply::Nil
    } else if let Ok(number) = text.parse() {
        Reply::Number(number)
    } else if let Some(values) = text.strip_prefix('[') {
        let values = values.strip_suffix(']').unwrap();
        Reply::Values(
            values
                .split(',')
                .filter(|text| !text.is_empty())
                .map(value)
                .collect(),
        )
    } else {
        match text.parse() {
            Ok(token) => Reply::Value(token),
            Err(_) => Reply::Foreign(names.number(text)),
        }
    }
}

fn event(text: &str, names: &mut Names) -> Event {
    let words: Vec<&str> = text.split_whitespace().collect();
    let at = moment(words[0]);
    let last = words[words.len() - 1];
    let subject = match words[1] {
        "fault" => Subject::Fault {
            fault: names.number(&words[2..words.len() - 1].join(" ")),
            nodes: words[3..words.len() - 1]
                .iter()
                .map(|node| names.number(node))
                .collect(),
            phase: match last {
                "injected" => Phase::Injected,
                "bites" => Phase::Bites,
                "toothless" => Phase::Toothless,
                "recovering" => Phase::Recovering,
                "healed" => Phase::Healed,
                other => panic!("{other}"),
            },
            seen: names.number(""),
        },
        _ => Subject::State {
            node: names.number(words[2]),
            what: names.number(&words[3..words.len() - 1].join(" ")),
            value: names.number(last),
        },
    };
    Event { at, subject }
}

/// What relays saw.
pub fn crossings(text: &str, names: &mut Names) -> Vec<Crossing> {
    parts(text)
        .map(|part| {
            let words: Vec<&str> = part.split_whitespace().collect();
            let (database, key) = keyed(words[2]);
            let token = words.get(4).and_then(|word| word.parse().ok());
            let fate = &words[if token.is_some() { 5 } else { 4 }..];
            let at = || moment(fate[1]);
            Crossing {
                link: names.number(words[1]),
                database,
                key: Some(names.number(key)),
                command: names.number(words[3]),
                token,
                hops: 1,
                bytes: 100,
                arrived: moment(words[0]),
                crossed: match fate[0] {
                    "passed" => Crossed::Passed(at()),
                    "overtaken" => Crossed::Overtaken(at()),
                    "repeated" => Crossed::Repeated(at()),
                    "added" => Crossed::Added(at()),
                    "lost" => Crossed::Lost(at()),
                    "changed" => Crossed::Changed(at(), names.number(&fate[2].replace('_', " "))),
                    "swallowed" => Crossed::Swallowed,
                    "discarded" => Crossed::Discarded,
                    "held" => Crossed::Held,
                    other => panic!("{other}"),
                },
            }
        })
        .collect()
}

pub fn exposed(text: &str) -> Vec<Exposure> {
    parts(text)
        .map(|part| {
            let words: Vec<&str> = part.split_whitespace().collect();
            // `FROM-TO` or `FROM-TO-HEALED`.
            let (gone, healed) = match words[2].matches('-').count() {
                2 => words[2].rsplit_once('-').unwrap(),
                _ => (words[2], words[2].rsplit('-').next().unwrap()),
            };
            let (from, to) = span(gone);
            Exposure {
                node: words[0].to_owned(),
                strike: match words[1] {
                    "pause" => Strike::Pause,
                    "told" => Strike::Told,
                    "killed" => Strike::Killed,
                    _ => Strike::Elsewhere,
                },
                from,
                to,
                healed: moment(healed),
                returns: match words[3] {
                    "never" => Returns::Never,
                    "empty" => Returns::Empty,
                    "rdb" => Returns::Rdb,
                    "always" => Returns::Aof(Fsync::Always),
                    "everysec" => Returns::Aof(Fsync::EverySecond),
                    _ => Returns::Aof(Fsync::Never),
                },
            }
        })
        .collect()
}

pub fn finals(text: &str) -> Finals {
    let mut finals = Finals::default();
    for part in parts(text) {
        let (node, keys) = part.split_once(':').unwrap();
        let mut data = NodeData::default();
        for word in keys.split_whitespace() {
            if let Some(expires) = word.strip_prefix('#') {
                let (database, count) = expires.split_once(':').unwrap();
                data.expires
                    .insert(database.parse().unwrap(), count.parse().unwrap());
                continue;
            }
            let (key, value) = word.split_once('=').unwrap();
            let (key, ttl) = match key.split_once('~') {
                Some((key, ttl)) => (key, Some(ttl.parse().unwrap())),
                None => (key, None),
            };
            let (database, key) = keyed(key);
            let held = Held {
                content: content(value),
                ttl,
            };
            data.keys
                .entry(database)
                .or_default()
                .insert(key.to_owned(), held);
        }
        finals.nodes.insert(node.to_owned(), data);
    }
    finals
}

fn content(text: &str) -> Content {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or("");
    let values = || {
        inner
            .split(',')
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    let pairs = || -> BTreeMap<String, String> {
        let pairs = values().map(|pair| pair.split_once(':').map(|(a, b)| (a.into(), b.into())));
        pairs.map(Option::unwrap).collect()
    };
    match text.as_bytes().first() {
        Some(b'[') => Content::List(values().collect()),
        Some(b'{') => Content::Set(values().collect()),
        Some(b'(') => Content::Hash(pairs()),
        Some(b'<') => Content::Ranking(pairs()),
        _ => Content::Text(text.to_owned()),
    }
}
