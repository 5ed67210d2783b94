//! `cluster.toml`: which servers a cluster consists of, how they are reached, and what strikes them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use crate::cluster::reach::{Reach, Tls};
use crate::input;
use crate::secret::Secret;
use crate::topology::{PROXY, Role};

/// What every key of the harness begins with, unless the inventory says otherwise.
const PREFIX: &str = "keydb-harness:";
/// Seconds that every key of the harness lives.
const TTL: u64 = 900;
/// Fewer seconds could pass while a slow node is waited for.
const SHORTEST_TTL: u64 = 300;
/// Seconds that a command for a fault may take.
const COMMAND: u64 = 120;

/// An inventory that cannot be used: exit code 64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InventoryError(pub String);

/// A cluster that runs somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// What its owners call it.
    pub name: String,
    /// What every key of the harness begins with.
    pub prefix: String,
    /// Seconds that every key of the harness lives.
    pub ttl: u64,
    /// Every KeyDB, primaries first.
    pub members: Vec<Member>,
    /// What clients and replicas talk to, if there is one.
    pub proxy: Option<ProxyAt>,
    /// What strikes a node, and what heals it.
    pub commands: Vec<Strike>,
    /// Seconds that such a command may take.
    pub command_seconds: u64,
    /// Where they are carried out: beside the inventory.
    pub dir: PathBuf,
}

/// One KeyDB of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Unique.
    pub name: String,
    /// Primary or replica.
    pub role: Role,
    /// The names of those it replicates, `proxy` among them.
    pub follows: Vec<String>,
    /// Where it is, and as whom it is asked.
    pub reach: Reach,
}

/// The proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyAt {
    /// Where clients reach it.
    pub reach: Reach,
    /// Its admin socket: `HOST:PORT`, or `unix:PATH`.
    pub admin: Option<String>,
}

/// A fault by the commands of those who run the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strike {
    /// `stop`, `kill` or `pause`.
    pub name: &'static str,
    /// A line for the shell with `{node}`, `{host}` and `{port}` in it.
    pub strikes: String,
    /// The same, for what takes it back.
    pub heals: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Raw {
    name: Option<String>,
    prefix: Option<String>,
    ttl: Option<u64>,
    #[serde(default)]
    access: Access,
    #[serde(default)]
    node: Vec<RawNode>,
    proxy: Option<RawProxy>,
    #[serde(default)]
    faults: Faults,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Access {
    username: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    tls: Option<RawTls>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawTls {
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawNode {
    name: String,
    address: String,
    role: RawRole,
    follows: Option<Vec<String>>,
    access: Option<Access>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RawRole {
    Primary,
    Replica,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RawProxy {
    address: String,
    admin: Option<String>,
    access: Option<Access>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Faults {
    stop: Option<String>,
    kill: Option<String>,
    start: Option<String>,
    pause: Option<String>,
    resume: Option<String>,
    seconds: Option<u64>,
}

impl Inventory {
    /// Reads a file; certificates and password files are looked for beside it.
    ///
    /// # Errors
    /// The file, or one that it names, cannot be read, or something in it makes no sense; the text
    /// names it and says what to write.
    pub fn read(file: &Path) -> Result<Self, InventoryError> {
        let at = |problem: String| InventoryError(format!("{}: {problem}", file.display()));
        let text = input::file(file, input::TEXT)
            .map_err(|error| at(format!("{error}; name an inventory that can be read")))?;
        let beside = match file.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        Self::parse(&text, beside).map_err(|error| at(error.0))
    }

    /// Reads the text of one, whose relative paths begin at `beside`.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn parse(text: &str, beside: &Path) -> Result<Self, InventoryError> {
        // Without the line itself: somebody may have written a password there.
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            InventoryError(format!(
                "it is no inventory: line {line}: {}",
                error.message()
            ))
        })?;
        let prefix = raw.prefix.unwrap_or_else(|| PREFIX.to_owned());
        if prefix.len() < 3 || prefix.contains(char::is_whitespace) {
            return Err(InventoryError(format!(
                "the prefix '{prefix}' would meet the keys of others: write three characters or more, without spaces, such as {PREFIX}"
            )));
        }
        let ttl = raw.ttl.unwrap_or(TTL);
        if ttl < SHORTEST_TTL {
            return Err(InventoryError(format!(
                "ttl = {ttl}: keys could end while they are looked for; write {SHORTEST_TTL} (seconds) or more"
            )));
        }
        let proxy = raw
            .proxy
            .map(|proxy| {
                let access = proxy.access.as_ref().unwrap_or(&raw.access);
                let reach = access.reach(PROXY, &proxy.address, beside)?;
                let admin = proxy.admin;
                Ok::<_, InventoryError>(ProxyAt { reach, admin })
            })
            .transpose()?;
        let members = members(&raw.node, &raw.access, proxy.is_some(), beside)?;
        Ok(Self {
            name: raw.name.unwrap_or_else(|| "attached".to_owned()),
            prefix,
            ttl,
            members,
            proxy,
            dir: beside.to_owned(),
            command_seconds: raw.faults.seconds.unwrap_or(COMMAND).max(1),
            commands: raw.faults.strikes()?,
        })
    }

    /// The primaries, in order.
    pub fn primaries(&self) -> impl Iterator<Item = &Member> {
        let members = self.members.iter();
        members.filter(|member| member.role == Role::Primary)
    }

    /// The replicas, in order.
    pub fn replicas(&self) -> impl Iterator<Item = &Member> {
        let members = self.members.iter();
        members.filter(|member| member.role == Role::Replica)
    }
}

fn members(
    nodes: &[RawNode],
    common: &Access,
    has_proxy: bool,
    beside: &Path,
) -> Result<Vec<Member>, InventoryError> {
    let names: BTreeSet<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    if names.len() != nodes.len() {
        return Err(InventoryError(
            "two nodes have the same name: give each its own".to_owned(),
        ));
    }
    let primaries: Vec<&str> = nodes
        .iter()
        .filter(|node| matches!(node.role, RawRole::Primary))
        .map(|node| node.name.as_str())
        .collect();
    if primaries.is_empty() {
        return Err(InventoryError(
            "no node has role = \"primary\": write a [[node]] with name, address and role for each server".to_owned(),
        ));
    }
    let mut members = Vec::new();
    for node in nodes {
        let name = &node.name;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || !name.chars().all(plain) || name == PROXY {
            return Err(InventoryError(format!(
                "'{name}' is no name for a node: use letters, digits, '-', '_' and '.', and not '{PROXY}'"
            )));
        }
        let access = node.access.as_ref().unwrap_or(common);
        let (role, follows) = match node.role {
            RawRole::Primary => {
                let others = primaries.iter().filter(|it| *it != name);
                (Role::Primary, others.map(|it| (*it).to_owned()).collect())
            }
            RawRole::Replica if has_proxy => (Role::Replica, vec![PROXY.to_owned()]),
            RawRole::Replica => (Role::Replica, vec![primaries[0].to_owned()]),
        };
        let follows = node.follows.clone().unwrap_or(follows);
        let known = |it: &String| names.contains(it.as_str()) || (it == PROXY && has_proxy);
        if let Some(unknown) = follows.iter().find(|it| !known(it) || *it == name) {
            return Err(InventoryError(format!(
                "{name} follows '{unknown}', which is no other node: name one of the nodes, or {PROXY} where there is a [proxy]"
            )));
        }
        members.push(Member {
            name: name.clone(),
            role,
            follows,
            reach: access.reach(name, &node.address, beside)?,
        });
    }
    members.sort_by_key(|member| member.role == Role::Replica);
    Ok(members)
}

impl Access {
    fn reach(&self, of: &str, address: &str, beside: &Path) -> Result<Reach, InventoryError> {
        let wrong = || {
            InventoryError(format!(
                "'{address}' is no address of {of}: write HOST:PORT, such as 10.0.0.1:6379"
            ))
        };
        let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_.:%".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return Err(wrong());
        }
        Ok(Reach {
            host: host.to_owned(),
            port: port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or_else(wrong)?,
            username: self.username.clone(),
            password: self.password(of, beside)?,
            tls: self
                .tls
                .as_ref()
                .map(|tls| tls.load(of, beside))
                .transpose()?,
        })
    }

    /// Never from the inventory itself: that lies in a repository.
    fn password(&self, of: &str, beside: &Path) -> Result<Option<Secret>, InventoryError> {
        match (&self.password_env, &self.password_file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(InventoryError(format!(
                "{of} has password-env and password-file: name one"
            ))),
            (Some(variable), None) => match std::env::var(variable) {
                Ok(text) if !text.is_empty() => Ok(Some(Secret::new(text))),
                _ => Err(InventoryError(format!(
                    "the password of {of} is to come from the variable {variable}, which is not set: set it"
                ))),
            },
            (None, Some(file)) => {
                let bytes = load(of, beside, file)?;
                let text = String::from_utf8_lossy(&bytes);
                Ok(Some(Secret::new(text.trim_end_matches(['\r', '\n']))))
            }
        }
    }
}

impl RawTls {
    fn load(&self, of: &str, beside: &Path) -> Result<Arc<Tls>, InventoryError> {
        let read = |file: &Option<PathBuf>| {
            let file = file.as_deref();
            file.map(|file| load(of, beside, file)).transpose()
        };
        let identity = match (read(&self.cert)?, read(&self.key)?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                return Err(InventoryError(format!(
                    "tls of {of} has one of cert and key: name both, or none"
                )));
            }
        };
        let root = read(&self.ca)?;
        Ok(Arc::new(Tls { root, identity }))
    }
}

fn load(of: &str, beside: &Path, file: &Path) -> Result<Vec<u8>, InventoryError> {
    let path = beside.join(file);
    let read = input::file(&path, input::TEXT).map(String::into_bytes);
    read.map_err(|error| {
        InventoryError(format!(
            "{} of {of}: {error}; name a file that can be read",
            path.display()
        ))
    })
}

impl Faults {
    fn strikes(self) -> Result<Vec<Strike>, InventoryError> {
        let rows = [
            ("stop", self.stop, &self.start, "start"),
            ("kill", self.kill, &self.start, "start"),
            ("pause", self.pause, &self.resume, "resume"),
        ];
        let mut strikes = Vec::new();
        for (name, command, heals, healer) in rows {
            match (command, heals) {
                (None, _) => {}
                (Some(strike), Some(heals)) => strikes.push(Strike {
                    name,
                    strikes: strike,
                    heals: heals.clone(),
                }),
                (Some(_), None) => {
                    return Err(InventoryError(format!(
                        "[faults] has {name} and no {healer}: without it a node would stay away; name the command that takes it back"
                    )));
                }
            }
        }
        Ok(strikes)
    }
}

impl Strike {
    /// The lines for one node: what strikes, and what heals.
    pub fn of(&self, member: &Member) -> (String, String) {
        let fill = |line: &str| {
            line.replace("{node}", &member.name)
                .replace("{host}", &member.reach.host)
                .replace("{port}", &member.reach.port.to_string())
        };
        (fill(&self.strikes), fill(&self.heals))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    const GOOD: &str = r#"
        name = "staging"
        [[node]]
        name = "replica1"
        address = "10.0.0.3:6379"
        role = "replica"
        [[node]]
        name = "primary1"
        address = "db-1.example:6379"
        role = "primary"
        [[node]]
        name = "primary2"
        address = "[fd00::2]:6380"
        role = "primary"
        [proxy]
        address = "10.0.0.9:6379"
        [faults]
        stop = "ssh {host} systemctl stop keydb@{port} # {node}"
        start = "ssh {host} systemctl start keydb@{port}"
    "#;

    fn parse(text: &str) -> Result<Inventory, String> {
        Inventory::parse(text, Path::new("/nowhere")).map_err(|error| error.0)
    }

    #[test]
    fn who_follows_whom_is_as_in_the_guide_unless_it_is_said() {
        let inventory = parse(GOOD).unwrap();
        let follows = |name: &str| {
            let mut members = inventory.members.iter();
            members.find(|it| it.name == name).unwrap().follows.clone()
        };
        let names: Vec<_> = inventory.members.iter().map(|it| &*it.name).collect();
        assert_eq!(names, ["primary1", "primary2", "replica1"]);
        assert_eq!(follows("primary1"), ["primary2"]);
        assert_eq!(follows("replica1"), ["proxy"]);
        assert_eq!(inventory.members[1].reach.address(), "[fd00::2]:6380");
        let (strikes, heals) = inventory.commands[0].of(&inventory.members[0]);
        assert_eq!(
            strikes,
            "ssh db-1.example systemctl stop keydb@6379 # primary1"
        );
        assert_eq!(heals, "ssh db-1.example systemctl start keydb@6379");
    }

    #[rstest]
    #[case::no_toml("nonsense", "it is no inventory")]
    #[case::unknown_word("nmae = 'x'", "unknown field `nmae`")]
    #[case::nobody("name = 'x'", "no node has role")]
    #[case::twice(&GOOD.replace("primary2", "primary1"), "the same name")]
    #[case::odd_name(&GOOD.replace("\"primary2\"", "\"a b;c\""), "'a b;c' is no name")]
    #[case::no_port(&GOOD.replace("10.0.0.3:6379", "10.0.0.3"), "no address of replica1")]
    #[case::odd_host(&GOOD.replace("10.0.0.3:", "$(reboot):"), "no address of replica1")]
    #[case::no_way_back(&GOOD.replace("start =", "resume ="), "no start")]
    #[case::short_lived(&GOOD.replace("name = \"staging\"", "ttl = 5"), "300 (seconds)")]
    #[case::wide_prefix(&GOOD.replace("name = \"staging\"", "prefix = ''"), "keys of others")]
    #[case::follows_nobody(
        &GOOD.replace("role = \"replica\"", "role = \"replica\"\nfollows = [\"primary9\"]"),
        "follows 'primary9'"
    )]
    #[case::password_inside(
        &format!("{GOOD}\n[access]\npassword = 'hidden'"),
        "unknown field `password`"
    )]
    #[case::unset(
        &format!("{GOOD}\n[access]\npassword-env = 'NO_SUCH_VARIABLE_IS_SET'"),
        "NO_SUCH_VARIABLE_IS_SET, which is not set"
    )]
    #[case::no_file(
        &format!("{GOOD}\n[access.tls]\nca = 'ca.pem'"),
        "/nowhere/ca.pem of proxy"
    )]
    fn what_makes_no_sense_is_named(#[case] text: &str, #[case] names: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(names), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_text_makes_it_fall(cut in 0..GOOD.len(), inserted in ".{0,12}") {
            let cut = (0..=cut).rev().find(|at| GOOD.is_char_boundary(*at)).unwrap_or(0);
            let text = format!("{}{inserted}{}", &GOOD[..cut], &GOOD[cut..]);
            let _ = Inventory::parse(&text, Path::new("/nowhere"));
        }
    }
}
