//! Everything that the upstream server says comes late, now more, now less.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::link::{Link, Look, Strike};
use super::link_delay::waits;
use super::{Fault, LITTLE, MadeOf, NameError};
use crate::relay::{Direction, Passage, Relay};

/// How many pieces have to have crossed until it is judged by them.
const PIECES: usize = 5;

/// Delays each piece of the data by up to this long, drawn evenly with the run's seed. The order
/// stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(
    /// By how long at most.
    pub Duration,
);

/// In a schedule: its parameter is the most that is waited.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    let by = of.time(LITTLE)?;
    of.link(|| Jitter(by))
}

#[async_trait]
impl Strike for Jitter {
    fn verb(&self) -> String {
        format!("jitter of {} ms", self.0.as_millis())
    }

    fn colour(&self) -> &'static str {
        "#f1c40f"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        let passage = Passage::Delay {
            by: Duration::ZERO,
            jitter: self.0,
        };
        relay.set(Direction::TowardsDownstream, passage);
    }

    /// The relay has passed on several pieces, some of them later than others by a good part of
    /// the jitter.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        let waits = waits(look).await?;
        let least = waits.iter().min().copied().unwrap_or_default();
        let most = waits.iter().max().copied().unwrap_or_default();
        let seen = format!(
            "{} pieces came {} to {} ms late",
            waits.len(),
            least.as_millis(),
            most.as_millis()
        );
        match waits.len() >= PIECES && most - least >= self.0 / 4 {
            true => Ok(seen),
            false => Err(seen),
        }
    }
}
