//! The ways in which the harness is ended.

use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use rand::{Rng, RngExt};
use rustix::process::{Pid, Signal, kill_process};

/// A way to end the harness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// SIGKILL.
    Kill,
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
    /// Ctrl-C by somebody who does not wait for it, so many milliseconds later once more.
    InterruptTwice(u64),
    /// Ctrl-C, and SIGKILL so many milliseconds later, while it removes what it made.
    InterruptThenKill(u64),
    /// A panic in a test of one's own.
    Panic,
}

impl Way {
    /// One of them.
    pub fn draw(chance: &mut impl Rng) -> Self {
        let later = chance.random_range(0..=400);
        match chance.random_range(0..6) {
            0 => Self::Kill,
            1 => Self::Interrupt,
            2 => Self::Terminate,
            3 => Self::InterruptTwice(later),
            4 => Self::InterruptThenKill(later),
            _ => Self::Panic,
        }
    }

    /// Ends it in this way, and waits for its end.
    pub fn strike(self, harness: &mut Child) -> Result<ExitStatus, String> {
        let (first, second) = match self {
            Self::Kill => (Some(Signal::KILL), None),
            Self::Interrupt => (Some(Signal::INT), None),
            Self::Terminate => (Some(Signal::TERM), None),
            Self::InterruptTwice(later) => (Some(Signal::INT), Some((later, Signal::INT))),
            Self::InterruptThenKill(later) => (Some(Signal::INT), Some((later, Signal::KILL))),
            Self::Panic => (None, None),
        };
        let pid = i32::try_from(harness.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or("a process without a pid")?;
        // Until it is waited for, its pid is nobody else's.
        if let Some(signal) = first {
            let _ = kill_process(pid, signal);
        }
        if let Some((later, signal)) = second {
            thread::sleep(Duration::from_millis(later));
            let _ = kill_process(pid, signal);
        }
        harness.wait().map_err(|error| error.to_string())
    }

    /// Whether what is left is for the next run to remove: no program removes anything once it is
    /// killed.
    pub fn leaves_it_to_the_next_run(self) -> bool {
        matches!(self, Self::Kill | Self::InterruptThenKill(_))
    }

    /// Whether it ended so.
    pub fn fits(self, status: ExitStatus) -> Result<(), String> {
        let code = match self {
            Self::Kill => None,
            Self::Interrupt | Self::InterruptTwice(_) | Self::InterruptThenKill(_) => Some(130),
            Self::Terminate => Some(143),
            Self::Panic => Some(101),
        };
        // Before it listens it dies of the signal itself.
        let by_signal = status.code().is_none() && self != Self::Panic;
        match by_signal || status.code() == code {
            true => Ok(()),
            false => Err(format!("exit code {code:?} was expected, not {status}")),
        }
    }
}
