//! What is up, as its holder wrote it down, and what the holder tells `up` meanwhile.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use keydb_harness::run::{Run, is_alive, runs_dir, state_dir};
use keydb_harness::testbed::EnvironmentError;
use serde::{Deserialize, Serialize};

const RECORD: &str = "up.json";

/// What a holder holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The holder's.
    pub(super) pid: i32,
    /// The holder's run; its lock tells whether the record is still true.
    pub(super) run: String,
    /// None while it is being started.
    pub(super) cluster: Option<Held>,
}

/// A cluster that is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Held {
    /// Testbed and versions.
    pub(super) lab: String,
    /// The proxy first, then the nodes.
    pub(super) servers: Vec<HeldServer>,
}

/// One server of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HeldServer {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// What it is there for.
    pub(super) role: String,
    pub(super) address: SocketAddr,
    /// The container's name, on Docker.
    pub(super) container: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Kind {
    Proxy,
    Primary,
    Replica,
}

/// What a holder tells the `up` that waits for it: a line of JSON each on its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// What it works on from now on.
    Step(String),
    /// Testbed and versions.
    Lab(String),
    /// The cluster is ready.
    Up(Record),
    /// It is not going to be.
    Failed { sentence: String, code: u8 },
}

impl Record {
    /// A record of this process, without a cluster yet.
    pub(super) fn of(run: &Run) -> Self {
        Self {
            pid: rustix::process::getpid().as_raw_nonzero().get(),
            run: run.id().to_owned(),
            cluster: None,
        }
    }

    /// Puts it into its run's folder, where it lasts as long as the run.
    pub(super) fn write(&self, run: &Run) -> Result<(), EnvironmentError> {
        let path = run.dir().join(RECORD);
        let unfinished = path.with_extension("new");
        let write = || -> io::Result<()> {
            fs::write(&unfinished, serde_json::to_vec(self)?)?;
            fs::rename(&unfinished, &path)
        };
        write().map_err(|error| {
            EnvironmentError::new(format!(
                "cannot write {}: {error}; set XDG_STATE_HOME to a writable directory",
                path.display()
            ))
        })
    }

    /// The record of the holder that is alive, if one is.
    pub(super) fn find() -> Result<Option<Self>, EnvironmentError> {
        let Ok(entries) = fs::read_dir(runs_dir()?) else {
            return Ok(None);
        };
        Ok(entries
            .filter_map(|entry| {
                let text = fs::read(entry.ok()?.path().join(RECORD)).ok()?;
                serde_json::from_slice(&text).ok()
            })
            .find(Self::is_true))
    }

    /// Whether its holder lives.
    pub(super) fn is_true(&self) -> bool {
        is_alive(&self.run)
    }

    /// The folder of its run.
    pub(super) fn dir(&self) -> Option<PathBuf> {
        runs_dir().ok().map(|runs| runs.join(&self.run))
    }
}

/// The right to hold a cluster, as long as the returned file is open; None if another has it.
pub(super) fn claim() -> Result<Option<File>, EnvironmentError> {
    let state = state_dir()?;
    let path = state.join("up.lock");
    let open = || -> io::Result<File> {
        fs::create_dir_all(&state)?;
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
    };
    let cannot = |error: io::Error| {
        EnvironmentError::new(format!(
            "cannot lock {}: {error}; set XDG_STATE_HOME to a writable directory",
            path.display()
        ))
    };
    let file = open().map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(cannot(error)),
    }
}
