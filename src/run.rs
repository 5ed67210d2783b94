//! The identity of a run, and how others tell that it is alive.
//!
//! Everything a run makes carries its identity: files lie in its folder, containers, networks and
//! volumes bear its labels. The run holds a lock on a file in that folder; whoever finds the lock
//! free knows that the run is dead and may remove what it left. A host and boot id keep a run on
//! another machine that shares the same engine from being touched.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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

static CURRENT: Mutex<Weak<Run>> = Mutex::new(Weak::new());

impl Run {
    /// The run of this process; a new one if none is under way.
    ///
    /// # Errors
    /// The state directory cannot be written.
    pub fn enter() -> Result<Arc<Self>, EnvironmentError> {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = current.upgrade() {
            return Ok(run);
        }
        crate::cleanup::install_signal_handler();
        let run = Arc::new(Self::create(&runs_dir()?)?);
        *current = Arc::downgrade(&run);
        Ok(run)
    }

    /// The run of this process if one is under way.
    pub fn current() -> Option<Arc<Self>> {
        CURRENT
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade()
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
        fs::create_dir_all(&dir).map_err(cannot)?;
        // Locked before it has its name, so that nobody finds it free in between.
        let unnamed = dir.join("lock.new");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&unnamed)
            .map_err(cannot)?;
        lock.lock().map_err(cannot)?;
        fs::write(dir.join(HOST), Machine::current().host).map_err(cannot)?;
        fs::rename(&unnamed, dir.join(LOCK)).map_err(cannot)?;
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
        let _ = fs::remove_dir_all(&self.dir);
    }
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

/// Whether a run was made on this machine; one that does not say was.
fn is_of_this_host(dir: &Path) -> bool {
    fs::read_to_string(dir.join(HOST)).map_or(true, |host| host == Machine::current().host)
}

fn holds_lock(dir: &Path) -> bool {
    match File::open(dir.join(LOCK)) {
        // Where locks cannot be had at all, nothing is known to be dead.
        Ok(file) => file.try_lock().is_err(),
        // A folder without its lock file yet: give its maker the time to take the lock.
        Err(error) if error.kind() == ErrorKind::NotFound => fs::metadata(dir)
            .and_then(|meta| meta.modified())
            .is_ok_and(|time| time.elapsed().is_ok_and(|age| age.as_secs() < 10)),
        Err(_) => true,
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
}
