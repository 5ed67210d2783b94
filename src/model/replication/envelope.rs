//! What goes over a replication link: `RREPLAY uuid commands database mvcc`, KeyDB's own form
//! (measured). The commands are RESP themselves; one that writes in several databases holds
//! `SELECT`s.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};

use crate::model::keyspace::Write;
use crate::model::resp::{self, Received};
use crate::model::stamp::{Origin, Stamp};

/// The writes of one command or transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::model) struct Envelope {
    pub(in crate::model) origin: Origin,
    /// Database, key, write; in order, with stamps one after the other.
    pub(in crate::model) writes: Vec<(usize, Bytes, Write)>,
}

impl Envelope {
    /// As it goes over the wire.
    pub(in crate::model) fn to_bytes(&self) -> Bytes {
        let Some((first_database, _, first)) = self.writes.first() else {
            return Bytes::new();
        };
        let mut commands = BytesMut::new();
        let mut database = first_database;
        for (at, _, write) in &self.writes {
            if at != database {
                resp::put_command(&mut commands, &[b"SELECT", at.to_string().as_bytes()]);
                database = at;
            }
            resp::put_command(&mut commands, &write.argv);
        }
        let mut bytes = BytesMut::new();
        resp::put_command(
            &mut bytes,
            &[
                b"RREPLAY",
                uuid(self.origin).as_bytes(),
                &commands[..],
                first_database.to_string().as_bytes(),
                first.stamp.mvcc.to_string().as_bytes(),
            ],
        );
        bytes.freeze()
    }

    /// Reads the arguments of an `RREPLAY`; `None` if they are none.
    pub(in crate::model) fn from_argv(argv: &[Bytes]) -> Option<Self> {
        let [_, origin, commands, database, mvcc] = argv else {
            return None;
        };
        let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).ok();
        let origin = Origin(u128::from_str_radix(&text(origin)?.replace('-', ""), 16).ok()?);
        let mut database: usize = text(database)?.parse().ok()?;
        let mut mvcc: u64 = text(mvcc)?.parse().ok()?;
        let mut rest = Received::from(&commands[..]);
        let mut writes = Vec::new();
        while let Some(command) = rest.take_command().ok()? {
            if command.first()?.eq_ignore_ascii_case(b"SELECT") {
                database = text(command.get(1)?)?.parse().ok()?;
                continue;
            }
            let key = command.get(1)?.clone();
            let stamp = Stamp { mvcc, origin };
            writes.push((
                database,
                key,
                Write {
                    stamp,
                    argv: command,
                },
            ));
            // A stamp at the end of time has none after it.
            mvcc = mvcc.saturating_add(1);
        }
        rest.bytes.is_empty().then_some(Self { origin, writes })
    }
}

/// The usual form of a UUID.
pub(in crate::model) fn uuid(origin: Origin) -> String {
    let hex = format!("{:032x}", origin.0);
    let mut text = String::new();
    for part in [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ] {
        let dash = if text.is_empty() { "" } else { "-" };
        let _ = write!(text, "{dash}{part}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::resp::first_command;

    #[test]
    fn an_envelope_comes_back_as_it_went() {
        let origin = Origin(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
        let write = |n: u64, argv: &[&str]| Write {
            stamp: Stamp {
                mvcc: 77 + n,
                origin,
            },
            argv: argv
                .iter()
                .map(|word| Bytes::copy_from_slice(word.as_bytes()))
                .collect(),
        };
        let envelope = Envelope {
            origin,
            writes: vec![
                (3, "a".into(), write(0, &["SET", "a", "\r\n"])),
                (3, "b".into(), write(1, &["DEL", "b"])),
                (0, "a".into(), write(2, &["INCRBY", "a", "2"])),
            ],
        };
        let argv = first_command(&envelope.to_bytes()).unwrap().unwrap();
        assert_eq!(Envelope::from_argv(&argv), Some(envelope));
        assert_eq!(Envelope::from_argv(&argv[..4]), None);
    }
}
