//! What a run that a signal ends leaves on the cluster of others: as little as can be done at once.

use std::sync::Arc;
use std::time::Duration;

use super::inventory::Inventory;
use super::keys::Keys;
use super::lease::Lease;
use crate::cleanup::Undo;
use crate::cluster::reach::Reach;
use crate::cluster::{Client, ClientError, Timeouts};

/// How long an ending process may be kept.
const PATIENCE: Duration = Duration::from_secs(10);

/// Removes keys and lease when a signal ends the process.
#[derive(Debug)]
pub(super) struct Traces {
    reach: Option<Reach>,
    keys: Arc<Keys>,
    lease: String,
}

impl Traces {
    pub(super) fn of(inventory: &Inventory, keys: &Arc<Keys>, lease: &Lease) -> Self {
        let proxy = inventory.proxy.iter().map(|proxy| &proxy.reach);
        let mut entries = proxy.chain(inventory.primaries().map(|it| &it.reach));
        Self {
            reach: entries.next().cloned(),
            keys: Arc::clone(keys),
            lease: lease.key().to_owned(),
        }
    }

    async fn remove(&self) -> Result<(), ClientError> {
        let Some(reach) = &self.reach else {
            return Ok(());
        };
        let mut client = Client::to(reach, Timeouts::GLANCE).await?;
        let pattern = format!("{}*", self.keys.prefix());
        let mut cursor: u64 = 0;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(1000);
            let (next, found): (u64, Vec<String>) = client.query(&scan).await?;
            if !found.is_empty() {
                client.query::<u64>(redis::cmd("DEL").arg(&found)).await?;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let mut lease = redis::cmd("DEL");
        client.query::<u64>(lease.arg(&self.lease)).await.map(drop)
    }
}

impl Undo for Traces {
    fn undo(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let removed =
            runtime.map(|runtime| runtime.block_on(tokio::time::timeout(PATIENCE, self.remove())));
        if !matches!(removed, Ok(Ok(Ok(())))) {
            crate::console::problem(format_args!(
                "keydb-harness: keys under {} could not be removed: they end by themselves within {} s",
                self.keys.prefix(),
                self.keys.ttl()
            ));
        }
    }
}
