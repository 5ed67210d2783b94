//! Standard output and standard error, for readers that may be gone.
//!
//! A reader that has seen enough, such as `head -1`, is no failure: what follows is dropped, and the
//! command goes on to its end, so that its exit code tells what it would have told, its files are
//! written, and nothing of it is left behind. `println!` and `eprintln!` panic there.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Writes a line to standard output.
pub fn line(line: impl Display) {
    text(format_args!("{line}\n"));
}

/// Writes a text to standard output, as it is.
pub fn text(text: impl Display) {
    if let Err(error) = write(&mut io::stdout().lock(), &text) {
        problem(format_args!("keydb-harness: standard output: {error}"));
    }
}

/// Writes a line to standard error: what went wrong, or how far something is.
pub fn problem(line: impl Display) {
    // There is nowhere to tell that this fails, too.
    let _ = write(&mut io::stderr().lock(), &format_args!("{line}\n"));
}

/// Writes a text at once, so that it is seen while the command goes on.
fn write(out: &mut impl Write, text: &impl Display) -> io::Result<()> {
    // One write for all of it, also where nothing is buffered.
    let written = out
        .write_all(text.to_string().as_bytes())
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every write to it comes to.
    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn only_a_reader_that_is_gone_is_no_failure() {
        assert!(write(&mut Failing(ErrorKind::BrokenPipe), &"text").is_ok());
        let full = write(&mut Failing(ErrorKind::StorageFull), &"text");
        assert_eq!(
            full.map_err(|error| error.kind()),
            Err(ErrorKind::StorageFull)
        );
    }
}
