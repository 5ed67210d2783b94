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
mod tests {
    use super::*;
    use crate::verdict::Verdict;
    use crate::verdict::tests::outcome;

    fn code_of(standings: &[Standing], strict: bool) -> u8 {
        let outcome = outcome(&[Verdict::Holds]);
        code(
            standings.iter().map(|standing| (&outcome, *standing)),
            strict,
        )
    }

    #[test]
    fn worse_outweighs_better() {
        use Standing::{AsExpected, Fixed, Inconclusive, Known, New, Regression};
        assert_eq!(code_of(&[AsExpected, Known], false), AS_EXPECTED);
        assert_eq!(code_of(&[AsExpected, Inconclusive], false), INCONCLUSIVE);
        assert_eq!(code_of(&[Inconclusive, Regression], false), BROKEN);
        assert_eq!(code_of(&[New, AsExpected], false), BROKEN);
        assert_eq!(code_of(&[Fixed], false), AS_EXPECTED);
        assert_eq!(code_of(&[Fixed], true), BROKEN);
    }

    #[test]
    fn nothing_run_is_not_green() {
        assert_eq!(code_of(&[], false), INCONCLUSIVE);
    }

    #[test]
    fn the_environment_outweighs_a_break() {
        let mut failed = outcome(&[]);
        failed.environment = Some("no engine".to_owned());
        let broken = outcome(&[Verdict::Broken]);
        let judged = [
            (&failed, Standing::Inconclusive),
            (&broken, Standing::Regression),
        ];
        assert_eq!(code(judged, false), ENVIRONMENT);
    }
}
