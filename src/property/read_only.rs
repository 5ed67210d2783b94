//! Replicas refuse writes, primaries accept them.

use crate::cluster::{ClientError, Node};

/// What a plain `SET` of a probe key gives: `Ok(true)` if it was accepted (the key is removed
/// again), `Ok(false)` if it was refused as `READONLY`.
///
/// # Errors
/// Anything else: no answer, or another refusal.
pub async fn accepts_writes(node: &Node) -> Result<bool, ClientError> {
    let key = "keydb-harness:probe:write";
    let mut client = node.client().await?;
    match client
        .query::<()>(redis::cmd("SET").arg(key).arg(node.name()))
        .await
    {
        Ok(()) => {
            client.query::<()>(redis::cmd("DEL").arg(key)).await?;
            Ok(true)
        }
        Err(error) if error.is_refusal("READONLY") => Ok(false),
        Err(error) => Err(error),
    }
}
