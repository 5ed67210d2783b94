//! What the commands of a replication stream hold: KeyDB wraps each write in an envelope, `RREPLAY
//! uuid payload database mvcc`, whose payload is commands, or the envelope of a server that the
//! write was heard from.

use bytes::Bytes;

use super::stream::{Parser, Piece};

/// How many envelopes inside each other are opened: in a ring, a write comes back through all.
const DEPTH: u8 = 16;

/// A command within envelopes, or one that is in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inner {
    /// Its name and its arguments.
    pub(super) argv: Vec<Bytes>,
    /// Where it is carried out.
    pub(super) database: u32,
    /// How many envelopes it is in.
    pub(super) hops: u8,
}

/// The payload of an envelope.
pub(super) fn payload(argv: &[Bytes]) -> Option<&Bytes> {
    match argv {
        [name, _, payload, _, _] if name.eq_ignore_ascii_case(b"RREPLAY") => Some(payload),
        _ => None,
    }
}

/// The commands in a payload; none if it holds anything else.
pub(super) fn commands(payload: &[u8]) -> Option<Vec<Vec<Bytes>>> {
    let mut found = Some(Vec::new());
    let mut parser = Parser::in_commands();
    let mut give = |piece: Piece| match (piece, &mut found) {
        (Piece::Command(command), Some(commands)) => commands.push(command.argv()),
        _ => found = None,
    };
    parser.push(payload, &mut give);
    parser.end(&mut give);
    found
}

/// The commands in an envelope, and in those inside it; or the one that is none. None if it holds
/// anything else, or nothing, or too many inside each other. `database` is that of commands in no
/// envelope; such a `SELECT` changes it.
pub(super) fn unwrapped(argv: &[Bytes], database: &mut u32) -> Option<Vec<Inner>> {
    let mut all = Vec::new();
    open(argv, database, 0, &mut all)?;
    (!all.is_empty()).then_some(all)
}

fn open(argv: &[Bytes], database: &mut u32, hops: u8, all: &mut Vec<Inner>) -> Option<()> {
    let Some(payload) = payload(argv) else {
        if let [name, number] = argv
            && name.eq_ignore_ascii_case(b"SELECT")
        {
            *database = text(number).unwrap_or(*database);
        }
        all.push(Inner {
            argv: argv.to_vec(),
            database: *database,
            hops,
        });
        return Some(());
    };
    if hops == DEPTH {
        return None;
    }
    let mut inside = text(&argv[3]).unwrap_or(*database);
    for command in commands(payload)? {
        open(&command, &mut inside, hops + 1, all)?;
    }
    Some(())
}

/// Whether a command changes no data: a keep-alive, or a part of a transaction's frame.
pub(super) fn is_idle(argv: &[Bytes]) -> bool {
    let names: [&[u8]; 5] = [b"PING", b"SELECT", b"MULTI", b"EXEC", b"REPLCONF"];
    argv.first()
        .is_none_or(|name| names.iter().any(|idle| name.eq_ignore_ascii_case(idle)))
}

/// A command as it goes over the wire.
pub(super) fn encoded(argv: &[Bytes]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", argv.len()).into_bytes();
    for word in argv {
        bytes.extend(format!("${}\r\n", word.len()).bytes());
        bytes.extend_from_slice(word);
        bytes.extend(b"\r\n");
    }
    bytes
}

/// A word as what it says.
pub(super) fn text<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Bytes> {
        let words = text.split(' ');
        words
            .map(|word| Bytes::copy_from_slice(word.as_bytes()))
            .collect()
    }

    /// These commands, one after the other, in an envelope.
    fn wrapped(commands: &[Vec<Bytes>], database: &str) -> Vec<Bytes> {
        let payload: Vec<u8> = commands.iter().flat_map(|argv| encoded(argv)).collect();
        let mut argv = words("RREPLAY 9c20b9b1-3fe4-4bde-b187-ba4591ff0001");
        argv.push(payload.into());
        argv.extend(words(database));
        argv.extend(words("1882629358289420290"));
        argv
    }

    fn told(argv: &[Bytes], database: &mut u32) -> Option<Vec<(u8, u32, String)>> {
        let told = unwrapped(argv, database)?.into_iter().map(|inner| {
            let words = inner.argv.iter().map(|word| String::from_utf8_lossy(word));
            let words: Vec<_> = words.collect();
            (inner.hops, inner.database, words.join(" "))
        });
        Some(told.collect())
    }

    #[test]
    fn databases_are_those_of_the_envelope_and_of_selects_within() {
        let several = [words("SET a 1"), words("SELECT 7"), words("DEL b")];
        let inner = wrapped(&several, "2");
        let outer = wrapped(&[inner, words("SET c 1")], "4");
        let mut database = 9;
        let wanted = [
            (2, 2, "SET a 1"),
            (2, 7, "SELECT 7"),
            (2, 7, "DEL b"),
            (1, 4, "SET c 1"),
        ];
        let wanted = wanted.map(|(hops, database, text)| (hops, database, text.to_owned()));
        assert_eq!(told(&outer, &mut database).unwrap(), wanted);
        assert_eq!(database, 9);
    }

    #[test]
    fn commands_in_no_envelope_follow_the_last_select() {
        let mut database = 0;
        let select = told(&words("SELECT 3"), &mut database).unwrap();
        assert_eq!(select, [(0, 3, "SELECT 3".to_owned())]);
        let set = told(&words("SET a 1"), &mut database).unwrap();
        assert_eq!(set, [(0, 3, "SET a 1".to_owned())]);
    }

    #[test]
    fn what_is_no_envelope_of_commands_is_not_opened() {
        let mut strange = wrapped(&[words("SET a 1")], "0");
        strange[2] = Bytes::from_static(b"inline\r\n");
        assert_eq!(told(&strange, &mut 0), None);
        assert_eq!(told(&wrapped(&[], "0"), &mut 0), None);
        let mut deep = words("SET a 1");
        for _ in 0..=DEPTH {
            deep = wrapped(&[deep], "0");
        }
        assert_eq!(told(&deep, &mut 0), None);
        let inside = commands(payload(&deep).unwrap()).unwrap();
        assert_eq!(told(&inside[0], &mut 0).unwrap()[0].0, DEPTH);
    }
}
