//! The link swallows everything, and nobody is told.

use std::sync::Arc;

use async_trait::async_trait;

use super::link::{Link, Look, Strike};
use crate::relay::{Direction, Passage, Relay};

/// Lets nothing cross in either direction, the ends of connections included, until it is healed:
/// then what was held is delivered, as TCP does. KeyDB gives the connection up after its
/// `repl-timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlackHole;

#[async_trait]
impl Strike for BlackHole {
    fn verb(&self) -> String {
        "black hole".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#2c3e50"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        relay.set_both(&Passage::Hold);
    }

    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        held_back(look).await
    }
}

/// A write does not arrive, and the relay holds it; the connection was not cut.
pub(super) async fn held_back(look: &Look<'_>) -> Result<String, String> {
    let Link {
        upstream,
        downstream,
    } = look.link();
    let probe = look.write_probe(0).await?;
    if look.arrives(&probe).await? && look.is_the_only_way() {
        return Err(format!("a write on {upstream} arrives on {downstream}"));
    }
    let held = look.holds(Direction::TowardsDownstream).await?;
    Ok(format!(
        "a write on {upstream} is not on {downstream}, the relay holds {held} bytes"
    ))
}
