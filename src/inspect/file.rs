//! What is risky about a `keydb.conf` in which the order of lines decides, read from the file: a running
//! server no longer shows in which order it was configured.

use super::{Notice, Severity};

const AT: &str = "keydb.conf";

/// A line that sets something: where it stands from 1, its option and its value.
struct Line<'a> {
    number: usize,
    option: String,
    value: &'a str,
}

/// Everything that is noticed.
pub fn all(text: &str) -> Vec<Notice> {
    let lines: Vec<Line<'_>> = lines(text).collect();
    let mut notices: Vec<Notice> = [
        masters_first(&lines),
        read_only_last(&lines),
        several_masters(&lines),
        included(&lines),
    ]
    .into_iter()
    .flatten()
    .collect();
    notices.sort_by_key(|notice| notice.severity);
    notices
}

/// Old names of options stand for their new ones.
fn lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let numbered = (1..).zip(text.lines().map(str::trim));
    let set = numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    set.map(|(number, line)| {
        let (option, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let option = option.to_ascii_lowercase();
        Line {
            number,
            option: match &*option {
                "slaveof" => "replicaof".to_owned(),
                "slave-read-only" => "replica-read-only".to_owned(),
                _ => option,
            },
            value: value.trim().trim_matches('"'),
        }
    })
}

impl Line<'_> {
    fn is(&self, option: &str, value: &str) -> bool {
        self.option == option && self.value.eq_ignore_ascii_case(value)
    }

    fn names_a_master(&self) -> bool {
        self.option == "replicaof" && !self.value.eq_ignore_ascii_case("no one")
    }
}

/// I7: up to 6.3.3 all but the last master are dropped without a word, 6.3.4 does not start.
fn masters_first(lines: &[Line<'_>]) -> Option<Notice> {
    let master = lines.iter().find(|line| line.names_a_master())?;
    let late = lines.iter().find(|line| {
        line.number > master.number
            && (line.is("active-replica", "yes") || line.is("multi-master", "yes"))
    })?;
    let says = format!(
        "line {} names a master before line {} says {}: 6.3.4 does not start with it, releases before \
         keep only the last master, without a word",
        master.number, late.number, late.option
    );
    let mend = "put active-replica and multi-master above every replicaof";
    Some(Notice::new(Severity::Risk, AT, says, mend).known("I7"))
}

/// I9: `active-replica yes` makes a replica writable where it is read, and a later line takes that
/// back.
fn read_only_last(lines: &[Line<'_>]) -> Option<Notice> {
    let active = lines.iter().find(|line| line.is("active-replica", "yes"))?;
    let last = lines
        .iter()
        .rfind(|line| line.option == "replica-read-only")?;
    let refuses = last.number > active.number && last.is("replica-read-only", "yes");
    refuses.then(|| {
        let says = format!(
            "line {} makes the active replica of line {} read-only: it refuses every write",
            last.number, active.number
        );
        let mend = "write replica-read-only no, or take the line out";
        Notice::new(Severity::Risk, AT, says, mend).known("I9")
    })
}

fn several_masters(lines: &[Line<'_>]) -> Option<Notice> {
    let masters = lines.iter().filter(|line| line.names_a_master()).count();
    let all_kept = lines.iter().any(|line| line.is("multi-master", "yes"));
    (masters > 1 && !all_kept).then(|| {
        let says =
            format!("it names {masters} masters without multi-master yes: only the last counts");
        let mend = "write multi-master yes above them, or keep one";
        Notice::new(Severity::Risk, AT, says, mend)
    })
}

fn included(lines: &[Line<'_>]) -> Option<Notice> {
    let include = lines.iter().find(|line| line.option == "include")?;
    let says = format!(
        "line {} includes {}, which was not read: what it sets, and in which order, is not known",
        include.number, include.value
    );
    let mend = "look at that file in its place, too";
    Some(Notice::new(Severity::Notice, AT, says, mend))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const ACTIVE: &str = "active-replica yes\n";
    const MASTER: &str = "replicaof 10.0.0.2 6379\n";

    #[rstest]
    #[case::in_order(&[ACTIVE, MASTER], &[])]
    #[case::master_first(&[MASTER, ACTIVE], &[(Severity::Risk, Some("I7"))])]
    #[case::old_name(&["slaveof 10.0.0.2 6379\n", ACTIVE], &[(Severity::Risk, Some("I7"))])]
    #[case::no_master(&["replicaof no one\n", ACTIVE], &[])]
    #[case::commented_out(&["# replicaof 10.0.0.2 6379\n", ACTIVE], &[])]
    #[case::read_only_after(&[ACTIVE, "replica-read-only yes\n"], &[(Severity::Risk, Some("I9"))])]
    #[case::read_only_before(&["replica-read-only yes\n", ACTIVE], &[])]
    #[case::read_only_twice(&[ACTIVE, "replica-read-only yes\n", "replica-read-only no\n"], &[])]
    #[case::two_masters(&[ACTIVE, MASTER, MASTER], &[(Severity::Risk, None)])]
    #[case::two_masters_kept(&[ACTIVE, "multi-master yes\n", MASTER, MASTER], &[])]
    #[case::include(&["include /etc/keydb/more.conf\n"], &[(Severity::Notice, None)])]
    fn files(#[case] text: &[&str], #[case] wanted: &[(Severity, Option<&str>)]) {
        let notices = all(&text.concat());
        let seen: Vec<_> = notices
            .iter()
            .map(|notice| (notice.severity, notice.id.as_deref()))
            .collect();
        assert_eq!(seen, wanted, "{notices:?}");
    }

    #[test]
    fn what_is_told_can_be_explained() {
        let known = crate::explanation::all().unwrap();
        for id in ["I7", "I9"] {
            assert!(known.iter().any(|it| it.id == id), "{id}");
        }
    }
}
