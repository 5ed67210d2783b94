//! The directives this harness renders, and nothing beyond them: one that would be ignored in
//! silence is refused.

use std::net::SocketAddr;
use std::time::Duration;

use super::config::{Config, Health, Listen, ServerLine, Step};
use super::syntax::{duration, hex, number};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    Top,
    Global,
    Defaults,
    Resolvers,
    Listen,
}

/// Takes a configuration directive by directive.
pub(super) struct Reader {
    section: Section,
    admin: Option<SocketAddr>,
    bind: Option<SocketAddr>,
    maxconn: u32,
    /// `option tcp-check`, without which HAProxy would not go through the steps.
    tcp_check: bool,
    /// `tcp-check connect`, the first step.
    connects: bool,
    health: Health,
    listen: Listen,
}

impl Default for Reader {
    /// HAProxy's own defaults.
    fn default() -> Self {
        Self {
            section: Section::Top,
            admin: None,
            bind: None,
            maxconn: 2000,
            tcp_check: false,
            connects: false,
            health: Health {
                inter: Duration::from_secs(2),
                fall: 3,
                rise: 2,
                shutdown_sessions: false,
            },
            listen: Listen {
                name: String::new(),
                retries: 3,
                redispatch: false,
                connect: Duration::MAX,
                check: None,
                steps: Vec::new(),
                servers: Vec::new(),
            },
        }
    }
}

impl Reader {
    /// Takes one line's words.
    ///
    /// # Errors
    /// What to write instead.
    pub(super) fn directive(&mut self, words: &[&str]) -> Result<(), String> {
        match (self.section, words) {
            (_, []) => {}
            (_, ["global"]) => self.section = Section::Global,
            (_, ["defaults"]) => self.section = Section::Defaults,
            (_, ["resolvers", _]) => self.section = Section::Resolvers,
            (_, ["listen", name]) => {
                if self.section == Section::Listen || self.bind.is_some() {
                    return Err("is the second listen section; keep one".to_owned());
                }
                self.section = Section::Listen;
                self.listen.name = (*name).to_owned();
            }
            // Host names are asked of the system instead, anew at each connection.
            (Section::Resolvers, _) => {}
            (Section::Global, ["maxconn", most]) => self.maxconn = number(most, 1)?,
            (Section::Global, ["stats", "socket", address, "level", "admin"]) => {
                self.admin = Some(socket(address)?);
            }
            (Section::Defaults | Section::Listen, words) => return self.proxy(words),
            _ => return Err(self.unknown()),
        }
        Ok(())
    }

    /// A directive that may stand in `defaults` too, or only in `listen`.
    fn proxy(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["mode", "tcp"] => {}
            ["timeout", "connect", time] => self.listen.connect = duration(time)?,
            ["timeout", "check", time] => self.listen.check = Some(duration(time)?),
            // How long a session may be idle: what is rendered outlasts every run.
            ["timeout", "client" | "server", time] => drop(duration(time)?),
            ["retries", times] => self.listen.retries = number(times, 0)?,
            ["option", "redispatch", "1"] => self.listen.redispatch = true,
            ["balance", "roundrobin"] => {}
            ["option", "tcp-check"] => self.tcp_check = true,
            ["default-server", parameters @ ..] => return self.default_server(parameters),
            words if self.section == Section::Listen => return self.listen(words),
            _ => return Err(self.unknown()),
        }
        Ok(())
    }

    fn listen(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            ["bind", address] if self.bind.is_none() => self.bind = Some(socket(address)?),
            ["tcp-check", "connect"] if !self.connects => self.connects = true,
            ["tcp-check", step @ ..] => {
                let step = match step {
                    ["send", text] => Step::Send(text.as_bytes().to_vec()),
                    ["send-binary", bytes] => Step::Send(hex(bytes)?),
                    ["expect", "string", text] => Step::Expect((*text).to_owned()),
                    _ => return Err(self.unknown()),
                };
                if !self.connects {
                    return Err("comes before any `tcp-check connect`; add that first".to_owned());
                }
                self.listen.steps.push(step);
            }
            ["server", name, address, "check"] => {
                if address
                    .rsplit_once(':')
                    .is_none_or(|(_, port)| port.parse::<u16>().is_err())
                {
                    return Err(format!("'{address}' has no port; write HOST:PORT"));
                }
                if self
                    .listen
                    .servers
                    .iter()
                    .any(|server| server.name == *name)
                {
                    return Err(format!("the name '{name}' is taken; give it another"));
                }
                self.listen.servers.push(ServerLine {
                    name: (*name).to_owned(),
                    address: (*address).to_owned(),
                    health: self.health,
                });
            }
            _ => return Err(self.unknown()),
        }
        Ok(())
    }

    fn default_server(&mut self, mut parameters: &[&str]) -> Result<(), String> {
        while let [name, value, rest @ ..] = parameters {
            match (*name, *value) {
                ("inter", time) => self.health.inter = duration(time)?,
                ("fall", times) => self.health.fall = number(times, 1)?,
                ("rise", times) => self.health.rise = number(times, 1)?,
                ("on-marked-down", "shutdown-sessions") => self.health.shutdown_sessions = true,
                ("resolvers", _) | ("init-addr", "none") => {}
                _ => return Err(format!("'{name} {value}' is unknown; remove it")),
            }
            parameters = rest;
        }
        match parameters {
            [] => Ok(()),
            rest => Err(format!("'{}' has no value; give it one", rest.join(" "))),
        }
    }

    /// What was read, or what is missing and how to add it.
    pub(super) fn finish(self) -> Result<Config, (&'static str, &'static str)> {
        let admin = self.admin.ok_or((
            "stats socket",
            "is missing; add `stats socket ipv4@ADDRESS:PORT level admin` to section global",
        ))?;
        let bind = self.bind.ok_or((
            "bind",
            "is missing; add a section `listen NAME` with `bind ADDRESS:PORT`",
        ))?;
        if self.connects && !self.tcp_check {
            return Err((
                "option tcp-check",
                "is missing; add it, for the tcp-check lines to be followed",
            ));
        }
        Ok(Config {
            admin,
            maxconn: self.maxconn,
            listen: self.listen,
            bind,
        })
    }

    fn unknown(&self) -> String {
        let place = match self.section {
            Section::Top => "before any section",
            Section::Global => "in section global",
            Section::Defaults => "in section defaults",
            Section::Resolvers => "in section resolvers",
            Section::Listen => "in section listen",
        };
        format!("unknown {place}; remove it, or run HAProxy instead of the built-in proxy")
    }
}

/// An address in numbers; of version 4, as everything that is rendered.
fn socket(text: &str) -> Result<SocketAddr, String> {
    text.strip_prefix("ipv4@")
        .unwrap_or(text)
        .parse()
        .map(SocketAddr::V4)
        .map_err(|_| format!("'{text}' is no IPv4 address; write A.B.C.D:PORT"))
}
