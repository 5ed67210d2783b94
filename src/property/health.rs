//! After every scenario: all that should live does, and no log holds a line that means trouble.

use std::collections::BTreeMap;

use super::log_rules::{self, Severity};
use crate::testbed::Status;
use crate::topology::PROXY;
use crate::trial::Trial;

/// Records for every node whether it lives as it should, and what its log says.
pub async fn check(trial: &Trial) {
    alive(trial).await;
    logs(trial).await;
}

async fn alive(trial: &Trial) {
    let cluster = trial.cluster();
    let nodes = cluster.live().map(|node| (node.name(), node.server()));
    let proxy = cluster.proxy().ok().filter(|proxy| proxy.should_run());
    let proxy = proxy.map(|proxy| (PROXY, proxy.server()));
    let mut dead = Vec::new();
    let mut count = 0;
    for (name, server) in nodes.chain(proxy) {
        count += 1;
        match server.status().await {
            Ok(Status::Running) => {}
            Ok(status) => dead.push(format!("{name} {status}")),
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
        if log.trim().is_empty() {
            let why = format!("the log of {} is empty", node.name());
            trial.inconclusive("logs", "logs can be read", why);
        }
        lines += log.lines().count();
        let matches = log_rules::scan(&rules, &log);
        for found in matches
            .into_iter()
            .filter(|found| found.severity == Severity::Broken)
        {
            let first = found.lines.first();
            let first = first.map(|line| format!("line {}: {}", line.number, line.text.trim()));
            let first = first.unwrap_or_default();
            let seen = format!("{} × on {}, first in {first}", found.count, node.name());
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
