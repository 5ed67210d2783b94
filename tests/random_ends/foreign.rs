//! Things that look like the harness's and are not: they must outlive whatever it removes.
//!
//! A process that is called `keydb-server`, in a folder that looks like a dead run's but is another
//! user's; a kept report; a dead run whose pid file names that process, as pids are given out anew; and
//! on the engine a container, a network and a volume each, with names as the harness gives them and no
//! label, and with the labels of another user's dead run and of another machine's.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keydb_harness::run::Machine;
use keydb_harness::testbed::TestbedKind;
use tempfile::TempDir;

use super::way::Way;

const RUN: &str = "0badcafe";
const REPORT: &str = "keydb-harness/reports/20250101T000000Z-1/index.html";

/// All of them. They are removed when it is dropped.
#[derive(Debug)]
pub struct Foreign {
    /// Another user's state directory.
    state: TempDir,
    server: Child,
    /// On the engine: what kind of thing, and its name.
    things: Vec<(&'static str, String)>,
    image: Option<String>,
}

/// Starts a program that was just written: a child that another thread began meanwhile may have the file
/// open for writing until it is another program itself.
fn spawn(command: &mut Command) -> io::Result<Child> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            other => return other,
        }
    }
}

impl Foreign {
    /// Makes them, those on the engine only for a testbed there.
    pub fn make(kind: TestbedKind) -> Result<Self, String> {
        let state = tempfile::tempdir().map_err(told)?;
        let folder = server_folder(state.path());
        fs::create_dir_all(folder.join("data")).map_err(told)?;
        fs::write(folder.join("data/dump.rdb"), "not empty").map_err(told)?;
        let server = state.path().join("keydb-server");
        fs::copy("/bin/sh", &server).map_err(told)?;
        // It waits for a line that nobody writes.
        let mut command = Command::new(&server);
        command
            .args(["-c", "read -r line"])
            .stdin(Stdio::piped())
            .current_dir(&folder)
            .process_group(0);
        let server = spawn(&mut command).map_err(told)?;
        fs::write(folder.join("pid"), server.id().to_string()).map_err(told)?;
        let mut foreign = Self {
            state,
            server,
            things: Vec::new(),
            image: None,
        };
        if kind == TestbedKind::Docker {
            foreign.make_on_the_engine()?;
        }
        Ok(foreign)
    }

    fn make_on_the_engine(&mut self) -> Result<(), String> {
        // An image of nothing: its container is never started.
        let empty = self.state.path().join("empty.tar");
        fs::write(&empty, [0; 1024]).map_err(told)?;
        let image = format!("look-alike/keydb:{}", std::process::id());
        docker(&["import", &empty.display().to_string(), &image])?;
        self.image = Some(image.clone());
        let machine = Machine::current();
        let labels = |host: &str| {
            let runs = self.state.path().join("keydb-harness/runs");
            let all = [
                ("run", RUN),
                ("cluster", &format!("{RUN}-1")),
                ("host", host),
                ("boot", &machine.boot),
                ("runs", &runs.display().to_string()),
            ];
            all.map(|(name, value)| format!("--label=keydb-harness.{name}={value}"))
                .to_vec()
        };
        let (none, user) = (Vec::new(), labels(&machine.host));
        for (number, labels) in [none, user, labels("another")].into_iter().enumerate() {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let name = format!("keydb-harness-{RUN}-{}-{number}", std::process::id());
            let member = format!("{name}-primary1");
            let mut make = |what: &'static str, name: &str, words: &[&str], last: &[&str]| {
                docker(&[words, &labels[..], last].concat())?;
                self.things.push((what, name.to_owned()));
                Ok::<_, String>(())
            };
            make("network", &name, &["network", "create"], &[&name])?;
            make("volume", &member, &["volume", "create"], &[&member])?;
            let called = format!("--name={member}");
            let words = ["container", "create", &called];
            make("container", &member, &words, &[&image, "/none"])?;
        }
        Ok(())
    }

    /// Puts a kept report into the harness's own state directory, and, where the next run is to remove
    /// what is left, a dead run whose pid file names a process that is not its own.
    pub fn lay_a_trap(&self, state: &Path, way: Way) -> Result<(), String> {
        let report = state.join(REPORT);
        fs::create_dir_all(report.parent().unwrap_or(state)).map_err(told)?;
        fs::write(report, "<!doctype html>").map_err(told)?;
        if way.leaves_it_to_the_next_run() {
            let folder = server_folder(state);
            fs::create_dir_all(&folder).map_err(told)?;
            for name in ["pid", "groups"] {
                fs::write(folder.join(name), format!("{}\n", self.server.id())).map_err(told)?;
            }
        }
        Ok(())
    }

    /// Looks at each.
    pub fn is_untouched(&mut self, state: &Path) -> Result<(), String> {
        if let Some(status) = self.server.try_wait().map_err(told)? {
            return Err(format!("a foreign process was ended: {status}"));
        }
        let file = server_folder(self.state.path()).join("data/dump.rdb");
        for path in [file, state.join(REPORT)] {
            if !path.exists() {
                return Err(format!("{} was removed", path.display()));
            }
        }
        for (what, name) in &self.things {
            docker(&[what, "inspect", name])
                .map_err(|error| format!("a foreign {what} is gone: {error}"))?;
        }
        Ok(())
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        // Containers before what they use.
        for (what, name) in self.things.iter().rev() {
            let _ = docker(&[what, "rm", name]);
        }
        if let Some(image) = &self.image {
            let _ = docker(&["image", "rm", image]);
        }
    }
}

/// A server's folder of a run in this state directory.
fn server_folder(state: &Path) -> PathBuf {
    let run = state.join("keydb-harness/runs").join(RUN);
    run.join(format!("{RUN}-1")).join("primary1")
}

fn docker(words: &[&str]) -> Result<(), String> {
    let output = Command::new("docker").args(words).output().map_err(told)?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!(
            "docker {}: {}",
            words.join(" "),
            String::from_utf8_lossy(&output.stderr).trim()
        )),
    }
}

fn told(error: io::Error) -> String {
    error.to_string()
}
