//! `inspect`: looks at a cluster that runs somewhere, and writes nothing to it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use keydb_harness::attached::inventory::Inventory;
use keydb_harness::cluster::reach::Reach;
use keydb_harness::console;
use keydb_harness::explanation;
use keydb_harness::inspect::survey::{Asked, Declared, survey};
use keydb_harness::inspect::{Notice, Severity, explained, file, proxy, rules};
use keydb_harness::verdict::exit;

use super::UsageProblem;

/// From where the password comes: it would show in the list of processes as a flag.
const ENV_PASSWORD: &str = "KEYDB_HARNESS_PASSWORD";

#[derive(Debug, Args)]
pub(super) struct InspectArgs {
    /// The nodes, HOST:PORT each; the password is taken from KEYDB_HARNESS_PASSWORD
    #[arg(value_name = "HOST:PORT")]
    nodes: Vec<String>,
    /// An inventory (`cluster.toml`, see `check --inventory`) that names nodes, and as whom they are asked
    #[arg(long, value_name = "FILE", conflicts_with = "nodes")]
    inventory: Option<PathBuf>,
    /// The proxy's configuration file
    #[arg(long, value_name = "FILE")]
    haproxy_config: Option<PathBuf>,
    /// A keydb.conf: the order of its lines decides, and no server shows it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print what is noticed as JSON
    #[arg(long)]
    json: bool,
    /// Warnings are an error too
    #[arg(long)]
    strict: bool,
}

pub(super) async fn inspect(args: InspectArgs) -> Result<u8> {
    let files = [&args.inventory, &args.haproxy_config, &args.config];
    if args.nodes.is_empty() && files.iter().all(|file| file.is_none()) {
        return Err(UsageProblem(
            "nothing to look at: name the nodes as HOST:PORT, or a file with --inventory, --config or --haproxy-config"
                .to_owned(),
        )
        .into());
    }
    let nodes = match &args.inventory {
        Some(file) => members(file)?,
        None => addressed(&args.nodes)?,
    };
    let proxy_config = read("--haproxy-config", args.haproxy_config.as_deref())?;
    let config = read("--config", args.config.as_deref())?;

    let surveyed = survey(&nodes).await;
    let mut notices = rules::all(&surveyed);
    notices.extend(proxy_config.as_deref().map(proxy::all).unwrap_or_default());
    notices.extend(config.as_deref().map(file::all).unwrap_or_default());
    notices.sort_by_key(|notice| notice.severity);

    let silent = surveyed.iter().filter(|node| node.facts.is_err()).count();
    if args.json {
        console::line(serde_json::to_string_pretty(&notices)?);
    } else {
        for node in &surveyed {
            let said = match &node.facts {
                Ok(facts) => format!(
                    "KeyDB {}, {}",
                    facts.info.version().unwrap_or("of unknown version"),
                    facts.info.get("role").unwrap_or("no role")
                ),
                Err(_) => "does not answer".to_owned(),
            };
            console::line(format_args!("{:<22} {said}", node.name()));
        }
        for notice in &notices {
            show(notice);
        }
        let known = explanation::all()?;
        let ids = explained(&notices, &known);
        if !ids.is_empty() {
            console::line(format_args!(
                "`keydb-harness explain {}` tells more",
                ids.join(" ")
            ));
        }
        let count = |severity| notices.iter().filter(|it| it.severity == severity).count();
        console::line(format_args!(
            "{} nodes: {} risks, {} warnings, {} notices; nothing was written",
            surveyed.len(),
            count(Severity::Risk),
            count(Severity::Warning),
            count(Severity::Notice)
        ));
    }
    let worst = notices.iter().map(|notice| notice.severity).min();
    Ok(match worst {
        _ if silent > 0 && silent == surveyed.len() => exit::ENVIRONMENT,
        Some(Severity::Risk) => exit::BROKEN,
        Some(Severity::Warning) if args.strict => exit::BROKEN,
        _ => exit::AS_EXPECTED,
    })
}

/// The text of a file that a flag names.
fn read(flag: &str, file: Option<&Path>) -> Result<Option<String>, UsageProblem> {
    let read = file.map(|file| {
        keydb_harness::input::file(file, keydb_harness::input::TEXT).map_err(|error| {
            UsageProblem(format!(
                "{flag} {}: {error}; name a file that can be read",
                file.display()
            ))
        })
    });
    read.transpose()
}

/// The nodes of an inventory.
fn members(file: &Path) -> Result<Vec<Asked>, UsageProblem> {
    let inventory = Inventory::read(file).map_err(|error| UsageProblem(error.to_string()))?;
    let members = inventory.members.into_iter().map(|member| Asked {
        name: member.name,
        reach: member.reach,
        declared: Some(Declared {
            role: member.role,
            follows: member.follows,
        }),
    });
    Ok(members.collect())
}

/// The nodes that stand on the command line.
fn addressed(nodes: &[String]) -> Result<Vec<Asked>, UsageProblem> {
    let password = std::env::var(ENV_PASSWORD).ok();
    let password = password.filter(|text| !text.is_empty());
    let nodes = nodes.iter().map(|node| {
        let found = address(node)?;
        // By the name that was written: that is how the others may know it.
        let host = node
            .rsplit_once(':')
            .map_or(node.as_str(), |(host, _)| host);
        Ok(Asked {
            name: node.clone(),
            reach: Reach {
                host: host.trim_matches(['[', ']']).to_owned(),
                ..Reach::plain(found, password.as_deref())
            },
            declared: None,
        })
    });
    nodes.collect()
}

fn address(node: &str) -> Result<SocketAddr, UsageProblem> {
    let wrong = |why: String| {
        UsageProblem(format!(
            "'{node}' is no node: {why}; write HOST:PORT, such as 10.0.0.1:6379"
        ))
    };
    let mut found = node
        .to_socket_addrs()
        .map_err(|error| wrong(error.to_string()))?;
    found
        .next()
        .ok_or_else(|| wrong("it has no address".to_owned()))
}

fn show(notice: &Notice) {
    let id = notice.id.as_ref().map(|id| format!(" [{id}]"));
    console::line(format_args!(
        "{:<8} {:<22} {}{}\n{:31} {}",
        notice.severity,
        notice.at,
        notice.says,
        id.unwrap_or_default(),
        "",
        notice.mend
    ));
}
