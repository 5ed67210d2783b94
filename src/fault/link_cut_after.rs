//! The link breaks again and again, each time after so many bytes.

use std::sync::Arc;

use async_trait::async_trait;

use super::link::{Link, Look, Strike};
use super::{Fault, MadeOf, NameError};
use crate::relay::{Direction, Passage, Relay};

/// Resets each connection after this many bytes of data, wherever in the stream that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutAfter {
    /// How many, counted from now for the connection that lives, from its beginning for others.
    pub bytes: u64,
}

/// In a schedule: its parameter is the number of bytes.
pub(super) fn named(of: &MadeOf<'_>) -> Result<Arc<dyn Fault>, NameError> {
    let bytes = of.number(10_000)?;
    of.link(|| CutAfter { bytes })
}

#[async_trait]
impl Strike for CutAfter {
    fn verb(&self) -> String {
        format!("cut after {} bytes", self.bytes)
    }

    fn colour(&self) -> &'static str {
        "#e74c3c"
    }

    fn strike(&self, relay: &Arc<Relay>, _link: &Link) {
        relay.set(Direction::TowardsDownstream, Passage::CutAfter(self.bytes));
    }

    /// A connection was cut after so many bytes.
    async fn bites(&self, look: &Look<'_>) -> Result<String, String> {
        look.write_probe(0).await?;
        let passed = look.traffic(Direction::TowardsDownstream).passed;
        match look.cuts() {
            0 => Err(format!("{passed} bytes have crossed, and nothing is cut")),
            cuts => Ok(format!(
                "{cuts} connections were cut, {passed} bytes crossed"
            )),
        }
    }
}
