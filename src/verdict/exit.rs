//! Exit codes, once for all commands.

use super::Outcome;
use super::expectation::Standing;

/// Everything is as expected.
pub const AS_EXPECTED: u8 = 0;
/// A regression or an unexpected break; under `--strict` also a deviation that is gone.
pub const BROKEN: u8 = 1;
/// The run did not exercise a promise.
pub const INCONCLUSIVE: u8 = 2;
/// The machine kept the run from being made.
pub const ENVIRONMENT: u8 = 3;
/// The command line or a setting does not fit its grammar.
pub const USAGE: u8 = 64;

/// The exit code of a run: environment outweighs broken, broken outweighs inconclusive.
pub fn code<'a>(judged: impl IntoIterator<Item = (&'a Outcome, Standing)>, strict: bool) -> u8 {
    let weight = |code: u8| match code {
        ENVIRONMENT => 3,
        BROKEN => 2,
        INCONCLUSIVE => 1,
        _ => 0,
    };
    judged
        .into_iter()
        .map(|(outcome, standing)| match standing {
            _ if outcome.environment.is_some() => ENVIRONMENT,
            Standing::Regression | Standing::New => BROKEN,
            Standing::Fixed if strict => BROKEN,
            Standing::Inconclusive => INCONCLUSIVE,
            Standing::AsExpected | Standing::Known | Standing::Fixed => AS_EXPECTED,
        })
        .max_by_key(|code| weight(*code))
        .unwrap_or(INCONCLUSIVE)
}

#[cfg(test)]
mod tests;
