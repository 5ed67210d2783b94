//! What a dead run left on this machine: processes whose guardian was killed too, and its folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// The name of the file that holds a server's pid while it runs.
pub(super) const PIDFILE: &str = "pid";

/// Kills every process that a pid file below `dir` names and that was started from there, then
/// removes `dir`. Returns a line for each thing (that would be) removed.
pub(super) fn remove(dir: &Path, dry: bool) -> Vec<String> {
    let mut removed = Vec::new();
    let processes: Vec<Pid> = pidfiles(dir, 2)
        .iter()
        .filter_map(|file| process_of(file, dir))
        .collect();
    for pid in &processes {
        removed.push(format!(
            "process {} of {}",
            pid.as_raw_nonzero(),
            dir.display()
        ));
        if !dry {
            let _ = kill_process(*pid, Signal::KILL);
        }
    }
    if dir.exists() {
        removed.push(format!("folder {}", dir.display()));
    }
    if !dry {
        await_end(&processes, dir);
        let _ = fs::remove_dir_all(dir);
    }
    removed
}

/// Waits until the killed processes are gone, so that none writes into the folder being removed.
fn await_end(processes: &[Pid], dir: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while processes.iter().any(|pid| belongs_to(*pid, dir)) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn pidfiles(dir: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.file_name().is_some_and(|name| name == PIDFILE) {
            found.push(path);
        } else if depth > 0 && path.is_dir() {
            found.extend(pidfiles(&path, depth - 1));
        }
    }
    found
}

/// The pid of a server of the run whose folder `dir` is, if the server runs.
pub fn pid_of(dir: &Path, server: &str) -> Option<i32> {
    fs::read_dir(dir)
        .ok()?
        .filter_map(|cluster| process_of(&cluster.ok()?.path().join(server).join(PIDFILE), dir))
        .map(|pid| pid.as_raw_nonzero().get())
        .next()
}

fn process_of(pidfile: &Path, dir: &Path) -> Option<Pid> {
    let pid = Pid::from_raw(fs::read_to_string(pidfile).ok()?.trim().parse().ok()?)?;
    belongs_to(pid, dir).then_some(pid)
}

/// Whether the process works in a folder below `dir`: a pid that was given out anew does not.
fn belongs_to(pid: Pid, dir: &Path) -> bool {
    // The link names no symbolic links on the way.
    let dir = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero()))
        .is_ok_and(|cwd| cwd.starts_with(dir))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn only_processes_of_the_folder_are_killed() {
        let root = tempfile::tempdir().expect("tempdir");
        let run = root.path().canonicalize().expect("path").join("run");
        let node = run.join("cluster").join("node");
        fs::create_dir_all(&node).expect("folders");
        let sleeper = |cwd: &Path| {
            Command::new("sleep")
                .arg("60")
                .current_dir(cwd)
                .spawn()
                .expect("sleep starts")
        };
        let (mut own, mut foreign) = (sleeper(&node), sleeper(root.path()));

        fs::write(node.join(PIDFILE), foreign.id().to_string()).expect("pid file");
        assert_eq!(remove(&run, true), [format!("folder {}", run.display())]);

        fs::write(node.join(PIDFILE), own.id().to_string()).expect("pid file");
        let reaper = std::thread::spawn(move || own.wait().expect("wait"));
        assert_eq!(remove(&run, false).len(), 2);
        assert!(!reaper.join().expect("reaper").success());
        assert!(!run.exists());

        assert!(
            foreign.try_wait().expect("foreign").is_none(),
            "a foreign process was killed"
        );
        foreign.kill().expect("kill");
        foreign.wait().expect("wait");
    }
}
