//! The link breaks, and cannot be made anew.

use std::sync::Arc;

use async_trait::async_trait;

use super::link::{Link, Look, Strike};
use crate::relay::Relay;

/// Resets every connection of the link (RST on both sides), and turns new ones away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut;

#[async_trait]
impl Strike for Cut {
    fn verb(&self) -> String {
        "cut".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#c0392b"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        relay.cut();
    }

    /// The downstream node says that its link is down.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        let Link {
            upstream,
            downstream,
        } = look.link();
        if look.is_up().await? {
            return Err(format!("{downstream}'s link to {upstream} is up"));
        }
        Ok(format!(
            "{downstream}'s link to {upstream} is down, {} connections were reset",
            look.cuts()
        ))
    }
}
