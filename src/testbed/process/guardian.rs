//! Ties a child process to the harness: when the harness dies, however it dies, the child does.
//!
//! The kernel's own means (a death signal set before exec) needs `unsafe`. Instead every child
//! runs under a small shell whose standard input is a pipe that only the harness holds: at its end
//! of file the shell kills the child. The shell leads a process group of its own, so that a Ctrl-C
//! at the terminal reaches the harness alone.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `$1` is the file for the child's pid, `$2` whether what it forks ends with it, the rest is the
/// child's command line. The shell, whose pid is its group's, notes the group: what the child forks
/// may outlive it. The shell exits with the child's code. The watcher is killed first so that a pid
/// that was given out anew is never hit. Whoever is left of the group then is a fork.
const SCRIPT: &str = r#"
pidfile=$1; forks=$2; shift 2
echo "$$" >>"${pidfile%/*}/groups"
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
echo "$child" >"$pidfile.new" && mv "$pidfile.new" "$pidfile"
( exec >/dev/null 2>&1; read -r _ <&3; kill -KILL "$child" ) &
watcher=$!
exec 3<&-
wait "$child"; code=$?
kill -KILL "$watcher"
left=$forks
while [ "$left" = end ]; do
    left=none
    # The shell reads a character at a time: it looks at those only that may be of the group.
    for stat in $(grep -ls ") [^Z] [0-9]* $$ " /proc/[0-9]*/stat); do
        { read -r line <"$stat"; } 2>/dev/null || continue
        set -- ${line##*) }
        pid=${stat#/proc/}; pid=${pid%/stat}
        # State, parent, group.
        [ "$3" = "$$" ] && [ "$pid" != "$$" ] && [ "$1" != Z ] || continue
        kill -KILL "$pid" 2>/dev/null
        left=end
    done
done
rm -f "$pidfile"
exit "$code"
"#;

/// What becomes of a child's forks when it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forks {
    /// They are left alone, as those of a KeyDB that saves.
    Outlive,
    /// They are killed, and the guardian stays until they are gone: workers of a master.
    End,
}

/// Starts `binary args…` under a guardian. Its output is appended to `log`; its pid stands in
/// `pidfile` as long as it lives. Dropping the returned child's standard input kills it.
pub(super) fn spawn(
    binary: &Path,
    args: &[String],
    dir: &Path,
    pidfile: &Path,
    log: &File,
    forks: Forks,
) -> io::Result<Child> {
    let forks = match forks {
        Forks::Outlive => "outlive",
        Forks::End => "end",
    };
    Command::new("/bin/sh")
        .arg("-c")
        .arg(SCRIPT)
        .arg("keydb-harness-guardian")
        .arg(pidfile)
        .arg(forks)
        .arg(binary)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0)
        .spawn()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};
    use std::fs;
    use std::time::{Duration, Instant};

    const PATIENCE: Duration = Duration::from_secs(60);

    fn number(file: &Path) -> i32 {
        let began = Instant::now();
        loop {
            let text = fs::read_to_string(file).unwrap_or_default();
            if let Ok(number) = text.trim().parse() {
                return number;
            }
            assert!(began.elapsed() < PATIENCE, "no {}", file.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn lives(pid: i32) -> bool {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, rest)| &rest[..1]);
        state.is_some_and(|state| state != "Z")
    }

    /// A master that is killed takes its workers along, also one that hears no signal.
    #[test]
    fn workers_end_with_their_master() {
        let dir = tempfile::tempdir().expect("tempdir");
        let log = File::create(dir.path().join("log")).expect("log");
        let forks = "trap '' TERM; sleep 600 & echo $! >one; sleep 600 & echo $! >two; wait";
        let args = ["-c".to_owned(), forks.to_owned()];
        let shell = Path::new("/bin/sh");
        let pidfile = dir.path().join("pid");
        let guarded = spawn(shell, &args, dir.path(), &pidfile, &log, Forks::End);
        let mut guarded = guarded.expect("guardian");
        let workers = ["one", "two"].map(|name| number(&dir.path().join(name)));
        let stopped = Pid::from_raw(workers[0]).expect("a pid");
        kill_process(stopped, Signal::STOP).expect("a worker stands still");
        let master = Pid::from_raw(number(&pidfile)).expect("a pid");
        kill_process(master, Signal::KILL).expect("the master is killed");
        // Waiting closes its input, which changes nothing now.
        let status = guarded.wait().expect("the guardian ends");
        assert_eq!(status.code(), Some(137), "the master's code");
        assert_eq!(workers.map(lives), [false, false]);
    }
}
