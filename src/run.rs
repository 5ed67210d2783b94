//! The identity of a run, and how others tell that it is alive.
//!
//! Everything a run makes carries its identity: files lie in its folder, containers, networks and
//! volumes bear its labels. The run holds a lock on a file in that folder; whoever finds the lock
//! free knows that the run is dead and may remove what it left. A host and boot id keep a run on
//! another machine that shares the same engine from being touched.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rand::RngExt;

use crate::testbed::EnvironmentError;

const LOCK: &str = "alive.lock";
/// Names the machine, for state directories that several share.
const HOST: &str = "host";

/// The machine this process runs on, told apart over reboots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Stays the same over reboots.
    pub host: String,
    /// New at each boot.
    pub boot: String,
}

impl Machine {
    /// This machine.
    pub fn current() -> Self {
        let first_of = |paths: &[&str]| {
            paths
                .iter()
                .filter_map(|path| fs::read_to_string(path).ok())
                .map(|text| text.trim().to_owned())
                .find(|text| !text.is_empty())
                .unwrap_or_else(|| "unknown".to_owned())
        };
        Self {
            host: first_of(&[
                "/etc/machine-id",
                "/var/lib/dbus/machine-id",
                "/etc/hostname",
            ]),
            boot: first_of(&["/proc/sys/kernel/random/boot_id"]),
        }
    }
}

/// A run of the harness: one folder, one held lock. Lives as long as a cluster of it does.
#[derive(Debug)]
pub struct Run {
    id: String,
    dir: PathBuf,
    clusters: AtomicU32,
    /// Held until the run ends: the sign of life.
    _lock: File,
}

/// The runs of this process.
static OWN: Mutex<Own> = Mutex::new(Own {
    current: Weak::new(),
    dirs: Vec::new(),
    ended: false,
});

#[derive(Debug)]
struct Own {
    current: Weak<Run>,
    /// The folders that are not known to be removed.
    dirs: Vec<PathBuf>,
    /// Set once the process ends: no run begins any more.
    ended: bool,
}

fn own() -> MutexGuard<'static, Own> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// The run of this process; a new one if none is under way.
    ///
    /// # Errors
    /// The state directory cannot be written, or a signal is ending this process.
    pub fn enter() -> Result<Arc<Self>, EnvironmentError> {
        crate::cleanup::install_signal_handler();
        let mut own = own();
        if let Some(run) = own.current.upgrade() {
            return Ok(run);
        }
        if own.ended {
            return Err(EnvironmentError::new(
                "a signal is ending this process: start anew",
            ));
        }
        let run = Arc::new(Self::create(&runs_dir()?)?);
        own.current = Arc::downgrade(&run);
        own.dirs.push(run.dir.clone());
        Ok(run)
    }

    fn create(runs: &Path) -> Result<Self, EnvironmentError> {
        let id = format!("{:08x}", rand::rng().random::<u32>());
        let dir = runs.join(&id);
        let cannot = |error: std::io::Error| {
            EnvironmentError::new(format!(
                "cannot write the run's folder {}: {error}; set XDG_STATE_HOME to a writable directory",
                dir.display()
            ))
        };
        let lock = loop {
            // For the owner only: CONFIG REWRITE makes files with passwords that all may read.
            let mut folder = DirBuilder::new();
            let made = folder.recursive(true).mode(0o700).create(&dir);
            made.map_err(cannot)?;
            // Until it is locked a sweep may take it for dead: then it is made again.
            match lock_in(&dir) {
                Ok(Some(lock)) => break lock,
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(cannot(error)),
            }
        };
        name_host(&dir).map_err(cannot)?;
        Ok(Self {
            id,
            dir,
            clusters: AtomicU32::new(0),
            _lock: lock,
        })
    }

    /// Eight hex digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where this run keeps its files.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A name for one more cluster, unique on this machine: `<run>-<number>`.
    pub fn next_cluster(&self) -> String {
        format!(
            "{}-{}",
            self.id,
            self.clusters.fetch_add(1, Ordering::Relaxed) + 1
        )
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // What cannot be removed now is found by the next run: the lock is free from here on.
        remove(&self.dir);
        own().dirs.retain(|dir| *dir != self.dir);
    }
}

/// Ends the runs of this process: removes their folders, and lets no other begin.
pub(crate) fn end() {
    let mut own = own();
    own.ended = true;
    for dir in own.dirs.drain(..) {
        remove(&dir);
    }
}

/// Removes a run's folder, whoever is writing into it.
fn remove(dir: &Path) {
    for _ in 0..100 {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
            _ => return,
        }
    }
}

/// Notes the machine in a run's folder, whole or not at all: whoever dies on the way leaves a
/// folder that does not say.
fn name_host(dir: &Path) -> io::Result<()> {
    let unfinished = dir.join("host.new");
    fs::write(&unfinished, Machine::current().host)?;
    fs::rename(unfinished, dir.join(HOST))
}

/// The lock of a run's folder once it is ours; none if another removed the folder before.
fn lock_in(dir: &Path) -> io::Result<Option<File>> {
    let path = dir.join(LOCK);
    let file = open_lock(&path)?;
    file.lock()?;
    let (ours, named) = (file.metadata()?, fs::metadata(&path)?);
    Ok((ours.ino() == named.ino()).then_some(file))
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

/// The harness's own folder under the user's XDG state directory.
///
/// # Errors
/// There is no home directory.
pub fn state_dir() -> Result<PathBuf, EnvironmentError> {
    use etcetera::BaseStrategy;
    let base = etcetera::choose_base_strategy().map_err(|error| {
        EnvironmentError::new(format!("no home directory is known ({error}); set HOME"))
    })?;
    Ok(base
        .state_dir()
        .unwrap_or_else(|| base.data_dir())
        .join("keydb-harness"))
}

/// Where the runs of this user have their folders.
///
/// # Errors
/// There is no home directory.
pub fn runs_dir() -> Result<PathBuf, EnvironmentError> {
    Ok(state_dir()?.join("runs"))
}

/// Whether the run `id` of this user and machine still holds its lock.
pub fn is_alive(id: &str) -> bool {
    runs_dir().is_ok_and(|runs| holds_lock(&runs.join(id)))
}

/// The folders of runs that are dead.
pub fn dead_runs() -> Vec<PathBuf> {
    let Ok(entries) = runs_dir().and_then(|dir| {
        fs::read_dir(dir).map_err(|error| EnvironmentError::new(error.to_string()))
    }) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|dir| dir.is_dir() && is_of_this_host(dir) && !holds_lock(dir))
        .collect()
}

/// Takes the lock of a dead run, so that nobody else removes it meanwhile; none if it lives.
pub(crate) fn claim_dead(dir: &Path) -> Option<File> {
    let lock = open_lock(&dir.join(LOCK)).ok()?;
    lock.try_lock().ok()?;
    Some(lock)
}

/// Whether a run was made on this machine; one that does not say was.
fn is_of_this_host(dir: &Path) -> bool {
    let host = fs::read_to_string(dir.join(HOST)).unwrap_or_default();
    host.is_empty() || host == Machine::current().host
}

fn holds_lock(dir: &Path) -> bool {
    match File::open(dir.join(LOCK)) {
        // Where locks cannot be had at all, nothing is known to be dead.
        Ok(file) => file.try_lock().is_err(),
        // Its maker died before it took the lock, or makes the folder again if it did not.
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_alive_while_it_is_held_and_gone_afterwards() {
        let root = tempfile::tempdir().expect("tempdir");
        let run = Run::create(root.path()).expect("run");
        let dir = run.dir().to_owned();
        assert!(holds_lock(&dir));
        drop(run);
        assert!(!dir.exists());
    }

    #[test]
    fn a_folder_whose_lock_is_free_is_a_dead_run() {
        let root = tempfile::tempdir().expect("tempdir");
        File::create(root.path().join(LOCK)).expect("lock file");
        assert!(!holds_lock(root.path()));
    }

    #[test]
    fn a_run_that_died_before_it_took_its_lock_is_dead() {
        let root = tempfile::tempdir().expect("tempdir");
        assert!(!holds_lock(root.path()));
        let claimed = claim_dead(root.path()).expect("the lock is free");
        assert!(claim_dead(root.path()).is_none(), "two sweeps remove it");
        drop(claimed);
    }

    /// Seen once: the run had been killed between making the file and writing to it, and no sweep
    /// removed it.
    #[test]
    fn a_run_that_died_before_it_named_its_machine_is_of_this_one() {
        let root = tempfile::tempdir().expect("tempdir");
        let dir = root.path();
        assert!(is_of_this_host(dir), "no file");
        File::create(dir.join(HOST)).expect("an empty file");
        assert!(is_of_this_host(dir), "an empty file");
        fs::write(dir.join(HOST), "another").expect("a file");
        assert!(!is_of_this_host(dir), "another machine");
        name_host(dir).expect("named");
        assert!(is_of_this_host(dir), "this machine");
    }

    #[test]
    fn a_folder_that_a_sweep_removes_while_it_is_made_is_made_again() {
        let root = tempfile::tempdir().expect("tempdir");
        let dir = root.path().to_owned();
        let sweep = claim_dead(&dir).expect("nobody holds it yet");
        let maker = std::thread::spawn({
            let dir = dir.clone();
            move || lock_in(&dir)
        });
        remove(&dir);
        drop(sweep);
        let lock = maker.join().expect("maker");
        assert!(
            !matches!(lock, Ok(Some(_))),
            "holds the lock of a folder that is gone"
        );
    }
}
