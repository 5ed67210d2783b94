//! The command line where no KeyDB is needed: what it refuses, and what it tells of a machine.
//!
//! Every command runs in a state directory of its own, and sees no Docker engine.

use std::fs;
use std::io::PipeWriter;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn harness(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keydb-harness"));
    for name in ["TESTBED", "KEYDB", "HAPROXY", "EXPECT", "SEED"] {
        command.env_remove(format!("KEYDB_HARNESS_{name}"));
    }
    command
        .env("XDG_STATE_HOME", state)
        .env("DOCKER_HOST", "unix:///no/such/docker.sock");
    command
}

/// What a command does in a fresh state directory: exit code, standard output, standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let state = state();
    told(harness(state.path()).args(args))
}

fn told(command: &mut Command) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the harness starts");
    (
        status.code().expect("an exit code"),
        String::from_utf8(stdout).expect("UTF-8"),
        String::from_utf8(stderr).expect("UTF-8"),
    )
}

fn state() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn what_does_not_fit_the_grammar_is_a_usage_error() {
    for (args, word) in [
        (&[][..], "Usage"),
        (&["celebrate"], "celebrate"),
        (&["check", "--testbed", "podman"], "'podman' is no testbed"),
        (&["check", "--keydb", "6.3.4"], "version:X.Y.Z"),
        (&["check", "--jobs", "0"], "--jobs"),
        (&["up", "--ports", "some"], "guide, free"),
        (&["up", "--replicas", "51"], "51"),
        (&["clean", "--all"], "--all"),
        (&["check", "--repeat", "0"], "--repeat"),
        (&["check", "--schedule", "/no/such"], "/no/such: "),
        (
            &["check", "cold-start", "--schedule", "Cargo.toml"],
            "begins with its seed",
        ),
        (&["minimise", "mixed-traffic/cut"], "--schedule"),
    ] {
        let (code, _, stderr) = run(args);
        assert_eq!(code, 64, "{args:?}: {stderr}");
        assert!(stderr.contains(word), "{args:?}: {stderr}");
    }
}

#[test]
fn a_filter_that_fits_no_trial_is_a_usage_error() {
    let (code, stdout, stderr) = run(&["check", "no-such-trial"]);
    assert_eq!((code, stdout.as_str()), (64, ""));
    assert_eq!(
        stderr,
        "keydb-harness: no trial is called like no-such-trial: `keydb-harness list` names them all, and \
         which of them need --long\n"
    );
}

#[test]
fn a_server_that_is_not_there_is_told_in_one_sentence() {
    let what = ["--testbed", "process", "--keydb", "path:/nope"];
    let haproxy = ["--haproxy", "path:/bin/sh"];
    let sentence =
        "keydb-harness: /nope does not exist: give the path of an executable keydb-server\n";

    let (code, stdout, stderr) = run(&[&["check"], &what[..], &haproxy].concat());
    assert_eq!((code, stdout.as_str()), (3, ""));
    assert_eq!(stderr, format!("{sentence}REAL KEYDB: NOT RUN\n"));

    let (code, stdout, stderr) = run(&[&["up", "--ports=free"], &what[..], &haproxy].concat());
    assert_eq!((code, stdout.as_str()), (3, ""));
    let last = stderr.lines().last().expect("a line");
    assert_eq!(format!("{last}\n"), sentence, "{stderr}");
}

#[test]
fn list_names_every_scenario() {
    let (code, stdout, _) = run(&["list"]);
    assert_eq!(code, 0);
    for scenario in keydb_harness::scenario::all() {
        assert!(stdout.contains(scenario.name), "{stdout}");
        assert!(stdout.contains(scenario.promise), "{stdout}");
    }
}

#[test]
fn list_shows_every_promise_and_how_many_are_covered() {
    let (code, stdout, _) = run(&["list", "--promises"]);
    assert_eq!(code, 0);
    for promise in keydb_harness::promise::all().expect("the table") {
        assert!(stdout.contains(&promise.says), "{stdout}");
    }
    let counts: Vec<&str> = stdout.lines().rev().take(3).collect();
    assert!(counts[2].starts_with("66 promises: "), "{stdout}");
    assert!(counts[1].contains(" not covered yet"), "{stdout}");
    assert!(counts[0].starts_with("turned red: "), "{stdout}");
    let (code, stdout, _) = run(&["list", "--help"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("--promises"), "{stdout}");
    assert_eq!(run(&["list", "--promises", "--faults"]).0, 64);
}

#[test]
fn explain_tells_of_known_defects() {
    let (code, list, _) = run(&["explain"]);
    assert_eq!(code, 0);
    for it in keydb_harness::explanation::all().expect("the table") {
        assert!(list.contains(it.title()), "{}: {list}", it.id);
        let (code, stdout, _) = run(&["explain", &it.id.to_lowercase()]);
        assert_eq!(code, 0);
        for part in [
            "What you notice",
            "Why",
            "What to do",
            "Where it was seen",
            "To see it",
            "KeyDB's tracker",
        ] {
            assert!(stdout.contains(&format!("\n\n{part}\n")), "{stdout}");
        }
        assert!(stdout.lines().all(|line| line.len() < 200), "{stdout}");
    }
    let (code, stdout, stderr) = run(&["explain", "F6", "F66"]);
    assert_eq!((code, stdout.as_str()), (64, ""));
    assert_eq!(
        stderr,
        "keydb-harness: no known defect is called 'F66'; nearest: F6; `keydb-harness explain` lists them \
         all\n"
    );
}

/// A schedule in a file of its own.
fn schedule(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), text).expect("it can be written");
    file
}

#[test]
fn only_what_follows_a_schedule_takes_one() {
    let file = schedule("seed 1\nat once: kill primary1");
    let path = file.path().to_str().expect("UTF-8");
    for args in [
        &["check", "cold-start", "--schedule", path][..],
        &["minimise", "cold-start", "--schedule", path],
    ] {
        let (code, stdout, stderr) = run(args);
        assert_eq!((code, stdout.as_str()), (64, ""), "{stderr}");
        assert!(stderr.contains("follows no schedule"), "{stderr}");
    }
}

/// On a model that appends twice what is sent again after a link was lost.
#[test]
fn a_schedule_is_made_as_short_as_what_breaks_needs() {
    let file = schedule(
        "seed 1\nafter 50 operations: drain primary1\nat once: recover drain primary1\n\
         after 50 operations: cut primary1<->primary2\nafter 50 operations: recover",
    );
    let out = schedule("");
    let quirk = "model:appends-twice-after-loss";
    let (code, stdout, stderr) = run(&[
        "minimise",
        "mixed-traffic/cut",
        "--schedule",
        file.path().to_str().expect("UTF-8"),
        "--out",
        out.path().to_str().expect("UTF-8"),
        "--testbed",
        "embedded",
        "--keydb",
        quirk,
    ]);
    assert_eq!(code, 0, "{stdout}{stderr}");
    assert!(stdout.contains("exactly-once"), "{stdout}");
    let shortest = fs::read_to_string(out.path()).expect("it was written");
    let wanted =
        "seed 1\nafter 50 operations: cut primary1<->primary2\nafter 50 operations: recover\n";
    assert_eq!(shortest, wanted, "{stdout}");
}

/// On a model whose replicas take writes: the second trial of the first round sees it.
#[test]
fn a_run_until_something_fails_stops_there_and_keeps_what_failed() {
    let report = state();
    let (code, stdout, stderr) = run(&[
        "check",
        "split-replids",
        "read-only-replicas",
        "--testbed=embedded",
        "--haproxy=built-in",
        "--quirk=writable-replica",
        "--repeat=3",
        "--jobs=1",
        "--until-fail",
        "--report",
        report.path().to_str().expect("UTF-8"),
    ]);
    assert_eq!(code, 1, "{stdout}{stderr}");
    let stopped =
        "stopped at the first failure, read-only-replicas in round 1 of 3; trials left: 4\n";
    assert!(stdout.contains(stopped), "{stdout}");
    assert!(stdout.contains("2 of 2 trials in "), "{stdout}");
    // The table of what was made.
    assert!(
        stdout.contains("steady   read-only-replicas  1 of 1 broken (replica1-writes 1"),
        "{stdout}"
    );
    let kept = |trial: &str| report.path().join(trial).join("replica1.log").exists();
    assert!(kept("read-only-replicas") && !kept("split-replids"));
}

#[test]
fn a_run_under_stress_burns_and_ends() {
    let check = ["check", "split-replids", "--testbed=embedded"];
    let soak = ["--haproxy=built-in", "--stress", "--until-fail"];
    let (code, stdout, stderr) = run(&[&check[..], &soak, &["--repeat=2"]].concat());
    assert_eq!(code, 0, "{stdout}{stderr}");
    let number = |start: &str| -> u64 {
        let found = stdout.lines().find_map(|line| line.strip_prefix(start));
        let found = found.unwrap_or_else(|| panic!("no line starts with '{start}':\n{stdout}"));
        found.parse().expect("a number")
    };
    assert!(number("under stress: busy threads: ") > 0);
    assert!(number("under stress: steps made: ") > 0);
    assert!(stdout.contains("\nno failure\n"), "{stdout}");
}

/// Every command of the workflow parses: with `--help` at its end it would be made otherwise.
#[test]
fn the_workflow_for_github_names_flags_that_there_are() {
    let text = include_str!("../examples/github/keydb.yml");
    let text = text.replace("${{ matrix.shard }}", "2");
    let value = |name: &str| {
        let lines = text.lines().map(str::trim);
        let mut found = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found
            .next()
            .unwrap_or_else(|| panic!("{name} has no value"))
    };
    let mut commands = Vec::new();
    for after in text.split("keydb-harness ").skip(1) {
        let words = after.split_whitespace();
        // Up to the next item of the workflow, or the next command of the shell.
        let words = words.take_while(|it| !matches!(*it, "-" | "|" | "||" | "#"));
        let words: Vec<&str> = words
            .map(|word| match word.trim_matches('"').strip_prefix('$') {
                Some(name) => value(name),
                None => word,
            })
            .collect();
        let command = words.first().copied().unwrap_or_default();
        if ["check", "upgrade", "clean"].contains(&command) {
            let (code, _, stderr) = run(&[&words[..], &["--help"]].concat());
            assert_eq!(code, 0, "{words:?}: {stderr}");
            commands.push(command);
        }
    }
    assert_eq!(commands, ["check", "clean", "upgrade"]);
}

#[test]
fn the_holder_is_no_command_for_people() {
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, 0);
    assert!(stdout.contains("doctor"), "{stdout}");
    assert!(!stdout.contains("hold"), "{stdout}");
}

#[test]
fn clean_removes_what_dead_runs_left_and_nothing_else() {
    let state = state();
    let runs = state.path().join("keydb-harness/runs");
    let (dead, live) = (runs.join("dead0000"), runs.join("11fe0000"));
    for dir in [&dead, &live] {
        fs::create_dir_all(dir.join("cluster/primary1")).expect("folders");
        fs::write(dir.join("alive.lock"), "").expect("a lock file");
    }
    let held = fs::File::open(live.join("alive.lock")).expect("the lock file");
    held.lock().expect("the lock");

    let folder = format!("folder {}", dead.display());
    let clean = |args: &[&str]| told(harness(state.path()).arg("clean").args(args));
    assert_eq!(
        clean(&["--dry-run"]),
        (0, format!("would remove {folder}\n"), String::new())
    );
    assert!(dead.exists());
    assert_eq!(
        clean(&[]),
        (0, format!("removed {folder}\n"), String::new())
    );
    assert!(!dead.exists());
    assert!(live.join("cluster/primary1").exists());
    assert_eq!(clean(&[]).1, "nothing to remove\n");
}

#[test]
fn doctor_shows_releases_leftovers_and_what_would_run() {
    let (state, releases) = (state(), state());
    let server = releases.path().join("9.8.7/keydb-server");
    fs::create_dir_all(server.parent().expect("a folder")).expect("folders");
    fs::write(&server, "#!/bin/sh\necho 'KeyDB server v=9.8.7 sha=0:0'\n").expect("a script");
    fs::set_permissions(&server, fs::Permissions::from_mode(0o755)).expect("permissions");
    let dead = state.path().join("keydb-harness/runs/dead0000");
    fs::create_dir_all(&dead).expect("folders");
    fs::write(dead.join("alive.lock"), "").expect("a lock file");

    let doctor = |keydb: &str| {
        told(
            harness(state.path())
                .env("KEYDB_RELEASES", releases.path())
                .args(["doctor", "--haproxy", "path:/bin/sh", "--keydb", keydb]),
        )
    };
    let (code, stdout, _) = doctor("version:9.8.7");
    assert_eq!(code, 0, "{stdout}");
    let line = |start: &str| {
        let found = stdout.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no line starts with '{start}':\n{stdout}"))
    };
    let release = line("ok       release 9.8.7 ");
    assert!(
        release.contains(&format!("version 9.8.7, {}", server.display())),
        "{release}"
    );
    assert!(line("missing  Docker engine ").contains("or use --testbed process"));
    assert!(
        line("note     leftovers ")
            .contains("1 of dead runs: remove them with `keydb-harness clean`")
    );
    assert!(line("  docker   is not taken: ").contains("does not answer"));
    line("  process  is taken: what it needs is here");
    assert!(dead.exists(), "doctor removed something");

    let (code, stdout, _) = doctor("version:1.2.3");
    assert_eq!(code, 3, "{stdout}");
    assert!(stdout.contains("KeyDB 1.2.3 is not here"), "{stdout}");
}

/// Each is made twice: with a reader, and with one that is gone before the first word.
#[test]
fn a_reader_that_has_gone_is_no_failure() {
    let folder = state();
    let history = keydb_harness::history::Saved::default();
    history.save(folder.path()).expect("it can be written");
    let saved = folder.path().to_str().expect("UTF-8");
    let embedded = ["--testbed=embedded", "--keydb=model", "--haproxy=built-in"];
    let check = ["check", "split-replids", "--seed=1"];
    for args in [
        vec!["judge", saved],
        vec!["list"],
        vec!["list", "--quirks"],
        vec!["list", "--promises"],
        vec!["explain"],
        vec!["reproduce"],
        vec!["doctor"],
        vec!["clean", "--dry-run"],
        vec!["down"],
        vec!["check", "no-such-trial"],
        [&check[..], &embedded].concat(),
    ] {
        let (wanted, stdout, stderr) = run(&args);
        assert!(!stdout.is_empty() || !stderr.is_empty(), "{args:?}");
        for both in [false, true] {
            let state = state();
            let mut command = harness(state.path());
            command.args(&args).stdout(nobody()).stderr(Stdio::piped());
            if both {
                command.stderr(nobody());
            }
            let child = command.spawn().expect("the harness starts");
            let output = child.wait_with_output().expect("it ends");
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(wanted), "{args:?}: {stderr}");
            assert!(!stderr.contains("panicked"), "{args:?}: {stderr}");
        }
    }
}

/// A pipe that nobody reads.
fn nobody() -> PipeWriter {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer
}

#[test]
fn where_nothing_is_up_nothing_is_taken_down() {
    assert_eq!(
        run(&["down"]),
        (0, "nothing is up\n".to_owned(), String::new())
    );
}

/// Whatever publishes the guide's ports is made one at a time.
#[test]
#[serial_test::file_serial(keydb_harness_guide_ports)]
fn a_port_in_use_is_told_before_anything_is_started() {
    // Taken by this test, or already by somebody else.
    let _taken = TcpListener::bind(("127.0.0.1", 6503));
    let state = state();
    let (code, stdout, stderr) = told(harness(state.path()).args(["up", "--testbed=process"]));
    assert_eq!((code, stdout.as_str()), (3, ""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("keydb-harness: port 6"), "{stderr}");
    assert!(
        stderr.ends_with("stop what listens there, or use --ports free\n"),
        "{stderr}"
    );
    assert!(!state.path().join("keydb-harness").exists());
}
