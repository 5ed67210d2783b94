//! `show stat`: HAProxy's table, with the columns this harness reads filled in.

use super::backend::Backend;
use super::server::{Mode, Server};

/// The columns of HAProxy 2.6, so that whoever reads one table can read the other.
const TABLE: &str = include_str!("../../../../fixtures/haproxy/stat.csv");

/// A row's fields by column.
type Fields<'a> = Vec<(&'a str, String)>;

/// The answer to `show stat`.
pub(super) fn table(backend: &Backend) -> String {
    let header = TABLE.lines().next().unwrap_or_default();
    let mut writer = csv::Writer::from_writer(Vec::new());
    let mut rows = vec![frontend(backend)];
    rows.extend(backend.servers.iter().map(server));
    rows.push(sums(backend));
    for row in rows {
        let fields = header
            .trim_start_matches("# ")
            .split(',')
            .map(|column| match column {
                "pxname" => backend.listen.name.as_str(),
                column => row
                    .iter()
                    .find(|(name, _)| *name == column)
                    .map_or("", |(_, field)| field),
            });
        // Into memory, and with as many fields in every row: it cannot fail.
        let _ = writer.write_record(fields);
    }
    let rows = writer.into_inner().unwrap_or_default();
    format!("{header}\n{}", String::from_utf8_lossy(&rows))
}

fn frontend(backend: &Backend) -> Fields<'static> {
    vec![
        ("svname", "FRONTEND".to_owned()),
        ("scur", backend.sessions.now().to_string()),
        ("stot", backend.sessions.total().to_string()),
        ("status", "OPEN".to_owned()),
    ]
}

fn server(server: &Server) -> Fields<'static> {
    let state = server.state.borrow();
    let mut fields = vec![
        ("svname", server.line.name.clone()),
        ("scur", server.sessions.now().to_string()),
        ("stot", server.sessions.total().to_string()),
        ("status", state.status()),
        ("chkfail", state.failures.to_string()),
        ("chkdown", state.downs.to_string()),
        ("lastchg", state.since.elapsed().as_secs().to_string()),
        ("addr", server.line.address.clone()),
    ];
    if state.mode != Mode::Maint {
        let running = if state.checking { "* " } else { "" };
        let (code, detail) = match &state.last {
            Some(last) => (last.code, last.detail.as_str()),
            None => ("INI", ""),
        };
        fields.push(("check_status", format!("{running}{code}")));
        fields.push(("last_chk", detail.to_owned()));
    }
    fields
}

fn sums(backend: &Backend) -> Fields<'static> {
    let availability = backend.availability.borrow();
    vec![
        ("svname", "BACKEND".to_owned()),
        ("scur", backend.sessions.now().to_string()),
        ("stot", backend.sessions.total().to_string()),
        (
            "status",
            if availability.up { "UP" } else { "DOWN" }.to_owned(),
        ),
        ("chkdown", availability.downs.to_string()),
        (
            "lastchg",
            availability.since.elapsed().as_secs().to_string(),
        ),
    ]
}
