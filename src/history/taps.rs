//! Taps in every link of a cluster that has a relay.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Crossing, Recording};
use crate::cluster::Cluster;
use crate::relay::{Direction, Relay, Tap};
use crate::wait::{DEADLINE, Unmet, eventually};

/// The state of a link that says how many bytes of data were passed on since its relay was opened.
pub const PASSED: &str = "passed";
/// The state of a link that says how many bytes came, but for keep-alives, since it was tapped.
pub const DATA: &str = "data";

/// Records what crosses each relay of a cluster and when. Ends when it is dropped.
#[derive(Debug)]
pub struct Taps {
    recording: Recording,
    taps: Vec<(Arc<Relay>, Tap)>,
}

/// What relays saw of writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crossings {
    /// In the order of their arrival.
    pub crossings: Vec<Crossing>,
    /// How many earlier ones were forgotten.
    pub forgotten: u64,
}

impl Taps {
    /// Begins to record, on live links too. A cluster without relays has nothing to record.
    pub fn on(cluster: &Cluster, recording: &Recording) -> Self {
        let relays = cluster.relays().iter();
        let taps = relays.map(|relay| {
            let ends = relay.ends();
            let tap = Tap::new(
                recording,
                &format!("{}->{}", ends.upstream, ends.downstream),
            );
            relay.tap(Some(tap.clone()));
            (Arc::clone(relay), tap)
        });
        let taps = Self {
            recording: recording.clone(),
            taps: taps.collect(),
        };
        taps.note();
        taps
    }

    /// Records how many bytes each link has carried until now: [`PASSED`] and [`DATA`].
    pub fn note(&self) {
        for (relay, tap) in &self.taps {
            let passed = relay.traffic(Direction::TowardsDownstream).passed;
            let note = |what, bytes: u64| {
                self.recording.state(tap.link(), what, &bytes.to_string());
            };
            note(PASSED, passed);
            note(DATA, tap.data());
        }
    }

    /// Waits until no write has come to any relay for as long as `still`.
    ///
    /// # Errors
    /// Writes come without end: on which links.
    pub async fn still(&self, cluster: &Cluster, still: Duration) -> Result<(), Unmet> {
        let began = Instant::now();
        let what = format!("no write crosses a relay for {} ms", still.as_millis());
        eventually(cluster, &what, DEADLINE, || async {
            let busy = self.taps.iter().filter_map(|(_, tap)| {
                let last = tap.last().unwrap_or(began).max(began);
                (last.elapsed() < still).then(|| tap.link())
            });
            let busy: Vec<&str> = busy.collect();
            match busy.is_empty() {
                true => Ok(()),
                false => Err(format!("writes crossed {}", busy.join(", "))),
            }
        })
        .await
    }

    /// Ends it: what was recorded. To be called before the recording is finished, which takes away
    /// the table of names.
    pub fn finish(self) -> Crossings {
        self.note();
        let mut all = Crossings::default();
        for (_, tap) in &self.taps {
            let (crossings, forgotten) = tap.take();
            all.crossings.extend(crossings);
            all.forgotten += forgotten;
        }
        // Stable: what came at the same time stays in the order of the links.
        all.crossings.sort_by_key(|crossing| crossing.arrived);
        all
    }
}

impl Drop for Taps {
    fn drop(&mut self) {
        for (relay, _) in &self.taps {
            relay.tap(None);
        }
    }
}
