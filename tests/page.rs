//! The page of a run in a real browser: it loads without a word in the console, its filters work, its
//! timelines are drawn, and ten thousand operations stay usable.
//!
//! Needs Chromium; where there is none the tests are ignored by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use keydb_harness::history::{
    Action, Event, FILE, Moment, Operation, Outcome, Phase, Reply, Saved, Subject, Token,
};
use keydb_harness::report::page::{Artifact, Page, Timeline};
use keydb_harness::report::results::Results;
use keydb_harness::settings::Expect;
use keydb_harness::upgrade::Answer;
use keydb_harness::verdict::Verdict;
use keydb_harness::verdict::expectation::Expectations;
use libtest_mimic::{Arguments, Failed, Trial};

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
/// A frame of ten thousand operations, in milliseconds: far above what it takes, and far below what
/// would be felt as standing still, on any machine.
const USABLE_MS: f64 = 2000.0;
const RUN: &str = include_str!("../fixtures/runs/process-6.3.4-again.json");
const UPGRADE: &str = include_str!("../fixtures/upgrades/6.2.2-6.3.4.json");
const MATRIX: &str = include_str!("../fixtures/runs/process-6.3.4-matrix.json");

/// Gets the browser.
type Test = fn(&Path) -> Result<(), Failed>;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let browser = browser();
    if browser.is_none() {
        eprintln!(
            "the page: NOT RUN: none of {} is on PATH",
            BROWSERS.join(", ")
        );
    }
    let absent = browser.is_none();
    let browser = browser.unwrap_or_default();
    let tests: [(&str, Test); 6] = [
        ("loads, and shows every trial", loads),
        ("filters", filters),
        ("draws a timeline of ten thousand operations", draws),
        ("shows what servers said as text", is_text),
        ("shows matrices", matrices),
        ("shows an upgrade", upgrade),
    ];
    let tests = tests.into_iter().map(|(name, test)| {
        let browser = browser.clone();
        Trial::test(name, move || test(&browser)).with_ignored_flag(absent)
    });
    libtest_mimic::run(&arguments, tests.collect()).exit_code()
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .flat_map(|dir| BROWSERS.map(|name| dir.join(name)))
        .find(|file| file.is_file())
}

/// What the browser makes of a page: the attributes of its body, and all of it as text.
struct Seen {
    body: BTreeMap<String, String>,
    text: String,
}

impl Seen {
    fn number(&self, name: &str) -> Result<f64, Failed> {
        let value = self.body.get(name);
        let number = value.and_then(|value| value.parse().ok());
        number.ok_or_else(|| format!("{name} is {value:?}").into())
    }

    fn is(&self, name: &str, wanted: &str) -> Result<(), Failed> {
        match self.body.get(name).map(String::as_str) {
            Some(value) if value == wanted => Ok(()),
            value => Err(format!("{name} is {value:?}, not {wanted}").into()),
        }
    }
}

/// Opens the page at this place; what is said in the console is an error.
fn open(browser: &Path, page: &str, place: &str) -> Result<Seen, Failed> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("index.html");
    std::fs::write(&file, page)?;
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args([
            "--enable-logging=stderr",
            "--v=0",
            "--window-size=1280,1600",
        ])
        .arg("--virtual-time-budget=20000")
        .arg(format!(
            "--user-data-dir={}",
            dir.path().join("profile").display()
        ))
        .arg(format!("file://{}#{place}", file.display()))
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(format!("the browser ended with {}", output.status).into());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if let Some(line) = said.lines().find(|line| line.contains("CONSOLE")) {
        return Err(format!("in the console: {line}").into());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let tag = text
        .split_once("<body")
        .and_then(|(_, rest)| rest.split_once('>'));
    let Some((tag, _)) = tag else {
        return Err("the page has no body".into());
    };
    let pairs = tag.split('"').collect::<Vec<_>>();
    let body = pairs.chunks(2).filter_map(|pair| match pair {
        [name, value] => Some((
            name.trim().trim_end_matches('=').to_owned(),
            (*value).to_owned(),
        )),
        _ => None,
    });
    let seen = Seen {
        body: body.collect(),
        text: text.clone(),
    };
    seen.is("data-ready", "yes")?;
    Ok(seen)
}

fn page(run: &str, timelines: Vec<Timeline>) -> Result<String, Failed> {
    let results: Results = serde_json::from_str(run)?;
    let version = results.identity.release();
    let expectations = Expectations::load(&Expect::Shipped, version)?;
    Ok(Page::of_run(&results, expectations.as_ref(), timelines)?.html()?)
}

fn loads(browser: &Path) -> Result<(), Failed> {
    let results: Results = serde_json::from_str(RUN)?;
    let seen = open(browser, &page(RUN, Vec::new())?, "")?;
    let shown = seen.number("data-trials-shown")?;
    if shown as usize != results.trials.len() {
        return Err(format!("{shown} of {} trials are shown", results.trials.len()).into());
    }
    match seen.text.contains(&results.identity.keydb.sha256) {
        true => Ok(()),
        false => Err("it does not say what it ran against".into()),
    }
}

fn filters(browser: &Path) -> Result<(), Failed> {
    let results: Results = serde_json::from_str(RUN)?;
    let broken = results
        .trials
        .iter()
        .filter(|it| it.verdict == Verdict::Broken);
    let broken = broken.count();
    let page = page(RUN, Vec::new())?;
    let shown = open(browser, &page, "view=trials&verdict=broken")?.number("data-trials-shown")?;
    if shown as usize != broken {
        return Err(format!("{shown} are shown, {broken} are broken").into());
    }
    let nothing = open(browser, &page, "view=trials&q=no-such-words-at-all")?;
    nothing.is("data-trials-shown", "0")
}

/// The operations of the history below.
const OPERATIONS: u32 = 10_000;

fn history() -> Saved {
    let mut saved = Saved {
        began: Some(1_764_077_834_000),
        ..Saved::default()
    };
    let history = &mut saved.history;
    history.length = Moment(10_000_000_000);
    let nodes = ["primary1", "primary2", "proxy"].map(|name| history.names.number(name));
    let [link, up, down, fault, seen, key] = [
        "link primary2",
        "up",
        "down",
        "cut primary1->primary2",
        "no connection",
        "key",
    ]
    .map(|text| history.names.number(text));
    let state = |value| Subject::State {
        node: nodes[0],
        what: link,
        value,
    };
    let phase = |phase| Subject::Fault {
        fault,
        nodes: nodes[..2].into(),
        phase,
        seen,
    };
    let events = [
        (0, state(up)),
        (3000, phase(Phase::Injected)),
        (3100, phase(Phase::Bites)),
        (3200, state(down)),
        (6000, phase(Phase::Recovering)),
        (6500, phase(Phase::Healed)),
    ];
    for (at, subject) in events {
        let at = Moment(at * 1_000_000);
        history.events.push(Event { at, subject });
    }
    history.operations = (0..OPERATIONS)
        .map(|number| Operation {
            client: number % 8,
            node: nodes[number as usize % nodes.len()],
            proxied: number % 3 == 2,
            database: 0,
            confirmed: 0,
            key,
            action: Action::Set(Token {
                client: number % 8,
                number,
            }),
            invoked: Moment(u64::from(number) * 1_000_000),
            completed: Moment(u64::from(number) * 1_000_000 + 400_000),
            outcome: match number % 97 {
                0 => Outcome::Unknown(seen),
                _ => Outcome::Ok(Reply::Done),
            },
        })
        .collect();
    saved
}

fn draws(browser: &Path) -> Result<(), Failed> {
    let results: Results = serde_json::from_str(RUN)?;
    let trial = &results.trials[0].id;
    let log = "7:7:S 25 Nov 2025 13:37:18.000 * Connection with master lost.\n";
    let left: [Artifact; 2] = [
        (FILE.to_owned(), history().bytes()?),
        ("primary1.log".to_owned(), log.into()),
    ];
    let timeline = Timeline::of(trial, "x", Verdict::Broken, &left).ok_or("no timeline")?;
    let page = page(RUN, vec![timeline])?;
    let seen = open(browser, &page, &format!("view=timeline&trial={trial}"))?;
    seen.is("data-timeline", trial)?;
    let drawn = seen.number("data-operations-drawn")?;
    if drawn < f64::from(OPERATIONS) * 0.9 {
        return Err(format!("{drawn} of {OPERATIONS} operations are drawn").into());
    }
    let took = seen.number("data-draw-ms")?;
    if took > USABLE_MS {
        return Err(format!("it took {took} ms to draw").into());
    }
    let zoomed = format!("view=timeline&trial={trial}&from=3000&to=3100");
    let zoomed = open(browser, &page, &zoomed)?.number("data-operations-drawn")?;
    match zoomed < drawn / 10.0 && zoomed > 0.0 {
        true => Ok(()),
        false => Err(format!("{zoomed} of {drawn} operations are in a hundredth").into()),
    }
}

fn is_text(browser: &Path) -> Result<(), Failed> {
    let mut results: Results = serde_json::from_str(RUN)?;
    let evil = "</script><img src=x onerror=document.title='struck'><b>";
    let outcome = &mut results.trials[0].outcome;
    outcome.findings[0].evidence = evil.to_owned();
    outcome.findings[0].verdict = Verdict::Broken;
    let page = Page::of_run(&results, None, Vec::new())?.html()?;
    let place = format!("view=trials&trial={}", results.trials[0].id);
    let seen = open(browser, &page, &place)?;
    match seen.text.contains("<img src=\"x\"") || seen.text.contains("<title>struck") {
        true => Err("what a server said became a part of the page".into()),
        false => Ok(()),
    }
}

fn matrices(browser: &Path) -> Result<(), Failed> {
    let seen = open(browser, &page(MATRIX, Vec::new())?, "view=matrices")?;
    match seen.text.matches("swapped").count() {
        0..10 => Err("the conflict matrix is not shown".into()),
        _ => Ok(()),
    }
}

fn upgrade(browser: &Path) -> Result<(), Failed> {
    let answer: Answer = serde_json::from_str(UPGRADE)?;
    let page = Page::of_upgrade(&answer, Vec::new())?.html()?;
    let seen = open(browser, &page, "view=upgrade")?;
    let measured = &answer.measured.first().ok_or("nothing was measured")?.name;
    let both = [&answer.from, &answer.to].map(|it| it.keydb.sha256.as_str());
    for wanted in [measured, both[0], both[1]] {
        if !seen.text.contains(wanted) {
            return Err(format!("{wanted} is not shown").into());
        }
    }
    match seen
        .text
        .to_lowercase()
        .contains(&answer.ruling.to_string())
    {
        true => Ok(()),
        false => Err(format!("it does not say {}", answer.ruling).into()),
    }
}
