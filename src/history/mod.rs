//! What clients did and what came of it, on one monotonic clock.

use std::collections::BTreeSet;
use std::time::Duration;

/// What is known of an operation's effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged.
    Ok,
    /// Surely not done: never sent, or refused.
    Fail,
    /// Sent and not answered: maybe done.
    Unknown,
}

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
pub struct History {
    /// In the order in which they completed.
    pub writes: Vec<Write>,
    /// How long the stream ran.
    pub length: Duration,
}

impl History {
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
        longest_gap(self.acknowledged(), from, to)
    }

    /// The longest time between two moments in which one and the same client had no write
    /// acknowledged, whatever the others had.
    pub fn longest_client_gap(&self, from: Duration, to: Duration) -> Duration {
        let clients: BTreeSet<usize> = self.writes.iter().map(|write| write.client).collect();
        clients
            .into_iter()
            .map(|client| {
                longest_gap(
                    self.acknowledged().filter(|write| write.client == client),
                    from,
                    to,
                )
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

fn longest_gap<'a>(
    writes: impl Iterator<Item = &'a Write>,
    from: Duration,
    to: Duration,
) -> Duration {
    let mut times: Vec<Duration> = writes
        .map(|write| write.completed)
        .filter(|time| (from..to).contains(time))
        .collect();
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
mod tests {
    use super::*;

    fn write(at: u64, fate: Fate) -> Write {
        Write {
            client: 0,
            key: format!("k{at}"),
            invoked: Duration::from_millis(at.saturating_sub(1)),
            completed: Duration::from_millis(at),
            fate,
            error: (fate != Fate::Ok).then(|| format!("error at {at}")),
        }
    }

    fn history() -> History {
        History {
            writes: vec![
                write(10, Fate::Ok),
                write(20, Fate::Ok),
                write(30, Fate::Unknown),
                write(40, Fate::Fail),
                write(90, Fate::Ok),
            ],
            length: Duration::from_millis(100),
        }
    }

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn only_acknowledged_writes_count() {
        let history = history();
        assert_eq!(history.acknowledged().count(), 3);
        assert_eq!(history.errors(), (2, Some("error at 30")));
        assert!((history.rate(ms(0), ms(100)) - 30.0).abs() < 0.001);
    }

    #[test]
    fn the_gap_spans_failed_writes_and_the_ends() {
        assert_eq!(history().longest_gap(ms(0), ms(100)), ms(70));
        assert_eq!(history().longest_gap(ms(0), ms(2000)), ms(1910));
        assert_eq!(History::default().longest_gap(ms(0), ms(5)), ms(5));
    }

    #[test]
    fn a_client_that_hangs_shows_in_its_own_gap_only() {
        let mut history = history();
        history.writes.push(Write {
            client: 1,
            ..write(10, Fate::Ok)
        });
        history.writes.push(Write {
            client: 1,
            key: "late".to_owned(),
            ..write(95, Fate::Ok)
        });
        assert_eq!(history.longest_client_gap(ms(0), ms(100)), ms(85));
        assert_eq!(history.longest_gap(ms(0), ms(100)), ms(70));
    }

    #[test]
    fn a_missing_key_is_an_acknowledged_one_that_is_not_there() {
        let present = BTreeSet::from(["k10".to_owned(), "k90".to_owned()]);
        let missing: Vec<_> = history()
            .missing(&present)
            .iter()
            .map(|w| w.key.clone())
            .collect();
        assert_eq!(missing, ["k20"]);
    }
}
