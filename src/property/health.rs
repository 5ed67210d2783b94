//! After every scenario: all that should live does, and no log holds a line that means trouble.

use std::collections::BTreeMap;

use super::log_rules::{self, Severity};
use crate::scenario::Trial;
use crate::testbed::Status;

/// Records for every node whether it lives as it should, and what its log says.
pub async fn check(trial: &Trial) {
    alive(trial).await;
    logs(trial).await;
}

async fn alive(trial: &Trial) {
    let mut dead = Vec::new();
    let mut count = 0;
    for node in trial.cluster().live() {
        count += 1;
        match node.status().await {
            Ok(Status::Running) => {}
            Ok(status) => dead.push(format!("{} {status}", node.name())),
            Err(error) => dead.push(error.to_string()),
        }
    }
    let seen = if dead.is_empty() {
        Ok(format!("{count} servers live"))
    } else {
        Err(dead.join("; "))
    };
    trial.check("alive", "every server that was not stopped lives", seen);
}

async fn logs(trial: &Trial) {
    let rules = match log_rules::built_in() {
        Ok(rules) => rules,
        Err(error) => {
            trial.inconclusive(
                "logs",
                "logs hold no line that means trouble",
                error.to_string(),
            );
            return;
        }
    };
    let mut lines = 0;
    let mut broken: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for node in trial.cluster().nodes() {
        let log = match node.log().await {
            Ok(log) => log,
            Err(error) => {
                trial.inconclusive("logs", "logs can be read", error.to_string());
                continue;
            }
        };
        lines += log.lines().count();
        let matches = log_rules::scan(&rules, &log);
        for found in matches
            .into_iter()
            .filter(|found| found.severity == Severity::Broken)
        {
            let first = found.lines.first().map_or("", |line| line.text.trim());
            let seen = format!("{} × on {}: {first}", found.count, node.name());
            broken
                .entry(found.rule)
                .or_insert((found.what, Vec::new()))
                .1
                .push(seen);
        }
    }
    if broken.is_empty() {
        let seen = format!("{lines} lines of {} logs", trial.cluster().nodes().len());
        trial.check(
            "logs",
            "logs hold no line that means trouble",
            Ok::<_, String>(seen),
        );
    }
    for (rule, (what, seen)) in broken {
        let promise = format!("no log says: {what}");
        trial.check(
            &format!("log:{rule}"),
            &promise,
            Err::<&str, _>(seen.join("; ")),
        );
    }
}
