//! Guide, step 2: a write on either primary reaches the other and all replicas.

use anyhow::Result;
use redis::{Value, cmd};
use tokio::time::Instant;

use super::{Scenario, reference};
use crate::cluster::Order;
use crate::model::Class;
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
    long: &[],
    damage: &[Class::Divergence, Class::DoubleApplication],
    needs: &[],
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
    counted_once(trial).await
}

/// Every increment counts once: where it was made, and on every other node.
async fn counted_once(trial: &Trial) -> Result<()> {
    let (mut at_home, mut elsewhere) = (Vec::new(), Vec::new());
    for writer in trial.cluster().primaries().map(|writer| writer.name()) {
        let mut pipe = redis::pipe();
        for n in 0..DATA {
            pipe.cmd("GET").arg(format!("{writer}:counter:{n}"));
        }
        for node in trial.cluster().live() {
            let counts: Vec<Option<usize>> = node.client().await?.pipeline(&pipe).await?;
            let wrong = counts
                .iter()
                .enumerate()
                .filter(|(n, count)| **count != Some(*n))
                .count();
            let seen = match node.name() == writer {
                true => &mut at_home,
                false => &mut elsewhere,
            };
            if wrong > 0 {
                seen.push(format!(
                    "{wrong} of {DATA} from {writer} on {}",
                    node.name()
                ));
            }
        }
    }
    for (check, promise, wrong) in [
        (
            "counted-at-home",
            "an increment counts once where it is made",
            at_home,
        ),
        (
            "counted-elsewhere",
            "an increment counts once on every other node",
            elsewhere,
        ),
    ] {
        let seen = match wrong.is_empty() {
            true => Ok(format!("{DATA} counters")),
            false => Err(format!("counters are wrong: {}", wrong.join(", "))),
        };
        trial.check(check, promise, seen);
    }
    Ok(())
}
