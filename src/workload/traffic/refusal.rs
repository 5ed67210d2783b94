//! Which error replies surely mean that nothing was done.

/// Error codes that KeyDB gives before it carries a command out, and why. An error whose code does
/// not stand here leaves it open whether the command was done.
const BEFORE_EXECUTION: [(&str, &str); 18] = [
    (
        "READONLY",
        "a replica refuses writes before it looks at them",
    ),
    (
        "LOADING",
        "the data set is being loaded; only commands that touch none are let in",
    ),
    (
        "MASTERDOWN",
        "the link to the master is down and stale data may not be served",
    ),
    (
        "MISCONF",
        "the last save failed: writes are refused beforehand",
    ),
    (
        "NOREPLICAS",
        "min-replicas-to-write is checked before a write",
    ),
    (
        "OOM",
        "memory is checked before a command that may need some",
    ),
    ("NOAUTH", "no command is let in before AUTH"),
    ("WRONGPASS", "AUTH failed; what follows is refused"),
    ("NOPERM", "rights are checked before a command"),
    (
        "BUSY",
        "a script runs; other commands are refused until it ends",
    ),
    (
        "EXECABORT",
        "a command of the transaction was refused, so that none was done",
    ),
    (
        "WRONGTYPE",
        "the type of the key is checked before it is changed",
    ),
    ("NOSCRIPT", "there is no such script"),
    ("NOPROTO", "the protocol version is not spoken"),
    ("MOVED", "another node has the slot"),
    ("ASK", "another node has the slot"),
    ("CLUSTERDOWN", "the cluster serves nothing"),
    (
        "ERR",
        "arguments, syntax and ranges are checked before a single command changes anything",
    ),
];

/// Whether a single command, or a transaction, that was answered with this error was surely not
/// done; why it was not.
pub(super) fn surely_not_done(error: &str) -> Option<&'static str> {
    let code = error.split([' ', ':']).next()?;
    BEFORE_EXECUTION
        .iter()
        .find(|(known, _)| *known == code)
        .map(|(_, why)| *why)
}

/// As [`surely_not_done`], for a script: an error may come from a command in its middle, after
/// others were done. `ERR` says nothing then, nor does what a command within it can be refused
/// with.
pub(super) fn script_surely_not_done(error: &str) -> Option<&'static str> {
    let early = ["LOADING", "NOAUTH", "NOPERM", "BUSY", "MASTERDOWN"];
    let code = error.split([' ', ':']).next()?;
    // `ERR Error running script` is given at a command within.
    early
        .contains(&code)
        .then(|| surely_not_done(error))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("READONLY You can't write against a read only replica.", true)]
    #[case("LOADING KeyDB is loading the dataset in memory", true)]
    #[case("ERR value is not an integer or out of range", true)]
    #[case("EXECABORT Transaction discarded because of previous errors.", true)]
    #[case("UNHEARD of", false)]
    #[case("READONLYISH", false)]
    #[case("", false)]
    fn commands(#[case] error: &str, #[case] not_done: bool) {
        assert_eq!(surely_not_done(error).is_some(), not_done);
    }

    #[rstest]
    #[case("LOADING KeyDB is loading the dataset in memory", true)]
    #[case(
        "ERR Error running script (call to f_0): @user_script:1: READONLY",
        false
    )]
    #[case("READONLY within the script", false)]
    fn scripts(#[case] error: &str, #[case] not_done: bool) {
        assert_eq!(script_surely_not_done(error).is_some(), not_done);
    }
}
