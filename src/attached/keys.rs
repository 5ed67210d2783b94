//! The keys of a run: under its own prefix, with a time to live, known by name and so removed.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use super::Attached;
use crate::cluster::{Client, ClientError, Timeouts};

/// How many are named in one command.
const AT_A_TIME: usize = 200;

/// Every key that this run has written or was about to.
#[derive(Debug)]
pub(super) struct Keys {
    prefix: String,
    ttl: u64,
    made: Mutex<BTreeSet<String>>,
}

impl Keys {
    pub(super) fn new(prefix: &str, run: &str, ttl: u64) -> Self {
        Self {
            prefix: format!("{prefix}{run}:"),
            ttl,
            made: Mutex::default(),
        }
    }

    /// Seconds that each of them lives.
    pub(super) fn ttl(&self) -> u64 {
        self.ttl
    }

    /// What they all begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The key of that name, remembered.
    pub(super) fn named(&self, name: &str) -> String {
        let key = format!("{}{name}", self.prefix);
        self.remember([key.clone()]);
        key
    }

    /// Remembers keys that something else wrote for this run.
    pub(super) fn remember(&self, keys: impl IntoIterator<Item = String>) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.extend(keys);
    }

    fn all(&self) -> Vec<String> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().cloned().collect()
    }

    /// Deletes them all where clients write, and waits until they are nowhere.
    pub(super) async fn remove(&self, attached: &Attached) -> Result<String, String> {
        let keys = self.all();
        let late = |why: String| {
            format!(
                "of {} keys under {} some could not be removed ({why}): they end by themselves within {} s",
                keys.len(),
                self.prefix,
                self.ttl
            )
        };
        let visit = super::Visit::new(attached, "");
        let gone = visit.eventually("no key of this run is left", || async {
            let entries = attached.entries();
            let entry = entries.first().ok_or("nowhere to write")?;
            delete(entry, &keys)
                .await
                .map_err(|error| error.to_string())?;
            for member in &attached.inventory().members {
                let left = count(&member.reach, &keys).await;
                let left = left.map_err(|error| format!("{}: {error}", member.name))?;
                if left > 0 {
                    return Err(format!("{} has {left} of them", member.name));
                }
            }
            Ok(())
        });
        gone.await.map_err(|unmet| late(unmet.last))?;
        Ok(format!("{} keys were written, none is left", keys.len()))
    }
}

async fn delete(reach: &crate::cluster::reach::Reach, keys: &[String]) -> Result<(), ClientError> {
    let mut client = Client::to(reach, Timeouts::PATIENT).await?;
    for some in keys.chunks(AT_A_TIME) {
        client.query::<u64>(redis::cmd("DEL").arg(some)).await?;
    }
    Ok(())
}

/// How many of these keys a server has.
pub(super) async fn count(
    reach: &crate::cluster::reach::Reach,
    keys: &[String],
) -> Result<u64, ClientError> {
    let mut client = Client::to(reach, Timeouts::PATIENT).await?;
    let mut found = 0;
    for some in keys.chunks(AT_A_TIME) {
        found += client.query::<u64>(redis::cmd("EXISTS").arg(some)).await?;
    }
    Ok(found)
}

/// Which of these keys a server has.
pub(super) async fn present(
    reach: &crate::cluster::reach::Reach,
    keys: &[String],
) -> Result<BTreeSet<String>, ClientError> {
    let mut client = Client::to(reach, Timeouts::PATIENT).await?;
    let mut found = BTreeSet::new();
    for some in keys.chunks(AT_A_TIME) {
        let mut asked = redis::pipe();
        for key in some {
            asked.cmd("EXISTS").arg(key);
        }
        let there: Vec<bool> = client.pipeline(&asked).await?;
        let there = some.iter().zip(there).filter(|(_, there)| *there);
        found.extend(there.map(|(key, _)| key.clone()));
    }
    Ok(found)
}
