//! Clients that write to one node while something else is done.

use anyhow::Result;
use redis::{cmd, pipe};

use super::PAUSE;
use crate::behaviour::Hands;
use crate::cluster::Client;

/// The databases in which upstream's clients write.
pub(super) const DATABASES: [u32; 3] = [9, 11, 12];
/// Writes of a client between two pauses.
const AT_ONCE: u32 = 10;
/// Bytes of a large value.
const VALUE: i64 = 1024;
/// Counters of [`increments`].
const COUNTERS: u32 = 100;

/// Does `work` while three clients set keys and count on a node, each in a database of its own.
///
/// # Errors
/// That of the work, or a client's.
pub(super) async fn in_three_databases<T>(
    hands: &Hands<'_>,
    node: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let node = hands.cluster().node(node)?;
    let name = node.name();
    for database in DATABASES {
        hands.note(&format!(
            "a client of {name} begins: SELECT {database}, SET load:1 1, INCR counter, SET load:2 2, ..."
        ));
    }
    let mut clients = Vec::new();
    for database in DATABASES {
        let mut client = node.client().await?;
        client.select(database).await?;
        clients.push(climb(client));
    }
    let seen = tokio::select! {
        seen = work => seen?,
        failed = futures_util::future::try_join_all(clients) => {
            failed?;
            anyhow::bail!("the clients ended")
        }
    };
    hands.note("the clients end");
    Ok(seen)
}

/// Upstream's `gen_climbing_load`, and a counter.
async fn climb(mut client: Client) -> Result<()> {
    let mut number: u32 = 0;
    loop {
        let mut writes = pipe();
        for _ in 0..AT_ONCE {
            number += 1;
            writes.cmd("SET").arg(format!("load:{number}")).arg(number);
            writes.ignore().cmd("INCR").arg("counter").ignore();
        }
        client.pipeline::<()>(&writes).await?;
        tokio::time::sleep(PAUSE).await;
    }
}

/// Does `work` while a client increments counters of a node; how many increments it made.
///
/// # Errors
/// That of the work, or the client's.
pub(super) async fn increments<T>(
    hands: &Hands<'_>,
    node: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<(T, u64)> {
    hands.note(&format!(
        "a client of {node} begins: INCR key:0, INCR key:1, ..."
    ));
    let mut client = hands.cluster().node(node)?.client().await?;
    let (ended, mut ends) = tokio::sync::oneshot::channel();
    let writes = async {
        let mut sent: u64 = 0;
        while ends.try_recv().is_err() {
            let mut round = pipe();
            for _ in 0..AT_ONCE {
                let key = sent % u64::from(COUNTERS);
                round.cmd("INCR").arg(format!("key:{key}")).ignore();
                sent += 1;
            }
            client.pipeline::<()>(&round).await?;
            tokio::time::sleep(PAUSE).await;
        }
        Ok::<_, anyhow::Error>(sent)
    };
    let work = async {
        let done = work.await;
        // Told also if the work failed.
        let _ = ended.send(());
        done
    };
    let (done, sent) = tokio::join!(work, writes);
    let (done, sent) = (done?, sent?);
    hands.note(&format!("the client ends, after {sent} increments"));
    Ok((done, sent))
}

/// The sum of the counters on a node.
///
/// # Errors
/// No answer, or not of numbers.
pub(super) async fn sum(hands: &Hands<'_>, node: &str) -> Result<u64> {
    let mut ask = cmd("MGET");
    ask.arg(
        (0..COUNTERS)
            .map(|key| format!("key:{key}"))
            .collect::<Vec<_>>(),
    );
    let mut client = hands.cluster().node(node)?.client().await?;
    let values: Vec<Option<u64>> = client.query(&ask).await?;
    let sum = values.into_iter().flatten().sum();
    hands.note(&format!("{node}: the counters of MGET add up to {sum}"));
    Ok(sum)
}

/// Writes more bytes than these on a node.
///
/// # Errors
/// No answer.
pub(super) async fn more_than(hands: &Hands<'_>, node: &str, bytes: i64) -> Result<()> {
    let values = bytes / VALUE + 64;
    let mut client = hands.cluster().node(node)?.client().await?;
    let mut writes = pipe();
    for number in 0..values {
        let value = "x".repeat(usize::try_from(VALUE)?);
        writes
            .cmd("SET")
            .arg(format!("big:{}", number % 100))
            .arg(value);
        if number % 100 == 99 || number + 1 == values {
            let round = std::mem::replace(&mut writes, pipe());
            client.pipeline::<redis::Value>(&round).await?;
        }
    }
    hands.note(&format!(
        "{node} SET big:0 ..., {values} values of {VALUE} bytes"
    ));
    Ok(())
}
