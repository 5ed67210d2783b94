//! What a configuration comes to on two releases: lines that one refuses, options that one lacks,
//! defaults and effects that differ, and what is left after CONFIG REWRITE.
//!
//! A server of each release is started on its own, with the lines of the team's `keydb.conf`, or with
//! those of the reference cluster. Lines that would make it listen elsewhere, or that need files of
//! another machine, are left out, and said so.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use redis::{Value, cmd};
use serde::{Deserialize, Serialize};

use crate::cluster::{Cluster, Node};
use crate::lab::Lab;
use crate::testbed::Status;
use crate::topology::Topology;
use crate::wait::{DEADLINE, eventually};

/// First words of lines that are not tried here, and why.
const LEFT_OUT: &[(&str, &str)] = &[
    ("bind", "it listens where the testbed has it"),
    ("port", "it listens where the testbed has it"),
    ("unixsocket", "it listens where the testbed has it"),
    ("unixsocketperm", "it listens where the testbed has it"),
    ("tls-port", "it needs certificates of another machine"),
    ("tls-cert-file", "it needs certificates of another machine"),
    ("tls-key-file", "it needs certificates of another machine"),
    (
        "tls-ca-cert-file",
        "it needs certificates of another machine",
    ),
    (
        "tls-ca-cert-dir",
        "it needs certificates of another machine",
    ),
    (
        "tls-replication",
        "it needs certificates of another machine",
    ),
    (
        "tls-dh-params-file",
        "it needs certificates of another machine",
    ),
    ("dir", "its data are in the testbed's directory"),
    ("logfile", "its log is where the testbed reads it"),
    ("pidfile", "the testbed watches its process"),
    ("daemonize", "the testbed watches its process"),
    ("supervised", "the testbed watches its process"),
    ("syslog-enabled", "its log is where the testbed reads it"),
    ("replicaof", "it is started without its peers"),
    ("slaveof", "it is started without its peers"),
    (
        "requirepass",
        "the harness has to reach it; a password is not repeated in reports",
    ),
    ("masterauth", "a password is not repeated in reports"),
    ("masteruser", "it is started without its peers"),
    ("user", "a password is not repeated in reports"),
    ("aclfile", "it needs a file of another machine"),
    (
        "include",
        "it needs a file of another machine: give the lines of that file as well",
    ),
    ("loadmodule", "it needs a file of another machine"),
    (
        "rename-command",
        "the harness has to reach it by the commands' own names",
    ),
];
/// Options whose values name the place where a server runs, not how.
const OF_THE_PLACE: &[&str] = &[
    "bind",
    "port",
    "dir",
    "logfile",
    "pidfile",
    "unixsocket",
    "replicaof",
    "slaveof",
    "requirepass",
    "masterauth",
    "masteruser",
    "oom-score-adj-values",
    "bind-source-addr",
];
/// After so many refused lines a file is given up.
const REFUSALS: usize = 60;
const NODE: &str = "primary1";

/// A line that a release refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The line; empty if the server does not say which.
    pub line: String,
    /// What it says.
    pub said: String,
}

/// An option with its value on each of the releases; none where the release has no such option, or
/// does not show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The option, as CONFIG GET has it.
    pub option: String,
    /// What the file says, where it says something.
    pub wanted: Option<String>,
    /// On the old release.
    pub from: Option<String>,
    /// On the new one.
    pub to: Option<String>,
}

/// What a configuration comes to on two releases.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The file, or what stands for it.
    pub file: String,
    /// Lines that were not tried, and why.
    pub left_out: Vec<(String, String)>,
    /// What only the old release refuses.
    pub mended: Vec<Refusal>,
    /// What only the new release refuses: with it the server does not start.
    pub refused: Vec<Refusal>,
    /// What both refuse.
    pub refused_by_both: Vec<Refusal>,
    /// What the file sets, and the new release does not have as it says, where the old one did.
    pub ineffective: Vec<Setting>,
    /// What the file leaves open, and has another value on the new release.
    pub defaults: Vec<Setting>,
    /// Options that only the old release shows.
    pub gone: BTreeSet<String>,
    /// Options that only the new release shows.
    pub added: BTreeSet<String>,
    /// What another value has after CONFIG REWRITE and a restart on the new release, and not on the old
    /// one.
    pub rewritten: Vec<Setting>,
}

/// One release with the lines.
#[derive(Debug, Default)]
struct Effect {
    refused: Vec<Refusal>,
    values: BTreeMap<String, String>,
    after_rewrite: BTreeMap<String, String>,
}

/// Tries the lines of a file on both.
///
/// # Errors
/// A server does not start although none of its lines is refused, or does not answer.
pub async fn compare(from: &Lab, to: &Lab, file: &str, text: &str) -> Result<Configuration> {
    let (lines, left_out) = sorted_out(text);
    let (old, new) = (effect(from, &lines).await?, effect(to, &lines).await?);
    Ok(Configuration {
        file: file.to_owned(),
        left_out,
        ..differences(&lines, &old, &new)
    })
}

/// The lines to try, and those that are left out with the reason.
fn sorted_out(text: &str) -> (Vec<String>, Vec<(String, String)>) {
    let (mut lines, mut left_out) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let word = first_word(line);
        match LEFT_OUT.iter().find(|(name, _)| *name == word) {
            // Only its name: its value may be a password.
            Some((name, why)) => left_out.push(((*name).to_owned(), (*why).to_owned())),
            None => lines.push(line.to_owned()),
        }
    }
    (lines, left_out)
}

fn first_word(line: &str) -> String {
    let word = line.split_whitespace().next().unwrap_or_default();
    word.to_lowercase()
}

/// Starts a server with the lines, without those that it refuses, and asks it for its options, before
/// and after CONFIG REWRITE and a restart.
async fn effect(lab: &Lab, lines: &[String]) -> Result<Effect> {
    let topology = Topology::active_active().without_proxy().build()?;
    let cluster = Cluster::create(lab, topology).await?;
    let effect = of(&cluster, lines).await;
    cluster.close().await;
    effect.with_context(|| format!("the configuration on KeyDB {}", lab.keydb()))
}

async fn of(cluster: &Cluster, lines: &[String]) -> Result<Effect> {
    let node = cluster.node(NODE)?;
    let mut effect = Effect::default();
    let mut left: Vec<String> = lines.to_vec();
    loop {
        let own: String = left.iter().map(|line| format!("{line}\n")).collect();
        let config = format!("{}{own}", without_replicaof(node.config()));
        node.server().reconfigure(config).await?;
        let log = node.log().await.unwrap_or_default().len();
        node.start().await?;
        match answers(cluster, node).await? {
            None => break,
            Some(()) => {
                let said = node.log().await?;
                let refusal = refusal(said.get(log..).unwrap_or(&said));
                let before = left.len();
                left.retain(|line| !refusal.is_about(line));
                let stuck = left.len() == before;
                effect.refused.push(refusal);
                anyhow::ensure!(
                    effect.refused.len() < REFUSALS,
                    "it refuses more than {REFUSALS} lines: is this a keydb.conf?"
                );
                // It does not say which line: nothing more can be tried.
                if stuck {
                    return Ok(effect);
                }
            }
        }
    }
    effect.values = values(node).await?;
    let mut client = node.client().await?;
    if let Err(error) = client.query::<()>(cmd("CONFIG").arg("REWRITE")).await {
        effect.refused.push(Refusal {
            line: "CONFIG REWRITE".to_owned(),
            said: error.to_string(),
        });
        return Ok(effect);
    }
    node.restart().await?;
    if answers(cluster, node).await?.is_some() {
        let said = node.log().await?;
        effect.refused.push(Refusal {
            line: "what CONFIG REWRITE wrote".to_owned(),
            said: refusal(&said).said,
        });
        return Ok(effect);
    }
    effect.after_rewrite = values(node).await?;
    Ok(effect)
}

fn without_replicaof(config: &str) -> String {
    let kept = config
        .lines()
        .filter(|line| first_word(line) != "replicaof");
    kept.map(|line| format!("{line}\n")).collect()
}

/// Waits until a node answers; `Some` if it ended instead.
async fn answers(cluster: &Cluster, node: &Node) -> Result<Option<()>> {
    let what = format!("{} answers, or ends", node.name());
    let ended = eventually(cluster, &what, DEADLINE, || async {
        if let Ok(Status::Ended(_)) = node.status().await {
            return Ok(Some(()));
        }
        match node.info().await {
            Ok(info) if info.loading() != Some(true) => Ok(None),
            Ok(_) => Err("it loads".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    });
    Ok(ended.await?)
}

/// What a server said last before it ended: `>>> 'line'`, and the reason in the line after.
fn refusal(log: &str) -> Refusal {
    let mut lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    let named = lines.find_map(|line| {
        let quoted = line.strip_prefix(">>>")?.trim();
        Some(quoted.trim_matches('\'').to_owned())
    });
    match named {
        Some(line) => Refusal {
            line,
            said: lines.next().unwrap_or("nothing").to_owned(),
        },
        None => Refusal {
            line: String::new(),
            said: crate::lab::last_words(log),
        },
    }
}

impl Refusal {
    /// Whether it is about this line of the file: servers print it with single blanks.
    fn is_about(&self, line: &str) -> bool {
        let words = |text: &str| {
            let words = text.split_whitespace().map(str::to_lowercase);
            words.collect::<Vec<_>>()
        };
        !self.line.is_empty() && words(line) == words(&self.line)
    }
}

async fn values(node: &Node) -> Result<BTreeMap<String, String>> {
    let mut client = node.client().await?;
    let reply: Vec<Value> = client.query(cmd("CONFIG").arg("GET").arg("*")).await?;
    Ok(reply
        .chunks_exact(2)
        .map(|pair| (shown(&pair[0]), shown(&pair[1])))
        .filter(|(option, _)| !OF_THE_PLACE.contains(&&**option))
        .collect())
}

/// A value as text; 6.3.4 gives some options as arrays, which are empty where there is none.
fn shown(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::Nil => String::new(),
        other => format!("{other:?}"),
    }
}

fn differences(lines: &[String], old: &Effect, new: &Effect) -> Configuration {
    let only = |one: &Effect, other: &Effect| -> Vec<Refusal> {
        let elsewhere =
            |refusal: &&Refusal| !other.refused.iter().any(|it| it.line == refusal.line);
        one.refused.iter().filter(elsewhere).cloned().collect()
    };
    let both = |refusal: &&Refusal| old.refused.iter().any(|it| it.line == refusal.line);
    let wanted = wanted(lines);
    let mut result = Configuration {
        mended: only(old, new),
        refused: only(new, old),
        refused_by_both: new.refused.iter().filter(both).cloned().collect(),
        ..Configuration::default()
    };
    let options: BTreeSet<&String> = old.values.keys().chain(new.values.keys()).collect();
    for option in options {
        let (from, to) = (old.values.get(option), new.values.get(option));
        let setting = Setting {
            option: option.clone(),
            wanted: wanted.get(option).cloned(),
            from: from.cloned(),
            to: to.cloned(),
        };
        match (from, to, &setting.wanted) {
            // One of them did not start.
            _ if old.values.is_empty() || new.values.is_empty() => {}
            (Some(_), None, None) => {
                result.gone.insert(option.clone());
            }
            (None, Some(_), None) => {
                result.added.insert(option.clone());
            }
            (Some(from), Some(to), None) if from != to => result.defaults.push(setting),
            (from, Some(to), Some(wanted)) => {
                let as_wanted = |value: &str| alike(value, wanted);
                if !as_wanted(to) && from.is_none_or(|from| as_wanted(from)) {
                    result.ineffective.push(setting);
                }
            }
            (Some(_), None, Some(_)) => result.ineffective.push(setting),
            _ => {}
        }
    }
    for (option, after) in &new.after_rewrite {
        let changed = |effect: &Effect| {
            let before = effect.values.get(option);
            let after = effect.after_rewrite.get(option);
            before.is_some() && after.is_some() && before != after
        };
        if changed(new) && !changed(old) {
            result.rewritten.push(Setting {
                option: option.clone(),
                wanted: wanted.get(option).cloned(),
                from: new.values.get(option).cloned(),
                to: Some(after.clone()),
            });
        }
    }
    result
}

/// What a file sets, by option; those that may stand there more than once are left out, as what they
/// come to is more than their last line.
fn wanted(lines: &[String]) -> BTreeMap<String, String> {
    let mut wanted = BTreeMap::new();
    let mut often = BTreeSet::new();
    for line in lines {
        let option = first_word(line);
        let value = line.trim()[option.len()..].trim();
        if wanted
            .insert(option.clone(), value.trim_matches('"').to_owned())
            .is_some()
            || matches!(&*option, "save" | "client-output-buffer-limit")
        {
            often.insert(option);
        }
    }
    wanted.retain(|option, _| !often.contains(option));
    wanted
}

/// Whether a value is what the file says: `64mb` is 67108864.
fn alike(value: &str, wanted: &str) -> bool {
    value.eq_ignore_ascii_case(wanted)
        || bytes(wanted).is_some_and(|wanted| bytes(value) == Some(wanted))
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.to_lowercase();
    let units = [
        ("gb", 1 << 30),
        ("mb", 1 << 20),
        ("kb", 1 << 10),
        ("g", 1_000_000_000),
        ("m", 1_000_000),
        ("k", 1000),
        ("b", 1),
    ];
    let with_unit = units.iter().find_map(|(unit, times)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*times)
    });
    with_unit.or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("64mb", "67108864", true)]
    #[case("yes", "yes", true)]
    #[case("yes", "no", false)]
    #[case("1m", "1000000", true)]
    #[case("0", "0", true)]
    #[case("10", "20", false)]
    fn values_are_compared_as_servers_mean_them(
        #[case] wanted: &str,
        #[case] value: &str,
        #[case] same: bool,
    ) {
        assert_eq!(alike(value, wanted), same);
    }

    #[test]
    fn a_refused_line_is_read_from_the_log() {
        let log = "oO0 KeyDB is starting\n\n*** FATAL CONFIG FILE ERROR (KeyDB 6.3.4) ***\n\
                   Reading the configuration file, at line 7\n>>> 'no-such yes'\n\
                   Bad directive or wrong number of arguments\n";
        let seen = refusal(log);
        assert_eq!(seen.line, "no-such yes");
        assert!(seen.said.starts_with("Bad directive"), "{seen:?}");
        assert!(seen.is_about("  no-such   yes"));
        assert!(!seen.is_about("no-such no"));
        assert_eq!(refusal("something else\n").line, "");
    }

    #[test]
    fn passwords_and_places_are_left_out() {
        let text = "# a comment\nport 7000\nmaxmemory 64mb\nrequirepass very-secret\n\n";
        let (lines, left_out) = sorted_out(text);
        assert_eq!(lines, ["maxmemory 64mb"]);
        assert_eq!(left_out.len(), 2);
        assert!(!format!("{left_out:?}").contains("very-secret"));
    }

    #[test]
    fn each_difference_is_told_as_what_it_is() {
        let effect = |refused: &[&str], values: &[(&str, &str)], after: &[(&str, &str)]| Effect {
            refused: refused
                .iter()
                .map(|line| Refusal {
                    line: (*line).to_owned(),
                    said: "no".to_owned(),
                })
                .collect(),
            values: own(values),
            after_rewrite: own(after),
        };
        let old = effect(
            &["a 1"],
            &[("d", "1"), ("w", "64"), ("g", "x"), ("s", "1")],
            &[("s", "1")],
        );
        let new = effect(
            &["b 2"],
            &[("d", "2"), ("w", "0"), ("n", "y"), ("s", "1")],
            &[("s", "5")],
        );
        let lines = ["w 64".to_owned()];
        let seen = differences(&lines, &old, &new);
        assert_eq!(
            (&*seen.mended[0].line, &*seen.refused[0].line),
            ("a 1", "b 2")
        );
        assert_eq!(seen.defaults[0].option, "d");
        assert_eq!(seen.ineffective[0].option, "w");
        assert_eq!(seen.gone, BTreeSet::from(["g".to_owned()]));
        assert_eq!(seen.added, BTreeSet::from(["n".to_owned()]));
        assert_eq!(seen.rewritten[0].option, "s");
        let same = differences(&lines, &old, &old);
        assert_eq!(
            same,
            Configuration {
                refused_by_both: old.refused.clone(),
                ..Configuration::default()
            }
        );
    }

    fn own(values: &[(&str, &str)]) -> BTreeMap<String, String> {
        let values = values.iter();
        values
            .map(|(option, value)| ((*option).to_owned(), (*value).to_owned()))
            .collect()
    }
}
