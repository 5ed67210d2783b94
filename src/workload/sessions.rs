//! Clients that make one short session after the other through the proxy, until stopped, and what
//! they see of it: whom they met, what was refused, how long nobody was served.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Result;
use redis::cmd;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::cluster::info::Info;
use crate::cluster::{Client, ClientError, Cluster, Timeouts};
use crate::history::longest_gap;
use crate::testbed::Port;
use crate::trial::Trial;
use crate::wait::{DEADLINE, Unmet, eventually};

/// Between two sessions of one client.
const PACE: Duration = Duration::from_millis(10);
/// A reply that does not come within this is given up.
const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    reply: Duration::from_secs(5),
};

/// What became of a session through the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A write and a read were answered.
    Served,
    /// The server refused, with this code word.
    Refused(String),
    /// There was no connection to the proxy.
    NoConnection,
    /// It broke, or no answer came.
    Broken,
}

impl Outcome {
    fn of(error: &ClientError) -> Self {
        match error {
            ClientError::Refused(text) => {
                Self::Refused(text.split(' ').next().unwrap_or_default().to_owned())
            }
            ClientError::NotSent { .. } => Self::NoConnection,
            ClientError::Unknown(_) => Self::Broken,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served => f.write_str("served"),
            Self::Refused(code) => f.write_str(code),
            Self::NoConnection => f.write_str("no connection"),
            Self::Broken => f.write_str("broken"),
        }
    }
}

/// One session of a client: it connects through the proxy, asks whom it met, writes and reads.
#[derive(Debug, Clone)]
pub struct Session {
    /// On the clock of all sessions.
    pub began: Duration,
    /// On the same clock.
    pub ended: Duration,
    /// The run id of the server that it met; none if that did not say.
    pub met: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What many sessions saw, by kind.
#[derive(Debug)]
pub struct Told {
    /// How often each kind of error was seen, first and last time, from `began` on.
    errors: BTreeMap<String, (usize, Duration, Duration)>,
    /// The longest time without a session that was served.
    longest: Duration,
}

impl Told {
    /// What these saw, in the time from `began` until the last of them ended.
    pub fn of(sessions: &[Session], began: Duration) -> Self {
        let mut errors: BTreeMap<String, (usize, Duration, Duration)> = BTreeMap::new();
        let failed = sessions
            .iter()
            .filter(|session| session.outcome != Outcome::Served);
        for session in failed {
            let at = session.ended.saturating_sub(began);
            let row = errors
                .entry(session.outcome.to_string())
                .or_insert((0, at, at));
            row.0 += 1;
            row.1 = row.1.min(at);
            row.2 = row.2.max(at);
        }
        let ended = sessions.iter().map(|session| session.ended).max();
        let served = sessions
            .iter()
            .filter(|session| session.outcome == Outcome::Served);
        let times = served.map(|session| session.ended);
        Self {
            errors,
            longest: longest_gap(times, began, ended.unwrap_or(began)),
        }
    }

    /// Records it as numbers, which begin with `when`.
    pub fn measure(&self, trial: &Trial, when: &str) {
        for (kind, (count, _, last)) in &self.errors {
            trial.measure(format!("{when}: {kind}"), *count as f64, "sessions");
            trial.measure(
                format!("{when}: last {kind} after"),
                last.as_secs_f64(),
                "s",
            );
        }
        let longest = self.longest.as_secs_f64();
        trial.measure(format!("{when}: longest gap of all clients"), longest, "s");
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, (count, first, last)) in &self.errors {
            let (first, last) = (first.as_secs_f64(), last.as_secs_f64());
            write!(f, "{count} {kind} from {first:.2} s to {last:.2} s, ")?;
        }
        write!(f, "longest gap {:.2} s", self.longest.as_secs_f64())
    }
}

/// Clients that make one session after the other.
#[derive(Debug)]
pub struct Sessions {
    clock: Instant,
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    done: Mutex<Vec<Session>>,
}

impl Shared {
    fn done(&self) -> MutexGuard<'_, Vec<Session>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sessions {
    /// Starts `clients` clients that write keys beginning with `prefix`. The proxy's address must not
    /// change while they run (it does when the proxy restarts).
    ///
    /// # Errors
    /// The cluster has no proxy, or it has no address now.
    pub async fn start(cluster: &Cluster, prefix: &str, clients: usize) -> Result<Self> {
        let proxy = cluster.proxy()?.server().endpoint(Port::Service).await?;
        let password = cluster.topology().password.clone();
        let clock = Instant::now();
        let shared = Arc::new(Shared::default());
        let clients = (0..clients).map(|client| {
            let shared = Arc::clone(&shared);
            let key = format!("{prefix}:client:{client}");
            let password = password.clone();
            tokio::spawn(async move {
                while !shared.stopping.load(Ordering::SeqCst) {
                    let began = clock.elapsed();
                    let mut met = None;
                    let outcome = match session(proxy, password.as_deref(), &key, &mut met).await {
                        Ok(()) => Outcome::Served,
                        Err(error) => Outcome::of(&error),
                    };
                    let session = Session {
                        began,
                        ended: clock.elapsed(),
                        met,
                        outcome,
                    };
                    shared.done().push(session);
                    sleep(PACE).await;
                }
            })
        });
        Ok(Self {
            clock,
            clients: clients.collect(),
            shared,
        })
    }

    /// The time on their clock.
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How many have ended.
    pub fn count(&self) -> usize {
        self.shared.done().len()
    }

    /// Those that ended after the first `from` had.
    pub fn since(&self, from: usize) -> Vec<Session> {
        self.shared.done().iter().skip(from).cloned().collect()
    }

    /// Waits until so many sessions that begin from now on were served, with no other among them.
    ///
    /// # Errors
    /// They are not, within the deadline.
    pub async fn in_a_row(&self, cluster: &Cluster, number: usize) -> Result<(), Unmet> {
        let now = self.now();
        let what = format!("{number} sessions in a row are served");
        eventually(cluster, &what, DEADLINE, || async {
            let done = self.shared.done();
            let row = done
                .iter()
                .rev()
                .take_while(|session| session.began >= now && session.outcome == Outcome::Served);
            let row = row.count();
            match (row >= number, done.last()) {
                (true, _) => Ok(()),
                (false, Some(last)) => Err(format!("{row} served, the last one {}", last.outcome)),
                (false, None) => Err("none yet".to_owned()),
            }
        })
        .await
    }

    /// Ends the clients and gives all sessions, in the order of their ends.
    pub async fn stop(mut self) -> Vec<Session> {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for client in std::mem::take(&mut self.clients) {
            // A client that panicked has recorded what it did until then.
            let _ = client.await;
        }
        std::mem::take(&mut *self.shared.done())
    }
}

impl Drop for Sessions {
    fn drop(&mut self) {
        for client in &self.clients {
            client.abort();
        }
    }
}

/// One session; `met` is whom it met, as far as that is known.
async fn session(
    proxy: SocketAddr,
    password: Option<&str>,
    key: &str,
    met: &mut Option<String>,
) -> Result<(), ClientError> {
    let mut connection = Client::connect(proxy, password, TIMEOUTS).await?;
    let info: String = connection.query(cmd("INFO").arg("server")).await?;
    *met = Info::parse(&info).run_id().map(str::to_owned);
    connection
        .query::<()>(cmd("SET").arg(key).arg("written"))
        .await?;
    connection
        .query::<Option<String>>(cmd("GET").arg(key))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(began: u64, ended: u64, outcome: Outcome) -> Session {
        Session {
            began: Duration::from_millis(began),
            ended: Duration::from_millis(ended),
            met: None,
            outcome,
        }
    }

    #[test]
    fn what_clients_saw_is_told_by_kind() {
        let sessions = [
            session(100, 200, Outcome::Served),
            session(200, 300, Outcome::Refused("LOADING".to_owned())),
            session(300, 1300, Outcome::Broken),
            session(1300, 1400, Outcome::Refused("LOADING".to_owned())),
            session(1400, 1500, Outcome::Served),
        ];
        let told = Told::of(&sessions, Duration::from_millis(100));
        assert_eq!(
            told.to_string(),
            "2 LOADING from 0.20 s to 1.30 s, 1 broken from 1.20 s to 1.20 s, longest gap 1.30 s"
        );
        let none = Told::of(&[], Duration::from_millis(100));
        assert_eq!(none.to_string(), "longest gap 0.00 s");
    }

    #[test]
    fn an_error_is_told_by_what_is_known_of_it() {
        let refused = ClientError::Refused("LOADING KeyDB is loading".to_owned());
        assert_eq!(Outcome::of(&refused).to_string(), "LOADING");
        let broken = ClientError::Unknown("broken pipe".to_owned());
        assert_eq!(Outcome::of(&broken), Outcome::Broken);
    }
}
