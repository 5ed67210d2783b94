//! Replicas refuse writes.

use super::Check;
use crate::attached::Visit;
use crate::attached::inventory::Inventory;
use crate::cluster::{Client, Timeouts};

pub(super) const CHECK: Check = Check {
    name: "attached-read-only",
    title: "replicas refuse writes",
    promise: "a replica refuses a write with READONLY",
    source: "guide, Configuration (replica-read-only yes); Redis docs, Replication",
    strikes: false,
    variants,
    run: |visit| Box::pin(run(visit)),
};

fn variants(inventory: &Inventory) -> Vec<String> {
    let any = inventory.replicas().next();
    any.map(|_| String::new()).into_iter().collect()
}

async fn run(visit: &Visit<'_>) -> anyhow::Result<()> {
    for replica in visit.inventory().replicas() {
        let key = visit.key(&format!("read-only:{}", replica.name));
        let mut client = Client::to(&replica.reach, Timeouts::PATIENT).await?;
        let mut set = redis::cmd("SET");
        set.arg(&key).arg("1").arg("EX").arg(visit.ttl());
        let seen = match client.query::<()>(&set).await {
            Err(error) if error.is_refusal("READONLY") => Ok(error.to_string()),
            Err(error) => Err(format!("{} says: {error}", replica.name)),
            Ok(()) => Err(format!("{} takes it", replica.name)),
        };
        visit.check(
            &format!("refuses-{}", replica.name),
            "a replica refuses a write with READONLY",
            seen,
        );
    }
    Ok(())
}
