//! After every scenario: all that should live does, and no log holds a line that means trouble.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use redis::Value;
use tokio::time::{Instant, sleep};

use super::log_rules::{self, Rule, RulesError, Severity};
use super::residue;
use crate::cluster::{ClientError, Cluster, Node, Timeouts};
use crate::testbed::{EnvironmentError, Status};
use crate::topology::PROXY;
use crate::trial::{Trial, judged, unknown};
use crate::verdict::{Finding, Verdict};

/// What is promised of the logs.
const NO_TROUBLE: &str = "logs hold no line that means trouble";

/// Exit codes of a server that ended because it was told to: by itself, or of the signal.
const ENDED_WELL: [i32; 2] = [0, 143];

/// Records for every node whether it lives as it should, how it ended when it was told to, and
/// what its log says.
pub async fn check(trial: &Trial) {
    alive(trial).await;
    let nodes = trial.cluster().nodes().iter();
    let ends: Vec<_> = nodes.map(|node| (node.name(), node.ends())).collect();
    if ends.iter().any(|(_, ends)| !ends.is_empty()) {
        trial.found(ended_well(&ends));
    }
    residue::check(trial).await;
    logs(trial).await;
}

async fn alive(trial: &Trial) {
    let cluster = trial.cluster();
    let statuses = cluster
        .live()
        .map(|node| async { (node.name(), settled(node).await) });
    let mut seen = join_all(statuses).await;
    if let Ok(proxy) = cluster.proxy()
        && proxy.should_run()
    {
        seen.push((PROXY, proxy.server().status().await));
    }
    trial.found(all_alive(&seen));
}

/// How long one that does not answer is waited for: whoever crashes writes a report first.
const CRASHING: Duration = Duration::from_secs(10);
const PATIENCE: Timeouts = Timeouts {
    connect: Duration::from_secs(1),
    reply: Duration::from_secs(1),
};

/// A node's status, once it answers or has ended. Of one that does neither nothing is known: it hangs, or
/// the machine does.
async fn settled(node: &Node) -> Result<Status, EnvironmentError> {
    let began = Instant::now();
    loop {
        let status = node.server().status().await;
        if !matches!(status, Ok(Status::Running)) {
            return status;
        }
        if began.elapsed() > CRASHING {
            let (name, seconds) = (node.name(), CRASHING.as_secs());
            let silent = format!("{name} runs, and has answered nothing for {seconds} s");
            return Err(EnvironmentError::new(silent));
        }
        let answered = async {
            node.client_with(PATIENCE)
                .await?
                .query::<Value>(&redis::cmd("PING"))
                .await
        };
        match answered.await {
            // Whatever the answer is.
            Ok(_) | Err(ClientError::Refused(_)) => return status,
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
}

/// What the status of every server that ought to live says. A testbed that does not answer says
/// nothing of the server.
fn all_alive(seen: &[(&str, Result<Status, EnvironmentError>)]) -> Finding {
    let (check, promise) = ("alive", "every server that was not stopped lives");
    let mut dead = Vec::new();
    let mut untold = Vec::new();
    for (name, status) in seen {
        match status {
            Ok(Status::Running) => {}
            Ok(status) => dead.push(format!("{name} {status}")),
            Err(error) => untold.push(error.to_string()),
        }
    }
    if !dead.is_empty() {
        dead.append(&mut untold);
        return judged(check, promise, Err::<&str, _>(dead.join("; ")));
    }
    if !untold.is_empty() {
        return unknown(check, promise, untold.join("; "));
    }
    let seen = format!("{} servers live", seen.len());
    judged(check, promise, Ok::<_, String>(seen))
}

/// What the ends of all servers that were told to end say.
fn ended_well(ends: &[(&str, Vec<Status>)]) -> Finding {
    let all = ends
        .iter()
        .flat_map(|(name, ends)| ends.iter().map(move |end| (name, end)));
    let (mut count, mut bad) = (0, Vec::new());
    for (name, end) in all {
        count += 1;
        match end {
            Status::Ended(None) => {}
            Status::Ended(Some(code)) if ENDED_WELL.contains(code) => {}
            end => bad.push(format!("{name} {end}")),
        }
    }
    judged(
        "ends",
        "a server that is told to end (SIGTERM) does so by itself, with exit code 0",
        match bad.is_empty() {
            true => Ok(format!("{count} ends")),
            false => Err(bad.join("; ")),
        },
    )
}

async fn logs(trial: &Trial) {
    for finding in logged(trial.cluster()).await {
        trial.found(finding);
    }
}

/// Whether no log holds a line that means trouble: a cluster of which one does is not used again, as the
/// line would be found in the next trial.
pub(crate) async fn logs_are_quiet(cluster: &Cluster) -> bool {
    let findings = logged(cluster).await;
    findings.iter().all(|it| it.verdict == Verdict::Holds)
}

async fn logged(cluster: &Cluster) -> Vec<Finding> {
    let mut logs = Vec::new();
    for node in cluster.nodes() {
        logs.push((node.name(), node.log().await));
    }
    trouble(log_rules::built_in(), &logs)
}

/// What the logs of all nodes say: one finding for each rule that matches and means a broken
/// promise, or one that says that none does; and one for each log that says nothing.
fn trouble(
    rules: Result<Vec<Rule>, RulesError>,
    logs: &[(&str, Result<String, EnvironmentError>)],
) -> Vec<Finding> {
    let rules = match rules {
        Ok(rules) => rules,
        Err(error) => return vec![unknown("logs", NO_TROUBLE, error.to_string())],
    };
    let mut findings = Vec::new();
    let mut lines = 0;
    let mut broken: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for (name, log) in logs {
        let log = match log {
            Ok(log) => log,
            Err(error) => {
                findings.push(unknown("logs", "logs can be read", error.to_string()));
                continue;
            }
        };
        if log.trim().is_empty() {
            let why = format!("the log of {name} is empty");
            findings.push(unknown("logs", "logs can be read", why));
        }
        lines += log.lines().count();
        let matches = log_rules::scan(&rules, log);
        for found in matches
            .into_iter()
            .filter(|found| found.severity == Severity::Broken)
        {
            let first = found.lines.first();
            let first = first.map(|line| format!("line {}: {}", line.number, line.text.trim()));
            let first = first.unwrap_or_default();
            let seen = format!("{} × on {name}, first in {first}", found.count);
            broken
                .entry(found.rule)
                .or_insert((found.what, Vec::new()))
                .1
                .push(seen);
        }
    }
    if broken.is_empty() {
        let seen = format!("{lines} lines of {} logs", logs.len());
        findings.push(judged("logs", NO_TROUBLE, Ok::<_, String>(seen)));
    }
    for (rule, (what, seen)) in broken {
        let promise = format!("no log says: {what}");
        let seen = Err::<&str, _>(seen.join("; "));
        findings.push(judged(&format!("log:{rule}"), &promise, seen));
    }
    findings
}

#[cfg(test)]
mod tests;
