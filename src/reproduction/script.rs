//! The steps of a reproduction, and the shell script that takes them.

use std::fmt::Write as _;

use minijinja::{Environment, context};

use super::ReproductionError;

/// The most lines of a script that call `keydb-cli`: more is no reproduction that people read.
pub const MOST_LINES: usize = 20;

/// Seconds that a script waits for a condition.
const PATIENCE: u32 = 120;

const TEMPLATE: &str = include_str!("../../fixtures/templates/reproduce.sh");

/// One step. Commands are those of `keydb-cli`, as they are typed in a shell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A comment.
    Say(String),
    /// A command on a node.
    Command {
        /// On which node.
        node: String,
        /// For example `SET key a`.
        command: String,
        /// The whole answer that it must have, as `keydb-cli` prints it into a pipe; any if none.
        answer: Option<String>,
    },
    /// Commands on a node that nobody waits for: it is stuck meanwhile.
    Background {
        /// On which node.
        node: String,
        /// One line each.
        commands: Vec<String>,
    },
    /// Waits for what was put into the background.
    Wait,
    /// A question to a node, whose answer is compared with what is expected.
    Ask {
        /// Which node.
        node: String,
        /// For example `GET key`.
        command: String,
        /// The parts of the answer that count, an extended regular expression; all if none.
        only: Option<String>,
    },
    /// Waits until a line of a node's `INFO` matches.
    Await {
        /// Which node.
        node: String,
        /// A basic regular expression for the whole line: `master_link_status:up`.
        line: String,
    },
    /// Waits until what is written on one node is on another.
    Arrives {
        /// Written on.
        from: String,
        /// Read on.
        to: String,
    },
    /// Waits until a node answers nobody.
    Stuck(String),
    /// SIGTERM, and waits until it has ended.
    Stop(String),
    /// SIGKILL.
    Kill(String),
    /// Starts a node that was stopped or killed.
    Start(String),
    /// Freezes a node.
    Pause(String),
    /// Takes that back.
    Unpause(String),
    /// Takes a node off the network, commands are still carried out on it.
    Leave(String),
    /// Puts it back.
    Join(String),
}

impl Step {
    /// How many lines with `keydb-cli` the step is: what waits counts as one.
    fn lines(&self) -> usize {
        match self {
            Self::Command { .. }
            | Self::Background { .. }
            | Self::Ask { .. }
            | Self::Await { .. }
            | Self::Arrives { .. }
            | Self::Stuck(_) => 1,
            _ => 0,
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Say(text) => format!("\n# {text}"),
            Self::Command {
                node,
                command,
                answer,
            } => {
                let is = answer
                    .as_ref()
                    .map(|answer| format!(" | is {}", quoted(answer)));
                format!("{} {command}{}", client(node), is.unwrap_or_default())
            }
            Self::Background { node, commands } => {
                let typed: Vec<String> = commands.iter().map(|line| quoted(line)).collect();
                let typed = typed.join(" ");
                format!(
                    "printf '%s\\n' {typed} | docker exec -i {} keydb-cli >/dev/null &",
                    container(node)
                )
            }
            Self::Wait => "wait".to_owned(),
            Self::Ask {
                node,
                command,
                only,
            } => {
                let only = only
                    .as_ref()
                    .map_or_else(String::new, |only| format!(" | grep -Eo {}", quoted(only)));
                let label = quoted(&format!("{node} {}", command.replace('\'', "")));
                format!("{} {command}{only} | answers {label}", client(node))
            }
            Self::Await { node, line } => format!("await {node} {}", quoted(line)),
            Self::Arrives { from, to } => format!("arrives {from} {to}"),
            Self::Stuck(node) => format!("stuck {node}"),
            Self::Stop(node) => format!("docker stop -t 60 {}", container(node)),
            Self::Kill(node) => format!("docker kill {}", container(node)),
            Self::Start(node) => format!("docker start {}", container(node)),
            Self::Pause(node) => format!("docker pause {}", container(node)),
            Self::Unpause(node) => format!("docker unpause {}", container(node)),
            Self::Leave(node) => {
                format!("docker network disconnect {NETWORK} {}", container(node))
            }
            Self::Join(node) => format!(
                "docker network connect --alias {node} {NETWORK} {}",
                container(node)
            ),
        }
    }
}

const NETWORK: &str = "${cluster}_default";

fn container(node: &str) -> String {
    format!("$cluster-{node}")
}

fn client(node: &str) -> String {
    format!("docker exec {} keydb-cli", container(node))
}

/// A word as the shell reads it back unchanged.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.:-/".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// Steps in their order.
///
/// ```
/// use keydb_harness::reproduction::Script;
/// let script = Script::new()
///     .links_up(&["primary1", "primary2"])
///     .command("primary1", "SET key a", "OK")
///     .arrives("primary1", "primary2")
///     .ask("primary2", "GET key");
/// assert_eq!(script.lines(), 5);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a script does nothing until it is rendered"]
pub struct Script {
    /// In their order.
    pub steps: Vec<Step>,
    /// Whether what shows the defect is that nodes do not answer alike, whatever they answer.
    pub apart: bool,
}

impl Script {
    /// No steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// One step more.
    pub fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// A comment.
    pub fn say(self, text: impl Into<String>) -> Self {
        self.step(Step::Say(text.into()))
    }

    /// A command that must be answered so.
    pub fn command(
        self,
        node: &str,
        command: impl Into<String>,
        answer: impl Into<String>,
    ) -> Self {
        self.step(Step::Command {
            node: node.to_owned(),
            command: command.into(),
            answer: Some(answer.into()),
        })
    }

    /// A command, however it is answered.
    pub fn typed(self, node: &str, command: impl Into<String>) -> Self {
        self.step(Step::Command {
            node: node.to_owned(),
            command: command.into(),
            answer: None,
        })
    }

    /// Commands that nobody waits for.
    pub fn background(self, node: &str, commands: &[&str]) -> Self {
        self.step(Step::Background {
            node: node.to_owned(),
            commands: commands.iter().map(|&line| line.to_owned()).collect(),
        })
    }

    /// Waits for what was put into the background.
    pub fn wait(self) -> Self {
        self.step(Step::Wait)
    }

    /// A question, the answer to which counts.
    pub fn ask(self, node: &str, command: impl Into<String>) -> Self {
        self.step(Step::Ask {
            node: node.to_owned(),
            command: command.into(),
            only: None,
        })
    }

    /// As [`Script::ask`], for the parts of the answer that match an extended regular expression.
    pub fn ask_for(self, node: &str, command: impl Into<String>, only: impl Into<String>) -> Self {
        self.step(Step::Ask {
            node: node.to_owned(),
            command: command.into(),
            only: Some(only.into()),
        })
    }

    /// Waits for a line of `INFO`.
    pub fn until(self, node: &str, line: impl Into<String>) -> Self {
        self.step(Step::Await {
            node: node.to_owned(),
            line: line.into(),
        })
    }

    /// Waits until the link of each of these nodes to its primary is up.
    pub fn links_up(self, nodes: &[&str]) -> Self {
        nodes.iter().fold(self, |script, node| {
            script.until(node, "master_link_status:up")
        })
    }

    /// Waits until the link of each of these nodes to its primary is down.
    pub fn links_down(self, nodes: &[&str]) -> Self {
        nodes.iter().fold(self, |script, node| {
            script.until(node, "master_link_status:down")
        })
    }

    /// Waits until what is written on one node is on another.
    pub fn arrives(self, from: &str, to: &str) -> Self {
        self.step(Step::Arrives {
            from: from.to_owned(),
            to: to.to_owned(),
        })
    }

    /// Waits until a node answers nobody.
    pub fn stuck(self, node: &str) -> Self {
        self.step(Step::Stuck(node.to_owned()))
    }

    /// SIGTERM, and waits until it has ended.
    pub fn stop(self, node: &str) -> Self {
        self.step(Step::Stop(node.to_owned()))
    }

    /// SIGKILL.
    pub fn kill(self, node: &str) -> Self {
        self.step(Step::Kill(node.to_owned()))
    }

    /// Starts a node again.
    pub fn start(self, node: &str) -> Self {
        self.step(Step::Start(node.to_owned()))
    }

    /// Freezes a node.
    pub fn pause(self, node: &str) -> Self {
        self.step(Step::Pause(node.to_owned()))
    }

    /// Takes that back.
    pub fn unpause(self, node: &str) -> Self {
        self.step(Step::Unpause(node.to_owned()))
    }

    /// Takes a node off the network.
    pub fn leave(self, node: &str) -> Self {
        self.step(Step::Leave(node.to_owned()))
    }

    /// Puts it back.
    pub fn join(self, node: &str) -> Self {
        self.step(Step::Join(node.to_owned()))
    }

    /// The defect shows if nodes do not answer alike, whatever they answer.
    pub fn apart(mut self) -> Self {
        self.apart = true;
        self
    }

    /// How many of its lines call `keydb-cli`: at most [`MOST_LINES`] may.
    pub fn lines(&self) -> usize {
        self.steps.iter().map(Step::lines).sum()
    }

    /// How many answers it compares.
    pub fn answers(&self) -> usize {
        let asks = |step: &&Step| matches!(step, Step::Ask { .. });
        self.steps.iter().filter(asks).count()
    }

    /// Whether it takes a node off the network.
    pub(super) fn parts(&self) -> bool {
        let leaves = |step: &Step| matches!(step, Step::Leave(_));
        self.steps.iter().any(leaves)
    }

    /// The shell script. `project` is part of the Compose project's name.
    pub(super) fn render(
        &self,
        title: &str,
        project: &str,
        proxy: bool,
    ) -> Result<String, ReproductionError> {
        if self.lines() > MOST_LINES {
            return Err(ReproductionError::TooLong(self.lines()));
        }
        let any = |wanted: fn(&Step) -> bool| self.steps.iter().any(wanted);
        let mut steps = String::new();
        for step in &self.steps {
            let _ = writeln!(steps, "{}", step.line());
        }
        let pauses: Vec<String> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Pause(node) => Some(node.clone()),
                _ => None,
            })
            .collect();
        let values = context! {
            title,
            project,
            proxy,
            patience => PATIENCE,
            steps,
            is => any(|step| matches!(step, Step::Command { answer: Some(_), .. })),
            answers => any(|step| matches!(step, Step::Ask { .. })),
            await => any(|step| matches!(step, Step::Await { .. })),
            arrives => any(|step| matches!(step, Step::Arrives { .. })),
            stuck => any(|step| matches!(step, Step::Stuck(_))),
            pauses,
            apart => self.apart,
        };
        let text = Environment::new()
            .render_str(TEMPLATE, values)
            .map_err(|error| ReproductionError::Template(error.to_string()))?;
        Ok(text.trim_end().to_owned() + "\n")
    }
}
