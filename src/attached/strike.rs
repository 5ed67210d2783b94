//! Faults by the commands of those who run the cluster. What was struck is healed, whatever ends
//! this process, SIGKILL excepted.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::process::Command;

use crate::cleanup::{self, Undo};

/// A node that was struck. Healed when it is dropped, at the latest.
#[derive(Debug)]
pub(super) struct Struck {
    heal: Arc<Heal>,
    patience: Duration,
}

#[derive(Debug)]
struct Heal {
    line: String,
    dir: PathBuf,
    done: AtomicBool,
}

impl Struck {
    /// Carries out the line that strikes, in this directory. What it does half is healed too.
    pub(super) async fn by(
        strikes: &str,
        heals: &str,
        dir: &Path,
        patience: Duration,
    ) -> (Self, Result<(), String>) {
        let heal = Arc::new(Heal {
            line: heals.to_owned(),
            dir: dir.to_owned(),
            done: AtomicBool::new(false),
        });
        let undo: Arc<dyn Undo> = Arc::<Heal>::clone(&heal);
        cleanup::undo_at_the_end(&undo);
        let done = carry_out(strikes, dir, patience).await;
        (Self { heal, patience }, done)
    }

    /// Carries out the line that heals.
    pub(super) async fn heal(self) -> Result<(), String> {
        let done = carry_out(&self.heal.line, &self.heal.dir, self.patience).await;
        if done.is_ok() {
            self.heal.done.store(true, Ordering::SeqCst);
        }
        done
    }
}

impl Drop for Struck {
    fn drop(&mut self) {
        self.heal.undo();
    }
}

impl Undo for Heal {
    fn undo(&self) {
        if self.done.swap(true, Ordering::SeqCst) {
            return;
        }
        let healed = std::process::Command::new("sh")
            .args(["-c", &self.line])
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        if !healed.as_ref().is_ok_and(std::process::ExitStatus::success) {
            crate::console::problem(format_args!(
                "keydb-harness: a node may still be struck: `{}` did not heal it; carry it out by hand",
                self.line
            ));
        }
    }
}

/// Has the shell carry out a line.
async fn carry_out(line: &str, dir: &Path, patience: Duration) -> Result<(), String> {
    let ended = Command::new("sh")
        .args(["-c", line])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(patience, ended).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said: Vec<&str> = said.split_whitespace().collect();
            let said: String = said.join(" ").chars().take(300).collect();
            Err(format!("`{line}` ended with {}: {said}", output.status))
        }
        Ok(Err(error)) => Err(format!("`{line}` cannot be carried out: {error}")),
        Err(_) => Err(format!(
            "`{line}` did not end within {} s",
            patience.as_secs()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn what_was_struck_is_healed_once_also_without_a_word() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let (strikes, heals) = ("echo strikes >> log", "echo heals >> log");
        let strike = || Struck::by(strikes, heals, dir.path(), PATIENCE);
        let (struck, done) = strike().await;
        assert_eq!(done, Ok(()));
        assert_eq!(struck.heal().await, Ok(()));
        let (struck, _) = strike().await;
        drop(struck);
        let text = std::fs::read_to_string(log).unwrap();
        assert_eq!(text, "strikes\nheals\nstrikes\nheals\n");
    }

    #[tokio::test]
    async fn a_line_that_fails_says_what_it_said() {
        let here = Path::new(".");
        let (struck, done) =
            Struck::by("echo no such unit >&2; exit 5", "true", here, PATIENCE).await;
        let error = done.unwrap_err();
        assert!(error.contains("exit status: 5: no such unit"), "{error}");
        drop(struck);
        let (_struck, done) = Struck::by("sleep 60", "true", here, Duration::from_millis(50)).await;
        assert!(done.unwrap_err().contains("did not end within"));
    }
}
