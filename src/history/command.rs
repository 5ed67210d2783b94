//! What a client asked for, as text: as it is told of an operation, and as a person would type it.

use super::{Action, Name};

impl Action {
    /// Whether it changes its keys, if it is done.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Set(_)
            | Self::SetFor(..)
            | Self::Delete
            | Self::Expire(_)
            | Self::Increment(_)
            | Self::Append(_)
            | Self::Push(_)
            | Self::Add(_)
            | Self::Remove(_)
            | Self::PutField(..)
            | Self::Score(..)
            | Self::Log(_)
            | Self::SetAll(..)
            | Self::ScriptSetAll(..) => true,
            Self::Get
            | Self::List
            | Self::Members
            | Self::Fields
            | Self::Ranking
            | Self::Entries
            | Self::GetAll(_)
            | Self::Publish(_)
            | Self::Subscribe
            | Self::Hear => false,
        }
    }

    /// Its command as it is told, without its key: `SET v1.2 PX 500`, `MULTI of 2 SETs to v1.2`.
    pub fn told(&self) -> String {
        match self {
            Self::Set(value) => format!("SET {value}"),
            Self::SetFor(value, ttl) => format!("SET {value} PX {ttl}"),
            Self::Delete => "DEL".to_owned(),
            Self::Expire(ttl) => format!("PEXPIRE {ttl}"),
            Self::Increment(by) => format!("INCRBY {by}"),
            Self::Append(value) => format!("APPEND {value}"),
            Self::Push(value) => format!("RPUSH {value}"),
            Self::Add(value) => format!("SADD {value}"),
            Self::Remove(value) => format!("SREM {value}"),
            Self::PutField(field, value) => format!("HSET {field} {value}"),
            Self::Score(score, value) => format!("ZADD {score} {value}"),
            Self::Log(value) => format!("XADD {value}"),
            Self::SetAll(keys, value) => format!("MULTI of {} SETs to {value}", keys.len()),
            Self::ScriptSetAll(keys, value) => format!("script of {} SETs to {value}", keys.len()),
            Self::GetAll(keys) => format!("MGET of {}", keys.len()),
            Self::Publish(value) => format!("PUBLISH {value}"),
            Self::Subscribe => "PSUBSCRIBE".to_owned(),
            Self::Hear => "message".to_owned(),
            Self::Get => "GET".to_owned(),
            Self::List => "LRANGE".to_owned(),
            Self::Members => "SMEMBERS".to_owned(),
            Self::Fields => "HVALS".to_owned(),
            Self::Ranking => "ZRANGE".to_owned(),
            Self::Entries => "XRANGE".to_owned(),
        }
    }

    /// Its command as it is typed on a shell's command line, on this key, which is quoted already;
    /// `quoted` shows those of several. Several keys are set by one MSET. None for what is no write.
    pub fn typed(&self, key: &str, quoted: impl Fn(Name) -> String) -> Option<String> {
        let command = match self {
            Self::Append(value) => format!("APPEND {key} '{value};'"),
            Self::PutField(field, value) => format!("HSET {key} f{field} {value}"),
            Self::Log(value) => format!("XADD {key} '*' value {value}"),
            Self::SetAll(keys, value) | Self::ScriptSetAll(keys, value) => {
                let pairs = keys.iter().map(|key| format!(" {} {value}", quoted(*key)));
                format!("MSET{}", pairs.collect::<String>())
            }
            // The others are typed as they are told, with the key behind the first word.
            write if write.is_write() => match write.told().split_once(' ') {
                Some((name, words)) => format!("{name} {key} {words}"),
                None => format!("{} {key}", write.told()),
            },
            _ => return None,
        };
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Token;
    use rstest::rstest;

    const VALUE: Token = Token {
        client: 1,
        number: 2,
    };

    #[rstest]
    #[case(Action::Set(VALUE), "SET v1.2", Some("SET 'a b' v1.2"))]
    #[case(
        Action::SetFor(VALUE, 500),
        "SET v1.2 PX 500",
        Some("SET 'a b' v1.2 PX 500")
    )]
    #[case(Action::Delete, "DEL", Some("DEL 'a b'"))]
    #[case(Action::Expire(500), "PEXPIRE 500", Some("PEXPIRE 'a b' 500"))]
    #[case(Action::Increment(-3), "INCRBY -3", Some("INCRBY 'a b' -3"))]
    #[case(Action::Append(VALUE), "APPEND v1.2", Some("APPEND 'a b' 'v1.2;'"))]
    #[case(Action::Push(VALUE), "RPUSH v1.2", Some("RPUSH 'a b' v1.2"))]
    #[case(Action::Add(VALUE), "SADD v1.2", Some("SADD 'a b' v1.2"))]
    #[case(Action::Remove(VALUE), "SREM v1.2", Some("SREM 'a b' v1.2"))]
    #[case(Action::PutField(7, VALUE), "HSET 7 v1.2", Some("HSET 'a b' f7 v1.2"))]
    #[case(Action::Score(-7, VALUE), "ZADD -7 v1.2", Some("ZADD 'a b' -7 v1.2"))]
    #[case(Action::Log(VALUE), "XADD v1.2", Some("XADD 'a b' '*' value v1.2"))]
    #[case(
        Action::SetAll([Name(0), Name(3)].into(), VALUE),
        "MULTI of 2 SETs to v1.2",
        Some("MSET k0 v1.2 k3 v1.2")
    )]
    #[case(
        Action::ScriptSetAll([Name(4)].into(), VALUE),
        "script of 1 SETs to v1.2",
        Some("MSET k4 v1.2")
    )]
    #[case(Action::Get, "GET", None)]
    #[case(Action::GetAll([Name(0)].into()), "MGET of 1", None)]
    #[case(Action::Publish(VALUE), "PUBLISH v1.2", None)]
    #[case(Action::Subscribe, "PSUBSCRIBE", None)]
    fn an_operation_is_told_and_typed(
        #[case] action: Action,
        #[case] told: &str,
        #[case] typed: Option<&str>,
    ) {
        assert_eq!(action.told(), told);
        let shown = action.typed("'a b'", |name| format!("k{}", name.0));
        assert_eq!(shown.as_deref(), typed);
    }
}
