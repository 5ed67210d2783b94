//! What a dead run left on this machine: processes whose guardian was killed too, and its folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpgid, kill_process};

/// The name of the file that holds a server's pid while it runs.
pub(super) const PIDFILE: &str = "pid";
/// The name of the file beside it that holds the process groups of all its lives.
const GROUPS: &str = "groups";

/// Kills every process that a pid file below `dir` names and that was started from there, and
/// whatever such a process forked, then removes `dir`. Returns a line for each thing (that would
/// be) removed.
pub(super) fn remove(dir: &Path, dry: bool) -> Vec<String> {
    let mut removed = Vec::new();
    let mut processes: Vec<Pid> = named(dir, PIDFILE, 2)
        .iter()
        .filter_map(|file| process_of(file, dir))
        .collect();
    processes.extend(forked(dir));
    processes.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
    processes.dedup();
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

/// The processes of the servers' groups that work below `dir`: a server's own child, and a fork
/// that outlives it. A user's shell in the folder is of another group.
fn forked(dir: &Path) -> Vec<Pid> {
    let groups: Vec<i32> = named(dir, GROUPS, 2)
        .iter()
        .filter_map(|file| fs::read_to_string(file).ok())
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect();
    if groups.is_empty() {
        return Vec::new();
    }
    let is_ours = |pid: &Pid| {
        // In this order: a thread of the kernel has no group.
        belongs_to(*pid, dir)
            && getpgid(Some(*pid)).is_ok_and(|it| groups.contains(&it.as_raw_nonzero().get()))
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(is_ours)
        .collect()
}

/// What a process has forked and what still lives of it.
pub(super) fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get().to_string();
    let is_child = |pid: &Pid| {
        let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
        // After its name in brackets: its state, and its parent.
        stat.is_ok_and(|stat| {
            stat.rsplit_once(") ")
                .and_then(|(_, rest)| rest.split(' ').nth(1))
                == Some(&parent)
        })
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| Pid::from_raw(entry.ok()?.file_name().to_str()?.parse().ok()?))
        .filter(is_child)
        .collect()
}

/// The files of this name, at most `depth` folders down.
fn named(dir: &Path, name: &str, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.file_name().is_some_and(|found| found == name) {
            found.push(path);
        } else if depth > 0 && path.is_dir() {
            found.extend(named(&path, name, depth - 1));
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
    use super::super::guardian::{self, Forks};
    use super::*;
    use std::process::Command;

    /// A server that ended, and what it forked: KeyDB 6.3.0's rewrite of an AOF can hang for ever
    /// in the child (measured), and answers no SIGTERM.
    #[test]
    fn what_a_server_forked_goes_with_its_folder() {
        let root = tempfile::tempdir().expect("tempdir");
        let run = root.path().canonicalize().expect("path").join("run");
        let node = run.join("cluster").join("node");
        fs::create_dir_all(&node).expect("folders");
        let log = fs::File::create(node.join("log")).expect("log");
        let forks = "trap '' TERM; sleep 600 & echo $! >child";
        let args = ["-c".to_owned(), forks.to_owned()];
        let shell = Path::new("/bin/sh");
        let pidfile = node.join(PIDFILE);
        let spawned = guardian::spawn(shell, &args, &node, &pidfile, &log, Forks::Outlive);
        let mut spawned = spawned.expect("guardian");
        // To wait for the guardian closes its input, and so kills a server that still runs.
        let began = Instant::now();
        let child = loop {
            let text = fs::read_to_string(node.join("child")).unwrap_or_default();
            if let Ok(pid) = text.trim().parse() {
                break Pid::from_raw(pid).expect("a pid");
            }
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "it forks nothing"
            );
            std::thread::sleep(Duration::from_millis(2));
        };
        spawned.wait().expect("the server ends");
        assert!(belongs_to(child, &run), "it outlives its server");
        // A user who looks around in the folder is not the server's.
        let mut user = Command::new("sleep");
        let mut user = user.arg("60").current_dir(&node).spawn().expect("sleep");

        let removed = remove(&run, false);
        assert!(!belongs_to(child, &run), "{removed:?}");
        let gone = fs::read_link(format!("/proc/{}/cwd", child.as_raw_nonzero()));
        assert!(gone.is_err(), "it still lives: {removed:?}");
        assert!(
            user.try_wait().expect("user").is_none(),
            "a user's shell was killed"
        );
        user.kill().expect("kill");
        user.wait().expect("wait");
    }

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
