//! Small behaviours of which a scenario looks at many on one cluster: each is a row with a check of
//! its own, on keys of its own, and all rows run at the same time.
//!
//! A row says what it does in the words of the protocol, by [`Hands`]. Every command and its answer
//! stands in the trial's [`TRANSCRIPT`]; a row that a server lacks something for is left out, and
//! the headline says so.

mod hands;
mod reply;
mod session;

pub use hands::{Hands, lacking};
pub use session::Session;

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;

use crate::trial::{Broken, Trial};
use crate::wait::Unmet;

/// The file of a trial that holds every command of its rows, with the answers.
pub const TRANSCRIPT: &str = "commands.txt";

/// Rows at a time.
const AT_A_TIME: usize = 8;

/// What a row saw: `Ok` if the promise held, `Err` what was seen instead.
pub type Seen = std::result::Result<String, String>;

/// One behaviour.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// The check's name within the scenario.
    pub check: &'static str,
    /// The promise, as a sentence.
    pub promise: &'static str,
    /// Where it is made: upstream's own test, a page of the documentation, an upstream issue.
    pub source: &'static str,
    /// Commands, in capitals, and settings, in small letters, that a server may lack: then the row is
    /// left out.
    pub needs: &'static [&'static str],
    /// What it does. An error says that nothing could be seen; an [`Unmet`] in it counts as broken.
    pub run: for<'a> fn(&'a Hands<'a>) -> BoxFuture<'a, Result<Seen>>,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Behaviour")
            .field("check", &self.check)
            .finish_non_exhaustive()
    }
}

impl Behaviour {
    /// A row that needs no command which a server may lack.
    pub const fn new(
        check: &'static str,
        promise: &'static str,
        source: &'static str,
        run: for<'a> fn(&'a Hands<'a>) -> BoxFuture<'a, Result<Seen>>,
    ) -> Self {
        Self {
            check,
            promise,
            source,
            needs: &[],
            run,
        }
    }

    /// The same, left out where a server lacks one of these.
    #[must_use]
    pub const fn needing(self, needs: &'static [&'static str]) -> Self {
        Self { needs, ..self }
    }
}

/// Runs all rows on the trial's cluster, several at a time, and records a check for each.
///
/// # Errors
/// No node answers.
pub async fn all_at_once(trial: &Trial, rows: &[Behaviour]) -> Result<()> {
    Table::on(trial).at_once(rows).await
}

/// Runs the rows one after the other: those that disturb others, or watch for quiet.
///
/// # Errors
/// No node answers.
pub async fn in_turn(trial: &Trial, rows: &[Behaviour]) -> Result<()> {
    Table::on(trial).in_turn(rows).await
}

/// Rows at work on a trial's cluster, at once or in turn, with one transcript. It is attached to the
/// trial when this is dropped, so that a trial which ends early has one as well.
#[derive(Debug)]
pub struct Table<'a> {
    trial: &'a Trial,
    hands: Hands<'a>,
    count: AtomicUsize,
    left_out: Vec<String>,
}

impl<'a> Table<'a> {
    /// An empty one.
    pub fn on(trial: &'a Trial) -> Self {
        Self {
            trial,
            hands: Hands::new(trial.cluster()),
            count: AtomicUsize::new(0),
            left_out: Vec::new(),
        }
    }

    /// What prepares the cluster between rows: its commands stand in the transcript too.
    pub fn hands(&self) -> &Hands<'a> {
        &self.hands
    }

    /// As [`all_at_once`].
    ///
    /// # Errors
    /// No node answers.
    pub async fn at_once(&mut self, rows: &[Behaviour]) -> Result<()> {
        self.run(rows, AT_A_TIME).await
    }

    /// As [`in_turn`].
    ///
    /// # Errors
    /// No node answers.
    pub async fn in_turn(&mut self, rows: &[Behaviour]) -> Result<()> {
        self.run(rows, 1).await
    }

    async fn run(&mut self, rows: &[Behaviour], at_a_time: usize) -> Result<()> {
        let mut needs: Vec<&str> = Vec::new();
        for row in rows {
            needs.extend(row.needs);
        }
        let lacking = self.hands.lacking(&needs).await?;
        let mut able = Vec::new();
        for row in rows {
            match row.needs.iter().find(|need| lacking.contains(*need)) {
                None => able.push(row),
                Some(need) => self.left_out.push(format!("{} ({need})", row.check)),
            }
        }
        let hands = &self.hands;
        // In the order of the table, whatever is done first.
        let mut works = Vec::new();
        for row in able {
            works.push(async move { (row, (row.run)(hands).await) });
        }
        let works = futures_util::stream::iter(works).buffered(at_a_time);
        let ends: Vec<_> = works.collect().await;
        self.count.fetch_add(ends.len(), Ordering::Relaxed);
        for (row, seen) in ends {
            self.record(row.check, row.promise, seen);
        }
        Ok(())
    }

    /// Records what one step of several that build upon each other saw: a behaviour without a row.
    pub fn saw(&self, check: &str, promise: &str, seen: Result<Seen>) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.record(check, promise, seen);
    }

    fn record(&self, check: &str, promise: &str, seen: Result<Seen>) {
        match seen {
            Ok(seen) => {
                self.trial.check(check, promise, seen);
            }
            Err(error) => match error.downcast::<Unmet>() {
                Ok(unmet) => {
                    let unmet = Err::<&str, Broken>(unmet.into());
                    self.trial.check(check, promise, unmet);
                }
                Err(error) => {
                    let why = format!("{error:#}");
                    self.trial.inconclusive(check, promise, why);
                }
            },
        }
    }
}

impl Drop for Table<'_> {
    fn drop(&mut self) {
        let transcript = self.hands.transcript().into_bytes();
        self.trial.attach(TRANSCRIPT, transcript);
        match self.count.load(Ordering::Relaxed) {
            0 => {}
            count => self.trial.headline(format!("{count} behaviours")),
        }
        if !self.left_out.is_empty() {
            let names = self.left_out.join(", ");
            self.trial
                .headline(format!("left out, as a command lacks: {names}"));
        }
    }
}
