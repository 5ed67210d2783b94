//! One direction of the link swallows everything, the other goes on.

use std::sync::Arc;

use async_trait::async_trait;

use super::link::{Link, Look, Strike};
use super::link_black_hole::held_back;
use super::{Fault, MadeOf, NameError};
use crate::relay::{Direction, Passage, Relay};

/// Lets nothing cross in this direction until it is healed: then what was held is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OneWay(
    /// The direction that is struck: [`Direction::TowardsDownstream`] is that of the data.
    pub Direction,
);

/// In a schedule: its parameter is what is held, `data` or `acknowledgements`.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    let ways = [
        ("data", Direction::TowardsDownstream),
        ("acknowledgements", Direction::TowardsUpstream),
    ];
    let way = of.one_of(&ways)?;
    of.link(|| OneWay(way))
}

#[async_trait]
impl Strike for OneWay {
    fn verb(&self) -> String {
        match self.0 {
            Direction::TowardsDownstream => "one way: hold data of".to_owned(),
            Direction::TowardsUpstream => "one way: hold acknowledgements of".to_owned(),
        }
    }

    fn colour(&self) -> &'static str {
        "#8e44ad"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        relay.set(self.0, Passage::Hold);
    }

    /// A write does not arrive; or what the downstream node acknowledges is held, which it does
    /// every second.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        match self.0 {
            Direction::TowardsDownstream => held_back(look).await,
            Direction::TowardsUpstream => {
                let held = look.holds(self.0).await?;
                Ok(format!("the relay holds {held} bytes of acknowledgements"))
            }
        }
    }

    async fn spares(&self, look: &Look<'_>) -> Result<(), String> {
        let other = self.0.reverse();
        if let Ok(held) = look.holds(other).await {
            return Err(format!("{held} bytes are held {other}"));
        }
        if self.0 == Direction::TowardsUpstream {
            let probe = look.write_probe(0).await?;
            if !look.arrives(&probe).await? {
                return Err("the data does not arrive".to_owned());
            }
        }
        Ok(())
    }
}
