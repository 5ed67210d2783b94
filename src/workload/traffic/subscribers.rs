//! Clients that listen to every channel, one at each node and one through the proxy, and record
//! what they hear.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use redis_protocol::resp2::types::RangeFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::reply;
use super::whereabouts::Whereabouts;
use super::wire::Outgoing;
use crate::cluster::{ClientError, Cluster};
use crate::history::{Action, Moment, Name, Operation, Outcome, Record, Recording, Reply, Token};
use crate::secret::{Secret, hide};
use crate::testbed::Server;
use crate::topology::PROXY;
use crate::wait::{DEADLINE, Unmet, eventually};

/// What every channel's name has in it.
const PATTERN: &str = "*:channel:*";
/// The channel of the last messages, by which a subscriber knows that it has heard everything.
const LAST: &str = "last:channel:0";
/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(20);
/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much is read at once.
const READ: usize = 16 << 10;

/// What a subscriber has come to, for those who wait for it.
#[derive(Debug, Default)]
struct Progress {
    listens: bool,
    /// The last messages that its connection heard.
    last: HashSet<Token>,
}

/// Running subscribers. Dropping them ends them without their records.
#[derive(Debug)]
pub struct Subscribers {
    recording: Recording,
    stop: watch::Sender<bool>,
    progress: Vec<Arc<Mutex<Progress>>>,
    tasks: JoinSet<Record>,
}

impl Subscribers {
    /// Starts them, and waits until each has subscribed. They connect anew when they must: each
    /// connection is a subscription of its own.
    ///
    /// # Errors
    /// One does not subscribe in time.
    pub async fn start(cluster: &Cluster, recording: &Recording) -> Result<Self, Unmet> {
        let whereabouts = Arc::new(Whereabouts::of(cluster, recording));
        let (stop, stopped) = watch::channel(false);
        let nodes = cluster.nodes().iter();
        let servers = nodes.map(|node| (node.name(), node.handle()));
        let proxy = cluster.proxy().ok().map(|proxy| (PROXY, proxy.handle()));
        let mut subscribers = Self {
            recording: recording.clone(),
            stop,
            progress: Vec::new(),
            tasks: JoinSet::new(),
        };
        for (name, server) in servers.chain(proxy) {
            let progress = Arc::new(Mutex::default());
            subscribers.progress.push(Arc::clone(&progress));
            let subscriber = Subscriber {
                recording: recording.clone(),
                whereabouts: Arc::clone(&whereabouts),
                server,
                password: cluster.topology().password.clone(),
                target: recording.name(name),
                proxied: name == PROXY,
                pattern: recording.name(PATTERN),
                progress,
                record: Record::default(),
            };
            subscribers.tasks.spawn(subscriber.run(stopped.clone()));
        }
        eventually(cluster, "every subscriber listens", DEADLINE, || async {
            let listening = subscribers.progress.iter();
            let listening = listening
                .filter(|progress| locked(progress).listens)
                .count();
            match subscribers.progress.len() - listening {
                0 => Ok(()),
                deaf => Err(format!("{deaf} do not")),
            }
        })
        .await?;
        Ok(subscribers)
    }

    /// Publishes a last message on every primary that lives, waits until all who listen have heard
    /// them and thereby all that came before, and puts what was heard into the recording. Those who
    /// do not hear them in time are left to the judge.
    ///
    /// # Errors
    /// A subscriber panicked: its record is lost.
    pub async fn end(mut self, cluster: &Cluster) -> Result<()> {
        let last = self.last_messages(cluster).await;
        let what = "every subscriber has heard the last messages";
        // Whether they were heard stands in the history.
        let _ = eventually(cluster, what, DEADLINE, || async {
            let lacking = self.progress.iter().filter(|progress| {
                let progress = locked(progress);
                progress.listens && !last.iter().all(|token| progress.last.contains(token))
            });
            match lacking.count() {
                0 => Ok(()),
                lacking => Err(format!("{lacking} have not")),
            }
        })
        .await;
        let _ = self.stop.send(true);
        while let Some(record) = self.tasks.join_next().await {
            let record = record.context("a subscriber panicked: its record is lost")?;
            self.recording.deposit(record);
        }
        Ok(())
    }

    /// Publishes them, and gives those that were acknowledged.
    async fn last_messages(&self, cluster: &Cluster) -> Vec<Token> {
        let client = self.recording.clients(1);
        let mut record = Record::default();
        let mut acknowledged = Vec::new();
        let live = cluster.primaries().filter(|node| node.should_answer());
        for (number, node) in (0u32..).zip(live) {
            let token = Token { client, number };
            let invoked = self.recording.now();
            let mut publish = redis::cmd("PUBLISH");
            publish.arg(LAST).arg(token.to_string());
            let answer: Result<i64, ClientError> = match node.client().await {
                Ok(mut client) => client.query(&publish).await,
                Err(error) => Err(error),
            };
            let outcome = match answer {
                Ok(count) => {
                    acknowledged.push(token);
                    Outcome::Ok(Reply::Number(count))
                }
                Err(error) => Outcome::Unknown(self.recording.name(&error.to_string())),
            };
            record.push(Operation {
                client,
                node: self.recording.name(node.name()),
                proxied: false,
                database: 0,
                confirmed: 0,
                key: self.recording.name(LAST),
                action: Action::Publish(token),
                invoked,
                completed: self.recording.now(),
                outcome,
            });
        }
        self.recording.deposit(record);
        acknowledged
    }
}

/// One subscriber.
struct Subscriber {
    recording: Recording,
    whereabouts: Arc<Whereabouts>,
    /// Where it connects to.
    server: Arc<dyn Server>,
    password: Option<Secret>,
    /// What it is put down to while the node is unknown.
    target: Name,
    proxied: bool,
    pattern: Name,
    progress: Arc<Mutex<Progress>>,
    record: Record,
}

/// A connection that listens.
struct Listening {
    stream: TcpStream,
    node: Name,
    client: u32,
    from: Moment,
    /// What was read and not yet understood.
    read: Vec<u8>,
    /// When the last message was heard.
    heard: Moment,
}

impl Subscriber {
    /// Listens until it is told to stop; gives what it recorded.
    async fn run(mut self, mut stopped: watch::Receiver<bool>) -> Record {
        while !*stopped.borrow() {
            let connected = match timeout(PATIENCE, self.connect()).await {
                Ok(Ok(listening)) => listening,
                Ok(Err(_)) | Err(_) => {
                    sleep(RETRY).await;
                    continue;
                }
            };
            *locked(&self.progress) = Progress {
                listens: true,
                ..Progress::default()
            };
            let mut listening = connected;
            let ended = tokio::select! {
                why = self.listen(&mut listening) => Some(why),
                _ = stopped.changed() => None,
            };
            locked(&self.progress).listens = false;
            let outcome = match ended {
                None => Outcome::Ok(Reply::Done),
                Some(why) => Outcome::Unknown(self.recording.name(&why)),
            };
            let (invoked, completed) = (listening.from, self.recording.now());
            self.note(
                &listening,
                self.pattern,
                Action::Subscribe,
                (invoked, completed),
                outcome,
            );
        }
        self.record
    }

    fn note(
        &mut self,
        listening: &Listening,
        key: Name,
        action: Action,
        (invoked, completed): (Moment, Moment),
        outcome: Outcome,
    ) {
        self.record.push(Operation {
            client: listening.client,
            node: listening.node,
            proxied: self.proxied,
            database: 0,
            confirmed: 0,
            key,
            action,
            invoked,
            completed,
            outcome,
        });
    }

    /// Connects, finds out where it ended, and subscribes.
    async fn connect(&self) -> Result<Listening, String> {
        let address = self.whereabouts.address(&self.server).await?;
        let io = |error: std::io::Error| error.to_string();
        let mut stream = TcpStream::connect(address).await.map_err(io)?;
        stream.set_nodelay(true).map_err(io)?;
        let mut out = Outgoing::default();
        let mut replies = 2;
        if let Some(password) = &self.password {
            out.command(2).word("AUTH").word(password);
            replies += 1;
        }
        out.command(2).word("INFO").word("server");
        out.command(2).word("PSUBSCRIBE").word(PATTERN);
        stream.write_all(&out.bytes).await.map_err(io)?;
        let mut read = Vec::with_capacity(READ);
        let mut info = String::new();
        while replies > 0 {
            if stream.read_buf(&mut read).await.map_err(io)? == 0 {
                return Err("closed at once".to_owned());
            }
            while replies > 0 {
                let Some((frame, size)) = reply::first(&read)? else {
                    break;
                };
                match frame {
                    RangeFrame::Error(range) => {
                        return Err(hide(self.password.as_deref(), &text(&read, range)));
                    }
                    RangeFrame::BulkString(range) => info = text(&read, range),
                    _ => {}
                }
                read.drain(..size);
                replies -= 1;
            }
        }
        let from = self.recording.now();
        let node = match self.proxied {
            true => self.whereabouts.node(&info).await.unwrap_or(self.target),
            false => self.target,
        };
        Ok(Listening {
            stream,
            node,
            client: self.recording.clients(1),
            from,
            read,
            heard: from,
        })
    }

    /// Records what it hears until the connection ends; gives why it did. What was read is kept
    /// when this is given up.
    async fn listen(&mut self, listening: &mut Listening) -> String {
        loop {
            if let Err(why) = self.take(listening) {
                return why;
            }
            listening.read.reserve(READ);
            match listening.stream.read_buf(&mut listening.read).await {
                Ok(0) => return "connection closed".to_owned(),
                Ok(_) => {}
                Err(error) => return format!("connection broken: {}", error.kind()),
            }
        }
    }

    /// Records the messages that were read.
    fn take(&mut self, listening: &mut Listening) -> Result<(), String> {
        let mut taken = 0;
        let now = self.recording.now();
        while let Some((frame, size)) =
            reply::first(&listening.read[taken..]).map_err(|error| format!("no RESP: {error}"))?
        {
            let bytes = &listening.read[taken..];
            taken += size;
            // `pmessage`, the pattern, the channel, the message.
            let RangeFrame::Array(parts) = frame else {
                continue;
            };
            let [
                RangeFrame::BulkString(_),
                RangeFrame::BulkString(_),
                RangeFrame::BulkString(channel),
                RangeFrame::BulkString(message),
            ] = parts[..]
            else {
                continue;
            };
            let (channel, message) = (text(bytes, channel), text(bytes, message));
            let reply = match message.parse() {
                Ok(token) => {
                    if channel == LAST {
                        locked(&self.progress).last.insert(token);
                    }
                    Reply::Value(token)
                }
                Err(_) => Reply::Foreign(self.recording.name(&message)),
            };
            // No two at the same time: their order is that of their times.
            listening.heard = Moment(listening.heard.0 + 1).max(now);
            let at = (listening.heard, listening.heard);
            let channel = self.recording.name(&channel);
            self.note(listening, channel, Action::Hear, at, Outcome::Ok(reply));
        }
        listening.read.drain(..taken);
        Ok(())
    }
}

fn text(bytes: &[u8], (from, to): (usize, usize)) -> String {
    String::from_utf8_lossy(bytes.get(from..to).unwrap_or_default()).into_owned()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
