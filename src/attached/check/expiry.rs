//! A key's time to live is the same everywhere, and its end comes everywhere.

use super::{Check, once};
use crate::attached::Visit;
use crate::cluster::Client;

pub(super) const CHECK: Check = Check {
    name: "attached-expiry",
    title: "keys end everywhere",
    promise: "a key has its time to live on every node, and is gone everywhere once that has passed",
    source: "KeyDB docs active-rep.md (all writes are replicated); Redis docs, EXPIRE (no reads of expired keys)",
    strikes: false,
    variants: once,
    run: |visit| Box::pin(run(visit)),
};

/// Milliseconds that the short-lived keys live: longer than any of them takes to be everywhere on a
/// busy machine.
const SHORT: u64 = 5_000;
const KEYS: usize = 10;

async fn run(visit: &Visit<'_>) -> anyhow::Result<()> {
    let mut readers = visit.clients().await?;
    let mut entry = visit.entry().await?;
    let keys: Vec<String> = (0..KEYS)
        .map(|number| visit.key(&format!("expiry:{number}")))
        .collect();
    let stays = visit.key("expiry:stays");
    let mut all = redis::pipe();
    for key in &keys {
        all.cmd("SET").arg(key).arg("1").arg("PX").arg(SHORT);
    }
    all.cmd("SET")
        .arg(&stays)
        .arg("1")
        .arg("EX")
        .arg(visit.ttl());
    entry.pipeline::<()>(&all).await?;

    let longest = i64::try_from(visit.ttl() * 1000)?;
    for (node, client) in &mut readers {
        let seen = lives(visit, client, &stays, longest).await;
        visit.check(
            &format!("lives-on-{node}"),
            "a key has its time to live on every node",
            seen.map(|left| format!("{left} ms left")),
        );
    }
    let gone = visit.eventually("every short-lived key is gone on every node", || async {
        for member in &visit.inventory().members {
            let left = visit.present(&member.reach, &keys).await?;
            if let Some(key) = left.first() {
                return Err(format!("{} still has {key}", member.name));
            }
        }
        Ok(format!("{KEYS} keys"))
    });
    visit.check(
        "ends",
        "a key is gone on every node once its time has passed",
        gone.await,
    );
    Ok(())
}

/// Waits until the key is there; then it must have a time to live, and no more than was given.
async fn lives(
    visit: &Visit<'_>,
    client: &mut Client,
    key: &str,
    longest: i64,
) -> Result<i64, String> {
    let client = tokio::sync::Mutex::new(client);
    let client = &client;
    let left: i64 = visit
        .eventually("the key is there", || async move {
            let mut client = client.lock().await;
            let left: i64 = client
                .query(redis::cmd("PTTL").arg(key))
                .await
                .map_err(|error| error.to_string())?;
            match left {
                -2 => Err("it is not there".to_owned()),
                left => Ok(left),
            }
        })
        .await
        .map_err(|unmet| unmet.sentence())?;
    match left {
        -1 => Err("it has no time to live".to_owned()),
        left if left > longest => Err(format!("{left} ms are left of {longest}")),
        left => Ok(left),
    }
}
