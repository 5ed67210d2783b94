//! Who is at work on a cluster: a key that ends by itself, renewed for as long as a run lives.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::inventory::Inventory;
use crate::cluster::reach::Reach;
use crate::cluster::{Client, ClientError, Timeouts};
use crate::testbed::EnvironmentError;

/// Seconds until the lease of a run that died has ended.
const SECONDS: u64 = 30;
const RENEWED_EVERY: Duration = Duration::from_secs(10);

/// The cluster is this run's. Ends with the run, or 30 s after it died.
#[derive(Debug)]
pub(super) struct Lease {
    key: String,
    renewal: JoinHandle<()>,
}

impl Lease {
    /// Takes it.
    ///
    /// Active primaries decide nothing together: two runs that begin at the same moment at two of
    /// them can both get it. Each then looks at every node once more, and whoever sees the other
    /// stops.
    ///
    /// # Errors
    /// Another run has it, or no key can be written.
    pub(super) async fn take(inventory: &Inventory, run: &str) -> Result<Self, EnvironmentError> {
        let key = format!("{}lease", inventory.prefix);
        let value = format!("{run} on {} since {}", host(), jiff::Timestamp::now());
        refuse_others(inventory, &key, &value).await?;
        let at = match &inventory.proxy {
            Some(proxy) => proxy.reach.clone(),
            None => match inventory.primaries().next() {
                Some(primary) => primary.reach.clone(),
                None => return Err(EnvironmentError::new("the inventory has no primary")),
            },
        };
        set(&at, &key, &value, "NX").await.map_err(|error| {
            EnvironmentError::new(format!(
                "the cluster takes no write ({error}): see that a primary is up and that the user may SET keys under {}",
                inventory.prefix
            ))
        })?;
        let renewal = {
            let (key, value) = (key.clone(), value.clone());
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(RENEWED_EVERY).await;
                    // While a fault is at work it may not arrive: the next does.
                    let _ = set(&at, &key, &value, "XX").await;
                }
            })
        };
        let lease = Self { key, renewal };
        refuse_others(inventory, &lease.key, &value).await?;
        Ok(lease)
    }

    /// The key that says so.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// Gives it back.
    pub(super) async fn give_back(self, inventory: &Inventory) {
        self.renewal.abort();
        let proxy = inventory.proxy.iter().map(|proxy| &proxy.reach);
        let primaries = inventory.primaries().map(|it| &it.reach);
        for reach in proxy.chain(primaries) {
            if let Ok(mut client) = Client::to(reach, Timeouts::GLANCE).await {
                let removed: Result<u64, _> = client.query(redis::cmd("DEL").arg(&self.key)).await;
                if removed.is_ok() {
                    return;
                }
            }
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn refuse_others(
    inventory: &Inventory,
    key: &str,
    own: &str,
) -> Result<(), EnvironmentError> {
    for member in &inventory.members {
        let failed = |error: ClientError| {
            EnvironmentError::new(format!(
                "{} cannot be asked for {key}: {error}; see that the user may GET keys under {}",
                member.name, inventory.prefix
            ))
        };
        let mut client = Client::to(&member.reach, Timeouts::GLANCE)
            .await
            .map_err(failed)?;
        let found: Option<String> = client
            .query(redis::cmd("GET").arg(key))
            .await
            .map_err(failed)?;
        if let Some(other) = found.filter(|found| found != own) {
            return Err(EnvironmentError::new(format!(
                "another run is at work on this cluster ({other}, seen on {}): wait until it has ended; what a dead one left goes within {SECONDS} s",
                member.name
            )));
        }
    }
    Ok(())
}

async fn set(reach: &Reach, key: &str, value: &str, condition: &str) -> Result<(), ClientError> {
    let mut client = Client::to(reach, Timeouts::PATIENT).await?;
    let mut set = redis::cmd("SET");
    set.arg(key)
        .arg(value)
        .arg("EX")
        .arg(SECONDS)
        .arg(condition);
    client.query::<Option<String>>(&set).await.map(drop)
}

fn host() -> String {
    let name = std::fs::read_to_string("/etc/hostname");
    let name = name.map(|name| name.trim().to_owned());
    name.unwrap_or_else(|_| "some machine".to_owned())
}
