//! One check at work on an attached cluster: what it works with, and where it puts what it finds.

use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::inventory::{Inventory, Member};
use super::{Attached, keys};
use crate::cluster::haproxy_stat::{self, ServerStat};
use crate::cluster::info::Info;
use crate::cluster::reach::Reach;
use crate::cluster::{Client, ClientError, Timeouts};
use crate::input;
use crate::trial::{Broken, Record, judged, unknown};
use crate::verdict::Measure;
use crate::wait::Unmet;

/// Between two looks; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long an admin socket may take to answer.
const ADMIN: Duration = Duration::from_secs(5);

/// A check at work. Findings are made with `check`, numbers with `measure`.
#[derive(Debug)]
pub struct Visit<'a> {
    attached: &'a Attached,
    variant: &'a str,
    record: Mutex<Record>,
}

impl<'a> Visit<'a> {
    pub(super) fn new(attached: &'a Attached, variant: &'a str) -> Self {
        Self {
            attached,
            variant,
            record: Mutex::default(),
        }
    }

    /// The cluster.
    pub(super) fn attached(&self) -> &'a Attached {
        self.attached
    }

    /// Its inventory.
    pub(super) fn inventory(&self) -> &'a Inventory {
        &self.attached.inventory
    }

    /// Which variant.
    pub(super) fn variant(&self) -> &'a str {
        self.variant
    }

    /// A key of this run.
    pub(super) fn key(&self, name: &str) -> String {
        self.attached.keys.named(name)
    }

    /// Seconds that keys live.
    pub(super) fn ttl(&self) -> u64 {
        self.attached.keys.ttl()
    }

    /// What all keys of this run begin with.
    pub(super) fn prefix(&self) -> &'a str {
        self.attached.keys.prefix()
    }

    /// Remembers keys that a stream wrote.
    pub(super) fn remember(&self, keys: impl IntoIterator<Item = String>) {
        self.attached.keys.remember(keys);
    }

    /// A connection to where clients write.
    pub(super) async fn entry(&self) -> Result<Client, ClientError> {
        let entries = self.attached.entries();
        let nowhere = ClientError::NotSent {
            address: "the cluster".to_owned(),
            cause: "it has no primary".to_owned(),
        };
        Client::to(entries.first().ok_or(nowhere)?, Timeouts::PATIENT).await
    }

    /// A connection to every node, by name.
    pub(super) async fn clients(&self) -> Result<Vec<(&'a str, Client)>, Unmet> {
        let mut clients = Vec::new();
        for member in &self.inventory().members {
            let client = self
                .eventually(&format!("{} takes a connection", member.name), || async {
                    let client = Client::to(&member.reach, Timeouts::PATIENT).await;
                    client.map_err(|error| error.to_string())
                })
                .await?;
            clients.push((member.name.as_str(), client));
        }
        Ok(clients)
    }

    /// INFO of a node, without patience.
    pub(super) async fn info(&self, member: &Member) -> Result<Info, String> {
        let info = super::info(member).await;
        info.map_err(|error| format!("{}: {error}", member.name))
    }

    /// Which of these keys a node has.
    pub(super) async fn present(
        &self,
        reach: &Reach,
        wanted: &[String],
    ) -> Result<std::collections::BTreeSet<String>, String> {
        let found = keys::present(reach, wanted).await;
        found.map_err(|error| error.to_string())
    }

    /// The rows of the proxy's `show stat`; none where its admin socket is not known.
    pub(super) async fn proxy_stats(&self) -> Option<Result<Vec<ServerStat>, String>> {
        let socket = self.inventory().proxy.as_ref()?.admin.as_ref()?;
        Some(match admin(socket, "show stat").await {
            Ok(text) => haproxy_stat::parse(&text).map_err(|error| error.to_string()),
            Err(error) => Err(error),
        })
    }

    /// Looks again and again until `probe` gives a value. `Err` from the probe says what it saw
    /// instead.
    ///
    /// # Errors
    /// [`Unmet`] once the deadline has passed, with the state of every node.
    pub(super) async fn eventually<T, F, Fut>(&self, what: &str, mut probe: F) -> Result<T, Unmet>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, String>>,
    {
        let began = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let last = match probe().await {
                Ok(value) => return Ok(value),
                Err(seen) => seen,
            };
            if began.elapsed() >= self.attached.deadline {
                return Err(Unmet {
                    what: what.to_owned(),
                    waited: began.elapsed(),
                    last,
                    state: self.attached.state().await,
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Records whether a promise held. Gives back whether it did.
    pub(super) fn check<T: Display, E: Into<Broken>>(
        &self,
        check: &str,
        promise: &str,
        seen: Result<T, E>,
    ) -> bool {
        let held = seen.is_ok();
        self.record().findings.push(judged(check, promise, seen));
        held
    }

    /// Records that the run did not exercise a promise, and why.
    pub(super) fn inconclusive(&self, check: &str, promise: &str, why: impl Into<String>) {
        self.record().findings.push(unknown(check, promise, why));
    }

    /// Records a number.
    pub(super) fn measure(&self, name: &str, value: f64, unit: &str) {
        self.record().measures.push(Measure {
            name: name.to_owned(),
            value,
            unit: unit.to_owned(),
        });
    }

    /// Adds to the line that the summary shows.
    pub(super) fn headline(&self, part: impl Into<String>) {
        self.record().headline.push(part.into());
    }

    /// A check that ended early: a wait that ran out is a broken promise, a node that does not
    /// answer leaves the question open.
    pub(super) fn ended_early(&self, error: &anyhow::Error) {
        let promise = "the check runs to its end";
        match error.downcast_ref::<Unmet>() {
            Some(unmet) => {
                self.check("completes", promise, Err::<&str, _>(unmet.clone()));
            }
            None => self.inconclusive("completes", promise, format!("it ended early: {error:#}")),
        }
    }

    pub(super) fn finish(self) -> Record {
        let record = self.record.into_inner();
        record.unwrap_or_else(PoisonError::into_inner)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks an HAProxy's admin socket, `HOST:PORT` or `unix:PATH`.
pub(super) async fn admin(socket: &str, command: &str) -> Result<String, String> {
    let ask = async {
        match socket.strip_prefix("unix:") {
            Some(path) => exchange(tokio::net::UnixStream::connect(path).await?, command).await,
            None => exchange(tokio::net::TcpStream::connect(socket).await?, command).await,
        }
    };
    let answered = tokio::time::timeout(ADMIN, ask).await;
    let said =
        |cause: String| format!("the proxy's admin socket {socket} does not answer: {cause}");
    match answered {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(said(error.to_string())),
        Err(_) => Err(said(format!("nothing within {} s", ADMIN.as_secs()))),
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    command: &str,
) -> std::io::Result<String> {
    stream.write_all(format!("{command}\n").as_bytes()).await?;
    input::answer(stream, input::TEXT).await
}
