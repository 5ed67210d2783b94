//! Operations as RESP commands, and replies as outcomes.

use redis_protocol::resp2::types::RangeFrame;

use super::keys::Key;
use super::refusal::{script_surely_not_done, surely_not_done};
use crate::history::{Action, Name, Outcome, Reply, Token};

/// Sets every key to the value.
const SCRIPT: &str = "for _, key in ipairs(KEYS) do redis.call('SET', key, ARGV[1]) end return 1";

/// Commands on their way out. Written by hand: this is done for every operation.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
}

/// A word that is made up of letters and numbers, as it is written.
#[derive(Debug)]
struct Made {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

impl Made {
    /// Three letters and two numbers.
    const LONGEST: usize = 3 + 2 * 20;

    fn new() -> Self {
        Self {
            bytes: [0; Self::LONGEST],
            length: 0,
        }
    }

    fn letter(mut self, letter: u8) -> Self {
        self.bytes[self.length] = letter;
        self.length += 1;
        self
    }

    fn number(mut self, number: u64) -> Self {
        self.length += digits(number, &mut self.bytes[self.length..]);
        self
    }

    /// A value as [`Token`] prints.
    fn token(self, token: Token) -> Self {
        self.letter(b'v')
            .number(u64::from(token.client))
            .letter(b'.')
            .number(u64::from(token.number))
    }
}

/// Writes a number, and gives how many digits it has.
fn digits(mut number: u64, into: &mut [u8]) -> usize {
    let length = number.checked_ilog10().unwrap_or(0) as usize + 1;
    for place in into[..length].iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
    length
}

/// What a word of a command is made from.
trait Word {
    fn made(&self) -> Made;
}

impl Word for Token {
    fn made(&self) -> Made {
        Made::new().token(*self)
    }
}

impl Word for u32 {
    fn made(&self) -> Made {
        Made::new().number(u64::from(*self))
    }
}

impl Word for i32 {
    fn made(&self) -> Made {
        let sign = match self.is_negative() {
            true => Made::new().letter(b'-'),
            false => Made::new(),
        };
        sign.number(u64::from(self.unsigned_abs()))
    }
}

impl Outgoing {
    /// Begins a command of this many words.
    pub(super) fn command(&mut self, words: usize) -> &mut Self {
        self.header(b'*', words)
    }

    fn header(&mut self, kind: u8, count: usize) -> &mut Self {
        let made = Made::new().letter(kind).number(count as u64);
        self.bytes.extend_from_slice(&made.bytes[..made.length]);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// A word of it.
    pub(super) fn word(&mut self, word: &str) -> &mut Self {
        self.raw(word.as_bytes())
    }

    fn raw(&mut self, word: &[u8]) -> &mut Self {
        self.header(b'$', word.len());
        self.bytes.extend_from_slice(word);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// A word of it, as it prints.
    fn shown(&mut self, word: &impl Word) -> &mut Self {
        self.made(word.made())
    }

    fn made(&mut self, word: Made) -> &mut Self {
        self.raw(&word.bytes[..word.length])
    }

    /// The commands of an operation; gives how many replies they will have.
    pub(super) fn operation(&mut self, key: &str, others: &[Key], action: &Action) -> u8 {
        match action {
            Action::Set(value) => self.command(3).word("SET").word(key).shown(value),
            Action::SetFor(value, ttl) => self
                .command(5)
                .word("SET")
                .word(key)
                .shown(value)
                .word("PX")
                .shown(ttl),
            Action::Get => self.command(2).word("GET").word(key),
            Action::Delete => self.command(2).word("DEL").word(key),
            Action::Expire(ttl) => self.command(3).word("PEXPIRE").word(key).shown(ttl),
            Action::Increment(by) => self.command(3).word("INCRBY").word(key).shown(by),
            Action::Append(value) => self
                .command(3)
                .word("APPEND")
                .word(key)
                .made(value.made().letter(b';')),
            Action::Push(value) => self.command(3).word("RPUSH").word(key).shown(value),
            Action::List => self
                .command(4)
                .word("LRANGE")
                .word(key)
                .word("0")
                .word("-1"),
            Action::Add(value) => self.command(3).word("SADD").word(key).shown(value),
            Action::Remove(value) => self.command(3).word("SREM").word(key).shown(value),
            Action::Members => self.command(2).word("SMEMBERS").word(key),
            Action::PutField(field, value) => self
                .command(4)
                .word("HSET")
                .word(key)
                .made(Made::new().letter(b'f').number(u64::from(*field)))
                .shown(value),
            Action::Fields => self.command(2).word("HGETALL").word(key),
            Action::Score(score, member) => self
                .command(4)
                .word("ZADD")
                .word(key)
                .shown(score)
                .shown(member),
            Action::Ranking => self
                .command(4)
                .word("ZRANGE")
                .word(key)
                .word("0")
                .word("-1"),
            Action::Log(value) => self
                .command(5)
                .word("XADD")
                .word(key)
                .word("*")
                .word("value")
                .shown(value),
            Action::Entries => self.command(4).word("XRANGE").word(key).word("-").word("+"),
            Action::SetAll(_, value) => {
                self.command(1).word("MULTI");
                self.command(3).word("SET").word(key).shown(value);
                for other in others {
                    self.command(3).word("SET").word(&other.text).shown(value);
                }
                self.command(1).word("EXEC");
                return u8::try_from(others.len() + 3).unwrap_or(u8::MAX);
            }
            Action::ScriptSetAll(_, value) => {
                self.command(5 + others.len()).word("EVAL").word(SCRIPT);
                let count = Made::new().number(1 + others.len() as u64);
                self.made(count).word(key);
                for other in others {
                    self.word(&other.text);
                }
                self.shown(value)
            }
            Action::GetAll(_) => {
                self.command(2 + others.len()).word("MGET").word(key);
                for other in others {
                    self.word(&other.text);
                }
                return 1;
            }
            Action::Publish(value) => self.command(3).word("PUBLISH").word(key).shown(value),
            Action::Subscribe => self.command(2).word("PSUBSCRIBE").word(key),
            // What it hears is sent by others.
            Action::Hear => return 0,
        };
        1
    }
}

/// What a reply to an action means. `name` numbers texts that no client wrote.
pub(super) fn outcome(
    action: &Action,
    bytes: &[u8],
    frame: &RangeFrame,
    name: impl Fn(&str) -> Name,
) -> Outcome {
    let text = |range: &(usize, usize)| {
        String::from_utf8_lossy(bytes.get(range.0..range.1).unwrap_or_default())
    };
    match (action, frame) {
        (_, RangeFrame::Error(range)) => {
            let error = text(range);
            let not_done = match action {
                Action::ScriptSetAll(..) => script_surely_not_done(&error),
                _ => surely_not_done(&error),
            };
            match not_done {
                Some(_) => Outcome::Fail(name(&error)),
                None => Outcome::Unknown(name(&error)),
            }
        }
        // Its id tells nothing.
        (Action::Log(_), RangeFrame::BulkString(_)) => Outcome::Ok(Reply::Done),
        (Action::SetAll(..), RangeFrame::Array(replies)) => {
            let refused = replies.iter().find_map(|reply| match reply {
                RangeFrame::Error(range) => Some(text(range)),
                _ => None,
            });
            match refused {
                // The others were done all the same.
                Some(error) => Outcome::Unknown(name(&format!("within EXEC: {error}"))),
                None => Outcome::Ok(Reply::Done),
            }
        }
        (Action::SetAll(..), RangeFrame::Null) => Outcome::Fail(name("EXEC was answered with nil")),
        (Action::ScriptSetAll(..), RangeFrame::Integer(_)) => Outcome::Ok(Reply::Done),
        (_, RangeFrame::SimpleString(_)) => Outcome::Ok(Reply::Done),
        (_, RangeFrame::Integer(number)) => Outcome::Ok(Reply::Number(*number)),
        (_, RangeFrame::Null) => Outcome::Ok(Reply::Nil),
        (_, RangeFrame::BulkString(range)) => Outcome::Ok(single(&text(range), name)),
        (_, RangeFrame::Array(items)) => {
            let values = match action {
                Action::Fields => fields(items, text),
                Action::Entries => items.iter().map(|entry| entry_value(entry, text)).collect(),
                _ => items.iter().map(|item| element(item, text)).collect(),
            };
            Outcome::Ok(match values {
                Ok(values) => Reply::Values(values),
                Err(foreign) => Reply::Foreign(name(&foreign)),
            })
        }
    }
}

/// The value of a key that holds a string: a token, a counter's number, or appends.
fn single(text: &str, name: impl Fn(&str) -> Name) -> Reply {
    if let Ok(token) = text.parse() {
        return Reply::Value(token);
    }
    if let Ok(number) = text.parse() {
        return Reply::Number(number);
    }
    let appends: Option<Box<[Option<Token>]>> = text.strip_suffix(';').and_then(|tokens| {
        tokens
            .split(';')
            .map(|token| token.parse().ok().map(Some))
            .collect()
    });
    match appends {
        Some(tokens) => Reply::Values(tokens),
        None => Reply::Foreign(name(text)),
    }
}

type Element = Result<Option<Token>, String>;

fn element<'a>(
    item: &RangeFrame,
    text: impl Fn(&(usize, usize)) -> std::borrow::Cow<'a, str>,
) -> Element {
    match item {
        RangeFrame::Null => Ok(None),
        RangeFrame::BulkString(range) => {
            let text = text(range);
            match text.parse() {
                Ok(token) => Ok(Some(token)),
                Err(_) => Err(text.into_owned()),
            }
        }
        other => Err(format!("{other:?}")),
    }
}

/// The value of a stream's entry: `[id, [field, value]]`.
fn entry_value<'a>(
    entry: &RangeFrame,
    text: impl Fn(&(usize, usize)) -> std::borrow::Cow<'a, str>,
) -> Element {
    match entry {
        RangeFrame::Array(parts) => match parts.as_slice() {
            [_, RangeFrame::Array(fields)] if fields.len() == 2 => element(&fields[1], text),
            _ => Err("an entry without its field".to_owned()),
        },
        other => Err(format!("{other:?}")),
    }
}

/// The values of a hash, in the order of its fields' numbers.
fn fields<'a>(
    items: &[RangeFrame],
    text: impl Fn(&(usize, usize)) -> std::borrow::Cow<'a, str> + Copy,
) -> Result<Box<[Option<Token>]>, String> {
    let mut values = Vec::with_capacity(items.len() / 2);
    for pair in items.chunks(2) {
        let [RangeFrame::BulkString(field), value] = pair else {
            return Err("a field without a value".to_owned());
        };
        let field = text(field);
        let number: u16 = field
            .strip_prefix('f')
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| field.to_string())?;
        values.push((number, element(value, text)?));
    }
    values.sort_unstable();
    Ok(values.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_protocol::resp2::decode::decode_range;
    use rstest::rstest;

    const T: Token = Token {
        client: 1,
        number: 2,
    };

    fn read(action: &Action, reply: &str) -> Outcome {
        let (frame, _) = decode_range(reply.as_bytes()).unwrap().unwrap();
        outcome(action, reply.as_bytes(), &frame, |text| {
            Name(u32::try_from(text.len()).unwrap())
        })
    }

    #[rstest]
    #[case(Action::Set(T), "+OK\r\n", Outcome::Ok(Reply::Done))]
    #[case(Action::Set(T), "-READONLY no\r\n", Outcome::Fail(Name(11)))]
    #[case(Action::Set(T), "-STRANGE no\r\n", Outcome::Unknown(Name(10)))]
    #[case(Action::Get, "$-1\r\n", Outcome::Ok(Reply::Nil))]
    #[case(Action::Get, "$4\r\nv1.2\r\n", Outcome::Ok(Reply::Value(T)))]
    #[case(Action::Get, "$2\r\n17\r\n", Outcome::Ok(Reply::Number(17)))]
    #[case(Action::Get, "$5\r\nv1.2;\r\n", Outcome::Ok(Reply::Values([Some(T)].into())))]
    #[case(Action::Get, "$5\r\nwhat?\r\n", Outcome::Ok(Reply::Foreign(Name(5))))]
    #[case(Action::Get, "$0\r\n\r\n", Outcome::Ok(Reply::Foreign(Name(0))))]
    #[case(Action::Increment(1), ":5\r\n", Outcome::Ok(Reply::Number(5)))]
    #[case(Action::List, "*1\r\n$4\r\nv1.2\r\n", Outcome::Ok(Reply::Values([Some(T)].into())))]
    #[case(
        Action::List,
        "*1\r\n$1\r\nx\r\n",
        Outcome::Ok(Reply::Foreign(Name(1)))
    )]
    #[case(Action::Log(T), "$3\r\n1-1\r\n", Outcome::Ok(Reply::Done))]
    #[case(
        Action::Entries,
        "*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$5\r\nvalue\r\n$4\r\nv1.2\r\n",
        Outcome::Ok(Reply::Values([Some(T)].into()))
    )]
    #[case(
        Action::Fields,
        "*4\r\n$2\r\nf3\r\n$4\r\nv9.9\r\n$2\r\nf0\r\n$4\r\nv1.2\r\n",
        Outcome::Ok(Reply::Values([Some(T), Some(Token { client: 9, number: 9 })].into()))
    )]
    #[case(Action::GetAll(Box::new([])), "*2\r\n$-1\r\n$4\r\nv1.2\r\n", Outcome::Ok(Reply::Values([None, Some(T)].into())))]
    #[case(Action::SetAll(Box::new([]), T), "*1\r\n+OK\r\n", Outcome::Ok(Reply::Done))]
    #[case(Action::SetAll(Box::new([]), T), "*1\r\n-ERR x\r\n", Outcome::Unknown(Name(18)))]
    #[case(Action::SetAll(Box::new([]), T), "-EXECABORT x\r\n", Outcome::Fail(Name(11)))]
    #[case(Action::ScriptSetAll(Box::new([]), T), "-ERR x\r\n", Outcome::Unknown(Name(5)))]
    fn replies(#[case] action: Action, #[case] reply: &str, #[case] wanted: Outcome) {
        assert_eq!(read(&action, reply), wanted);
    }

    #[rstest]
    #[case(0, 0)]
    #[case(9, 10)]
    #[case(u32::MAX, 99)]
    #[case(1_000_000_000, u32::MAX)]
    fn words_are_made_as_they_print(#[case] client: u32, #[case] number: u32) {
        let token = Token { client, number };
        let text = |made: Made| String::from_utf8(made.bytes[..made.length].to_vec()).unwrap();
        assert_eq!(text(token.made()), token.to_string());
        assert_eq!(text(number.made()), number.to_string());
        assert_eq!(text(i32::MIN.made()), i32::MIN.to_string());
    }

    #[test]
    fn a_command_is_an_array_of_words() {
        let mut out = Outgoing::default();
        assert_eq!(out.operation("k", &[], &Action::Append(T)), 1);
        assert_eq!(
            out.bytes,
            b"*3\r\n$6\r\nAPPEND\r\n$1\r\nk\r\n$5\r\nv1.2;\r\n"
        );
    }
}
