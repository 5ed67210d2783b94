//! The relays in a cluster's links.

use std::sync::Arc;

use crate::relay::Relay;
use crate::testbed::EnvironmentError;

/// The relays of a cluster, or why it has none.
#[derive(Debug, Default)]
pub(super) struct Links {
    relays: Vec<Arc<Relay>>,
    unavailable: Option<EnvironmentError>,
}

impl Links {
    pub(super) fn of(relays: Vec<Relay>) -> Self {
        Self {
            relays: relays.into_iter().map(Arc::new).collect(),
            unavailable: None,
        }
    }

    /// None, though the topology asks for them.
    pub(super) fn unavailable(why: EnvironmentError) -> Self {
        Self {
            relays: Vec::new(),
            unavailable: Some(why),
        }
    }

    pub(super) fn relays(&self) -> &[Arc<Relay>] {
        &self.relays
    }

    pub(super) fn between(
        &self,
        downstream: &str,
        upstream: &str,
    ) -> Result<&Arc<Relay>, EnvironmentError> {
        if let Some(why) = &self.unavailable {
            return Err(why.clone());
        }
        let found = self.relays.iter().find(|relay| {
            relay.ends().downstream == downstream && relay.ends().upstream == upstream
        });
        found.ok_or_else(|| {
            EnvironmentError::new(format!(
                "no relay stands between {downstream} and {upstream}, which it would replicate: build the topology with `relayed`"
            ))
        })
    }

    pub(super) fn at(&self, host: &str, port: u16) -> Option<&Arc<Relay>> {
        self.relays.iter().find(|relay| {
            relay.address().port() == port && relay.address().ip().to_string() == host
        })
    }
}
