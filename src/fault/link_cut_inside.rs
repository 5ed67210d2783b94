//! The link breaks in the middle of a command.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use super::link::{Link, Look, Strike, key};
use crate::relay::{Direction, Passage, Relay};

/// Resets each connection in the middle of a key that crosses it, so that the downstream node has
/// half a command.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CutInside {
    /// The key; that of the probe that is written to see it bite if it is not given. As long as it
    /// is struck, commands with this key do not cross.
    pub key: Option<String>,
}

#[async_trait]
impl Strike for CutInside {
    fn verb(&self) -> String {
        "cut inside a command of".to_owned()
    }

    fn colour(&self) -> &'static str {
        "#e84393"
    }

    fn strike(&self, relay: &Arc<Relay>, link: &Link) {
        let key = self.key.clone().unwrap_or_else(|| key(link));
        let passage = Passage::CutInside(Bytes::from(key));
        relay.set(Direction::TowardsDownstream, passage);
    }

    /// A connection was cut, and the command has not arrived.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        let probe = look.write_probe(0).await?;
        if self.key.is_none() && look.is_the_only_way() && look.arrives(&probe).await? {
            return Err("the command arrives".to_owned());
        }
        match look.cuts() {
            0 => Err("nothing is cut".to_owned()),
            cuts => Ok(format!("{cuts} connections were cut inside a command")),
        }
    }
}
