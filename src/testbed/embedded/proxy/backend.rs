//! The servers together: who gets the next session, and what follows from a change.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tokio::time::Instant;

use super::check::Outcome;
use super::config::Listen;
use super::server::{Mode, Server, Sessions};

/// Takes the proxy's log lines.
pub(super) type Log = Rc<dyn Fn(&str)>;

/// The servers of the `listen` section.
pub(super) struct Backend {
    pub listen: Listen,
    /// How many lives the proxy has had with it: one, and one more at each reload.
    pub life: u32,
    pub servers: Vec<Server>,
    /// What clients have opened, whether or not a server took it.
    pub sessions: Sessions,
    pub started: Instant,
    pub availability: RefCell<Availability>,
    /// The index of the server whose turn it is.
    turn: Cell<usize>,
    log: Log,
}

/// Whether there is a server for new sessions at all.
#[derive(Debug, Clone, Copy)]
pub(super) struct Availability {
    pub up: bool,
    /// How often the last one went.
    pub downs: u64,
    pub since: Instant,
}

impl Backend {
    pub(super) fn new(mut listen: Listen, life: u32, log: Log) -> Self {
        let lines = std::mem::take(&mut listen.servers);
        let started = Instant::now();
        Self {
            listen,
            life,
            servers: lines.into_iter().map(Server::new).collect(),
            sessions: Sessions::default(),
            started,
            availability: RefCell::new(Availability {
                up: true,
                downs: 0,
                since: started,
            }),
            turn: Cell::new(0),
            log,
        }
    }

    /// How many servers take new sessions.
    pub(super) fn available(&self) -> usize {
        self.servers
            .iter()
            .filter(|server| server.takes_sessions())
            .count()
    }

    /// The server whose turn it is, rather not the one with index `avoid`; `None` if none is up.
    pub(super) fn next(&self, avoid: Option<usize>) -> Option<usize> {
        let number = self.servers.len();
        let takes = |index: &usize| self.servers[*index].takes_sessions();
        let chosen = (0..number)
            .map(|step| (self.turn.get() + step) % number)
            .filter(|index| Some(*index) != avoid)
            .find(takes)
            .or_else(|| avoid.filter(takes))?;
        self.turn.set((chosen + 1) % number);
        Some(chosen)
    }

    /// Takes in what a check found.
    pub(super) fn checked(&self, server: &Server, outcome: Outcome) {
        if server.state.borrow().mode == Mode::Maint {
            return;
        }
        let Outcome { code, detail, .. } = outcome.clone();
        let was_up = server.state.borrow().is_up();
        server.state.borrow_mut().checked(outcome);
        let is_up = server.state.borrow().is_up();
        if was_up != is_up {
            let word = if is_up { "UP" } else { "DOWN" };
            self.changed(
                server,
                was_up,
                &format!("is {word}, reason: {code}, {detail}"),
            );
        }
    }

    /// Carries out what the admin socket was told.
    pub(super) fn set_mode(&self, server: &Server, mode: Mode) {
        let (was, was_up) = {
            let state = server.state.borrow();
            (state.mode, state.is_up())
        };
        if was == mode {
            return;
        }
        server.state.borrow_mut().set_mode(mode);
        let what = match mode {
            Mode::Maint => "is in MAINT, taken out of service",
            Mode::Drain => "is in DRAIN, without new sessions",
            Mode::Ready => match was {
                Mode::Maint => "is out of MAINT, its checks decide again",
                _ => "is out of DRAIN, its checks decide again",
            },
        };
        self.changed(server, was_up, &format!("{what} (admin socket)"));
    }

    /// What follows from a change of `server`: counters, closed sessions, and the log.
    fn changed(&self, server: &Server, was_up: bool, what: &str) {
        let is_up = {
            let mut state = server.state.borrow_mut();
            state.since = Instant::now();
            if was_up && !state.is_up() {
                state.downs += 1;
            }
            state.is_up()
        };
        let mut closed = 0;
        if !is_up && server.line.health.shutdown_sessions {
            closed = server.sessions.now();
            server.cut.notify_waiters();
        }
        let (backend, name) = (&self.listen.name, &server.line.name);
        let (left, all) = (self.available(), self.servers.len());
        (self.log)(&format!(
            "[WARNING] Server {backend}/{name} {what}. {left} of {all} servers take sessions, {closed} sessions closed."
        ));
        let mut availability = self.availability.borrow_mut();
        if availability.up == (left > 0) {
            return;
        }
        availability.up = left > 0;
        availability.since = Instant::now();
        if left == 0 {
            availability.downs += 1;
            (self.log)(&format!(
                "[ALERT] Proxy {backend} has no server left for new sessions."
            ));
        }
    }
}
