//! Everything that the upstream server says comes late.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::link::{Link, Look, Strike};
use super::{Fault, LITTLE, MadeOf, NameError};
use crate::relay::{Direction, Passage, Relay};

/// Delays the data by this long. Its order stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay(
    /// By how long.
    pub Duration,
);

/// In a schedule: its parameter is the time.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    let by = of.time(LITTLE)?;
    of.link(|| Delay(by))
}

#[async_trait]
impl Strike for Delay {
    fn verb(&self) -> String {
        format!("delay by {} ms", self.0.as_millis())
    }

    fn colour(&self) -> &'static str {
        "#f39c12"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        let passage = Passage::Delay {
            by: self.0,
            jitter: Duration::ZERO,
        };
        relay.set(Direction::TowardsDownstream, passage);
    }

    /// The relay has passed on something that came since, and nothing of it sooner.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        let waits = waits(look).await?;
        let least = waits.iter().min().copied().unwrap_or_default();
        match least >= self.0 {
            true => Ok(format!(
                "what {} says comes {} ms late",
                look.link().upstream,
                least.as_millis()
            )),
            false => Err(format!("something came {} ms late", least.as_millis())),
        }
    }
}

/// Has something be said; gives how late each piece came that has come since the link was struck.
pub(super) async fn waits(look: &Look<'_>) -> Result<Vec<Duration>, String> {
    let probe = look.write_probe(0).await?;
    look.arrives(&probe).await?;
    let crossings = look.crossings(Direction::TowardsDownstream);
    if crossings.is_empty() {
        return Err("nothing has crossed yet".to_owned());
    }
    let late = |one: &crate::relay::Crossing| one.passed.saturating_duration_since(one.arrived);
    Ok(crossings.iter().map(late).collect())
}
