//! An action as a command, and a server's answer as a reply.

use redis::{Cmd, Pipeline, Value, cmd};

use crate::history::{Action, Name, Names, Reply, Token};

/// Sets all its keys to its argument.
const SCRIPT: &str =
    "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end return 'OK'";

/// What goes over the wire.
#[derive(Debug)]
pub(super) enum Request {
    One(Cmd),
    /// Within MULTI and EXEC.
    Atomic(Pipeline),
}

/// The command of an action on a key.
pub(super) fn request(names: &Names, key: Name, action: &Action) -> Request {
    let key = names.text(key);
    let on = |name: &str| {
        let mut command = cmd(name);
        command.arg(key);
        command
    };
    let with = |name: &str, token: &Token| on(name).arg(token.to_string()).to_owned();
    Request::One(match action {
        Action::Set(token) => with("SET", token),
        Action::SetFor(token, ttl) => with("SET", token).arg("PX").arg(*ttl).to_owned(),
        Action::Get => on("GET"),
        Action::Delete => on("DEL"),
        Action::Expire(ttl) => on("PEXPIRE").arg(*ttl).to_owned(),
        Action::Increment(by) => on("INCRBY").arg(*by).to_owned(),
        Action::Append(token) => on("APPEND").arg(format!("{token};")).to_owned(),
        Action::Push(token) => with("RPUSH", token),
        Action::List => on("LRANGE").arg(0).arg(-1).to_owned(),
        Action::Add(token) => with("SADD", token),
        Action::Remove(token) => with("SREM", token),
        Action::Members => on("SMEMBERS"),
        Action::PutField(field, token) => on("HSET").arg(*field).arg(token.to_string()).to_owned(),
        Action::Fields => on("HVALS"),
        Action::Score(score, token) => on("ZADD").arg(*score).arg(token.to_string()).to_owned(),
        Action::Ranking => on("ZRANGE").arg(0).arg(-1).to_owned(),
        Action::Log(token) => on("XADD")
            .arg("*")
            .arg("value")
            .arg(token.to_string())
            .to_owned(),
        Action::Entries => on("XRANGE").arg("-").arg("+").to_owned(),
        Action::Publish(token) => with("PUBLISH", token),
        Action::GetAll(keys) => {
            let mut command = cmd("MGET");
            keys.iter().for_each(|key| {
                command.arg(names.text(*key));
            });
            command
        }
        Action::ScriptSetAll(keys, token) => {
            let mut command = cmd("EVAL");
            command.arg(SCRIPT).arg(keys.len());
            keys.iter().for_each(|key| {
                command.arg(names.text(*key));
            });
            command.arg(token.to_string()).to_owned()
        }
        Action::SetAll(keys, token) => {
            let mut pipe = redis::pipe();
            pipe.atomic();
            for key in keys {
                pipe.cmd("SET").arg(names.text(*key)).arg(token.to_string());
            }
            return Request::Atomic(pipe);
        }
    })
}

/// Whether an action changes data.
pub(super) fn writes(action: &Action) -> bool {
    !matches!(
        action,
        Action::Get
            | Action::List
            | Action::Members
            | Action::Fields
            | Action::Ranking
            | Action::Entries
            | Action::GetAll(_)
            | Action::Publish(_)
    )
}

/// What an answer says.
pub(super) fn reply(names: &mut Names, action: &Action, value: Value) -> Reply {
    match action {
        Action::Get | Action::List | Action::Members | Action::Fields | Action::Ranking => {
            read(names, value)
        }
        Action::GetAll(_) => read(names, value),
        Action::Entries => {
            // Each entry is an id and a list of fields and values; ours have one.
            let Value::Array(entries) = value else {
                return foreign(names, &value);
            };
            let values = entries.into_iter().map(|entry| match entry {
                Value::Array(mut parts) => match parts.pop() {
                    Some(Value::Array(mut fields)) => fields.pop().unwrap_or(Value::Nil),
                    _ => Value::Nil,
                },
                other => other,
            });
            read(names, Value::Array(values.collect()))
        }
        _ => match value {
            Value::Int(number) => Reply::Number(number),
            Value::Nil => Reply::Nil,
            _ => Reply::Done,
        },
    }
}

fn read(names: &mut Names, value: Value) -> Reply {
    match value {
        Value::Nil => Reply::Nil,
        Value::Int(number) => Reply::Number(number),
        Value::Array(values) | Value::Set(values) => {
            let mut tokens = Vec::with_capacity(values.len());
            for value in values {
                match value {
                    Value::Nil => tokens.push(None),
                    other => match text(&other).and_then(|text| text.parse().ok()) {
                        Some(token) => tokens.push(Some(token)),
                        None => return foreign(names, &other),
                    },
                }
            }
            Reply::Values(tokens.into())
        }
        other => match text(&other).and_then(|text| text.parse().ok()) {
            Some(token) => Reply::Value(token),
            None => match text(&other).and_then(|text| text.parse().ok()) {
                Some(number) => Reply::Number(number),
                None => appended(&other).unwrap_or_else(|| foreign(names, &other)),
            },
        },
    }
}

/// What APPENDs made: tokens, each with a semicolon.
fn appended(value: &Value) -> Option<Reply> {
    let text = text(value)?;
    let tokens: Option<Vec<Option<Token>>> = text
        .strip_suffix(';')?
        .split(';')
        .map(|token| token.parse().ok().map(Some))
        .collect();
    Some(Reply::Values(tokens?.into()))
}

fn foreign(names: &mut Names, value: &Value) -> Reply {
    let text = text(value).map_or_else(|| format!("{value:?}"), str::to_owned);
    Reply::Foreign(names.number(&text))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn token(number: u32) -> Token {
        Token { client: 1, number }
    }

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[rstest]
    #[case(Action::Get, bulk("v1.2"), Reply::Value(token(2)))]
    #[case(Action::Get, Value::Nil, Reply::Nil)]
    #[case(Action::Get, bulk("17"), Reply::Number(17))]
    #[case(Action::Get, bulk("v1.0;v1.2;"), Reply::Values(Box::new([Some(token(0)), Some(token(2))])))]
    #[case(Action::Set(token(0)), Value::Okay, Reply::Done)]
    #[case(Action::Increment(2), Value::Int(5), Reply::Number(5))]
    #[case(Action::List, Value::Array(vec![]), Reply::Values(Box::new([])))]
    #[case(
        Action::GetAll(Box::new([])),
        Value::Array(vec![Value::Nil, bulk("v1.1")]),
        Reply::Values(Box::new([None, Some(token(1))]))
    )]
    #[case(
        Action::Entries,
        Value::Array(vec![Value::Array(vec![bulk("1-0"), Value::Array(vec![bulk("value"), bulk("v1.3")])])]),
        Reply::Values(Box::new([Some(token(3))]))
    )]
    fn answers(#[case] action: Action, #[case] value: Value, #[case] wanted: Reply) {
        assert_eq!(reply(&mut Names::default(), &action, value), wanted);
    }

    #[test]
    fn what_nobody_wrote_is_kept_as_text() {
        let mut names = Names::default();
        for (action, value) in [
            (Action::Get, bulk("xyz")),
            (Action::List, Value::Array(vec![bulk("v1.1"), bulk("xyz")])),
        ] {
            let Reply::Foreign(name) = reply(&mut names, &action, value) else {
                panic!("{action:?}");
            };
            assert_eq!(names.text(name), "xyz");
        }
    }
}
