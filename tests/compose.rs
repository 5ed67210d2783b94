//! The guide by hand: its commands, literally and in its order, against `compose/`.
//!
//! The test is ignored, with a printed reason, where Compose, an engine, `keydb-cli` or the images
//! are missing. `KEYDB_IMAGE` and `HAPROXY_IMAGE` say which images; without them the official ones
//! are taken if they are there, else those that `compose/images/make` makes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use keydb_harness::cluster::info::{Info, Replication};
use keydb_harness::spec::{DEFAULT_HAPROXY_IMAGE, DEFAULT_KEYDB};
use libtest_mimic::{Arguments, Failed, Trial};

const HARNESS: &str = env!("CARGO_BIN_EXE_keydb-harness");
const PROJECT: &str = "keydb-harness-guide";
const PROXY: u16 = 6379;
const PRIMARIES: [u16; 2] = [6401, 6402];
const REPLICAS: [u16; 3] = [6501, 6502, 6503];

/// How long a condition is waited for.
const DEADLINE: Duration = Duration::from_secs(90);
/// The pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one command may run; `up -d` waits for health checks.
const COMMAND_LIMIT: Duration = Duration::from_secs(180);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let tools = Tools::find();
    let missing = tools.as_ref().err().cloned();
    if let Some(reason) = &missing {
        eprintln!("THE GUIDE BY HAND: NOT RUN: {reason}");
    }
    TOOLS.get_or_init(|| tools);
    let test = Trial::test("the_guide_by_hand", the_guide_by_hand);
    let tests = vec![test.with_ignored_flag(missing.is_some())];
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// The guide's ports are fixed: whatever publishes them is made one at a time.
#[serial_test::file_serial(keydb_harness_guide_ports)]
fn the_guide_by_hand() -> Result<(), Failed> {
    let tools = TOOLS.get().ok_or("the tools were not looked for")?;
    walk(tools.as_ref()?).map_err(Failed::from)
}

static TOOLS: OnceLock<Result<Tools, String>> = OnceLock::new();

/// What the guide's commands need.
#[derive(Clone)]
struct Tools {
    /// What stands for `docker-compose` in the guide's commands.
    compose: &'static str,
    keydb_image: String,
    haproxy_image: String,
}

impl Tools {
    fn find() -> Result<Self, String> {
        let compose = ["docker compose", "docker-compose"]
            .into_iter()
            .find(|compose| succeeds(&format!("{compose} version")))
            .ok_or("neither Compose v2 nor docker-compose is installed")?;
        if !succeeds("docker version") {
            return Err("no Docker engine answers".to_owned());
        }
        if !succeeds("keydb-cli --version") {
            return Err("keydb-cli is not on PATH".to_owned());
        }
        Ok(Self {
            compose,
            keydb_image: image(
                "KEYDB_IMAGE",
                &format!("eqalpha/keydb:x86_64_v{DEFAULT_KEYDB}"),
                &format!("keydb-harness/keydb:{DEFAULT_KEYDB}"),
            )?,
            haproxy_image: image(
                "HAPROXY_IMAGE",
                DEFAULT_HAPROXY_IMAGE,
                "keydb-harness/haproxy:debian",
            )?,
        })
    }
}

/// The image to use: what the environment says, else the official one, else the local one.
fn image(variable: &str, official: &str, local: &str) -> Result<String, String> {
    let there = |image: &str| succeeds(&format!("docker image inspect {image}"));
    if let Ok(image) = std::env::var(variable) {
        return match there(&image) {
            true => Ok(image),
            false => Err(format!("the engine does not have {variable}, {image}")),
        };
    }
    [official, local]
        .into_iter()
        .find(|image| there(image))
        .map(str::to_owned)
        .ok_or_else(|| {
            format!("the engine has neither {official} nor {local}; compose/images/make makes it")
        })
}

/// Whether a command of plain words can be run and says that it went well.
fn succeeds(command: &str) -> bool {
    let mut words = command.split(' ');
    Command::new(words.next().unwrap_or_default())
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The guide, from its first command to its last sentence.
fn walk(tools: &Tools) -> Result<(), String> {
    let hand = Hand::new(tools)?;
    hand.nothing_is_in_the_way()?;
    let cluster = Up {
        hand: &hand,
        is_down: false,
    };

    hand.run("docker-compose up -d")?;
    hand.until("keydb-cli set key1 val1", is("OK"))?;

    // "Will verify that the key is in both primaries", "... in all the replicas"
    for port in PRIMARIES.into_iter().chain(REPLICAS) {
        hand.until(&format!("keydb-cli -p {port} get key1"), is("val1"))?;
    }

    // "Will give a primary 'master_replid'. One of the replicas should have a different value"
    let primaries = hand.replids(&PRIMARIES)?;
    if primaries.len() != PRIMARIES.len() {
        return Err(format!(
            "the primaries share their master_replid: {primaries:?}"
        ));
    }
    for port in REPLICAS {
        hand.until(&info(port), |printed| {
            link_up(printed)?;
            match primaries.contains(&replication(printed).replid) {
                true => Ok(()),
                false => Err(format!("a master_replid not among {primaries:?}")),
            }
        })?;
    }
    let replicas = hand.replids(&REPLICAS)?;
    if replicas != primaries {
        return Err(format!(
            "the replicas' master_replids are {replicas:?}, the primaries' {primaries:?}"
        ));
    }

    // "Will kill one primary"
    hand.run("docker-compose stop primary1")?;

    // "Wait a moment and all the replicas will switch to the same primary and show 'up'"
    let survivor = hand.replid(PRIMARIES[1])?;
    for port in REPLICAS {
        hand.until(&info(port), |printed| {
            link_up(printed)?;
            has_replid(printed, &survivor)
        })?;
    }

    // "You can continue setting keys"
    for n in 2..=10 {
        hand.until(&format!("keydb-cli set key{n} val{n}"), is("OK"))?;
    }
    for port in [PRIMARIES[1]].into_iter().chain(REPLICAS) {
        hand.until(&format!("keydb-cli -p {port} get key10"), is("val10"))?;
    }

    // "and then bring up the down primary and see that it will sync back up."
    hand.run("docker-compose start primary1")?;
    for port in PRIMARIES {
        hand.until(&info(port), link_up)?;
    }
    for n in 1..=10 {
        let command = format!("keydb-cli -p {} get key{n}", PRIMARIES[0]);
        hand.until(&command, is(&format!("val{n}")))?;
    }
    // Twice, so that each primary is written to through the proxy.
    for key in ["key11", "key12"] {
        hand.until(&format!("keydb-cli set {key} {key}"), is("OK"))?;
        for port in PRIMARIES.into_iter().chain(REPLICAS) {
            hand.until(&format!("keydb-cli -p {port} get {key}"), is(key))?;
        }
    }

    attached(&hand)?;
    cluster.down()
}

/// The inventory beside the Compose file fits it: the cluster can be checked where it runs, and a node
/// struck by Compose's own commands.
fn attached(hand: &Hand<'_>) -> Result<(), String> {
    let said = |error: std::io::Error| error.to_string();
    let text = fs::read_to_string(hand.directory.join("cluster.toml")).map_err(said)?;
    let directory = hand.directory.display();
    let compose = format!(
        "{} --project-directory {directory} -f {directory}/docker-compose.yml",
        hand.tools.compose
    );
    let file = hand.scratch.path().join("cluster.toml");
    fs::write(&file, text.replace("docker-compose", &compose)).map_err(said)?;
    let printed = hand.run(&format!(
        "{HARNESS} check --inventory {} --expect none --allow-faults writes kinds stop-replica1",
        file.display()
    ))?;
    match printed.out.contains("3 of 3 trials") && printed.out.contains("none is left") {
        true => Ok(()),
        false => Err(format!(
            "the check of the inventory printed:\n{}",
            printed.out
        )),
    }
}

/// Types commands in `compose/`.
struct Hand<'a> {
    tools: &'a Tools,
    directory: PathBuf,
    /// Where commands print to: a pipe that nobody empties would stop them.
    scratch: tempfile::TempDir,
}

/// What a command printed, and whether it went well.
struct Printed {
    ok: bool,
    out: String,
    err: String,
}

impl<'a> Hand<'a> {
    fn new(tools: &'a Tools) -> Result<Self, String> {
        Ok(Self {
            tools,
            directory: Path::new(env!("CARGO_MANIFEST_DIR")).join("compose"),
            scratch: tempfile::tempdir().map_err(|error| error.to_string())?,
        })
    }

    /// No container of this project is left, and nobody listens on its ports.
    fn nothing_is_in_the_way(&self) -> Result<(), String> {
        let left =
            format!("docker ps --all --quiet --filter label=com.docker.compose.project={PROJECT}");
        if !self.run(&left)?.out.is_empty() {
            return Err(format!(
                "the Compose project {PROJECT} is there already: `{} down -v` in compose/ removes it",
                self.tools.compose
            ));
        }
        for port in PRIMARIES.into_iter().chain(REPLICAS).chain([PROXY]) {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| {
                format!("port {port} of 127.0.0.1, which the guide uses, cannot be had: {error}")
            })?;
        }
        Ok(())
    }

    /// Runs a command to its end.
    fn execute(&self, command: &str) -> Result<Printed, String> {
        let literal = match command.strip_prefix("docker-compose ") {
            Some(arguments) => format!("{} {arguments}", self.tools.compose),
            None => command.to_owned(),
        };
        let failed = |error: std::io::Error| format!("`{literal}`: {error}");
        let (out, err) = (
            self.scratch.path().join("out"),
            self.scratch.path().join("err"),
        );
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec {literal}")])
            .current_dir(&self.directory)
            .env("KEYDB_IMAGE", &self.tools.keydb_image)
            .env("HAPROXY_IMAGE", &self.tools.haproxy_image)
            .env_remove("COMPOSE_PROJECT_NAME")
            .env_remove("COMPOSE_FILE")
            .env_remove("COMPOSE_PROFILES")
            .env_remove("REDISCLI_AUTH")
            .stdin(Stdio::null())
            .stdout(File::create(&out).map_err(failed)?)
            .stderr(File::create(&err).map_err(failed)?)
            .spawn()
            .map_err(failed)?;
        let began = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                break Some(status);
            }
            if began.elapsed() > COMMAND_LIMIT {
                child.kill().and_then(|()| child.wait()).map_err(failed)?;
                break None;
            }
            sleep(Duration::from_millis(5));
        };
        let read = |path| fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned());
        let (out, err) = (read(&out).map_err(failed)?, read(&err).map_err(failed)?);
        match status {
            Some(status) => Ok(Printed {
                ok: status.success(),
                out,
                err,
            }),
            None => Err(format!(
                "`{literal}` did not end within {} s; it printed:\n{out}{err}",
                COMMAND_LIMIT.as_secs()
            )),
        }
    }

    /// Runs a command that must go well.
    fn run(&self, command: &str) -> Result<Printed, String> {
        let Printed { ok, out, err } = self.execute(command)?;
        match ok {
            true => Ok(Printed { ok, out, err }),
            false => Err(format!("`{command}` failed; it printed:\n{out}{err}")),
        }
    }

    /// Runs a command again and again until what it prints is as it should be.
    fn until(
        &self,
        command: &str,
        as_it_should_be: impl Fn(&str) -> Result<(), String>,
    ) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let Printed { ok, out, err } = self.execute(command)?;
            let wrong = match as_it_should_be(&out) {
                Ok(()) if ok => return Ok(()),
                Ok(()) => "it failed".to_owned(),
                Err(wrong) => wrong,
            };
            if began.elapsed() > DEADLINE {
                return Err(format!(
                    "`{command}`: {wrong}, even after {} s; it last printed:\n{out}{err}",
                    DEADLINE.as_secs()
                ));
            }
            sleep(PAUSE);
        }
    }

    /// The `master_replid` of the server on `port`.
    fn replid(&self, port: u16) -> Result<String, String> {
        Ok(replication(&self.run(&info(port))?.out).replid)
    }

    fn replids(&self, ports: &[u16]) -> Result<BTreeSet<String>, String> {
        ports.iter().map(|&port| self.replid(port)).collect()
    }
}

/// A cluster that may be up, and goes down with this value, whatever happens.
struct Up<'a> {
    hand: &'a Hand<'a>,
    is_down: bool,
}

const DOWN: &str = "docker-compose down -v";

impl Up<'_> {
    fn down(mut self) -> Result<(), String> {
        self.hand.run(DOWN)?;
        self.is_down = true;
        self.hand.nothing_is_in_the_way()
    }
}

impl Drop for Up<'_> {
    fn drop(&mut self) {
        if self.is_down {
            return;
        }
        for command in [
            "docker-compose ps",
            "docker-compose logs --no-color --tail=20",
            DOWN,
        ] {
            match self.hand.execute(command) {
                Ok(Printed { out, err, .. }) => eprintln!("$ {command}\n{out}{err}"),
                Err(error) => eprintln!("{error}"),
            }
        }
    }
}

fn info(port: u16) -> String {
    format!("keydb-cli -p {port} info replication")
}

fn replication(printed: &str) -> Replication {
    Info::parse(printed).replication()
}

/// The command prints exactly this line.
fn is(wanted: &str) -> impl Fn(&str) -> Result<(), String> {
    let wanted = wanted.to_owned();
    move |printed| match printed.trim_end() == wanted {
        true => Ok(()),
        false => Err(format!("not '{wanted}'")),
    }
}

fn link_up(printed: &str) -> Result<(), String> {
    let masters = replication(printed).masters;
    match masters.as_slice() {
        [master] if master.link_up && !master.sync_in_progress => Ok(()),
        _ => Err("no master_link_status:up".to_owned()),
    }
}

fn has_replid(printed: &str, wanted: &str) -> Result<(), String> {
    match replication(printed).replid == wanted {
        true => Ok(()),
        false => Err(format!("not master_replid:{wanted}")),
    }
}
