//! A table that HAProxy printed, and others that it could or could not.

use super::*;
use proptest::prelude::*;
use rstest::rstest;

/// HAProxy 2.6.12: a server up, one in maintenance, one refusing connections, one without
/// checks, and one that answers the check wrongly, whose text holds a comma.
const STAT: &str = include_str!("../../../fixtures/haproxy/stat.csv");

const HEADER: &str =
    "# pxname,svname,scur,stot,status,chkfail,chkdown,lastchg,check_status,last_chk,addr,";

fn row(server: &str) -> ServerStat {
    let rows = parse(STAT).unwrap();
    rows.into_iter().find(|row| row.server == server).unwrap()
}

#[test]
fn a_real_table_gives_every_row() {
    let rows = parse(STAT).unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row.server.as_str()).collect();
    let expected = [
        "FRONTEND", "primary1", "primary2", "primary3", "primary4", "primary5", "BACKEND",
    ];
    assert_eq!(names, expected);
    assert!(rows.iter().all(|row| row.proxy == "keydb"));
    assert_eq!(rows.iter().filter(|row| row.is_server()).count(), 5);
}

#[rstest]
#[case("primary1", "UP", true, Some("L7OK"))]
#[case("primary2", "MAINT", false, None)]
#[case("primary3", "DOWN", false, Some("L4CON"))]
#[case("primary4", "no check", false, None)]
#[case("primary5", "DOWN", false, Some("L7TOUT"))]
#[case("BACKEND", "UP", true, None)]
#[case("FRONTEND", "OPEN", false, None)]
fn status_tells_who_is_up(
    #[case] server: &str,
    #[case] status: &str,
    #[case] up: bool,
    #[case] check: Option<&str>,
) {
    let row = row(server);
    assert_eq!(row.status, status);
    assert_eq!(row.is_up(), up);
    assert_eq!(row.check_status.as_deref(), check);
}

#[test]
fn the_other_fields_are_read() {
    let up = row("primary1");
    assert_eq!((up.sessions_current, up.sessions_total), (Some(1), Some(1)));
    assert_eq!(up.address.as_deref(), Some("127.77.9.41:23501"));
    assert_eq!((up.check_failures, up.downs), (Some(0), Some(0)));
    let unchecked = row("primary4");
    assert_eq!((unchecked.check_failures, unchecked.downs), (None, None));
}

#[test]
fn a_quoted_field_may_hold_commas() {
    let said = row("primary5").last_check.unwrap();
    assert!(said.ends_with("comment: 'PING, answered'"), "{said}");
}

#[test]
fn columns_are_found_by_name_and_going_down_is_still_up() {
    let rows = parse(&format!(
        "{HEADER}\nkeydb,p1,3,9,UP 1/2,1,0,5,* L7OK,,,\n\n"
    ))
    .unwrap();
    assert_eq!(rows.len(), 1);
    assert!(rows[0].is_up());
    assert_eq!(rows[0].sessions_total, Some(9));
    assert_eq!(rows[0].check_status.as_deref(), Some("* L7OK"));
}

#[rstest]
#[case::empty("", "line 1 is ''")]
#[case::wrong_command("Unknown command, but maybe", "line 1 is 'Unknown command, but maybe'")]
#[case::no_hash("pxname,svname,status\n", "line 1 is 'pxname,")]
#[case::lacks_a_column("# pxname,svname,\n", "line 1 of `show stat` has no column 'status'")]
#[case::short_row(&format!("{HEADER}\na,b,,,UP,,,,,,,\nkeydb,p1\n"), "line 3 ")]
#[case::no_number(&format!("{HEADER}\na,b,x,,UP,,,,,,,\n"), "line 2 of `show stat`: scur is 'x'")]
fn garbage_names_its_line(#[case] text: &str, #[case] expected: &str) {
    let error = parse(text).unwrap_err().to_string();
    assert!(error.starts_with(expected), "{error}");
}

fn filled() -> impl Strategy<Value = Option<String>> {
    prop::option::of("[^\r\n]{1,12}")
}

fn stat() -> impl Strategy<Value = ServerStat> {
    let words = (any::<String>(), any::<String>(), any::<String>());
    let counts = any::<[Option<u64>; 5]>();
    (words, counts, filled(), filled(), filled()).prop_map(
        |((proxy, server, status), counts, check_status, last_check, address)| ServerStat {
            proxy,
            server,
            status,
            sessions_current: counts[0],
            sessions_total: counts[1],
            check_status,
            last_check,
            check_failures: counts[2],
            downs: counts[3],
            seconds_in_status: counts[4],
            address,
        },
    )
}

/// The fields of a row by the names of their columns, as HAProxy would print them.
fn fields(stat: &ServerStat) -> Vec<(&'static str, String)> {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let count = |field: Option<u64>| field.map(|count| count.to_string()).unwrap_or_default();
    vec![
        ("svname", stat.server.clone()),
        ("status", stat.status.clone()),
        ("scur", count(stat.sessions_current)),
        ("stot", count(stat.sessions_total)),
        ("check_status", text(&stat.check_status)),
        ("last_chk", text(&stat.last_check)),
        ("chkfail", count(stat.check_failures)),
        ("chkdown", count(stat.downs)),
        ("lastchg", count(stat.seconds_in_status)),
        ("addr", text(&stat.address)),
        ("later", "x".to_owned()),
    ]
}

/// `show stat` with its columns in this order; `pxname` is always the first.
fn printed(stats: &[ServerStat], order: &[usize]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let names = fields(&stats[0]);
    let header = order.iter().map(|column| names[*column].0);
    writer
        .write_record(["pxname"].into_iter().chain(header))
        .unwrap();
    for stat in stats {
        let fields = fields(stat);
        let row = order.iter().map(|column| fields[*column].1.as_str());
        writer
            .write_record([stat.proxy.as_str()].into_iter().chain(row))
            .unwrap();
    }
    format!(
        "# {}",
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    )
}

proptest! {
    #[test]
    fn what_is_printed_is_read_again_whatever_the_order_of_columns(
        stats in prop::collection::vec(stat(), 1..4),
        order in Just((0..11).collect::<Vec<usize>>()).prop_shuffle(),
    ) {
        prop_assert_eq!(parse(&printed(&stats, &order)).unwrap(), stats);
    }

    #[test]
    fn any_text_is_a_table_or_an_error(text in any::<String>(), with_header in any::<bool>()) {
        let text = if with_header { format!("{HEADER}\n{text}") } else { text };
        if let Ok(rows) = parse(&text) {
            prop_assert!(text.starts_with("# pxname,"));
            prop_assert!(rows.len() < text.lines().count().max(1));
        }
    }
}
