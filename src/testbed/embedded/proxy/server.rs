//! One server of the backend: its health, as HAProxy counts it, and its sessions.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::check::Outcome;
use super::config::{Health, ServerLine};

/// What the admin socket has made of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Its checks decide.
    Ready,
    /// Keeps its sessions and gets no new ones.
    Drain,
    /// Out of service, without checks.
    Maint,
}

/// Sessions, now and ever.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    now: Cell<u64>,
    total: Cell<u64>,
}

impl Sessions {
    /// Counts a session until the guard is dropped.
    pub(super) fn enter(&self) -> Entry<'_> {
        self.now.set(self.now.get() + 1);
        self.total.set(self.total.get() + 1);
        Entry(self)
    }

    pub(super) fn now(&self) -> u64 {
        self.now.get()
    }

    pub(super) fn total(&self) -> u64 {
        self.total.get()
    }
}

/// A session that is counted.
#[derive(Debug)]
pub(super) struct Entry<'a>(&'a Sessions);

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.0.now.set(self.0.now.get().saturating_sub(1));
    }
}

/// A server of the backend.
#[derive(Debug)]
pub(super) struct Server {
    pub line: ServerLine,
    pub sessions: Sessions,
    /// Wakes every session there is, to close it.
    pub cut: Notify,
    pub state: RefCell<State>,
}

impl Server {
    pub(super) fn new(line: ServerLine) -> Self {
        let state = State::new(line.health);
        Self {
            line,
            sessions: Sessions::default(),
            cut: Notify::new(),
            state: RefCell::new(state),
        }
    }

    /// Whether new sessions may go to it.
    pub(super) fn takes_sessions(&self) -> bool {
        let state = self.state.borrow();
        state.is_up() && state.mode == Mode::Ready
    }
}

/// How a server is doing.
#[derive(Debug)]
pub(super) struct State {
    rules: Health,
    /// 0 when down; `rise` and more when up; at most `rise + fall - 1`.
    health: u32,
    pub mode: Mode,
    /// Whether a check is under way.
    pub checking: bool,
    /// What the last check found.
    pub last: Option<Outcome>,
    /// Checks that failed.
    pub failures: u64,
    /// Changes from up to down or to maintenance.
    pub downs: u64,
    /// When it last changed between up, drained, down and maintenance.
    pub since: Instant,
}

impl State {
    /// Up, but one failed check takes it down: so HAProxy starts (measured).
    fn new(rules: Health) -> Self {
        Self {
            rules,
            health: rules.rise,
            mode: Mode::Ready,
            checking: false,
            last: None,
            failures: 0,
            downs: 0,
            since: Instant::now(),
        }
    }

    /// Whether its sessions may live.
    pub(super) fn is_up(&self) -> bool {
        self.mode != Mode::Maint && self.health >= self.rules.rise
    }

    fn best(&self) -> u32 {
        self.rules.rise.saturating_add(self.rules.fall) - 1
    }

    /// Counts a check.
    pub(super) fn checked(&mut self, outcome: Outcome) {
        if outcome.passed {
            self.health = self.health.saturating_add(1).min(self.best());
            if self.health >= self.rules.rise {
                self.health = self.best();
            }
        } else if self.health > 0 {
            self.failures += 1;
            self.health -= 1;
            if self.health < self.rules.rise {
                self.health = 0;
            }
        }
        self.last = Some(outcome);
    }

    /// Puts it into `mode`. From maintenance it comes back as it started: up on trial.
    pub(super) fn set_mode(&mut self, mode: Mode) {
        if self.mode == Mode::Maint && mode != Mode::Maint {
            self.health = self.rules.rise;
        }
        self.mode = mode;
    }

    /// HAProxy's word for it.
    pub(super) fn status(&self) -> String {
        let (word, part, whole) = match self.mode {
            Mode::Maint => return "MAINT".to_owned(),
            _ if !self.is_up() => ("DOWN", self.health, self.rules.rise),
            Mode::Drain => ("DRAIN", self.health + 1 - self.rules.rise, self.rules.fall),
            Mode::Ready => ("UP", self.health + 1 - self.rules.rise, self.rules.fall),
        };
        if self.health == 0 || self.health == self.best() {
            word.to_owned()
        } else {
            format!("{word} {part}/{whole}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn statuses(state: &mut State, checks: &str) -> Vec<String> {
        checks
            .chars()
            .map(|check| {
                state.checked(Outcome {
                    passed: check == '+',
                    code: "",
                    detail: String::new(),
                });
                state.status()
            })
            .collect()
    }

    /// HAProxy 2.6.12 shows the same words with `fall 2 rise 2` (measured).
    #[test]
    fn status_goes_through_haproxys_words() {
        let mut state = State::new(Health {
            inter: Duration::from_secs(1),
            fall: 2,
            rise: 2,
            shutdown_sessions: true,
        });
        assert_eq!(state.status(), "UP 1/2");
        assert_eq!(statuses(&mut state, "++--"), ["UP", "UP", "UP 1/2", "DOWN"]);
        assert_eq!(statuses(&mut state, "-+-"), ["DOWN", "DOWN 1/2", "DOWN"]);
        assert_eq!(state.failures, 3, "while down they do not count");
        assert_eq!(
            statuses(&mut state, "++-+"),
            ["DOWN 1/2", "UP", "UP 1/2", "UP"]
        );
        state.set_mode(Mode::Drain);
        assert_eq!(statuses(&mut state, "---"), ["DRAIN 1/2", "DOWN", "DOWN"]);
        state.set_mode(Mode::Maint);
        assert_eq!(state.status(), "MAINT");
        assert!(!state.is_up());
        state.set_mode(Mode::Ready);
        assert_eq!(state.status(), "UP 1/2");
        assert_eq!(statuses(&mut state, "-"), ["DOWN"]);
    }
}
