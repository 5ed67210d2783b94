//! A script as people tell it to each other: what is typed on which node, and what is done to nodes.

use super::script::{Script, Step};

impl Script {
    /// Its steps, a line each: `primary1> SET key a`, or `(primary1 is killed)`.
    pub fn told(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for step in &self.steps {
            step.tell(&mut lines);
        }
        // That several links are up is waited for one by one.
        lines.dedup();
        lines
    }
}

impl Step {
    fn tell(&self, lines: &mut Vec<String>) {
        let done = |text: String| format!("({text})");
        match self {
            Self::Say(text) => lines.push(format!("# {text}")),
            Self::Command { node, command, .. } | Self::Ask { node, command, .. } => {
                lines.push(format!("{node}> {command}"));
            }
            Self::Background { node, commands } => {
                lines.extend(commands.iter().map(|line| format!("{node}> {line} &")));
            }
            Self::Wait => lines.push(done("wait for what runs in the background".to_owned())),
            Self::Await { node, line } => {
                lines.push(done(format!("wait until {node} shows {line} in INFO")));
            }
            Self::Arrives { from, to } => {
                lines.push(done(format!("wait until writes on {from} are on {to}")));
            }
            Self::Stuck(node) => lines.push(done(format!("wait until {node} answers nobody"))),
            Self::Stop(node) => lines.push(done(format!("stop {node} with SIGTERM"))),
            Self::Kill(node) => lines.push(done(format!("kill {node}"))),
            Self::Start(node) => lines.push(done(format!("start {node}"))),
            Self::Pause(node) => lines.push(done(format!("freeze {node}"))),
            Self::Unpause(node) => lines.push(done(format!("thaw {node}"))),
            Self::Leave(node) => lines.push(done(format!("take {node} off the network"))),
            Self::Join(node) => lines.push(done(format!("put {node} back on the network"))),
        }
    }
}
