//! Lines of servers' logs with the time at which they were written.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The lines of one server that a timeline shows at most; the last ones count.
const MOST: usize = 2000;
/// The characters of a line that it shows.
const WIDEST: usize = 500;
/// Clocks of time zones differ by multiples of this, in milliseconds.
const ZONE_STEP: i64 = 15 * 60 * 1000;

/// A line, and when it was written by the server's clock: in milliseconds, as if that were UTC. A
/// line without a time has that of the line before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub at: Option<i64>,
    pub text: String,
}

/// The last lines of a log.
pub(super) fn lines(log: &str) -> Vec<Line> {
    let mut at = None;
    let timed = log.lines().filter(|line| !line.trim().is_empty());
    let mut all: Vec<Line> = timed
        .map(|line| {
            at = time(line).or(at);
            Line {
                at,
                text: line.chars().take(WIDEST).collect(),
            }
        })
        .collect();
    let more = all.len().saturating_sub(MOST);
    all.drain(..more);
    all
}

/// What has to be taken from the times of a log so that they are UTC: its server's time zone, as the
/// last line was written close to `end` (Unix milliseconds).
pub(super) fn zone(lines: &[Line], end: i64) -> i64 {
    let last = lines.iter().rev().find_map(|line| line.at);
    last.map_or(0, |last| {
        let steps = (last - end) as f64 / ZONE_STEP as f64;
        steps.round() as i64 * ZONE_STEP
    })
}

/// The time in a line of KeyDB, `16141:16150:S 25 Nov 2026 13:37:14.797 * text`.
fn time(line: &str) -> Option<i64> {
    let mut words = line.split(' ');
    words.next().filter(|word| word.contains(':'))?;
    let date: Vec<&str> = words.take(4).collect();
    let civil = DateTime::strptime("%d %b %Y %H:%M:%S%.f", date.join(" ")).ok()?;
    let zoned = civil.to_zoned(TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
        16141:16150:S 25 Nov 2026 13:37:14.797 * Background saving started\n\
        without a time\n\
        16141:16150:S 25 Nov 2026 13:37:15.089 * Synchronization succeeded\n";

    #[test]
    fn a_line_without_a_time_has_that_of_the_one_before() {
        let times: Vec<_> = lines(LOG).into_iter().map(|line| line.at).collect();
        let first = times[0].expect("a time");
        assert_eq!(times, [Some(first), Some(first), Some(first + 292)]);
        let proxy = lines("[NOTICE]   (7) : New worker (9) forked\n");
        assert_eq!(proxy[0].at, None);
    }

    #[test]
    fn a_time_zone_shows() {
        let lines = lines(LOG);
        let last = lines[2].at.expect("a time");
        for hours in [-5, 0, 2] {
            let shift = hours * 4 * ZONE_STEP;
            assert_eq!(zone(&lines, last - shift + 30_000), shift);
        }
        assert_eq!(zone(&[], last), 0);
    }

    #[test]
    fn the_last_lines_count() {
        let long: String = (0..MOST + 5).map(|n| format!("line {n}\n")).collect();
        let lines = lines(&long);
        assert_eq!((lines.len(), &*lines[0].text), (MOST, "line 5"));
    }
}
