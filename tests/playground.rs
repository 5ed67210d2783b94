//! `up` and `down` on real KeyDB: the cluster outlives the command that started it, and goes when
//! it is told to, with everything that belongs to it.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use keydb_harness::lab::Lab;
use keydb_harness::settings::{Settings, TestbedChoice};
use keydb_harness::testbed::TestbedKind;
use keydb_harness::testbed::process::{find_haproxy, find_keydb};
use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;

const SERVERS: [&str; 6] = [
    "proxy", "primary1", "primary2", "replica1", "replica2", "replica3",
];
/// How long anything may take to come or go.
const PATIENCE: Duration = Duration::from_secs(60);
const NO_ENGINE: &str = "unix:///no/such/docker.sock";
/// Moments at which a waiting `up` is ended: while it probes, and while the cluster starts.
const MOMENTS_MS: [u64; 5] = [10, 100, 350, 600, 800];

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut tests = Vec::new();
    for kind in [TestbedKind::Process, TestbedKind::Docker] {
        let absent = runtime.block_on(unavailable(kind));
        if let Some(reason) = &absent {
            eprintln!("playground on {kind}: NOT RUN: {reason}");
        }
        type Case = (&'static str, fn(TestbedKind) -> Result<(), Failed>);
        let cases: [Case; 5] = [
            ("up and down", up_and_down),
            ("the guide's ports", guide_ports),
            ("a stopped server is started again", stopped_and_started),
            ("an interrupted up leaves nothing", interrupted),
            ("a killed holder is nothing to take down", killed_holder),
        ];
        for (name, case) in cases {
            let test = Trial::test(format!("{kind}/{name}"), move || case(kind));
            tests.push(test.with_ignored_flag(absent.is_some()));
        }
    }
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// Why nothing can run on a testbed here, or none.
async fn unavailable(kind: TestbedKind) -> Option<String> {
    let [keydb, haproxy] = match specs() {
        Ok(specs) => specs,
        Err(error) => return Some(error),
    };
    let settings = Settings {
        testbed: TestbedChoice::Only(kind),
        keydb: Some(keydb.parse().expect("a SPEC")),
        haproxy: Some(haproxy.parse().expect("a SPEC")),
        ..Settings::default()
    };
    let lab = Lab::open(&settings).await;
    lab.err().map(|error| error.to_string())
}

/// The binaries of this machine as SPECs that both testbeds take.
fn specs() -> Result<[String; 2], String> {
    let keydb = find_keydb(&Default::default()).map_err(|error| error.to_string())?;
    let haproxy = find_haproxy(None).map_err(|error| error.to_string())?;
    Ok([keydb, haproxy].map(|binary| format!("path:{}", binary.display())))
}

fn up_and_down(kind: TestbedKind) -> Result<(), Failed> {
    let playground = Playground::new(kind)?;
    let shown = playground.up("free")?;
    ensure(
        shown.starts_with(&format!("testbed {kind}, KeyDB ")),
        &format!("not the first line of a run: {shown}"),
    )?;
    walk(&shown)?;

    let again = playground.command("up").output()?;
    ensure(again.status.code() == Some(3), &format!("{again:?}"))?;
    ensure(
        endpoint(&text(&again.stdout), "primary1")? == endpoint(&shown, "primary1")?,
        &format!("other endpoints: {again:?}"),
    )?;
    // Another run's sweep sees that it is alive.
    let clean = playground.command("clean").output()?;
    ensure(
        text(&clean.stdout) == "nothing to remove\n",
        &format!("{clean:?}"),
    )?;
    walk(&shown)?;

    playground.down("removed the cluster of 6 servers\n")?;
    playground.nothing_left()?;
    playground.down("nothing is up\n")
}

/// Whatever publishes the guide's ports is made one at a time.
fn guide_ports(kind: TestbedKind) -> Result<(), Failed> {
    #[serial_test::file_serial(keydb_harness_guide_ports)]
    fn of_processes() -> Result<(), Failed> {
        on_guide_ports(TestbedKind::Process)
    }
    #[serial_test::file_serial(keydb_harness_guide_ports)]
    fn of_containers() -> Result<(), Failed> {
        on_guide_ports(TestbedKind::Docker)
    }
    match kind {
        TestbedKind::Process => of_processes(),
        TestbedKind::Docker => of_containers(),
        TestbedKind::Embedded => on_guide_ports(kind),
    }
}

fn on_guide_ports(kind: TestbedKind) -> Result<(), Failed> {
    let playground = Playground::new(kind)?;
    let shown = playground.up("guide")?;
    for (name, port) in SERVERS.iter().zip([6379, 6401, 6402, 6501, 6502, 6503]) {
        let expected = SocketAddr::from(([127, 0, 0, 1], port));
        ensure(
            endpoint(&shown, name)? == expected,
            &format!("{name} is elsewhere: {shown}"),
        )?;
    }
    for line in [
        "keydb-cli set key1 val1",
        "keydb-cli -p 6401 get key1",
        "keydb-cli -p 6503 info replication",
    ] {
        let found = shown.lines().any(|shown| shown.trim().starts_with(line));
        ensure(found, &format!("'{line}' is not in: {shown}"))?;
    }
    walk(&shown)?;
    playground.down("removed the cluster of 6 servers\n")?;
    playground.nothing_left()
}

/// With the lines that `up` shows for it.
fn stopped_and_started(kind: TestbedKind) -> Result<(), Failed> {
    let playground = Playground::new(kind)?;
    let shown = playground.up("free")?;
    let ask = |shown: &str, what: &str| Ok::<_, Failed>(ask(endpoint(shown, "primary1")?, what));
    shell(&shown, "stops primary1")?;
    eventually("primary1 is gone", || Ok(ask(&shown, "PING")?.is_err()))?;
    shell(&shown, "starts again")?;
    eventually("primary1 answers again", || {
        // On Docker a free port is another one after each start.
        let shown = text(&playground.command("up").output()?.stdout);
        Ok(ask(&shown, "PING")?.is_ok_and(|reply| reply.starts_with("+PONG")))
    })?;
    playground.down("removed the cluster of 6 servers\n")?;
    playground.nothing_left()
}

fn interrupted(kind: TestbedKind) -> Result<(), Failed> {
    for moment in MOMENTS_MS {
        for (signal, code) in [("INT", Some(130)), ("TERM", Some(143)), ("KILL", None)] {
            let playground = Playground::new(kind)?;
            let mut up = playground.command("up");
            let mut up = up
                .args(["--ports", "free"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()?;
            std::thread::sleep(Duration::from_millis(moment));
            send(signal, &up.id().to_string())?;
            let status = up.wait()?;
            if status.success() {
                // It was quicker than the signal.
                playground.command("down").output()?;
            } else {
                // At first it may not listen for signals yet, and has made nothing.
                let at_once = moment == MOMENTS_MS[0] && status.code().is_none();
                ensure(
                    status.code() == code || at_once,
                    &format!("SIG{signal} after {moment} ms: {status}"),
                )?;
            }
            playground.nothing_left()?;
        }
    }
    Ok(())
}

fn killed_holder(kind: TestbedKind) -> Result<(), Failed> {
    let playground = Playground::new(kind)?;
    let shown = playground.up("free")?;
    let restart = line(&shown, "starts again")?;
    let holder = restart.split_whitespace().last().ok_or("no pid")?;
    send("KILL", holder)?;
    eventually("the holder is gone", || {
        let down = playground.command("down").output()?;
        Ok(text(&down.stdout)
            == "nothing is up\ndead runs left something: remove it with `keydb-harness clean`\n")
    })?;
    // What is on the engine goes with the next run, folders with `clean`. Kept from the engine it
    // leaves other people's imported images alone.
    playground.up("free")?;
    playground.down("removed the cluster of 6 servers\n")?;
    let mut clean = playground.command("clean");
    let clean = clean.env("DOCKER_HOST", NO_ENGINE).output()?;
    ensure(clean.status.success(), &format!("{clean:?}"))?;
    playground.nothing_left()
}

/// A state directory of its own.
struct Playground {
    state: TempDir,
    kind: TestbedKind,
}

impl Playground {
    fn new(kind: TestbedKind) -> Result<Self, Failed> {
        Ok(Self {
            state: tempfile::tempdir()?,
            kind,
        })
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keydb-harness"));
        let [keydb, haproxy] = specs().unwrap_or_default();
        command
            .arg(name)
            .env("XDG_STATE_HOME", self.state.path())
            .env("KEYDB_HARNESS_TESTBED", self.kind.to_string())
            .env("KEYDB_HARNESS_KEYDB", keydb)
            .env("KEYDB_HARNESS_HAPROXY", haproxy);
        if self.kind == TestbedKind::Process {
            command.env("DOCKER_HOST", NO_ENGINE);
        }
        command
    }

    fn up(&self, ports: &str) -> Result<String, Failed> {
        let Output {
            status,
            stdout,
            stderr,
        } = self.command("up").args(["--ports", ports]).output()?;
        ensure(status.success(), &text(&stderr))?;
        Ok(text(&stdout))
    }

    fn down(&self, says: &str) -> Result<(), Failed> {
        let down = self.command("down").output()?;
        ensure(
            down.status.success() && text(&down.stdout) == says,
            &format!("down: {down:?}"),
        )
    }

    fn nothing_left(&self) -> Result<(), Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = left(self.state.path())?;
            if left.is_empty() {
                return Ok(());
            }
            ensure(
                Instant::now() < deadline,
                &format!("left behind: {}", left.join(", ")),
            )?;
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Playground {
    /// A test that failed leaves nothing either.
    fn drop(&mut self) {
        let _ = self.command("down").output();
    }
}

/// A key that is written through the proxy is on every node.
fn walk(shown: &str) -> Result<(), Failed> {
    let set = ask(endpoint(shown, "proxy")?, "SET key1 val1")?;
    ensure(set.starts_with("+OK"), &set)?;
    for name in &SERVERS[1..] {
        let address = endpoint(shown, name)?;
        eventually(&format!("key1 is on {name}"), || {
            Ok(ask(address, "GET key1")?.contains("val1"))
        })?;
    }
    Ok(())
}

/// The reply to an inline command, as it comes.
fn ask(address: SocketAddr, command: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    if reply.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(reply)
}

/// Where `up` says that a server is reached.
fn endpoint(shown: &str, server: &str) -> Result<SocketAddr, Failed> {
    let row = shown
        .lines()
        .find(|line| line.split_whitespace().next() == Some(server))
        .ok_or_else(|| format!("no {server} in: {shown}"))?;
    let address = row.split_whitespace().nth(1).ok_or("no address")?;
    Ok(address.parse()?)
}

/// The command that `up` explains with `comment`.
fn line<'a>(shown: &'a str, comment: &str) -> Result<&'a str, Failed> {
    let found = shown.lines().find_map(|line| {
        let (command, why) = line.split_once("# ")?;
        why.starts_with(comment).then_some(command.trim())
    });
    Ok(found.ok_or_else(|| format!("nothing {comment} in: {shown}"))?)
}

fn shell(shown: &str, comment: &str) -> Result<(), Failed> {
    let command = line(shown, comment)?;
    let status = Command::new("/bin/sh")
        .args(["-c", command])
        .stdout(Stdio::null())
        .status()?;
    ensure(status.success(), &format!("{command}: {status}"))
}

fn send(signal: &str, pid: &str) -> Result<(), Failed> {
    let sent = Command::new("kill")
        .args([&format!("-{signal}"), pid])
        .stderr(Stdio::null())
        .status();
    Ok(sent.map(drop)?)
}

/// Processes, folders, containers, networks and volumes that name the state directory.
fn left(state: &Path) -> Result<Vec<String>, Failed> {
    let state = state.canonicalize()?;
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten() {
        let process = entry.path();
        let cwd = fs::read_link(process.join("cwd"));
        if cwd.is_ok_and(|cwd| cwd.starts_with(&state)) || holds(&process, &state) {
            left.push(format!("process {}", entry.file_name().to_string_lossy()));
        }
    }
    let runs = state.join("keydb-harness/runs");
    let folders = fs::read_dir(&runs).into_iter().flatten().flatten();
    left.extend(folders.map(|entry| format!("folder {}", entry.path().display())));
    // Everything on the engine bears the path of the runs' folder as a label.
    let label = format!("label=keydb-harness.runs={}", runs.display());
    for (what, list) in [
        ("container", &["ps", "-aq"][..]),
        ("network", &["network", "ls", "-q"]),
        ("volume", &["volume", "ls", "-q"]),
    ] {
        let filter = ["--filter", &label];
        let output = Command::new("docker").args(list).args(filter).output();
        let Ok(output) = output else { continue };
        left.extend(
            text(&output.stdout)
                .lines()
                .map(|id| format!("{what} {id}")),
        );
    }
    Ok(left)
}

/// A holder has its log and its lock open there.
fn holds(process: &Path, state: &Path) -> bool {
    let files = fs::read_dir(process.join("fd"));
    let targets = files.into_iter().flatten().flatten();
    let target = |file: PathBuf| fs::read_link(file).unwrap_or_default();
    targets
        .map(|file| target(file.path()))
        .any(|path| path.starts_with(state))
}

fn eventually(what: &str, mut probe: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    while !probe()? {
        ensure(Instant::now() < deadline, &format!("never: {what}"))?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn ensure(condition: bool, otherwise: &str) -> Result<(), Failed> {
    match condition {
        true => Ok(()),
        false => Err(otherwise.into()),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
