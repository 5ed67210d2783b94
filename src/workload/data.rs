//! A data set of every kind that comparison covers, for scenarios that need something to lose.

use crate::cluster::{Client, ClientError};

/// How many keys [`write_mixed_data`] writes per unit of its count: seven kinds in two databases.
pub const KEYS_PER_COUNT: u64 = 14;

/// Keys that [`write_bulk`] writes, and bytes in each.
const BULK: usize = 20;
const BULK_BYTES: usize = 4 << 10;

/// Writes more than the smallest backlog there is (`repl-backlog-size 16kb`) holds: who missed it
/// has to resync in full. Keys begin with `prefix`.
///
/// # Errors
/// The server does not answer or refuses.
pub async fn write_bulk(client: &mut Client, prefix: &str) -> Result<(), ClientError> {
    let value = "x".repeat(BULK_BYTES);
    let mut pipe = redis::pipe();
    for n in 0..BULK {
        let key = format!("{prefix}:bulk:{n}");
        pipe.cmd("SET").arg(key).arg(&value).ignore();
    }
    client.pipeline(&pipe).await
}

/// Writes keys of all types, with and without TTL, in databases 0 and 1, through one connection.
/// Keys begin with `prefix`. Leaves the connection in database 0.
///
/// # Errors
/// The server does not answer or refuses.
pub async fn write_mixed_data(
    client: &mut Client,
    prefix: &str,
    count: usize,
) -> Result<(), ClientError> {
    for database in [0, 1] {
        client.select(database).await?;
        let mut pipe = redis::pipe();
        for n in 0..count {
            let key = |kind: &str| format!("{prefix}:{kind}:{n}");
            pipe.cmd("SET")
                .arg(key("string"))
                .arg(format!("value {n}"))
                .ignore();
            pipe.cmd("SET")
                .arg(key("ttl"))
                .arg(n)
                .arg("EX")
                .arg(100_000)
                .ignore();
            pipe.cmd("INCRBY").arg(key("counter")).arg(n).ignore();
            pipe.cmd("RPUSH")
                .arg(key("list"))
                .arg("a")
                .arg("b")
                .arg(n)
                .ignore();
            pipe.cmd("SADD")
                .arg(key("set"))
                .arg("a")
                .arg("b")
                .arg(n)
                .ignore();
            pipe.cmd("HSET")
                .arg(key("hash"))
                .arg("field")
                .arg(n)
                .ignore();
            pipe.cmd("HSET")
                .arg(key("hash"))
                .arg("other")
                .arg("x")
                .ignore();
            pipe.cmd("ZADD")
                .arg(key("zset"))
                .arg(n)
                .arg("member")
                .ignore();
        }
        client.pipeline::<()>(&pipe).await?;
    }
    client.select(0).await
}
