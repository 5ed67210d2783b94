//! What a row works with: commands on nodes by name, and waits.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use redis::Value;
use tokio::time::Instant;

use super::{Seen, Session};
use crate::cluster::info::MasterLink;
use crate::cluster::{ClientError, Cluster, Node, Timeouts};
use crate::topology::Role;
use crate::wait::{DEADLINE, Unmet, eventually};

/// A key that tells whether all that was written before it has arrived.
const MARKER: &str = "harness:marker";

/// How long nodes may take until they have the same data. What propagates takes milliseconds, a full
/// resync seconds; a divergence is for ever.
const AGREE: Duration = Duration::from_secs(30);

/// How long a node that stands still is asked.
const SHORT: Timeouts = Timeouts {
    connect: Duration::from_millis(200),
    reply: Duration::from_millis(200),
};

/// Characters of a transcript's line.
const LONGEST_LINE: usize = 400;

/// The hands of the rows of one trial.
#[derive(Debug)]
pub struct Hands<'a> {
    cluster: &'a Cluster,
    began: Instant,
    lines: Mutex<Vec<String>>,
    markers: AtomicU64,
}

impl<'a> Hands<'a> {
    pub(super) fn new(cluster: &'a Cluster) -> Self {
        Self {
            cluster,
            began: Instant::now(),
            lines: Mutex::default(),
            markers: AtomicU64::new(0),
        }
    }

    /// The cluster.
    pub fn cluster(&self) -> &'a Cluster {
        self.cluster
    }

    /// A connection of its own to a node, for commands that belong together or block.
    ///
    /// # Errors
    /// There is no such node, or it does not answer.
    pub async fn session(&self, node: &str) -> Result<Session<'_>> {
        let client = self.cluster.node(node)?.client().await;
        let client = client.with_context(|| format!("no connection to {node}"))?;
        Ok(Session {
            hands: self,
            node: node.to_owned(),
            client,
        })
    }

    /// One command on a connection of its own: its answer as text, also if it is refused.
    ///
    /// # Errors
    /// There is no such node, or no answer.
    pub async fn ask(&self, node: &str, command: &str) -> Result<String> {
        self.session(node).await?.ask(command).await
    }

    /// Waits until every live node has carried out what the live primaries have taken so far: a key
    /// that each writes afterwards has arrived everywhere, and one more that follows that.
    ///
    /// # Errors
    /// [`Unmet`], with the state of every node; or a node does not answer.
    pub async fn settled(&self) -> Result<()> {
        // What a primary passes on for another comes behind what it had then: hence two rounds.
        for _ in 0..2 {
            let number = self.markers.fetch_add(1, Ordering::Relaxed).to_string();
            let primaries = || {
                self.cluster
                    .live()
                    .filter(|node| node.spec().role == Role::Primary)
            };
            let key = |node: &Node| format!("{MARKER}:{}:{number}", node.name());
            for primary in primaries() {
                let mut write = redis::cmd("SET");
                write.arg(key(primary)).arg("x");
                primary.client().await?.query::<()>(&write).await?;
            }
            let keys: Vec<String> = primaries().map(key).collect();
            let what = "all that was written has arrived on every node";
            eventually(self.cluster, what, DEADLINE, || async {
                for node in self.cluster.live() {
                    let mut ask = redis::cmd("EXISTS");
                    ask.arg(&keys);
                    let seen = async { node.client().await?.query::<usize>(&ask).await };
                    match seen.await {
                        Ok(count) if count == keys.len() => {}
                        Ok(count) => {
                            let all = keys.len();
                            return Err(format!("{} has {count} of {all} markers", node.name()));
                        }
                        Err(error) => return Err(format!("{}: {error}", node.name())),
                    }
                }
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Whether every live node answers `wanted`, now. Call [`Hands::settled`] before.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn everywhere(&self, command: &str, wanted: &str) -> Result<Seen> {
        let nodes: Vec<&str> = self.cluster.live().map(Node::name).collect();
        self.on_each(&nodes, command, wanted).await
    }

    /// As [`Hands::everywhere`], on these nodes.
    ///
    /// # Errors
    /// A node does not answer.
    pub async fn on_each(&self, nodes: &[&str], command: &str, wanted: &str) -> Result<Seen> {
        let mut wrong = Vec::new();
        for node in nodes {
            let seen = self.ask(node, command).await?;
            if seen != wanted {
                wrong.push(format!("{node}: {seen}"));
            }
        }
        Ok(match wrong.is_empty() {
            true => Ok(format!("{command} is {wanted} on {} nodes", nodes.len())),
            false => Err(format!("{command} is not {wanted}: {}", wrong.join(", "))),
        })
    }

    /// Waits until every live node answers `wanted`: for what comes with time, such as an expiry.
    /// The text of what each answered when the time was over, if they do not.
    ///
    /// # Errors
    /// A node does not answer at all.
    pub async fn comes_everywhere(
        &self,
        command: &str,
        wanted: &str,
        within: Duration,
    ) -> Result<Seen> {
        let what = format!("{command} is {wanted} everywhere");
        let waited = eventually(self.cluster, &what, within, || async {
            match self.everywhere(command, wanted).await {
                Ok(seen) => seen,
                Err(error) => Err(format!("{error:#}")),
            }
        });
        Ok(waited.await.map_err(|unmet| unmet.last))
    }

    /// Waits until one node answers `wanted` in a database: what travels, or comes with time. What it
    /// answers last stands in the transcript.
    ///
    /// # Errors
    /// [`Unmet`], with what it answered when the time was over.
    pub async fn comes(
        &self,
        node: &str,
        database: u8,
        command: &str,
        wanted: &str,
    ) -> Result<(), Unmet> {
        self.comes_within(DEADLINE, node, database, command, wanted)
            .await
    }

    /// As [`Hands::comes`], for no longer than this: for what a release is known never to bring.
    ///
    /// # Errors
    /// [`Unmet`], with what it answered when the time was over.
    pub async fn comes_within(
        &self,
        time: Duration,
        node: &str,
        database: u8,
        command: &str,
        wanted: &str,
    ) -> Result<(), Unmet> {
        let what = format!("{command} is {wanted} on {node}, database {database}");
        let open = tokio::sync::Mutex::new(None);
        let seen = eventually(self.cluster, &what, time, || async {
            let mut open = open.lock().await;
            match self.look(&mut open, node, database, command).await {
                Ok(seen) if seen == wanted => Ok(seen),
                Ok(seen) => Err(seen),
                Err(error) => {
                    *open = None;
                    Err(format!("{error:#}"))
                }
            }
        })
        .await;
        let last = match &seen {
            Ok(seen) => seen,
            Err(unmet) => &unmet.last,
        };
        self.line(format!("{node} {command} -> {last}"));
        seen.map(drop)
    }

    /// One look, over a connection that is kept for the next.
    async fn look<'h>(
        &'h self,
        open: &mut Option<Session<'h>>,
        node: &str,
        database: u8,
        command: &str,
    ) -> Result<String> {
        let mut session = match open.take() {
            Some(session) => session,
            None => {
                let mut session = self.session(node).await?;
                if database > 0 {
                    session.ask(&format!("SELECT {database}")).await?;
                }
                session
            }
        };
        let seen = session.peek(command).await;
        *open = Some(session);
        seen
    }

    /// Has a node follow another, as `REPLICAOF` does.
    ///
    /// # Errors
    /// There is no such node, or no answer.
    pub async fn follow(&self, node: &str, upstream: &str) -> Result<()> {
        let at = self.cluster.known_at(node, upstream);
        let command = format!("REPLICAOF {} {}", at.ip(), at.port());
        let answer = self.ask(node, &command).await?;
        // "OK Already connected": a restarted node may know its masters from its RDB.
        anyhow::ensure!(
            answer.starts_with("OK"),
            "{node} answers {command}: {answer}"
        );
        Ok(())
    }

    /// Waits until a node follows so many others, and every link of it is up and in step.
    ///
    /// # Errors
    /// [`Unmet`], with what is missing; or there is no such node.
    pub async fn linked(&self, node: &str, count: usize) -> Result<()> {
        let what = format!("{node} follows {count}, with every link up");
        let node = self.cluster.node(node)?;
        eventually(self.cluster, &what, DEADLINE, || async {
            let info = node.glance().await.map_err(|error| error.to_string())?;
            let masters = info.replication().masters;
            let up = |link: &MasterLink| link.link_up && !link.sync_in_progress;
            let up = masters.iter().filter(|link| up(link)).count();
            match masters.len() == count && up == count && info.loading() == Some(false) {
                true => Ok(()),
                false => Err(format!("{up} of {} links are up", masters.len())),
            }
        })
        .await?;
        let what = match count {
            1 => "its link is up".to_owned(),
            count => format!("its {count} links are up"),
        };
        self.line(format!("{} INFO replication -> {what}", node.name()));
        Ok(())
    }

    /// Waits until all these nodes show the same `DEBUG DIGEST`.
    ///
    /// # Errors
    /// There is no such node.
    pub async fn same_digest(&self, nodes: &[&str]) -> Result<Seen> {
        let mut digests = Vec::new();
        let waited = eventually(self.cluster, "digests are equal", AGREE, || async {
            let mut digests = Vec::new();
            for node in nodes {
                let asked = async { self.session(node).await?.peek("DEBUG DIGEST").await };
                digests.push(asked.await.map_err(|error| format!("{error:#}"))?);
            }
            match digests.windows(2).all(|pair| pair[0] == pair[1]) {
                true => Ok(digests),
                false => Err(digests.join(", ")),
            }
        });
        match waited.await {
            Ok(seen) => digests.extend(seen),
            Err(unmet) => {
                self.line(format!("each DEBUG DIGEST -> {}", unmet.last));
                return Ok(Err(unmet.sentence()));
            }
        }
        let digest = digests.first().map_or("", String::as_str);
        self.line(format!(
            "each of {} DEBUG DIGEST -> {digest}",
            nodes.join(", ")
        ));
        Ok(Ok(format!("{} nodes: {digest}", nodes.len())))
    }

    /// A number of a node's `INFO`.
    ///
    /// # Errors
    /// There is no such node or number, or no answer.
    pub async fn stat(&self, node: &str, name: &str) -> Result<i64> {
        let info = self.cluster.node(node)?.info().await?;
        let value = info.stat(name);
        let value = value.with_context(|| format!("{node} shows no {name}"))?;
        self.line(format!("{node} INFO stats -> {name}:{value}"));
        Ok(value)
    }

    /// Waits for a condition of the row's own. `Err` from the probe says what it saw instead.
    ///
    /// # Errors
    /// [`Unmet`] once the deadline has passed.
    pub async fn until<T, F, Fut>(&self, what: &str, probe: F) -> Result<T, Unmet>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, String>>,
    {
        eventually(self.cluster, what, DEADLINE, probe).await
    }

    /// Has a node stand still (SIGSTOP), and waits until it is mute: a signal takes its time.
    ///
    /// # Errors
    /// The testbed did not carry it out, or the node goes on.
    pub async fn freeze(&self, node: &str) -> Result<()> {
        let node = self.cluster.node(node)?;
        node.pause().await?;
        let what = format!("{} stands still", node.name());
        eventually(self.cluster, &what, DEADLINE, || async {
            match node.client_with(SHORT).await {
                Err(_) => Ok(()),
                Ok(mut client) => match client.query::<Value>(&redis::cmd("PING")).await {
                    Err(ClientError::Refused(_)) | Ok(_) => Err("it answers".to_owned()),
                    Err(_) => Ok(()),
                },
            }
        })
        .await?;
        self.note(&format!("{} stands still (SIGSTOP)", node.name()));
        Ok(())
    }

    /// Has it go on.
    ///
    /// # Errors
    /// The testbed did not carry it out.
    pub async fn thaw(&self, node: &str) -> Result<()> {
        self.cluster.node(node)?.resume().await?;
        self.note(&format!("{node} goes on (SIGCONT)"));
        Ok(())
    }

    /// As [`Hands::until`], for no longer than this.
    ///
    /// # Errors
    /// [`Unmet`] once it has passed.
    pub async fn within<T, F, Fut>(&self, time: Duration, what: &str, probe: F) -> Result<T, Unmet>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, String>>,
    {
        eventually(self.cluster, what, time, probe).await
    }

    /// Adds a line to the transcript that is no command: what was done to a server.
    pub fn note(&self, what: &str) {
        self.line(format!("-- {what}"));
    }

    /// As [`lacking`], of this cluster.
    pub(super) async fn lacking(&self, names: &[&'static str]) -> Result<BTreeSet<&'static str>> {
        lacking(self.cluster, names).await
    }

    pub(super) fn transcript(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.join("\n") + "\n"
    }

    pub(super) fn line(&self, text: String) {
        let text = shown(&text);
        let at = self.began.elapsed().as_secs_f64();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(format!("{at:9.4} s {text}"));
    }
}

/// Those of the names that the first live node knows no command (in capitals), or no setting (in
/// small letters), of.
///
/// # Errors
/// No node lives, or it does not answer.
pub async fn lacking(cluster: &Cluster, names: &[&'static str]) -> Result<BTreeSet<&'static str>> {
    let names: BTreeSet<&str> = names.iter().copied().collect();
    let mut lacking = BTreeSet::new();
    if names.is_empty() {
        return Ok(lacking);
    }
    let node = cluster.live().next().context("no node lives")?;
    let mut client = node.client().await?;
    for name in names {
        let is_setting = name.starts_with(|first: char| first.is_ascii_lowercase());
        let mut ask = redis::cmd(if is_setting { "CONFIG" } else { "COMMAND" });
        ask.arg(if is_setting { "GET" } else { "INFO" }).arg(name);
        let rows: Vec<Value> = client.query(&ask).await?;
        let has = match is_setting {
            true => !rows.is_empty(),
            false => matches!(rows[..], [Value::Array(_)]),
        };
        if !has {
            lacking.insert(name);
        }
    }
    Ok(lacking)
}

/// A line of a transcript: what cannot be shown is escaped, and what is long is cut.
pub(super) fn shown(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars().take(LONGEST_LINE) {
        match character.is_control() {
            true => line.extend(character.escape_default()),
            false => line.push(character),
        }
    }
    if text.chars().nth(LONGEST_LINE).is_some() {
        line.push_str(" ...");
    }
    line
}
