//! The life of a fault on a cluster.

use std::sync::Arc;

use anyhow::Result;

use super::{Fault, Unavailable};
use crate::cluster::Cluster;
use crate::history::{Phase, Recording};
use crate::wait::{DEADLINE, Unmet, eventually};

/// A fault that was injected and not yet taken back. Dropping it lets go of it.
#[derive(Debug)]
pub struct Inflicted {
    fault: Arc<dyn Fault>,
    /// What was seen when it bit.
    bite: String,
    recovered: bool,
}

/// Why a fault does not count: the run says nothing of the promise it was for.
#[derive(Debug, thiserror::Error)]
pub enum Toothless {
    /// It cannot be had here.
    #[error("{fault} is unavailable: {why}")]
    Unavailable {
        /// Its name.
        fault: String,
        /// The reason.
        why: String,
    },
    /// It was injected, but nothing was seen of it.
    #[error("{fault} did not bite: {}", .unmet.sentence())]
    DidNotBite {
        /// Its name.
        fault: String,
        /// What was seen instead.
        unmet: Box<Unmet>,
    },
    /// It struck more than it should.
    #[error("{fault} struck more than it should: {what}")]
    StruckMore {
        /// Its name.
        fault: String,
        /// What else.
        what: String,
    },
    /// The testbed did not carry it out.
    #[error("{fault}: {error:#}")]
    Refused {
        /// Its name.
        fault: String,
        /// Why.
        error: anyhow::Error,
    },
}

impl Inflicted {
    /// Injects `fault` and waits until it bites.
    ///
    /// # Errors
    /// [`Toothless`]; the fault is let go of.
    pub async fn on(cluster: &Cluster, fault: Arc<dyn Fault>) -> Result<Self, Toothless> {
        let name = fault.name();
        if let Some(why) = fault.unavailable(cluster) {
            return Err(Toothless::Unavailable { fault: name, why });
        }
        let mut inflicted = Self {
            fault,
            bite: String::new(),
            recovered: false,
        };
        let fault = &inflicted.fault;
        if let Err(error) = fault.inject(cluster).await {
            return Err(match error.downcast() {
                Ok(Unavailable(why)) => Toothless::Unavailable { fault: name, why },
                Err(error) => Toothless::Refused { fault: name, error },
            });
        }
        let what = format!("{name} bites");
        let bitten = eventually(cluster, &what, DEADLINE, || fault.bites(cluster)).await;
        let bite = bitten.map_err(|unmet| Toothless::DidNotBite {
            fault: name.clone(),
            unmet: Box::new(unmet),
        })?;
        if let Err(what) = fault.spares(cluster).await {
            return Err(Toothless::StruckMore { fault: name, what });
        }
        inflicted.bite = bite;
        Ok(inflicted)
    }

    /// As [`Self::on`]; what becomes of it is noted in `recording`, if there is one.
    ///
    /// # Errors
    /// As [`Self::on`].
    pub async fn noted(
        cluster: &Cluster,
        fault: Arc<dyn Fault>,
        recording: Option<&Recording>,
    ) -> Result<Self, Toothless> {
        let named = Arc::clone(&fault);
        note(recording, &*named, Phase::Injected, "");
        let inflicted = Self::on(cluster, fault).await;
        match &inflicted {
            Ok(inflicted) => note(recording, &*named, Phase::Bites, inflicted.bite()),
            Err(toothless) => note(recording, &*named, Phase::Toothless, &toothless.to_string()),
        }
        inflicted
    }

    /// What was seen when it bit.
    pub fn bite(&self) -> &str {
        &self.bite
    }

    /// The fault.
    pub fn fault(&self) -> &dyn Fault {
        &*self.fault
    }

    /// Takes it back, and waits until what it struck is well again.
    ///
    /// # Errors
    /// The testbed did not carry it out, or an [`Unmet`].
    pub async fn recover(mut self, cluster: &Cluster) -> Result<()> {
        self.recovered = true;
        self.fault.recover(cluster).await?;
        let what = format!("{} is healed", self.fault.name());
        eventually(cluster, &what, DEADLINE, || self.fault.healed(cluster)).await?;
        Ok(())
    }

    /// As [`Self::recover`]; what becomes of it is noted in `recording`, if there is one.
    ///
    /// # Errors
    /// As [`Self::recover`].
    pub async fn recover_noted(
        self,
        cluster: &Cluster,
        recording: Option<&Recording>,
    ) -> Result<()> {
        let fault = Arc::clone(&self.fault);
        note(recording, &*fault, Phase::Recovering, "");
        self.recover(cluster).await?;
        note(recording, &*fault, Phase::Healed, "");
        Ok(())
    }
}

fn note(recording: Option<&Recording>, fault: &dyn Fault, phase: Phase, seen: &str) {
    if let Some(recording) = recording {
        recording.fault(&fault.name(), &fault.strikes(), phase, seen);
    }
}

impl Drop for Inflicted {
    fn drop(&mut self) {
        if !self.recovered {
            self.fault.let_go();
        }
    }
}
