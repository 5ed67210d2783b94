//! The link is narrow.

use std::sync::Arc;

use async_trait::async_trait;

use super::link::{Link, Look, Strike};
use super::{Fault, MadeOf, NameError};
use crate::relay::{Direction, Passage, Relay};

/// Lets no more than this many bytes of data cross in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// How many.
    pub bytes_per_second: u64,
}

impl Throttle {
    /// The seconds that so many bytes take at least.
    #[allow(clippy::cast_precision_loss)]
    fn takes(self, bytes: u64) -> f64 {
        bytes as f64 / self.bytes_per_second.max(1) as f64
    }
}

/// In a schedule: its parameter is the number of bytes in a second.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    let bytes_per_second = of.number(20_000)?;
    of.link(|| Throttle { bytes_per_second })
}

#[async_trait]
impl Strike for Throttle {
    fn verb(&self) -> String {
        format!("throttle to {} bytes/s", self.bytes_per_second)
    }

    fn colour(&self) -> &'static str {
        "#16a085"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        let passage = Passage::Throttle {
            bytes_per_second: self.bytes_per_second,
        };
        relay.set(Direction::TowardsDownstream, passage);
    }

    /// A quarter of what may cross in a second has crossed, no faster than that, and has waited for it.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        let way = Direction::TowardsDownstream;
        let enough = (self.bytes_per_second / 4).max(1);
        if look.traffic(way).held == 0 {
            let bytes = usize::try_from(2 * enough).unwrap_or(usize::MAX);
            look.write_probe(bytes).await?;
        }
        let crossings = look.crossings(way);
        let (Some(first), Some(last)) = (crossings.first(), crossings.last()) else {
            return Err("nothing has crossed yet".to_owned());
        };
        // The last piece has only begun to take its time.
        let bytes: u64 = crossings.iter().map(|one| u64::from(one.bytes)).sum();
        let bytes = bytes - u64::from(last.bytes);
        let time = last.passed.saturating_duration_since(first.passed);
        let waits = crossings
            .iter()
            .map(|one| one.passed.saturating_duration_since(one.arrived));
        let longest = waits.max().unwrap_or_default().as_secs_f64();
        let seen = format!(
            "{bytes} bytes crossed in {:.2} s, they waited up to {longest:.2} s",
            time.as_secs_f64()
        );
        let fastest = self.takes(bytes);
        let is_slow = time.as_secs_f64() >= 0.9 * fastest;
        // Little may come by itself: what is slow has to have waited for it.
        match bytes >= enough && is_slow && longest >= self.takes(enough) / 2.0 {
            true => Ok(seen),
            false => Err(seen),
        }
    }
}
