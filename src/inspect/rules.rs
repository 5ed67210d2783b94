//! What is wrong or risky about nodes, by what they say: a rule is a function of the whole survey. To
//! add one: a function, and a line in `RULES`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::survey::{Facts, Surveyed};
use super::{Notice, Severity};
use crate::settings::Expect;
use crate::topology::Role;
use crate::verdict::expectation::{Expectations, Kind};

type Rule = fn(&[Surveyed]) -> Vec<Notice>;

const RULES: &[(&str, Rule)] = &[
    ("answers", answers),
    ("settings-shown", settings_shown),
    ("links-up", links_up),
    ("links-both-ways", links_both_ways),
    ("as-declared", as_declared),
    ("writable", writable),
    ("takes-all-upstreams", takes_all_upstreams),
    ("serves-while-apart", serves_while_apart),
    ("backlog", backlog),
    ("append-only", append_only),
    ("persistence", persistence),
    ("memory", memory),
    ("replicas-to-write", replicas_to_write),
    ("forwards", forwards),
    ("replica-buffers", replica_buffers),
    ("replicas-read-only", replicas_read_only),
    ("clocks", clocks),
    ("one-release", one_release),
    ("known-release", known_release),
];

/// Clocks that are farther apart than this decide conflicts otherwise than people think, seconds.
const CLOCKS_APART: f64 = 0.1;
/// A backlog below this is overrun within seconds of a break under load, bytes.
const SMALL_BACKLOG: u64 = 16 << 20;

/// Everything that the rules notice, the worst first.
pub fn all(nodes: &[Surveyed]) -> Vec<Notice> {
    let mut notices: Vec<Notice> = RULES.iter().flat_map(|(_, rule)| rule(nodes)).collect();
    notices.sort_by_key(|notice| notice.severity);
    notices
}

fn answering(nodes: &[Surveyed]) -> impl Iterator<Item = (&Surveyed, &Facts)> {
    nodes
        .iter()
        .filter_map(|node| Some((node, node.facts.as_ref().ok()?)))
}

fn primaries(nodes: &[Surveyed]) -> impl Iterator<Item = (&Surveyed, &Facts)> {
    answering(nodes).filter(|(_, facts)| facts.is_active())
}

fn answers(nodes: &[Surveyed]) -> Vec<Notice> {
    let silent = nodes.iter().filter_map(|node| {
        let why = node.facts.as_ref().err()?;
        let mend = "see whether it runs, listens there, and takes this password";
        Some(Notice::new(
            Severity::Risk,
            node.name(),
            // What answers in another protocol is told on several lines.
            format!("it does not answer: {}", on_one_line(why)),
            mend,
        ))
    });
    silent.collect()
}

fn settings_shown(nodes: &[Surveyed]) -> Vec<Notice> {
    let silent = answering(nodes).filter(|(_, facts)| facts.config.is_empty());
    let notices = silent.map(|(node, _)| {
        let says = "it does not answer CONFIG GET: nothing is said of its settings";
        let mend = "ask it as a user who may: `ACL SETUSER ... +config|get +time`";
        Notice::new(Severity::Notice, node.name(), says, mend)
    });
    notices.collect()
}

fn on_one_line(text: impl ToString) -> String {
    let text = text.to_string();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn links_up(nodes: &[Surveyed]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (node, facts) in answering(nodes) {
        if facts.info.loading() == Some(true) {
            notices.push(
                Notice::new(
                    Severity::Warning,
                    node.name(),
                    "it loads its data set, and refuses everything but PING and INFO meanwhile",
                    "wait until it is done; see that the proxy's check does not pass it",
                )
                .known("F12"),
            );
        }
        for upstream in facts.info.replication().masters {
            if !upstream.link_up {
                notices.push(Notice::new(
                    Severity::Risk,
                    node.name(),
                    format!("its link to {}:{} is down", upstream.host, upstream.port),
                    "see its log and the network between the two",
                ));
            }
        }
    }
    notices
}

/// Whether `facts` follow the node, by host and port as they know it.
fn follows(facts: &Facts, other: &Surveyed, its: &Facts) -> bool {
    let port = its
        .info
        .get("tcp_port")
        .and_then(|port| port.parse::<u16>().ok());
    facts.info.replication().masters.iter().any(|upstream| {
        let reach = &other.asked.reach;
        let is_there = |at: &IpAddr| upstream.host == at.to_string();
        let same_host = upstream.host == reach.host
            || upstream.host == other.name()
            || other.addresses.iter().any(is_there);
        same_host && (upstream.port == reach.port || Some(upstream.port) == port)
    })
}

/// What an inventory says of a node, against what the node says of itself.
fn as_declared(nodes: &[Surveyed]) -> Vec<Notice> {
    let mut notices = Vec::new();
    for (node, facts) in answering(nodes) {
        let Some(declared) = &node.asked.declared else {
            continue;
        };
        let mut notice = |says: String, mend: &str| {
            notices.push(Notice::new(Severity::Risk, node.name(), says, mend));
        };
        let links = facts.info.replication().masters.len();
        match (declared.role, facts.is_active()) {
            (Role::Primary, false) if !declared.follows.is_empty() => notice(
                "the inventory calls it one of several primaries, and `active-replica` is off: it \
                 is a server of its own, or a read-only replica"
                    .to_owned(),
                "write `active-replica yes` into its file and start it again, or mend the inventory",
            ),
            (Role::Replica, true) => notice(
                "the inventory calls it a replica, and it is an active one: what is written to it \
                 goes to all"
                    .to_owned(),
                "write `active-replica no` into its file and start it again, or mend the inventory",
            ),
            (Role::Replica, false) if links == 0 && !declared.follows.is_empty() => notice(
                format!(
                    "the inventory says that it follows {}, and it follows nobody",
                    declared.follows.join(" and ")
                ),
                "`REPLICAOF` it there, and write that into its file",
            ),
            _ => {}
        }
        let wanted = declared.follows.len();
        // Addresses may be others within the cluster than from here: only what is surely another counts.
        let known = answering(nodes).filter(|(other, its)| follows(facts, other, its));
        let known: Vec<&str> = known.map(|(other, _)| other.name()).collect();
        let elsewhere = known
            .iter()
            .filter(|it| !declared.follows.iter().any(|name| name == *it));
        let elsewhere: Vec<&str> = elsewhere.copied().collect();
        let mend = "`REPLICAOF` it there, and write that into its file, or mend the inventory";
        if !elsewhere.is_empty() {
            let says = format!(
                "the inventory says that it follows {}, and it follows {}",
                declared.follows.join(" and "),
                elsewhere.join(" and ")
            );
            notice(says, mend);
        } else if links != wanted && links > 0 {
            let says = format!("it follows {links} servers, and by the inventory {wanted}");
            notice(says, mend);
        }
    }
    notices
}

fn links_both_ways(nodes: &[Surveyed]) -> Vec<Notice> {
    let primaries: Vec<_> = primaries(nodes).collect();
    let mut notices = Vec::new();
    for (one, its) in &primaries {
        for (other, others) in &primaries {
            if one.name() != other.name()
                && follows(its, other, others)
                && !follows(others, one, its)
            {
                notices.push(Notice::new(
                    Severity::Risk,
                    other.name(),
                    format!(
                        "{} follows it, and it does not follow {}: what is written there does not \
                         come here",
                        one.name(),
                        one.name()
                    ),
                    format!(
                        "`REPLICAOF` it to {}, and write that into its file",
                        one.name()
                    ),
                ));
            }
        }
        if its.info.replication().masters.is_empty() {
            let says =
                "it is an active replica and follows nobody: what others write does not come here";
            let mend = "in its file put `active-replica yes` (and `multi-master yes`) above every \
                        `replicaof`";
            notices.push(Notice::new(Severity::Risk, one.name(), says, mend).known("I7"));
        }
    }
    notices
}

fn writable(nodes: &[Surveyed]) -> Vec<Notice> {
    let refusing = primaries(nodes).filter(|(_, facts)| facts.is_on("replica-read-only"));
    refusing
        .map(|(node, _)| {
            let says = "it replicates actively, and `replica-read-only` is yes: it refuses writes";
            let mend = "put `replica-read-only no` below `active-replica yes`";
            Notice::new(Severity::Risk, node.name(), says, mend).known("I9")
        })
        .collect()
}

fn takes_all_upstreams(nodes: &[Surveyed]) -> Vec<Notice> {
    let wanted = primaries(nodes).count().saturating_sub(1);
    if wanted < 2 {
        return Vec::new();
    }
    let short = primaries(nodes).filter_map(|(node, facts)| {
        let has = facts.info.replication().masters.len();
        (has < wanted).then(|| {
            let says = format!("it follows {has} of the {wanted} other primaries");
            let mend = "put `multi-master yes` above `active-replica yes` and every `replicaof`, \
                        unless the ring is meant";
            Notice::new(Severity::Warning, node.name(), says, mend).known("I7")
        })
    });
    short.collect()
}

fn serves_while_apart(nodes: &[Surveyed]) -> Vec<Notice> {
    let refusing: Vec<_> = primaries(nodes)
        .filter(|(_, facts)| facts.option("replica-serve-stale-data") == Some("no"))
        .collect();
    let all = refusing.len() > 1 && refusing.len() == primaries(nodes).count();
    refusing
        .into_iter()
        .map(|(node, _)| {
            let (severity, says) = match all {
                true => (
                    Severity::Risk,
                    "no primary serves while a link is down: after an outage of all they may turn \
                     each other away for ever",
                ),
                false => (
                    Severity::Warning,
                    "it refuses everything while a link is down",
                ),
            };
            let mend =
                "set `replica-serve-stale-data yes`, or a `replica-quorum` that one link meets";
            Notice::new(severity, node.name(), says, mend).known("L8")
        })
        .collect()
}

fn backlog(nodes: &[Surveyed]) -> Vec<Notice> {
    let small = primaries(nodes).filter_map(|(node, facts)| {
        let size = facts.number("repl-backlog-size")?;
        (size < SMALL_BACKLOG).then(|| {
            let says = format!(
                "its backlog holds {} KiB: a break in which more is written ends in a full resync, \
                 which merges without tombstones",
                size >> 10
            );
            let mend = "set `repl-backlog-size` to what is written in the longest break to bridge";
            Notice::new(Severity::Warning, node.name(), says, mend).known("F5")
        })
    });
    small.collect()
}

fn append_only(nodes: &[Surveyed]) -> Vec<Notice> {
    let on = primaries(nodes).filter(|(_, facts)| facts.is_on("appendonly"));
    on.map(|(node, _)| {
        let says = "an append-only file on an active primary: what came from its peers is refused \
                    when the file is loaded, and old values may beat newer ones after a restart";
        let mend = "use RDB save points on active primaries, and AOF on plain replicas if anywhere";
        Notice::new(Severity::Risk, node.name(), says, mend).known("F4")
    })
    .collect()
}

fn persistence(nodes: &[Surveyed]) -> Vec<Notice> {
    let without = |facts: &Facts| {
        facts.option("save") == Some("") && facts.option("appendonly") == Some("no")
    };
    let all: Vec<_> = primaries(nodes).collect();
    let none = all.iter().filter(|(_, facts)| without(facts)).count();
    if none == 0 || none < all.len() {
        return Vec::new();
    }
    vec![Notice::new(
        Severity::Warning,
        "cluster",
        "no primary keeps anything on disk: an outage of all loses everything",
        "give the primaries save points, unless it is a cache",
    )]
}

fn memory(nodes: &[Surveyed]) -> Vec<Notice> {
    let limited = primaries(nodes).filter_map(|(node, facts)| {
        let limit = facts.number("maxmemory").filter(|limit| *limit > 0)?;
        let policy = facts.option("maxmemory-policy").unwrap_or_default();
        let full = facts
            .info
            .stat("used_memory")
            .is_some_and(|used| used as f64 > limit as f64 * 0.8);
        let severity = if full {
            Severity::Risk
        } else {
            Severity::Warning
        };
        Some(match policy {
            "noeviction" => Notice::new(
                severity,
                node.name(),
                "at its `maxmemory` it refuses what its peers wrote, and lacks it for ever",
                "watch `used_memory`, and keep it well below `maxmemory` on every primary",
            )
            .known("D20"),
            policy => Notice::new(
                severity,
                node.name(),
                format!("it evicts ({policy}), and what it evicts stays on its peers and replicas"),
                "use the same `maxmemory` everywhere, and take it for a cache whose nodes differ",
            )
            .known("D17"),
        })
    });
    limited.collect()
}

fn replicas_to_write(nodes: &[Surveyed]) -> Vec<Notice> {
    let set = primaries(nodes).filter(|(_, facts)| {
        let least = |name| facts.number(name).is_some_and(|least| least > 0);
        least("min-replicas-to-write") || least("min-slaves-to-write")
    });
    set.map(|(node, _)| {
        let says = "`min-replicas-to-write` counts for nothing on a primary that follows another";
        let mend = "let the application WAIT for what must be on two nodes";
        Notice::new(Severity::Warning, node.name(), says, mend).known("H25")
    })
    .collect()
}

fn forwards(nodes: &[Surveyed]) -> Vec<Notice> {
    let silent = primaries(nodes).filter(|(_, facts)| {
        let replicas = facts.info.replication().connected_slaves.unwrap_or(0) as usize;
        facts.is_on("multi-master-no-forward") && replicas >= primaries(nodes).count()
    });
    silent
        .map(|(node, _)| {
            let says =
                "with `multi-master-no-forward yes` its plain replicas lack what its peers write";
            let mend = "set it to no where plain replicas follow";
            Notice::new(Severity::Risk, node.name(), says, mend).known("D13")
        })
        .collect()
}

fn replica_buffers(nodes: &[Surveyed]) -> Vec<Notice> {
    let tight = answering(nodes).filter_map(|(node, facts)| {
        let limits = facts.option("client-output-buffer-limit")?;
        let words: Vec<&str> = limits.split_whitespace().collect();
        let of_replicas = words
            .chunks_exact(4)
            .find(|limit| matches!(limit[0], "slave" | "replica"))?;
        let hard: u64 = of_replicas[1].parse().ok()?;
        (hard > 0 && hard < 64 << 20).then(|| {
            let says = format!(
                "it cuts off who follows it once {} KiB wait: a load of data then ends in one full \
                 resync after the other",
                hard >> 10
            );
            let mend = "raise `client-output-buffer-limit replica` to some hundred megabytes";
            Notice::new(Severity::Warning, node.name(), says, mend).known("L2")
        })
    });
    tight.collect()
}

fn replicas_read_only(nodes: &[Surveyed]) -> Vec<Notice> {
    let open = answering(nodes).filter(|(_, facts)| {
        !facts.is_active()
            && facts.info.get("role") == Some("slave")
            && facts.option("replica-read-only") == Some("no")
    });
    open.map(|(node, _)| {
        let says =
            "a plain replica takes writes: they go nowhere else, and the next resync drops them";
        let mend = "set `replica-read-only yes`, or make it an active primary";
        Notice::new(Severity::Risk, node.name(), says, mend)
    })
    .collect()
}

fn clocks(nodes: &[Surveyed]) -> Vec<Notice> {
    let clocks: Vec<(&str, (f64, f64))> = answering(nodes)
        .filter_map(|(node, facts)| Some((node.name(), facts.clock?)))
        .collect();
    let by = |one: &&(&str, (f64, f64)), other: &&(&str, (f64, f64))| one.1.0.total_cmp(&other.1.0);
    let (Some(least), Some(most)) = (clocks.iter().min_by(by), clocks.iter().max_by(by)) else {
        return Vec::new();
    };
    let (apart, error) = (most.1.0 - least.1.0, most.1.1 + least.1.1);
    // What may be the network's is not held against the clocks.
    if apart - error < CLOCKS_APART {
        return Vec::new();
    }
    vec![Notice::new(
        Severity::Risk,
        most.0,
        format!(
            "its clock is {apart:.2} s (give or take {error:.2} s) ahead of {}: its writes beat later \
             ones, as the newest wins by the clock of who wrote",
            least.0
        ),
        "run NTP on every node, and watch the offset",
    )]
}

fn one_release(nodes: &[Surveyed]) -> Vec<Notice> {
    let versions: BTreeSet<&str> = answering(nodes)
        .filter_map(|(_, facts)| facts.info.version())
        .collect();
    if versions.len() < 2 {
        return Vec::new();
    }
    let versions: Vec<&str> = versions.into_iter().collect();
    vec![
        Notice::new(
            Severity::Warning,
            "cluster",
            format!(
                "the nodes run {}: what one release passes on another may refuse",
                versions.join(" and ")
            ),
            "finish the upgrade; `upgrade --from --to` tells what breaks on the way",
        )
        .known("F10"),
    ]
}

fn known_release(nodes: &[Surveyed]) -> Vec<Notice> {
    let versions: BTreeSet<&str> = answering(nodes)
        .filter_map(|(_, facts)| facts.info.version())
        .collect();
    let told = versions.into_iter().map(|version| {
        let known = Expectations::load(&Expect::Shipped, version).ok().flatten();
        let Some(known) = known else {
            let says = format!("the harness does not know KeyDB {version}");
            let mend = "run `check` against that build, and freeze what it does";
            return Notice::new(Severity::Notice, "cluster", says, mend);
        };
        let broken = known.deviations.iter().filter(|it| it.kind == Kind::Broken);
        let ids: BTreeSet<&str> = broken.map(|it| &*it.id).collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        Notice::new(
            Severity::Notice,
            "cluster",
            format!(
                "KeyDB {version} is known to break promises: {}",
                ids.join(" ")
            ),
            "`explain ID` tells what one notices of each, and what to do",
        )
    });
    told.collect()
}

#[cfg(test)]
mod tests;
