//! One client: draws operations, sends them, and records what came of each.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use redis_protocol::resp2::types::RangeFrame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::Confirm;
use super::keys::Keys;
use super::mix::{BRIEF_LIFE, CUT_SHORT, FIELDS, Kind, LONG_LIFE, Mix};
use super::reply;
use super::whereabouts::Whereabouts;
use super::wire::{Outgoing, outcome};
use crate::history::{Action, Fate, Moment, Name, Operation, Outcome, Record, Recording, Token};
use crate::secret::{Secret, hide};
use crate::testbed::Server;

/// Between two tries to connect, and after a refusal.
const RETRY: Duration = Duration::from_millis(20);
/// How much is read at once.
const READ: usize = 16 << 10;

/// What all clients of a traffic share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) stopping: AtomicBool,
    pub(super) acknowledged: AtomicUsize,
    pub(super) unacknowledged: AtomicUsize,
}

/// One client.
pub(super) struct Worker {
    pub(super) recording: Recording,
    pub(super) shared: Arc<Shared>,
    pub(super) whereabouts: Arc<Whereabouts>,
    /// Where it connects to.
    pub(super) server: Arc<dyn Server>,
    pub(super) password: Option<Secret>,
    /// What its operations are put down to while the node is unknown.
    pub(super) target: Name,
    pub(super) proxied: bool,
    pub(super) number: u32,
    pub(super) database: u8,
    pub(super) mix: Arc<Mix>,
    pub(super) keys: Keys,
    pub(super) rng: ChaCha8Rng,
    pub(super) depth: usize,
    pub(super) pace: Duration,
    pub(super) patience: Duration,
    pub(super) confirm: Option<Confirm>,
    /// How many values it has written.
    pub(super) values: u32,
    /// How many writes it has sent, for [`Confirm`].
    pub(super) writes: u32,
    pub(super) record: Record,
}

/// An operation on its way.
struct Pending {
    key: Name,
    action: Action,
    invoked: Moment,
    /// Replies that are still to come, that of a `WAIT` not counted.
    replies: u8,
    /// Whether `MULTI` was refused, so that what follows was no transaction.
    no_transaction: bool,
    /// Whether a `WAIT` follows.
    waits: bool,
}

struct Connection {
    stream: TcpStream,
    node: Name,
    /// What was read and not yet understood.
    read: Vec<u8>,
}

/// Comes to an end at a time. The timer is one for all that a client waits for: it is set anew
/// when it rings too early, and not for each answer that comes before.
async fn passes(mut timer: Pin<&mut Sleep>, until: Instant) {
    while Instant::now() < until {
        if timer.is_elapsed() {
            timer.as_mut().reset(until);
        }
        timer.as_mut().await;
    }
}

impl Worker {
    /// Works until it is told to stop; gives what it recorded.
    pub(super) async fn run(mut self) -> Record {
        let mut connection: Option<Connection> = None;
        let mut pending: VecDeque<Pending> = VecDeque::new();
        let mut out = Outgoing::default();
        let mut timer = pin!(sleep(self.patience));
        while !self.shared.stopping.load(Ordering::Relaxed) {
            let Some(live) = &mut connection else {
                let invoked = self.recording.now();
                match self.connect().await {
                    Ok(live) => connection = Some(live),
                    Err(why) => {
                        self.not_sent(invoked, &why, &mut out);
                        sleep(RETRY).await;
                    }
                }
                continue;
            };
            out.bytes.clear();
            // One look at the clock for what is sent at once.
            let invoked = self.recording.now();
            for _ in 0..self.depth {
                if !self.draw(invoked, &mut out, &mut pending) {
                    return self.record;
                }
            }
            let until = Instant::now() + self.patience;
            let exchanged = tokio::select! {
                biased;
                done = self.exchange(live, &out.bytes, &mut pending) => done,
                () = passes(timer.as_mut(), until) => Err("no answer in time".to_owned()),
            };
            let node = live.node;
            let refused = match exchanged {
                Ok(refused) => refused,
                Err(why) => {
                    self.gave_up(&mut pending, node, &why);
                    connection = None;
                    true
                }
            };
            if refused && self.proxied {
                connection = None;
            }
            if refused {
                sleep(RETRY).await;
            } else if !self.pace.is_zero() {
                sleep(self.pace).await;
            }
        }
        self.record
    }

    /// Draws an operation and puts its commands among those to be sent. False if the mix is empty.
    fn draw(
        &mut self,
        invoked: Moment,
        out: &mut Outgoing,
        pending: &mut VecDeque<Pending>,
    ) -> bool {
        let Some(kind) = self.mix.draw(&mut self.rng) else {
            return false;
        };
        let key = self.keys.draw(kind, &mut self.rng);
        let action = self.action(kind, key.name);
        let replies = out.operation(&key.text, self.keys.others(key.name), &action);
        let mut waits = false;
        if let Some(confirm) = self.confirm.filter(|_| kind.writes()) {
            self.writes += 1;
            waits = self.writes.is_multiple_of(confirm.every.max(1));
            if waits {
                out.command(3)
                    .word("WAIT")
                    .word(&confirm.replicas.to_string())
                    .word(&confirm.within.as_millis().to_string());
            }
        }
        pending.push_back(Pending {
            key: key.name,
            action,
            invoked,
            replies,
            no_transaction: false,
            waits,
        });
        true
    }

    fn action(&mut self, kind: Kind, key: Name) -> Action {
        let others = |keys: &Keys| keys.others(key).iter().map(|key| key.name).collect();
        match kind {
            Kind::Set => Action::Set(self.token()),
            Kind::SetFor => Action::SetFor(self.token(), LONG_LIFE),
            Kind::SetBriefly => {
                let life = self.rng.random_range(BRIEF_LIFE);
                Action::SetFor(self.token(), life)
            }
            Kind::Get | Kind::GetMortal | Kind::GetBrief | Kind::GetCounter | Kind::GetAppends => {
                Action::Get
            }
            Kind::Delete => Action::Delete,
            Kind::Expire => Action::Expire(LONG_LIFE),
            Kind::CutShort => Action::Expire(self.rng.random_range(CUT_SHORT)),
            Kind::Increment => Action::Increment(1),
            Kind::Append => Action::Append(self.token()),
            Kind::Push => Action::Push(self.token()),
            Kind::List => Action::List,
            Kind::Add => self.add(key),
            Kind::Remove => match self.keys.added.remove(&key) {
                Some(value) => Action::Remove(value),
                // It has nothing to take away yet.
                None => self.add(key),
            },
            Kind::Members => Action::Members,
            Kind::PutField => {
                let field = self.rng.random_range(0..FIELDS);
                Action::PutField(field, self.token())
            }
            Kind::Fields => Action::Fields,
            Kind::Score => {
                let score = self.rng.random_range(0..1000);
                Action::Score(score, self.token())
            }
            Kind::Ranking => Action::Ranking,
            Kind::Log => Action::Log(self.token()),
            Kind::Entries => Action::Entries,
            Kind::SetAll => Action::SetAll(others(&self.keys), self.token()),
            Kind::ScriptSetAll => Action::ScriptSetAll(others(&self.keys), self.token()),
            Kind::GetAll => Action::GetAll(others(&self.keys)),
            Kind::Publish => Action::Publish(self.token()),
        }
    }

    fn add(&mut self, key: Name) -> Action {
        let value = self.token();
        self.keys.added.insert(key, value);
        Action::Add(value)
    }

    fn token(&mut self) -> Token {
        self.values += 1;
        Token {
            client: self.number,
            number: self.values - 1,
        }
    }

    /// Sends, and takes replies until there is one for each. Gives whether any was a refusal.
    async fn exchange(
        &mut self,
        connection: &mut Connection,
        out: &[u8],
        pending: &mut VecDeque<Pending>,
    ) -> Result<bool, String> {
        let broken = |error: std::io::Error| format!("connection broken: {}", error.kind());
        connection.stream.write_all(out).await.map_err(broken)?;
        let mut refused = false;
        // Whether a reply to `WAIT` is the next to come.
        let mut waiting = false;
        while waiting || !pending.is_empty() {
            connection.read.reserve(READ);
            let count = connection
                .stream
                .read_buf(&mut connection.read)
                .await
                .map_err(broken)?;
            if count == 0 {
                return Err("connection closed".to_owned());
            }
            let completed = self.recording.now();
            let mut taken = 0;
            let mut acknowledged = 0;
            while let Some((frame, size)) = reply::first(&connection.read[taken..])
                .map_err(|error| format!("no RESP: {error}"))?
            {
                let bytes = &connection.read[taken..];
                taken += size;
                if waiting {
                    waiting = false;
                    if let (RangeFrame::Integer(count), Some(last)) =
                        (frame, self.record.last_mut())
                    {
                        last.confirmed = u8::try_from(count).unwrap_or(u8::MAX);
                    }
                    continue;
                }
                let Some(first) = pending.front_mut() else {
                    return Err("a reply to nothing".to_owned());
                };
                first.replies -= 1;
                if first.replies > 0 {
                    // MULTI's own reply, or QUEUED; a command that is refused aborts EXEC.
                    let is_first =
                        usize::from(first.replies) == self.keys.others(first.key).len() + 2;
                    first.no_transaction |= is_first && matches!(frame, RangeFrame::Error(_));
                    continue;
                }
                let Some(done) = pending.pop_front() else {
                    break;
                };
                let recording = &self.recording;
                let outcome = match done.no_transaction {
                    true => Outcome::Unknown(recording.name("MULTI was refused")),
                    false => outcome(&done.action, bytes, &frame, |text| recording.name(text)),
                };
                match outcome {
                    Outcome::Ok(_) => acknowledged += 1,
                    _ => refused = true,
                }
                waiting = done.waits;
                self.finished(done, connection.node, completed, outcome);
            }
            connection.read.drain(..taken);
            self.shared
                .acknowledged
                .fetch_add(acknowledged, Ordering::Relaxed);
        }
        Ok(refused)
    }

    fn finished(&mut self, done: Pending, node: Name, completed: Moment, outcome: Outcome) {
        if outcome.fate() != Fate::Ok {
            self.shared.unacknowledged.fetch_add(1, Ordering::Relaxed);
        }
        self.record.push(Operation {
            client: self.number,
            node,
            proxied: self.proxied,
            database: self.database,
            confirmed: 0,
            key: done.key,
            action: done.action,
            invoked: done.invoked,
            completed,
            outcome,
        });
    }

    /// What was sent and not answered may have been done.
    fn gave_up(&mut self, pending: &mut VecDeque<Pending>, node: Name, why: &str) {
        let completed = self.recording.now();
        let why = self.recording.name(why);
        for done in std::mem::take(pending) {
            self.finished(done, node, completed, Outcome::Unknown(why));
        }
    }

    /// An operation that could not even be sent.
    fn not_sent(&mut self, invoked: Moment, why: &str, out: &mut Outgoing) {
        let mut pending = VecDeque::new();
        self.draw(invoked, out, &mut pending);
        let completed = self.recording.now();
        let why = self.recording.name(why);
        for done in pending {
            self.finished(done, self.target, completed, Outcome::Fail(why));
        }
    }

    /// Connects, and finds out where it ended.
    async fn connect(&mut self) -> Result<Connection, String> {
        let work = async {
            let address = self.whereabouts.address(&self.server).await?;
            let io = |error: std::io::Error| format!("no connection: {}", error.kind());
            let mut stream = TcpStream::connect(address).await.map_err(io)?;
            stream.set_nodelay(true).map_err(io)?;
            let mut out = Outgoing::default();
            let mut replies = 2;
            if let Some(password) = &self.password {
                out.command(2).word("AUTH").word(password);
                replies += 1;
            }
            out.command(2)
                .word("SELECT")
                .word(&self.database.to_string());
            out.command(2).word("INFO").word("server");
            stream.write_all(&out.bytes).await.map_err(io)?;
            let mut read = Vec::with_capacity(READ);
            let mut info = String::new();
            while replies > 0 {
                if stream.read_buf(&mut read).await.map_err(io)? == 0 {
                    return Err("no connection: closed at once".to_owned());
                }
                let mut taken = 0;
                while let Some((frame, size)) = reply::first(&read[taken..])
                    .map_err(|error| format!("no connection: no RESP: {error}"))?
                {
                    let text = |range: (usize, usize)| {
                        let bytes = read.get(taken + range.0..taken + range.1);
                        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
                    };
                    match frame {
                        RangeFrame::Error(range) => {
                            let why = hide(self.password.as_deref(), &text(range));
                            return Err(format!("no connection: {why}"));
                        }
                        RangeFrame::BulkString(range) => info = text(range),
                        _ => {}
                    }
                    taken += size;
                    replies -= 1;
                }
                read.drain(..taken);
            }
            let node = match self.proxied {
                true => self.whereabouts.node(&info).await.unwrap_or(self.target),
                false => self.target,
            };
            Ok(Connection { stream, node, read })
        };
        match timeout(self.patience, work).await {
            Ok(result) => result,
            Err(_) => Err("no connection in time".to_owned()),
        }
    }
}
