//! What a node keeps in its directory, so that a restart means something.
//!
//! The files hold the model's own format, not KeyDB's, and are named so. A dump is written at
//! SIGTERM when `save` is on, and by `SAVE` and `BGSAVE`; an append-only file after every write.

mod snapshot;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

pub(super) use snapshot::{MasterMemory, Snapshot};

use super::resp::Received;

/// The dump.
const DUMP: &str = "dump.model";
/// Stands beside a dump that holds everything the node ever said: only then may a restarted node
/// go on in its old stream (docs replication.md: 'use the SHUTDOWN command'; P51).
const COMPLETE: &str = "dump.complete";
/// The append-only file: a snapshot, then what went over links.
const AOF: &str = "appendonly.model";

/// What was found in a directory.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) snapshot: Snapshot,
    /// What was replicated after the snapshot, with its bytes: an append-only file has it.
    pub(super) commands: Vec<(Vec<Bytes>, Bytes)>,
    /// Whether the old stream may be continued.
    pub(super) complete: bool,
    /// As KeyDB's log calls it.
    pub(super) source: &'static str,
}

/// Reads what a node left in `dir`; `None` if nothing.
///
/// # Errors
/// A file is damaged or cannot be read.
pub(super) fn read(dir: &Path, aof: bool) -> Result<Option<Found>, String> {
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let path = dir.join(if aof { AOF } else { DUMP });
    let bytes = match fs::read(&path) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(named(&path, &error)),
    };
    // From now on it is no longer all that was said.
    let complete = fs::remove_file(dir.join(COMPLETE)).is_ok() && !aof;
    let (snapshot, rest) = Snapshot::from_bytes(&bytes).map_err(|error| named(&path, &error))?;
    let mut rest = Received::from(&rest[..]);
    let mut commands = Vec::new();
    // An end that was cut off by a kill is left out, as KeyDB does (aof-load-truncated yes).
    while let Ok(Some(command)) = rest.take_with_its_bytes() {
        commands.push(command);
    }
    Ok(Some(Found {
        snapshot,
        commands,
        complete,
        source: if aof { "append only file" } else { "disk" },
    }))
}

/// Writes a dump. `complete` says that nothing will follow it.
///
/// # Errors
/// The directory cannot be written to.
pub(super) fn write_dump(dir: &Path, snapshot: &Snapshot, complete: bool) -> Result<(), String> {
    let named = |error: io::Error| format!("cannot write {}: {error}", dir.join(DUMP).display());
    let _ = fs::remove_file(dir.join(COMPLETE));
    replace(
        dir,
        DUMP,
        &snapshot.to_bytes().map_err(|error| error.to_string())?,
    )
    .map_err(named)?;
    if complete {
        File::create(dir.join(COMPLETE)).map_err(named)?;
    }
    Ok(())
}

fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("temp-{}-{name}", std::process::id()));
    fs::write(&temporary, bytes)?;
    fs::rename(temporary, dir.join(name))
}

/// An open append-only file.
#[derive(Debug)]
pub(super) struct Aof {
    dir: PathBuf,
    file: File,
}

impl Aof {
    /// Begins a new one with this snapshot.
    ///
    /// # Errors
    /// The directory cannot be written to.
    pub(super) fn rewrite(dir: &Path, snapshot: &Snapshot) -> Result<Self, String> {
        let named = |error: io::Error| format!("cannot write {}: {error}", dir.join(AOF).display());
        replace(
            dir,
            AOF,
            &snapshot.to_bytes().map_err(|error| error.to_string())?,
        )
        .map_err(named)?;
        let file = OpenOptions::new()
            .append(true)
            .open(dir.join(AOF))
            .map_err(named)?;
        Ok(Self {
            dir: dir.to_owned(),
            file,
        })
    }

    /// Adds what went over links. A model ends without its machine, so what was written stays without
    /// being forced to the disk.
    ///
    /// # Errors
    /// The file cannot be written to.
    pub(super) fn append(&mut self, envelope: &[u8]) -> Result<(), String> {
        self.file
            .write_all(envelope)
            .map_err(|error| format!("cannot write {}: {error}", self.dir.join(AOF).display()))
    }
}
