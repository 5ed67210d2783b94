//! Waiting on conditions: with a deadline, and with what was seen when it passed.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::cluster::starved::{Starved, Waits};

/// How long conditions are waited for at most. Generous: no verdict depends on how fast the machine
/// is. A cluster's [`Pace`](crate::testbed::Pace) may shorten it.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// How many times as long it is waited at most while the machine keeps servers from running.
const PATIENCE: u32 = 4;

/// For how long looks follow each other without a pause.
const EAGER: Duration = Duration::from_millis(10);
/// The first pause between two looks; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// A condition that did not come true in time.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Unmet {
    /// What was waited for.
    pub what: String,
    /// For how long.
    pub waited: Duration,
    /// What the last look saw instead.
    pub last: String,
    /// Every node as it was when the deadline passed: role, replid, links, offsets, last log lines.
    pub state: String,
}

impl Unmet {
    /// What was not met and what was seen instead, on one line.
    pub fn sentence(&self) -> String {
        format!(
            "not within {:.0} s: {}; last seen: {}",
            self.waited.as_secs_f64(),
            self.what,
            self.last
        )
    }
}

impl fmt::Display for Unmet {
    /// The sentence, then the state of every node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.sentence(), self.state)
    }
}

/// What is told of a trial while it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// To be shown to a reader.
    Text(String),
    /// What it waits for; none once that is over.
    Waits(Option<String>),
}

/// Tells what is waited for, from when it does not come at once until the wait is over.
struct Told<'a> {
    cluster: &'a Cluster,
    what: &'a str,
    told: bool,
}

impl Told<'_> {
    fn tell(&mut self) {
        if !self.told {
            self.told = true;
            self.cluster.tell(Said::Waits(Some(self.what.to_owned())));
        }
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if self.told {
            self.cluster.tell(Said::Waits(None));
        }
    }
}

/// When a wait ends: when its deadline has passed, or later while the machine keeps a server from
/// running, for that one cannot show what it would.
struct Deadline<'a> {
    cluster: &'a Cluster,
    start: Instant,
    length: Duration,
    /// How much longer than its length, so far.
    granted: Duration,
    /// What servers had waited for a processor half a length before the end.
    half: Option<Waits>,
}

impl<'a> Deadline<'a> {
    fn new(cluster: &'a Cluster, length: Duration) -> Self {
        Self {
            cluster,
            start: Instant::now(),
            length,
            granted: Duration::ZERO,
            half: None,
        }
    }

    /// Whether it has passed, and with which server starved all the same.
    async fn passed(&mut self) -> Option<Option<Starved>> {
        let (so_far, end) = (self.start.elapsed(), self.length + self.granted);
        if so_far + self.length / 2 < end {
            return None;
        }
        let Some(half) = &self.half else {
            // One look may take longer than all of the time: half a length more shows why.
            let end = so_far + self.length / 2;
            self.granted = end.saturating_sub(self.length);
            self.half = Some(Waits::of(self.cluster).await);
            return None;
        };
        if so_far < end {
            return None;
        }
        let now = Waits::of(self.cluster).await;
        let starved = half.starved_until(&now);
        if starved.is_none() || end >= self.length * PATIENCE {
            return Some(starved);
        }
        self.granted += self.length / 2;
        self.half = Some(now);
        None
    }
}

/// Looks again and again until `probe` gives a value. `Err` from the probe says what it saw
/// instead. While the machine keeps a server from running most of the time the deadline moves, up to
/// four times as far.
///
/// # Errors
/// [`Unmet`] once `deadline` has passed, with the state of every node.
pub async fn eventually<T, F, Fut>(
    cluster: &Cluster,
    what: &str,
    deadline: Duration,
    mut probe: F,
) -> Result<T, Unmet>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let mut deadline = Deadline::new(cluster, deadline.min(cluster.pace().deadline));
    let start = deadline.start;
    let mut pause = FIRST_PAUSE;
    let mut told = Told {
        cluster,
        what,
        told: false,
    };
    loop {
        let seen = match probe().await {
            Ok(value) => return Ok(value),
            Err(seen) => seen,
        };
        if let Some(starved) = deadline.passed().await {
            return Err(Unmet {
                what: what.to_owned(),
                waited: start.elapsed(),
                last: match starved {
                    Some(starved) => format!("{seen}; {starved}"),
                    None => seen,
                },
                state: cluster.observe().await.to_string(),
            });
        }
        // What comes within milliseconds is measured as such: a timer would round it up.
        if start.elapsed() < EAGER {
            tokio::task::yield_now().await;
            continue;
        }
        told.tell();
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Like [`eventually`], but the condition must hold at every look for as long as `steady`: a
/// corrupt replication stream shows as up, down, up within two seconds (measured).
///
/// # Errors
/// [`Unmet`] once `deadline` has passed without such a stretch.
pub async fn steadily<F, Fut>(
    cluster: &Cluster,
    what: &str,
    steady: Duration,
    deadline: Duration,
    mut probe: F,
) -> Result<(), Unmet>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<(), String>>,
{
    let since: Mutex<Option<Instant>> = Mutex::new(None);
    let since = &since;
    eventually(cluster, what, deadline, || {
        let look = probe();
        async move {
            let seen = look.await;
            let mut since = since.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(seen) = seen {
                *since = None;
                return Err(seen);
            }
            let held = since.get_or_insert_with(Instant::now).elapsed();
            if held >= steady {
                Ok(())
            } else {
                Err(format!("it has held for {:.1} s", held.as_secs_f64()))
            }
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::fake::{self, Script};

    async fn one_server(starved: bool) -> Cluster {
        let script = Script {
            starved,
            ..Script::new("", "")
        };
        fake::cluster(vec![("primary1", script)]).await.0
    }

    async fn waited_for_nothing(starved: bool) -> (Unmet, Duration) {
        let cluster = one_server(starved).await;
        let never = || async { Err::<(), _>("nothing".to_owned()) };
        let unmet = eventually(&cluster, "something", DEADLINE, never).await;
        (unmet.unwrap_err(), cluster.pace().deadline)
    }

    #[tokio::test]
    async fn a_server_that_runs_is_waited_for_until_the_deadline() {
        let (unmet, deadline) = waited_for_nothing(false).await;
        assert!(unmet.waited >= deadline, "{unmet}");
        assert_eq!(unmet.last, "nothing");
    }

    #[tokio::test]
    async fn a_server_that_is_kept_from_running_is_waited_for_longer() {
        let (unmet, deadline) = waited_for_nothing(true).await;
        assert!(unmet.waited >= deadline * PATIENCE, "{unmet}");
        let sentence = "nothing; this machine kept primary1 from running for ";
        assert!(unmet.last.starts_with(sentence), "{unmet}");
    }

    #[tokio::test]
    async fn a_look_that_takes_all_of_the_time_is_not_the_last() {
        let cluster = one_server(true).await;
        let looks = std::sync::atomic::AtomicUsize::new(0);
        let slow = || async {
            match looks.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => {
                    sleep(cluster.pace().deadline * 2).await;
                    Err("not yet".to_owned())
                }
                _ => Ok(()),
            }
        };
        eventually(&cluster, "something", DEADLINE, slow)
            .await
            .unwrap();
    }
}
