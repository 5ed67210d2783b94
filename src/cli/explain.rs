//! `explain`: known defects, for those who have met one.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use clap::Args;
use keydb_harness::console;
use keydb_harness::explanation::{self, Explanation, nearest};
use keydb_harness::promise::{self, Promise};
use keydb_harness::verdict::exit;
use keydb_harness::verdict::expectation::Expectations;

use super::UsageProblem;

/// The longest line of a text.
const WIDTH: usize = 96;

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    /// Which defects, for example F6; a line on each if none is named
    #[arg(value_name = "ID")]
    ids: Vec<String>,
}

pub(super) fn explain(args: &ExplainArgs) -> Result<u8> {
    let all = explanation::all().context("fixtures/explanations.toml")?;
    let expectations = Expectations::shipped()?;
    if args.ids.is_empty() {
        for it in &all {
            let on = releases(it, &expectations).join(", ");
            console::line(format_args!("{:<4} {} ({on})", it.id, it.title()));
        }
        return Ok(exit::AS_EXPECTED);
    }
    let promises = promise::all().context("fixtures/promises.toml")?;
    let wanted = args.ids.iter().map(|id| named(id, &all));
    let wanted = wanted.collect::<Result<Vec<_>, UsageProblem>>()?;
    let texts: Vec<String> = wanted
        .iter()
        .map(|it| text(it, &expectations, &promises))
        .collect();
    console::text(texts.join("\n"));
    Ok(exit::AS_EXPECTED)
}

/// The explanation of this id, in capitals or small letters.
fn named<'a>(id: &str, all: &'a [Explanation]) -> Result<&'a Explanation, UsageProblem> {
    let found = all.iter().find(|it| it.id.eq_ignore_ascii_case(id));
    found.ok_or_else(|| {
        let nearest = nearest(id, all).join(", ");
        UsageProblem(format!(
            "no known defect is called '{id}'; nearest: {nearest}; `keydb-harness explain` lists them all"
        ))
    })
}

/// On which releases it was seen.
fn releases<'a>(it: &'a Explanation, expectations: &'a [Expectations]) -> Vec<&'a str> {
    let excused = it.shows_on(expectations).into_iter().map(|(on, _)| on);
    excused.chain(it.seen.iter().map(String::as_str)).collect()
}

fn text(it: &Explanation, expectations: &[Expectations], promises: &[Promise]) -> String {
    let mut text = format!("{}: {}\n", it.id, it.title());
    let mut part = |title: &str, lines: &[String]| {
        if !lines.is_empty() {
            let _ = writeln!(text, "\n{title}\n{}", lines.join("\n"));
        }
    };
    let told = |sentences: &[&str]| -> Vec<String> {
        let wrap = |text: &&str| wrapped(text, "    ", "    ");
        sentences.iter().flat_map(wrap).collect()
    };
    part("What you notice", &told(&it.notices()));
    part("Why", &told(&[&it.mechanism]));
    let advice = it.advice.iter().flat_map(|it| wrapped(it, "  * ", "    "));
    part("What to do", &advice.collect::<Vec<_>>());
    part("Where it was seen", &seen(it, expectations));
    part("To see it", &to_see(it, expectations));
    let broken = promises
        .iter()
        .filter(|promise| promise.defects.contains(&it.id));
    let broken = broken.flat_map(|promise| {
        let says = format!("{}: {}", promise.source, promise.says);
        wrapped(&says, &format!("    {:<4}", promise.id), "        ")
    });
    part("Promises that it breaks", &broken.collect::<Vec<_>>());
    let reports = match it.upstream.as_slice() {
        [] => "no report is known".to_owned(),
        reports => reports.join(", "),
    };
    part("KeyDB's tracker", &told(&[&reports]));
    text
}

/// By release: the scenarios in which it shows.
fn seen(it: &Explanation, expectations: &[Expectations]) -> Vec<String> {
    let mut lines = Vec::new();
    let shows = it.shows_on(expectations);
    for (on, shows) in &shows {
        let joined = |names: &std::collections::BTreeSet<String>| {
            names.iter().cloned().collect::<Vec<_>>().join(", ")
        };
        let mut said = Vec::new();
        if !shows.always.is_empty() {
            said.push(format!("always in {}", joined(&shows.always)));
        }
        if !shows.sometimes.is_empty() {
            said.push(format!("sometimes in {}", joined(&shows.sometimes)));
        }
        let said = said.join("; ");
        lines.extend(wrapped(&said, &format!("    {on:<7} "), "            "));
    }
    for on in &it.seen {
        lines.push(format!("    {on:<7} once or by hand; not excused"));
    }
    let known: Vec<&str> = releases(it, expectations);
    let others = expectations.iter().map(|it| it.version.as_str());
    let others: Vec<&str> = others.filter(|it| !known.contains(it)).collect();
    if !others.is_empty() {
        lines.push(format!("    not known of {}", others.join(", ")));
    }
    lines
}

/// The smallest reproduction, and the scenario that shows it.
fn to_see(it: &Explanation, expectations: &[Expectations]) -> Vec<String> {
    let mut lines = Vec::new();
    for reproduction in it.reproductions() {
        lines.push(format!(
            "    keydb-harness reproduce {} DIR writes a folder that does this without the harness:",
            reproduction.id
        ));
        let steps = (reproduction.script)().told();
        lines.extend(steps.iter().map(|step| format!("        {step}")));
        lines.push(format!("      shows  {}", reproduction.expected.join("; ")));
        lines.push(format!("      right  {}", reproduction.right.join("; ")));
    }
    if let Some(why) = it.not_shown() {
        let why = format!("there is no script for it: {why}");
        lines.extend(wrapped(&why, "    ", "    "));
    }
    let newest = it.shows_on(expectations).pop();
    if let Some((on, shows)) = newest {
        let surest = shows.always.first().or(shows.sometimes.first());
        let scenario = surest.map_or("", String::as_str);
        lines.push(format!(
            "    keydb-harness check {scenario} --keydb version:{on}"
        ));
    }
    lines
}

/// A text in lines of at most [`WIDTH`] letters, the first after `first`, the others after `rest`.
fn wrapped(text: &str, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, rest.to_owned()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}
