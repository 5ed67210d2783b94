//! What is risky about an HAProxy configuration in front of active primaries, read from its file.

use std::rc::Rc;

use super::{Notice, Severity};

/// A `backend` or `listen` section that has servers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Section {
    name: String,
    /// The lines of the `defaults` before it, shared by all that follow these.
    defaults: Rc<Vec<String>>,
    /// Its own lines. Comments and blanks at both ends are left out of both.
    own: Vec<String>,
    servers: usize,
}

/// Everything that is noticed; a text without any section with servers is a notice as well.
pub fn all(text: &str) -> Vec<Notice> {
    let sections = sections(text);
    if sections.is_empty() {
        return vec![Notice::new(
            Severity::Warning,
            AT,
            "it has no `backend` or `listen` section with a server",
            "name the file with the section in front of KeyDB",
        )];
    }
    let mut notices: Vec<Notice> = sections
        .iter()
        .filter(|section| section.servers > 1)
        .flat_map(Section::notices)
        .collect();
    notices.sort_by_key(|notice| notice.severity);
    notices
}

const AT: &str = "haproxy";

fn sections(text: &str) -> Vec<Section> {
    const KINDS: &[&str] = &[
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "resolvers",
        "peers",
        "userlist",
        "program",
        "cache",
        "ring",
        "mailers",
        "http-errors",
        "fcgi-app",
        "log-forward",
    ];
    let mut defaults: Rc<Vec<String>> = Rc::default();
    let mut all: Vec<Section> = Vec::new();
    let mut kind = String::new();
    for line in text.lines() {
        let line = line.split(" #").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if KINDS.contains(&first) {
            first.clone_into(&mut kind);
            match first {
                "defaults" => defaults = Rc::default(),
                "backend" | "listen" => all.push(Section {
                    name: words.next().unwrap_or_default().to_owned(),
                    defaults: Rc::clone(&defaults),
                    own: Vec::new(),
                    servers: 0,
                }),
                _ => {}
            }
            continue;
        }
        match (&*kind, all.last_mut()) {
            ("defaults", _) => Rc::make_mut(&mut defaults).push(line.to_owned()),
            ("backend" | "listen", Some(section)) => {
                section.servers += usize::from(matches!(first, "server" | "server-template"));
                section.own.push(line.to_owned());
            }
            _ => {}
        }
    }
    all.retain(|section| section.servers > 0);
    all
}

impl Section {
    fn lines(&self) -> impl Iterator<Item = &String> {
        self.defaults.iter().chain(&self.own)
    }

    fn has(&self, words: &str) -> bool {
        self.lines().any(|line| line.starts_with(words))
    }

    fn says(&self, words: &str) -> bool {
        let words = words.to_lowercase();
        self.lines()
            .any(|line| line.to_lowercase().contains(&words))
    }

    /// Whether every server of it is checked, by its own line or by default.
    fn checks(&self) -> bool {
        let checked = |line: &String| line.split_whitespace().any(|word| word == "check");
        let by_default = self
            .lines()
            .any(|it| it.starts_with("default-server") && checked(it));
        let servers = self.lines().filter(|line| line.starts_with("server"));
        by_default || servers.into_iter().all(checked)
    }

    fn notices(&self) -> Vec<Notice> {
        let mut notices = Vec::new();
        let of = |says: &str| format!("`{}`: {says}", self.name);
        let probe = "probe with a write: `tcp-check send SET\\ probe\\ 1\\ EX\\ 10\\r\\n`, then \
                     `tcp-check expect string +OK`";
        // A blank in an unquoted string ends it; with a backslash the server never says it.
        let documented = self.says("role:\\ active-replica")
            || self.says("\"role: active-replica\"")
            || self.says("string role: active-replica")
            || self.says("string role:\\ master");
        if !self.checks() {
            notices.push(Notice::new(
                Severity::Risk,
                AT,
                of("a server has no `check`: clients are sent to it when it is gone"),
                "add `check` to every server",
            ));
        } else if documented {
            notices.push(
                Notice::new(
                    Severity::Risk,
                    AT,
                    of("the check expects a blank after `role:`, which KeyDB does not print"),
                    "expect `role:active-replica`, or better probe with a write",
                )
                .known("I5"),
            );
        } else if !self.has("option tcp-check")
            && !self.has("option redis-check")
            && !self.has("option external-check")
        {
            notices.push(
                Notice::new(
                    Severity::Risk,
                    AT,
                    of("the check only connects: a node that loads, or stands still, passes it"),
                    probe,
                )
                .known("F12"),
            );
        } else if !self.says("tcp-check send SET")
            && !self.says("tcp-check send-lf SET")
            && !self.has("option external-check")
        {
            notices.push(
                Notice::new(
                    Severity::Warning,
                    AT,
                    of("a node that loads passes the check, and refuses the clients that it gets"),
                    probe,
                )
                .known("F12"),
            );
        }
        if !self.has("option redispatch") {
            notices.push(Notice::new(
                Severity::Warning,
                AT,
                of("no `option redispatch`: a session is tried on a server that died, again and again"),
                "`option redispatch 1` and `retries 1`",
            ));
        }
        if !self.says("on-marked-down shutdown-sessions") {
            notices.push(Notice::new(
                Severity::Warning,
                AT,
                of("sessions to a server that is down stay open: who follows through the proxy stays there"),
                "`on-marked-down shutdown-sessions` on every server",
            ));
        }
        if !self.has("timeout check") {
            notices.push(Notice::new(
                Severity::Notice,
                AT,
                of("no `timeout check`: a node that stands still is found out late"),
                "`timeout check 1s`",
            ));
        }
        notices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const SOUND: &str = include_str!("../../compose/conf/haproxy.cfg");

    fn ids(text: &str) -> Vec<(Severity, Option<String>)> {
        let notices = all(text).into_iter();
        notices.map(|notice| (notice.severity, notice.id)).collect()
    }

    #[test]
    fn the_configuration_that_was_measured_to_be_best_is_sound() {
        assert_eq!(all(SOUND), []);
    }

    #[rstest]
    #[case::no_check("check\n", "\n", Severity::Risk, None)]
    #[case::only_connects("    option tcp-check\n", "\n", Severity::Risk, Some("F12"))]
    #[case::ping(
        "SET\\ keydb-harness:health\\ 1\\ EX\\ 10\\r\\n",
        "PING\\r\\n",
        Severity::Warning,
        Some("F12")
    )]
    #[case::documented(
        "string +OK",
        "string role:\\ active-replica",
        Severity::Risk,
        Some("I5")
    )]
    #[case::no_redispatch("    option redispatch 1\n", "\n", Severity::Warning, None)]
    #[case::sessions_stay("on-marked-down shutdown-sessions", "", Severity::Warning, None)]
    #[case::no_time_out("    timeout check 1s\n", "", Severity::Notice, None)]
    fn a_change_for_the_worse_is_noticed(
        #[case] line: &str,
        #[case] instead: &str,
        #[case] severity: Severity,
        #[case] id: Option<&str>,
    ) {
        assert!(SOUND.contains(line));
        let text = SOUND.replace(line, instead);
        assert_eq!(ids(&text), [(severity, id.map(str::to_owned))], "{text}");
    }

    #[test]
    fn a_file_of_something_else_is_told() {
        assert_eq!(ids("hello\n"), [(Severity::Warning, None)]);
        assert_eq!(ids(""), [(Severity::Warning, None)]);
    }
}
