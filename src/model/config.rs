//! `keydb.conf`: the directives that the model honours, and those it takes and does not need.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::secret;

/// A configuration file that cannot be used; the text is what KeyDB would print.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "*** FATAL CONFIG FILE ERROR (KeyDB) *** Reading the configuration file, at line {line}: >>> '{text}': {reason}"
)]
pub(super) struct ConfigError {
    line: usize,
    text: String,
    reason: String,
}

/// What a node was started with, and what `CONFIG SET` made of it.
#[derive(Debug, Clone)]
pub(super) struct Config {
    values: BTreeMap<String, String>,
    /// The `replicaof` lines.
    pub(super) upstreams: Vec<(String, u16)>,
}

/// Directives and their defaults; `CONFIG GET` shows them. The second half is taken as it is.
const DEFAULTS: &[(&str, &str)] = &[
    ("active-replica", "no"),
    ("appendonly", "no"),
    ("bind", "127.0.0.1"),
    ("dir", "."),
    ("key-load-delay", "0"),
    ("masterauth", ""),
    ("multi-master", "no"),
    ("multi-master-no-forward", "no"),
    ("port", "6379"),
    ("repl-backlog-size", "1048576"),
    ("repl-ping-replica-period", "10"),
    ("repl-timeout", "60"),
    ("replica-read-only", "yes"),
    ("requirepass", ""),
    ("save", "900 1 300 10 60 10000"),
    ("appendfsync", "everysec"),
    ("client-output-buffer-limit", ""),
    ("daemonize", "no"),
    ("databases", "16"),
    ("dbfilename", "dump.rdb"),
    ("hz", "10"),
    ("loading-process-events-interval-bytes", "2097152"),
    ("logfile", ""),
    ("loglevel", "notice"),
    ("maxmemory", "0"),
    ("min-replicas-to-write", "0"),
    ("pidfile", ""),
    ("protected-mode", "yes"),
    ("repl-backlog-ttl", "3600"),
    ("repl-diskless-load", "disabled"),
    ("repl-diskless-sync", "no"),
    ("repl-diskless-sync-delay", "5"),
    ("replica-announce-ip", ""),
    ("replica-announce-port", "0"),
    ("replica-quorum", "-1"),
    ("replica-serve-stale-data", "yes"),
    ("server-threads", "1"),
    ("tcp-backlog", "511"),
    ("tcp-keepalive", "300"),
    ("timeout", "0"),
];

/// The most databases of a node: each takes memory, also while it is empty.
const MOST_DATABASES: u64 = 1 << 16;

/// The older names of directives.
fn current_name(name: &str) -> &str {
    match name {
        "slaveof" => "replicaof",
        "slave-read-only" => "replica-read-only",
        "slave-serve-stale-data" => "replica-serve-stale-data",
        "repl-ping-slave-period" => "repl-ping-replica-period",
        "min-slaves-to-write" => "min-replicas-to-write",
        name => name,
    }
}

impl Config {
    /// Reads the text of a `keydb.conf`.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let defaults = DEFAULTS
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut config = Self {
            values: defaults.collect(),
            upstreams: Vec::new(),
        };
        let mut saves: Option<Vec<String>> = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refused = |reason: &str| ConfigError {
                line: number + 1,
                text: told(line),
                reason: reason.to_owned(),
            };
            let words =
                words(line).ok_or_else(|| refused("Unbalanced quotes in configuration line"))?;
            let name = words[0].to_ascii_lowercase();
            let name = current_name(&name);
            let value = words[1..].join(" ");
            match (name, &words[1..]) {
                (_, []) => return Err(refused("Bad directive or wrong number of arguments")),
                ("replicaof", [no, one])
                    if no.eq_ignore_ascii_case("no") && one.eq_ignore_ascii_case("one") =>
                {
                    config.upstreams.clear();
                }
                ("replicaof", [host, port]) => {
                    let port = port.parse().map_err(|_| refused("Invalid master port"))?;
                    config.upstreams.push((host.clone(), port));
                }
                ("save", _) if value.is_empty() => saves = Some(Vec::new()),
                ("save", _) => saves.get_or_insert_default().push(value),
                _ => config
                    .set(name, &value)
                    .map_err(|reason| refused(&reason))?,
            }
        }
        if let Some(saves) = saves {
            config.values.insert("save".to_owned(), saves.join(" "));
        }
        if config.is_set("multi-master") && !config.is_set("active-replica") {
            return Err(ConfigError {
                line: text.lines().count(),
                text: "multi-master yes".to_owned(),
                reason: "Multi Master requires active replication to be enabled.".to_owned(),
            });
        }
        if config.is_set("active-replica") {
            // docs active-rep.md: the option also implies replica-read-only no (P3).
            config
                .values
                .insert("replica-read-only".to_owned(), "no".to_owned());
        }
        Ok(config)
    }

    /// Changes a directive.
    ///
    /// # Errors
    /// There is none of that name, or the value does not fit; the text says which.
    pub(super) fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let name = current_name(name);
        let Some((_, default)) = DEFAULTS.iter().find(|(known, _)| *known == name) else {
            return Err("Bad directive or wrong number of arguments".to_owned());
        };
        if matches!(*default, "yes" | "no") && !matches!(value, "yes" | "no") {
            return Err("argument must be 'yes' or 'no'".to_owned());
        }
        if default.parse::<u64>().is_ok() && bytes(value).is_none() {
            return Err("argument couldn't be parsed into an integer".to_owned());
        }
        if name == "databases" && !(1..=MOST_DATABASES).contains(&bytes(value).unwrap_or(0)) {
            return Err(format!(
                "argument must be between 1 and {MOST_DATABASES} inclusive"
            ));
        }
        self.values.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// A directive's text; empty for one that does not exist.
    pub(super) fn get(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Every directive, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether a directive is `yes`.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.get(name) == "yes"
    }

    /// A directive's number, sizes in bytes.
    pub(super) fn number(&self, name: &str) -> u64 {
        bytes(self.get(name)).unwrap_or(0)
    }

    /// Where it listens.
    ///
    /// # Errors
    /// `bind` or `port` is no address.
    pub(super) fn address(&self) -> Result<SocketAddr, String> {
        let bind = self.get("bind").split(' ').next().unwrap_or_default();
        let ip = if matches!(bind, "*" | "") {
            "0.0.0.0"
        } else {
            bind
        };
        format!("{ip}:{}", self.get("port")).parse().map_err(|_| {
            format!(
                "bind '{bind}' with port '{}' is no address",
                self.get("port")
            )
        })
    }

    /// Its data directory.
    pub(super) fn dir(&self) -> PathBuf {
        PathBuf::from(self.get("dir"))
    }

    /// Whether SIGTERM writes an RDB.
    pub(super) fn saves(&self) -> bool {
        !self.get("save").is_empty()
    }
}

/// A line as it may be told: KeyDB repeats passwords in its log, the model does not.
fn told(line: &str) -> String {
    match line.split_once(char::is_whitespace) {
        Some((option, value)) => format!("{option} {}", secret::value(option, value)),
        None => line.to_owned(),
    }
}

/// The words of a line; double quotes keep spaces together.
fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let after = match rest.strip_prefix('"') {
            Some(inside) => {
                let (word, after) = unquoted(inside)?;
                words.push(word);
                after
            }
            None => {
                let (word, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                words.push(word.to_owned());
                after
            }
        };
        rest = after.trim_start();
    }
    Some(words)
}

/// What stands before the closing quote, and what follows it; a backslash takes the next character
/// as it is.
fn unquoted(inside: &str) -> Option<(String, &str)> {
    let mut word = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((word, &inside[at + 1..])),
            '\\' => word.push(characters.next()?.1),
            character => word.push(character),
        }
    }
    None
}

/// A number with KeyDB's units: `16kb`, `1mb`, `1gb`.
fn bytes(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "" | "b" => 1,
        "k" => 1000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rendered_file_is_understood() {
        let config = Config::parse(
            "# primary1\nbind 127.0.0.1\nport 7001\ndir \"/tmp/a b\"\nsave \"\"\nactive-replica yes\nreplicaof 127.0.0.2 6379\nrepl-backlog-size 16kb\n",
        )
        .unwrap();
        assert_eq!(config.address().unwrap().to_string(), "127.0.0.1:7001");
        assert_eq!(config.dir(), PathBuf::from("/tmp/a b"));
        assert!(!config.saves());
        assert!(
            !config.is_set("replica-read-only"),
            "active implies writable"
        );
        assert_eq!(config.upstreams, [("127.0.0.2".to_owned(), 6379)]);
        assert_eq!(config.number("repl-backlog-size"), 16384);
    }

    #[test]
    fn a_bad_line_is_named() {
        let error = Config::parse("port 1\nfrobnicate yes\n")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line 2") && error.contains("frobnicate"),
            "{error}"
        );
        assert!(Config::parse("active-replica maybe\n").is_err());
        assert!(Config::parse("repl-timeout x\n").is_err());
        assert!(Config::parse("dir \"open\n").is_err());
        let error = Config::parse("requirepass \"open sesame\n").unwrap_err();
        assert!(!error.to_string().contains("sesame"), "{error}");
        assert!(Config::parse("databases 99999999999\n").is_err());
    }

    #[test]
    fn quotes_keep_what_stands_between_them() {
        let config = Config::parse(r#"requirepass "a \"b\" \\ c""#).unwrap();
        assert_eq!(config.get("requirepass"), r#"a "b" \ c"#);
    }
}
