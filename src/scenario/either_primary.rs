//! Guide, step 2: a write on either primary reaches the other and all replicas.

use anyhow::Result;
use redis::{Value, cmd};
use tokio::time::Instant;

use super::{Scenario, reference};
use crate::cluster::Order;
use crate::property::agreement;
use crate::property::visible::{bulk, everywhere, readers};
use crate::trial::Trial;
use crate::workload::{KEYS_PER_COUNT, write_mixed_data};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "either-primary",
    title: "a write on either primary reaches all nodes",
    promise: "both servers propagate writes to each other, and to all replicas",
    source: "guide, Active/Active; KeyDB docs active-rep.md",
    seconds: 3,
    variants: &[""],
    order: Order::Staged,
    topology: reference,
    run: |trial| Box::pin(run(trial)),
};

/// How much data each primary is given.
const DATA: usize = 20;

async fn run(trial: &Trial) -> Result<()> {
    let cluster = trial.cluster();
    let mut nodes = readers(cluster, 0).await?;
    for writer in cluster.primaries() {
        let name = writer.name();
        let key = format!("written-on:{name}");
        let mut client = writer.client().await?;
        client.query::<()>(cmd("SET").arg(&key).arg(name)).await?;
        let read = cmd("GET").arg(&key).to_owned();
        let seen = everywhere(
            cluster,
            &mut nodes,
            &key,
            &read,
            &bulk(name),
            Instant::now(),
        )
        .await;
        if let Ok(latencies) = &seen {
            trial.headline(format!(
                "{name} {:.1} ms",
                latencies.slowest().as_secs_f64() * 1000.0
            ));
        }
        trial.check(
            &format!("from-{name}"),
            "a write on a primary reaches all nodes",
            seen,
        );

        client.query::<()>(cmd("DEL").arg(&key)).await?;
        let gone = everywhere(
            cluster,
            &mut nodes,
            &key,
            &read,
            &Value::Nil,
            Instant::now(),
        )
        .await;
        trial.check(&format!("delete-from-{name}"), "so does a delete", gone);
        write_mixed_data(&mut client, name, DATA).await?;
    }
    agreement::check(trial, "agreement", 2 * DATA as u64 * KEYS_PER_COUNT).await;
    Ok(())
}
