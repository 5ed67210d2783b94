//! What goes wrong when, as data: printed before a run, stored with it, and carried out again.
//!
//! A schedule is text, a step a line, after the seed of all that the run draws by chance:
//!
//! ```text
//! seed 42
//! after 150 operations: cut primary1<->primary2
//! after 2500 ms: recover cut primary1<->primary2
//! at once: kill primary1
//! ```
//!
//! A step begins when the one before is done: a fault when it was seen to bite, a recovery when all
//! that it struck was seen to be well. What follows `recover` is one of the faults that last; alone,
//! all of them. Operations are acknowledged ones, of each traffic that the faults leave a server.

mod draw;
mod minimise;
mod perform;

pub use draw::Draw;
pub use minimise::minimised;
pub use perform::{Stage, perform};

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::fault::{NameError, Named};

/// What goes wrong when.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schedule {
    /// The seed of all that the run draws by chance.
    pub seed: u64,
    /// In their order.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub when: When,
    /// What is done.
    pub act: Act,
}

/// When a step begins: after the one before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// At once.
    AtOnce,
    /// So long after.
    After(Duration),
    /// Once so many more operations are acknowledged.
    Operations(usize),
}

/// What is done in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A fault is injected, until it bites.
    Inflict(Named),
    /// A fault is taken back, until what it struck is well; none stands for all that last.
    Recover(Option<Named>),
    /// Nothing.
    Nothing,
}

/// A text that is no schedule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the schedule: {why}")]
pub struct ScheduleError {
    line: usize,
    why: String,
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtOnce => f.write_str("at once"),
            Self::After(time) => write!(f, "after {} ms", time.as_millis()),
            Self::Operations(count) => write!(f, "after {count} operations"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.when)?;
        match &self.act {
            Act::Inflict(fault) => write!(f, "{fault}"),
            Act::Recover(Some(fault)) => write!(f, "recover {fault}"),
            Act::Recover(None) => f.write_str("recover"),
            Act::Nothing => f.write_str("nothing"),
        }
    }
}

impl fmt::Display for Schedule {
    /// As [`FromStr`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.seed)?;
        for step in &self.steps {
            write!(f, "\n{step}")?;
        }
        Ok(())
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let number = |digits: &str| {
            let number = digits.parse::<u32>();
            number.map_err(|_| format!("'{digits}' is no number of up to nine digits"))
        };
        match words[..] {
            ["at", "once"] => Ok(Self::AtOnce),
            ["after", time, "ms"] => Ok(Self::After(Duration::from_millis(number(time)?.into()))),
            ["after", count, "operations"] => Ok(Self::Operations(number(count)? as usize)),
            _ => Err(format!(
                "'{text}' is no time; write 'at once', 'after N ms' or 'after N operations'"
            )),
        }
    }
}

impl FromStr for Act {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.trim() {
            "nothing" => Ok(Self::Nothing),
            "recover" => Ok(Self::Recover(None)),
            other => match other.strip_prefix("recover ") {
                Some(fault) => Ok(Self::Recover(Some(fault.parse()?))),
                None => Ok(Self::Inflict(other.parse()?)),
            },
        }
    }
}

impl FromStr for Step {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((when, act)) = text.split_once(':') else {
            return Err(format!("'{text}' is no step; write 'WHEN: FAULT'"));
        };
        Ok(Self {
            when: when.parse()?,
            act: act.parse().map_err(|error: NameError| error.to_string())?,
        })
    }
}

impl FromStr for Schedule {
    type Err = ScheduleError;

    /// Empty lines and lines that begin with `#` are passed over.
    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut schedule = Self::default();
        let lines = text.lines().map(str::trim).zip(1..);
        let mut lines = lines.filter(|(text, _)| !text.is_empty() && !text.starts_with('#'));
        let wrong = |line, why: String| ScheduleError { line, why };
        let seed = lines.next().and_then(|(text, _)| {
            let digits = text.strip_prefix("seed ")?;
            digits.trim().parse().ok()
        });
        schedule.seed = seed.ok_or_else(|| {
            wrong(
                1,
                "a schedule begins with its seed; write 'seed N'".to_owned(),
            )
        })?;
        for (text, line) in lines {
            let step = text.parse().map_err(|why| wrong(line, why))?;
            schedule.steps.push(step);
        }
        schedule.checked()
    }
}

impl Schedule {
    /// A schedule of these steps, which are known to be written well.
    ///
    /// # Errors
    /// They are not.
    pub fn of(seed: u64, steps: &[&str]) -> Result<Self, ScheduleError> {
        format!("seed {seed}\n{}", steps.join("\n")).parse()
    }

    /// Itself, if each step can be: what is taken back was inflicted and lasts, and nothing is
    /// inflicted twice.
    fn checked(self) -> Result<Self, ScheduleError> {
        let mut last: Vec<&Named> = Vec::new();
        for (step, number) in self.steps.iter().zip(2..) {
            let wrong = |why: String| ScheduleError { line: number, why };
            match &step.act {
                Act::Inflict(fault) if last.contains(&fault) => {
                    return Err(wrong(format!("{fault} lasts already")));
                }
                Act::Inflict(fault) => last.push(fault),
                Act::Recover(None) => last.clear(),
                Act::Recover(Some(fault)) => {
                    let Some(position) = last.iter().position(|other| *other == fault) else {
                        return Err(wrong(format!("there is no {fault} to recover from")));
                    };
                    last.remove(position);
                }
                Act::Nothing => {}
            }
        }
        Ok(self)
    }

    /// The faults in it, in the order in which they are inflicted.
    pub fn faults(&self) -> impl Iterator<Item = &Named> {
        self.steps.iter().filter_map(|step| match &step.act {
            Act::Inflict(fault) => Some(fault),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TEXT: &str = "seed 42\nafter 150 operations: cut primary1<->primary2\n\
                        after 2500 ms: recover cut primary1<->primary2\n\
                        at once: delay=70ms a->b\nat once: kill primary1\nat once: recover\n\
                        after 3 operations: nothing";

    #[test]
    fn a_schedule_is_what_it_prints() {
        let schedule: Schedule = TEXT.parse().unwrap();
        assert_eq!(schedule.to_string(), TEXT);
        assert_eq!(schedule.steps.len(), 6);
        assert_eq!(schedule.faults().count(), 3);
        let spaced = format!("# why\n\n{}", TEXT.replace('\n', "\n\n"));
        assert_eq!(spaced.parse(), Ok(schedule));
    }

    #[rstest]
    #[case("", "line 1", "seed")]
    #[case("at once: recover", "line 1", "seed")]
    #[case("seed 1\nsoon: recover", "line 2", "no time")]
    #[case("seed 1\nat once", "line 2", "no step")]
    #[case("seed 1\n\nat once: explode", "line 3", "no such kind")]
    #[case(
        "seed 1\nafter many operations: recover",
        "line 2",
        "'many' is no number"
    )]
    #[case(
        "seed 1\nat once: recover kill a",
        "line 2",
        "no kill a to recover from"
    )]
    #[case("seed 1\nat once: kill a\nat once: kill a", "line 3", "lasts already")]
    fn what_is_no_schedule_is_told(#[case] text: &str, #[case] line: &str, #[case] why: &str) {
        let error = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(error.contains(line) && error.contains(why), "{error}");
    }
}
