//! A key of each kind is the same on every node.

use futures_util::future::try_join_all;
use redis::Value;

use super::{Check, once};
use crate::attached::Visit;
use crate::cluster::{Client, ClientError};

pub(super) const CHECK: Check = Check {
    name: "attached-kinds",
    title: "a key of each kind is the same everywhere",
    promise: "strings, numbers, lists, sets, hashes, sorted sets and streams are the same on every node",
    source: "KeyDB docs active-rep.md (all writes are replicated)",
    strikes: false,
    variants: once,
    run: |visit| Box::pin(run(visit)),
};

/// How a key of a kind is made, and how it is read whole.
struct Kind {
    name: &'static str,
    /// Each a command, the key left out at its second place.
    writes: &'static [&'static [&'static str]],
    read: &'static [&'static str],
    /// Whether the order of what is read is the server's own.
    unordered: bool,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "string",
        writes: &[&["SET", "a"], &["APPEND", "b"], &["SETRANGE", "4", "é"]],
        read: &["GET"],
        unordered: false,
    },
    Kind {
        name: "number",
        writes: &[&["SET", "41"], &["INCR"], &["INCRBYFLOAT", "0.5"]],
        read: &["GET"],
        unordered: false,
    },
    Kind {
        name: "list",
        writes: &[
            &["RPUSH", "a", "b", "c"],
            &["LPUSH", "0"],
            &["LSET", "1", "x"],
        ],
        read: &["LRANGE", "0", "-1"],
        unordered: false,
    },
    Kind {
        name: "set",
        writes: &[&["SADD", "a", "b", "1"], &["SREM", "a"]],
        read: &["SMEMBERS"],
        unordered: true,
    },
    Kind {
        name: "hash",
        writes: &[
            &["HSET", "f", "1"],
            &["HINCRBY", "f", "2"],
            &["HSET", "g", ""],
        ],
        read: &["HGETALL"],
        unordered: true,
    },
    Kind {
        name: "sorted set",
        writes: &[&["ZADD", "1", "a", "2.5", "b"], &["ZINCRBY", "3", "a"]],
        read: &["ZRANGE", "0", "-1", "WITHSCORES"],
        unordered: false,
    },
    Kind {
        name: "stream",
        writes: &[&["XADD", "*", "f", "v"], &["XADD", "*", "f", "w"]],
        read: &["XRANGE", "-", "+"],
        unordered: false,
    },
];

async fn run(visit: &Visit<'_>) -> anyhow::Result<()> {
    let mut readers = visit.clients().await?;
    let mut entry = visit.entry().await?;
    let mut lacking = Vec::new();
    for kind in KINDS {
        let promise = format!("a {} is the same on every node", kind.name);
        let check = kind.name.replace(' ', "-");
        if !has(&mut entry, kind.writes[0][0]).await? {
            lacking.push(kind.name);
            continue;
        }
        let key = visit.key(&format!("kinds:{check}"));
        // At once, so that no key is without a time to live if the connection breaks.
        let mut all = redis::pipe();
        all.atomic();
        for words in kind.writes {
            all.cmd(words[0]).arg(&key).arg(&words[1..]);
            all.cmd("EXPIRE").arg(&key).arg(visit.ttl());
        }
        entry.pipeline::<()>(&all).await?;
        let wanted = read(&mut entry, kind, &key).await?;
        if matches!(wanted, Value::Nil) {
            let why = format!("{} lost it at once", visit.attached().entry_name());
            visit.inconclusive(&check, &promise, why);
            continue;
        }
        let same = readers.iter_mut().map(|(node, client)| {
            let (key, wanted) = (&key, &wanted);
            let client = tokio::sync::Mutex::new(client);
            async move {
                let client = &client;
                let what = format!("{key} on {node} is what was written");
                let look = || async move {
                    let seen = read(&mut **client.lock().await, kind, key).await;
                    match seen.map_err(|error| error.to_string())? {
                        seen if seen == *wanted => Ok(()),
                        seen => Err(format!("it is {seen:?}, not {wanted:?}")),
                    }
                };
                visit.eventually(&what, look).await
            }
        });
        let same = try_join_all(same).await;
        visit.check(
            &check,
            &promise,
            same.map(|all| format!("{} nodes", all.len())),
        );
    }
    if !lacking.is_empty() {
        visit.headline(format!(
            "left out, as its command is lacking: {}",
            lacking.join(", ")
        ));
    }
    Ok(())
}

async fn has(client: &mut Client, command: &str) -> Result<bool, ClientError> {
    let asked = redis::cmd("COMMAND").arg("INFO").arg(command).to_owned();
    let rows: Vec<Value> = client.query(&asked).await?;
    Ok(matches!(rows[..], [Value::Array(_)]))
}

async fn read(client: &mut Client, kind: &Kind, key: &str) -> Result<Value, ClientError> {
    let mut asked = redis::cmd(kind.read[0]);
    asked.arg(key).arg(&kind.read[1..]);
    let mut value: Value = client.query(&asked).await?;
    if let Value::Array(all) = &mut value
        && kind.unordered
    {
        all.sort_by_key(|it| format!("{it:?}"));
    }
    Ok(value)
}
