//! The run on a terminal, or as plain lines where there is none.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::results::{Judged, Results};
use crate::check::{Event, Planned};
use crate::console;
use crate::explanation;
use crate::verdict::expectation::{Expectations, Kind, Standing, judge, limitations};
use crate::verdict::{Outcome, Verdict};

/// How a run is shown while it goes on.
pub struct Progress<'a> {
    bars: Option<MultiProgress>,
    running: Mutex<Vec<(String, ProgressBar)>>,
    expectations: Option<&'a Expectations>,
    colour: bool,
    verbose: bool,
}

impl<'a> Progress<'a> {
    /// Bars if standard error is a terminal; a plain line per finished trial otherwise.
    pub fn new(expectations: Option<&'a Expectations>, verbose: bool) -> Self {
        Self {
            bars: std::io::stderr().is_terminal().then(MultiProgress::new),
            running: Mutex::new(Vec::new()),
            expectations,
            colour: colour(),
            verbose,
        }
    }

    /// Shows an event.
    pub fn show(&self, event: Event<'_>) {
        match event {
            Event::Started(planned) => self.started(planned),
            Event::Says(planned, text) => self.says(planned, text),
            Event::Waits(planned, what) => self.waits(planned, what),
            Event::Finished(it) => self.finished(&it.planned, &it.outcome),
            Event::Stopped(planned) => self.is_over(planned),
        }
    }

    fn started(&self, planned: &Planned) {
        let Some(bars) = &self.bars else { return };
        let bar = bars.add(ProgressBar::new_spinner());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed:>4} {msg}") {
            bar.set_style(style);
        }
        bar.set_message(format!("{}: {}", planned.id(), planned.scenario.title));
        bar.enable_steady_tick(Duration::from_millis(200));
        if let Ok(mut running) = self.running.lock() {
            running.push((planned.id(), bar));
        }
    }

    /// Behind its title, as long as it waits.
    fn waits(&self, planned: &Planned, what: Option<&str>) {
        let Ok(running) = self.running.lock() else {
            return;
        };
        if let Some((_, bar)) = running.iter().find(|(id, _)| *id == planned.id()) {
            let waits = what.map(|what| format!(": waits until {what}"));
            bar.set_message(format!(
                "{}: {}{}",
                planned.id(),
                planned.scenario.title,
                waits.unwrap_or_default()
            ));
        }
    }

    fn says(&self, planned: &Planned, text: &str) {
        let lines: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
        self.print(&format!("{}\n{}", planned.id(), lines.join("\n")));
    }

    /// Above the bars, if there are any.
    fn print(&self, text: &str) {
        match &self.bars {
            Some(bars) => bars.suspend(|| console::line(text)),
            None => console::line(text),
        }
    }

    fn finished(&self, planned: &Planned, outcome: &Outcome) {
        let text = self.text(outcome);
        self.is_over(planned);
        self.print(&text);
    }

    /// Its bar goes.
    fn is_over(&self, planned: &Planned) {
        let bar = self.running.lock().ok().and_then(|mut running| {
            let position = running.iter().position(|(id, _)| *id == planned.id())?;
            Some(running.swap_remove(position).1)
        });
        if let Some(bar) = bar {
            bar.finish_and_clear();
        }
    }

    /// An outcome of which nothing was shown before.
    pub fn over(&self, outcome: &Outcome) {
        self.print(&self.text(outcome));
    }

    fn text(&self, outcome: &Outcome) -> String {
        let standing = judge(outcome, self.expectations);
        let limits = limitations(outcome, self.expectations);
        let mut text = line(outcome, standing, &limits, self.colour);
        if self.verbose || standing_needs_words(standing) || outcome.environment.is_some() {
            text.push_str(&details(outcome, self.expectations, self.verbose));
        }
        text
    }
}

/// One line: verdict, trial, how it stands, and the number that matters.
fn line(outcome: &Outcome, standing: Standing, limits: &[String], colour: bool) -> String {
    let verdict = outcome.verdict();
    let word = if outcome.environment.is_some() {
        format!("{:<12}", "not run")
    } else {
        format!("{verdict:<12}")
    };
    let code = match (standing, verdict) {
        _ if outcome.environment.is_some() => "35",
        (Standing::Regression | Standing::New, _) => "31",
        (Standing::Inconclusive | Standing::Known | Standing::Fixed, _) => "33",
        (Standing::AsExpected, Verdict::Holds) => "32",
        (Standing::AsExpected, _) => "33",
    };
    let word = if colour {
        format!("\u{1b}[{code}m{word}\u{1b}[0m")
    } else {
        word
    };
    let note = match standing {
        Standing::AsExpected => String::new(),
        _ if outcome.environment.is_some() => String::new(),
        Standing::Inconclusive if verdict == Verdict::Inconclusive => String::new(),
        Standing::Known if are_limits(outcome, limits) => " [limits by design]".to_owned(),
        other => format!(" [{other}]"),
    };
    let headline = match &outcome.environment {
        Some(reason) => reason.clone(),
        None => outcome.headline.clone(),
    };
    let tries = match outcome.tries {
        1 => String::new(),
        tries => format!(", try {tries}: those before said nothing"),
    };
    let cluster = match outcome.served_before {
        0 => "",
        _ => ", on a cluster made as good as new",
    };
    format!(
        "{word} {:<26}{note} {headline} ({:.1} s{tries}{cluster})",
        outcome.id(),
        outcome.seconds
    )
}

/// Whether all that is broken is one of these.
fn are_limits(outcome: &Outcome, limits: &[String]) -> bool {
    let mut broken = outcome.findings.iter();
    broken.all(|finding| finding.verdict != Verdict::Broken || limits.contains(&finding.check))
}

fn standing_needs_words(standing: Standing) -> bool {
    standing != Standing::AsExpected
}

/// The findings that need words: those that do not hold, or all if verbose.
fn details(outcome: &Outcome, expectations: Option<&Expectations>, verbose: bool) -> String {
    let mut text = String::new();
    for finding in &outcome.findings {
        if finding.verdict == Verdict::Holds && !verbose {
            continue;
        }
        let known = expectations.and_then(|expectations| {
            expectations
                .deviations_of(outcome)
                .find(|deviation| deviation.check == finding.check)
        });
        let told = known
            .filter(|_| finding.verdict == Verdict::Broken)
            .map(|deviation| {
                let kind = match deviation.kind {
                    Kind::Broken => "known as",
                    Kind::Limitation => "limit by design,",
                };
                format!("{kind} {}: {}", deviation.id, deviation.reason)
            });
        text.push_str(&format!(
            "\n    {:<12} {}: ",
            finding.verdict.to_string(),
            finding.check
        ));
        match told {
            // What is known needs no evidence, unless it is asked for.
            Some(told) if !verbose => text.push_str(&told),
            told => {
                text.push_str(&format!(
                    "{}\n{:18}{}",
                    finding.promise, "", finding.evidence
                ));
                if let Some(told) = told {
                    text.push_str(&format!("\n{:18}{told}", ""));
                }
                // The log lines after the table are for those who asked, and in the report.
                let lines = finding.state.lines();
                for line in lines.take_while(|line| verbose || !line.starts_with("last lines of")) {
                    text.push_str(&format!("\n{:18}| {line}", ""));
                }
            }
        }
    }
    if verbose {
        for measure in &outcome.measures {
            text.push_str(&format!("\n    {:<12} {measure}", "measured"));
        }
    }
    text
}

/// The last lines of a run: how many of what, and what it was judged by.
pub fn summary(results: &Results) -> String {
    let count = |wanted: &dyn Fn(&Judged) -> bool| {
        results.trials.iter().filter(|trial| wanted(trial)).count()
    };
    let mut parts = Vec::new();
    for verdict in [Verdict::Holds, Verdict::Broken, Verdict::Inconclusive] {
        let number =
            count(&|trial| trial.verdict == verdict && trial.outcome.environment.is_none());
        if number > 0 {
            parts.push(format!("{number} {verdict}"));
        }
    }
    let not_run = count(&|trial| trial.outcome.environment.is_some());
    if not_run > 0 {
        parts.push(format!("{not_run} not run"));
    }
    let mut standings = Vec::new();
    // What was never promised is counted apart from broken promises.
    let is_limit = |trial: &Judged| {
        trial.standing == Standing::Known && are_limits(&trial.outcome, &trial.limitations)
    };
    let known = count(&|trial| trial.standing == Standing::Known && !is_limit(trial));
    let limits = count(&is_limit);
    if known > 0 {
        standings.push(format!("{known} {}", Standing::Known));
    }
    if limits > 0 {
        standings.push(format!("{limits} limits by design"));
    }
    for standing in [Standing::Fixed, Standing::Regression, Standing::New] {
        let number = count(&|trial| trial.standing == standing);
        if number > 0 {
            standings.push(format!("{number} {standing}"));
        }
    }
    let judged = match &results.expectations {
        Some(version) => format!("judged by the expectations for {version}"),
        None => format!(
            "no expectations for {}: judged by promises alone",
            results.identity.release()
        ),
    };
    let standings = if standings.is_empty() {
        String::new()
    } else {
        format!(" ({})", standings.join(", "))
    };
    format!(
        "{} of {} trials in {:.1} s: {}{standings}; {judged}; exit code {}",
        results.n - not_run,
        results.n,
        results.seconds,
        parts.join(", "),
        results.exit_code
    )
}

/// How to learn more of the known deviations that showed: once for a whole run, nothing without any.
pub fn hint(results: &Results, expectations: Option<&Expectations>) -> Option<String> {
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for Judged { outcome, .. } in &results.trials {
        let known = expectations
            .into_iter()
            .flat_map(|it| it.deviations_of(outcome));
        let shown = known.filter(|deviation| {
            outcome.findings.iter().any(|finding| {
                finding.check == deviation.check && finding.verdict == Verdict::Broken
            })
        });
        ids.extend(shown.map(|deviation| deviation.id.as_str()));
    }
    // An own file of expectations may have ids of its own.
    let explained = explanation::all().unwrap_or_default();
    let ids: Vec<&str> = explained
        .iter()
        .map(|it| it.id.as_str())
        .filter(|id| ids.contains(id))
        .collect();
    (!ids.is_empty()).then(|| format!("`keydb-harness explain {}` tells more", ids.join(" ")))
}

/// Whether standard output takes colours: a terminal, and `NO_COLOR` is not set.
fn colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::samples;

    /// What a reader sees of a run with one trial of each standing.
    fn shown(verbose: bool) -> String {
        let (results, expectations) = samples::run();
        let mut text = String::new();
        for trial in &results.trials {
            let outcome = &trial.outcome;
            text.push_str(&line(outcome, trial.standing, &trial.limitations, false));
            if verbose || standing_needs_words(trial.standing) || outcome.environment.is_some() {
                text.push_str(&details(outcome, Some(&expectations), verbose));
            }
            text.push('\n');
        }
        text.extend(hint(&results, Some(&expectations)));
        text.push('\n');
        text.push_str(&summary(&results));
        text
    }

    #[test]
    fn a_run_on_a_terminal() {
        insta::assert_snapshot!(shown(false));
    }

    #[test]
    fn all_that_a_run_found() {
        insta::assert_snapshot!(shown(true));
    }
}
