//! A node takes long to load what it saved.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use async_trait::async_trait;

use super::Unavailable;
use super::node::{Blow, Seen, ask};
use crate::cluster::{Cluster, Node, ready};
use crate::wait::{DEADLINE, eventually};

/// Keys that it has to load, and microseconds that each takes.
const KEYS: usize = 20_000;
const DELAY: u32 = 150;
const PREFIX: &str = "keydb-harness:load";

/// It is restarted with many keys, each of which takes a while to load: it refuses commands with
/// `LOADING` for some seconds, and answers `PING` meanwhile. When this is taken back it is waited
/// for, and the keys are removed.
#[derive(Debug, Default)]
pub struct SlowStart {
    restarted: AtomicBool,
}

#[async_trait]
impl Blow for SlowStart {
    fn verb(&self) -> String {
        "slow start of".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#5d6d7e"
    }

    async fn strike(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        let count = KEYS.to_string();
        if let Err(error) = ask::<()>(node, &["DEBUG", "POPULATE", &count, PREFIX]).await {
            let why = format!("{} has no DEBUG POPULATE: {error}", node.name());
            return Err(Unavailable(why).into());
        }
        let what = format!("{} saves", node.name());
        let saved = eventually(cluster, &what, DEADLINE, || async {
            let saved = ask::<()>(node, &["SAVE"]).await;
            saved.map_err(|error| error.to_string())
        });
        saved.await?;
        // Killed: at its end it would save once more, and that may take as long.
        node.kill().await?;
        node.reconfigure(&format!("key-load-delay {DELAY}\n"))
            .await?;
        node.start().await?;
        self.restarted.store(true, Ordering::SeqCst);
        Ok(())
    }

    async fn bites(&self, seen: &Seen<'_>) -> Result<String, String> {
        let (node, name) = (seen.node(), seen.node().name());
        match ask::<Option<String>>(node, &["GET", PREFIX]).await {
            Err(error) if error.is_refusal("LOADING") => {
                Ok(format!("{name} refuses a read: {error}"))
            }
            Err(error) => Err(format!("{name}: {error}")),
            Ok(_) => Err(format!("{name} answers a read")),
        }
    }

    async fn mend(&self, cluster: &Cluster, node: &Node) -> Result<()> {
        if !self.restarted.load(Ordering::SeqCst) {
            return Ok(());
        }
        // The others take the keys in by a full resync, which brings back what is removed meanwhile.
        let what = format!("{} has loaded", node.name());
        eventually(cluster, &what, DEADLINE, || ready::links(cluster)).await?;
        // For its next start.
        node.reconfigure("").await?;
        ask::<()>(node, &["CONFIG", "SET", "key-load-delay", "0"]).await?;
        let mut client = node.client().await?;
        let keys: Vec<String> = (0..KEYS).map(|n| format!("{PREFIX}:{n}")).collect();
        for keys in keys.chunks(500) {
            client.query::<()>(redis::cmd("DEL").arg(keys)).await?;
        }
        Ok(())
    }
}
