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

/// `$1` is the file for the child's pid, the rest is the child's command line. The shell, whose pid
/// is its group's, notes the group: what the child forks may outlive it. The shell exits with the
/// child's code. The watcher is killed first so that a pid that was given out anew is
/// never hit.
const SCRIPT: &str = r#"
pidfile=$1; shift
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
rm -f "$pidfile"
exit "$code"
"#;

/// Starts `binary args…` under a guardian. Its output is appended to `log`; its pid stands in
/// `pidfile` as long as it lives. Dropping the returned child's standard input kills it.
pub(super) fn spawn(
    binary: &Path,
    args: &[String],
    dir: &Path,
    pidfile: &Path,
    log: &File,
) -> io::Result<Child> {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(SCRIPT)
        .arg("keydb-harness-guardian")
        .arg(pidfile)
        .arg(binary)
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log.try_clone()?)
        .process_group(0)
        .spawn()
}
