//! All that a node holds.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use keydb_harness::cluster::Node;
use redis_protocol::resp2::types::{BytesFrame, Resp2Frame as _};

use crate::accepted::Difference;
use crate::wire::{Wire, in_order, same, shown};

/// The databases that the tests write to.
pub const DATABASES: &[usize] = &[0, 1, 15];

/// What a key holds: type and value as text, and the reply to PTTL.
#[derive(Debug, Clone)]
pub struct Held {
    value: String,
    pttl: BytesFrame,
}

/// Every key by `dbN key`.
pub type Data = BTreeMap<String, Held>;

pub async fn read(node: &Node) -> Result<Data> {
    let mut wire = Wire::to(node).await?;
    let mut data = Data::new();
    for database in DATABASES {
        wire.say(&format!("SELECT {database}")).await?;
        let BytesFrame::Array(keys) = wire.say("KEYS *").await? else {
            bail!("KEYS gives no array");
        };
        let keys: Vec<Vec<u8>> = keys
            .iter()
            .filter_map(|key| Some(key.as_bytes()?.to_vec()))
            .collect();
        let commands: Vec<[&[u8]; 2]> = keys
            .iter()
            .flat_map(|key| [[&b"TYPE"[..], key], [&b"PTTL"[..], key]])
            .collect();
        let commands: Vec<Vec<&[u8]>> = commands.iter().map(|words| words.to_vec()).collect();
        let told = wire.all(&commands).await?;
        for (key, told) in keys.iter().zip(told.chunks(2)) {
            let kind = shown(&told[0]);
            let (name, rest): (&str, &[&[u8]]) = match kind.as_str() {
                "+string" => ("GET", &[]),
                "+list" => ("LRANGE", &[b"0", b"-1"]),
                "+set" => ("SMEMBERS", &[]),
                "+hash" => ("HGETALL", &[]),
                "+zset" => ("ZRANGE", &[b"0", b"-1", b"WITHSCORES"]),
                "+none" => continue,
                other => bail!("a key is a {other}"),
            };
            let mut words: Vec<&[u8]> = vec![name.as_bytes(), key];
            words.extend(rest);
            let value = in_order(name, wire.one(&words).await?);
            let held = Held {
                value: format!("{kind} {}", shown(&value)),
                pttl: told[1].clone(),
            };
            data.insert(format!("db{database} {}", key.escape_ascii()), held);
        }
    }
    Ok(data)
}

/// Where two data sets differ; TTLs within tolerance are equal.
pub fn differences(model: &Data, real: &Data) -> Vec<Difference> {
    let mut keys: Vec<&String> = model.keys().chain(real.keys()).collect();
    keys.sort();
    keys.dedup();
    let mut found = Vec::new();
    for key in keys {
        let (one, other) = (model.get(key), real.get(key));
        let equal = match (one, other) {
            (Some(one), Some(other)) => {
                one.value == other.value && same("PTTL", &[], &one.pttl, &other.pttl)
            }
            _ => false,
        };
        if !equal {
            let held = |held: Option<&Held>| match held {
                Some(held) => format!("{} pttl {}", held.value, shown(&held.pttl)),
                None => "absent".to_owned(),
            };
            found.push(Difference {
                subject: "data".to_owned(),
                detail: key.clone(),
                model: held(one),
                real: held(other),
            });
        }
    }
    found
}
