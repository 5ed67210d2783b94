//! Writes of unique keys, and what came of each: all that a stream of them needs.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Fate;

/// One write of a unique key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which client.
    pub client: usize,
    /// The key, unique in the history.
    pub key: String,
    /// When it was sent, since the history began.
    pub invoked: Duration,
    /// When its answer came, or when it was given up.
    pub completed: Duration,
    /// What is known of its effect.
    pub fate: Fate,
    /// The error, if there was one.
    pub error: Option<String>,
}

/// The writes of a stream, and the moments that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteLog {
    /// In the order in which they completed.
    pub writes: Vec<Write>,
    /// How long the stream ran.
    pub length: Duration,
}

impl WriteLog {
    /// The acknowledged writes.
    pub fn acknowledged(&self) -> impl Iterator<Item = &Write> {
        self.writes.iter().filter(|write| write.fate == Fate::Ok)
    }

    /// The acknowledged writes that are not among the keys of `present`.
    pub fn missing<'a>(&'a self, present: &BTreeSet<String>) -> Vec<&'a Write> {
        self.acknowledged()
            .filter(|write| !present.contains(&write.key))
            .collect()
    }

    /// Acknowledged writes per second between two moments.
    pub fn rate(&self, from: Duration, to: Duration) -> f64 {
        let count = self
            .acknowledged()
            .filter(|write| (from..to).contains(&write.completed))
            .count();
        let seconds = to.saturating_sub(from).as_secs_f64();
        if seconds == 0.0 {
            0.0
        } else {
            f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds
        }
    }

    /// The longest time between two moments in which no write was acknowledged to anyone.
    pub fn longest_gap(&self, from: Duration, to: Duration) -> Duration {
        longest_gap(self.acknowledged().map(completed), from, to)
    }

    /// The longest time between two moments in which one and the same client had no write
    /// acknowledged, whatever the others had.
    pub fn longest_client_gap(&self, from: Duration, to: Duration) -> Duration {
        let clients: BTreeSet<usize> = self.writes.iter().map(|write| write.client).collect();
        clients
            .into_iter()
            .map(|client| {
                let own = self.acknowledged().filter(|write| write.client == client);
                longest_gap(own.map(completed), from, to)
            })
            .max()
            .unwrap_or_default()
    }

    /// How many writes were not acknowledged, and the first error among them.
    pub fn errors(&self) -> (usize, Option<&str>) {
        let failed: Vec<&Write> = self
            .writes
            .iter()
            .filter(|write| write.fate != Fate::Ok)
            .collect();
        (
            failed.len(),
            failed.iter().find_map(|write| write.error.as_deref()),
        )
    }
}

fn completed(write: &Write) -> Duration {
    write.completed
}

/// The longest time between two moments in which nothing happened that did at these times.
pub(crate) fn longest_gap(
    times: impl Iterator<Item = Duration>,
    from: Duration,
    to: Duration,
) -> Duration {
    let mut times: Vec<Duration> = times.filter(|time| (from..to).contains(time)).collect();
    times.push(from);
    times.push(to);
    times.sort_unstable();
    times
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
