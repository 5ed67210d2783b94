//! A write where clients write, and at each primary, is readable on every node.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;

use super::{Check, once};
use crate::attached::Visit;
use crate::cluster::{Client, ClientError, Timeouts};
use crate::wait::Unmet;

pub(super) const CHECK: Check = Check {
    name: "attached-writes",
    title: "writes are readable everywhere",
    promise: "what is written where clients write, or at any primary, is readable on every node",
    source: "guide, Testing (write through the proxy, see the key everywhere); KeyDB docs active-rep.md",
    strikes: false,
    variants: once,
    run: |visit| Box::pin(run(visit)),
};

/// Writes where clients write.
const WRITES: usize = 50;
/// Writes at each primary.
const AT_EACH: usize = 10;

async fn run(visit: &Visit<'_>) -> anyhow::Result<()> {
    let mut readers = visit.clients().await?;
    let at = visit.attached().entry_name();
    let mut entry = visit.entry().await?;
    let promise = format!("a write at {at} is readable on every node");
    match spread(visit, "entry", WRITES, &mut entry, &mut readers).await? {
        Ok(mut took) => {
            took.sort_unstable();
            let ms = |position: usize| took[position].as_secs_f64() * 1000.0;
            let median = ms(WRITES / 2);
            visit.measure("to the slowest node, median", median, "ms");
            visit.measure(
                "to the slowest node, 95 of 100",
                ms(WRITES * 95 / 100),
                "ms",
            );
            visit.headline(format!("median {median:.1} ms to the slowest node"));
            visit.check(
                "reaches-all",
                &promise,
                Ok::<_, String>(format!("{WRITES} writes")),
            );
        }
        Err(unmet) => {
            visit.check("reaches-all", &promise, Err::<&str, _>(unmet));
        }
    }
    for primary in visit.inventory().primaries() {
        let name = &primary.name;
        let mut writer = Client::to(&primary.reach, Timeouts::PATIENT).await?;
        let seen = spread(visit, name, AT_EACH, &mut writer, &mut readers).await?;
        visit.check(
            &format!("from-{name}"),
            "a write at any primary is readable on every node",
            seen.map(|took| format!("{} writes", took.len())),
        );
    }
    Ok(())
}

/// Writes one key after the other and waits until each is everywhere: how long that took, each.
async fn spread(
    visit: &Visit<'_>,
    name: &str,
    writes: usize,
    writer: &mut Client,
    readers: &mut [(&str, Client)],
) -> Result<Result<Vec<Duration>, Unmet>, ClientError> {
    let mut took = Vec::new();
    for number in 0..writes {
        let key = visit.key(&format!("writes:{name}:{number}"));
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(&key).arg("EX").arg(visit.ttl());
        writer.query::<()>(&set).await?;
        let sent = Instant::now();
        let there = readers
            .iter_mut()
            .map(|(node, client)| is_there(visit, node, client, &key));
        if let Err(unmet) = try_join_all(there).await {
            return Ok(Err(unmet));
        }
        took.push(sent.elapsed());
    }
    Ok(Ok(took))
}

async fn is_there(
    visit: &Visit<'_>,
    node: &str,
    client: &mut Client,
    key: &str,
) -> Result<(), Unmet> {
    let what = format!("the key {key} is on {node} as it was written");
    let client = tokio::sync::Mutex::new(client);
    let client = &client;
    visit
        .eventually(&what, || async move {
            let mut client = client.lock().await;
            let found: Option<String> = client
                .query(redis::cmd("GET").arg(key))
                .await
                .map_err(|error| error.to_string())?;
            match found {
                Some(value) if value == key => Ok(()),
                Some(other) => Err(format!("it holds '{other}'")),
                None => Err("it is not there".to_owned()),
            }
        })
        .await
}
