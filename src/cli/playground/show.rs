//! What is up, for a person: the endpoints, and the guide's commands with their addresses.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};

use keydb_harness::testbed::process::pid_of;
use keydb_harness::topology::KEYDB_PORT;

use super::record::{Held, HeldServer, Kind, Record};

/// Endpoints, the guide's walk, and how to remove it all.
pub(super) fn text(record: &Record) -> String {
    let Some(cluster) = &record.cluster else {
        return format!(
            "it is still being started by process {}\nremove it with: keydb-harness down\n",
            record.pid
        );
    };
    let stop = |server: &HeldServer| stop_line(record, server);
    let mut text = String::new();
    endpoints(&mut text, cluster, &stop);
    text.push_str("\nthe guide's walk:\n");
    let lines = walk(cluster, record.pid, &stop);
    let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or(0);
    for (line, why) in lines {
        let _ = match why {
            "" => writeln!(text, "  {line}"),
            why => writeln!(text, "  {line:<width$}  # {why}"),
        };
    }
    text.push_str("\nremove it with: keydb-harness down\n");
    text
}

fn endpoints(text: &mut String, cluster: &Held, stop: &dyn Fn(&HeldServer) -> Option<String>) {
    let rows: Vec<[String; 4]> = cluster
        .servers
        .iter()
        .map(|server| {
            let stop = stop(server).map_or("no process of its own".to_owned(), |line| {
                format!("stop: {line}")
            });
            let address = server.address.to_string();
            [server.name.clone(), address, server.role.clone(), stop]
        })
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let (names, addresses, roles) = (width(0), width(1), width(2));
    for [name, address, role, stop] in &rows {
        let _ = writeln!(
            text,
            "  {name:<names$}  {address:<addresses$}  {role:<roles$}  {stop}"
        );
    }
}

/// The commands of the guide, and what each is for where that is not plain.
fn walk(
    cluster: &Held,
    holder: i32,
    stop: &dyn Fn(&HeldServer) -> Option<String>,
) -> Vec<(String, &'static str)> {
    let of = |kind: Kind| {
        cluster
            .servers
            .iter()
            .filter(move |server| server.kind == kind)
    };
    let at = |server: &HeldServer, command: &str| {
        (format!("{} {command}", keydb_cli(server.address)), "")
    };
    let mut lines = Vec::new();
    for proxy in of(Kind::Proxy) {
        let (line, _) = at(proxy, "set key1 val1");
        lines.push((line, "the proxy gives it to one of the primaries"));
    }
    lines.extend(of(Kind::Primary).map(|node| at(node, "get key1")));
    lines.extend(of(Kind::Replica).map(|node| at(node, "get key1")));
    lines.extend(of(Kind::Replica).map(|node| at(node, "info replication")));
    if let Some(line) = of(Kind::Primary).next().and_then(stop) {
        lines.push((line, "stops primary1"));
    }
    lines.extend(of(Kind::Replica).map(|node| at(node, "info replication")));
    lines.push((
        format!("kill -USR1 {holder}"),
        "starts again whatever was stopped; `keydb-harness up` shows it anew",
    ));
    lines
}

/// `keydb-cli` as the guide writes it: what is its default is left out.
fn keydb_cli(address: SocketAddr) -> String {
    let mut line = "keydb-cli".to_owned();
    if address.ip() != Ipv4Addr::LOCALHOST {
        let _ = write!(line, " -h {}", address.ip());
    }
    if address.port() != KEYDB_PORT {
        let _ = write!(line, " -p {}", address.port());
    }
    line
}

/// How a person stops a server; None if it does not run. The pid is another one after each start.
fn stop_line(record: &Record, server: &HeldServer) -> Option<String> {
    match &server.container {
        Some(container) => Some(format!("docker stop {container}")),
        None => Some(format!(
            "kill -TERM {}",
            pid_of(&record.dir()?, &server.name)?
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(name: &str, kind: Kind, address: &str) -> HeldServer {
        HeldServer {
            name: name.to_owned(),
            kind,
            role: "there".to_owned(),
            address: address.parse().expect("an address"),
            container: Some(format!("c-{name}")),
        }
    }

    #[test]
    fn commands_are_the_guides_where_ports_are_the_guides() {
        let record = Record {
            pid: 7,
            run: "0".to_owned(),
            cluster: Some(Held {
                lab: String::new(),
                servers: vec![
                    server("proxy", Kind::Proxy, "127.0.0.1:6379"),
                    server("primary1", Kind::Primary, "127.0.0.1:6401"),
                    server("replica1", Kind::Replica, "127.9.9.11:6379"),
                ],
            }),
        };
        let text = text(&record);
        for line in [
            "  proxy     127.0.0.1:6379   there  stop: docker stop c-proxy\n",
            "  replica1  127.9.9.11:6379  there  stop: docker stop c-replica1\n",
            "\n  keydb-cli set key1 val1 ",
            "\n  keydb-cli -p 6401 get key1\n",
            "\n  keydb-cli -h 127.9.9.11 info replication\n",
            "\n  docker stop c-primary1 ",
            "\n  kill -USR1 7 ",
            "keydb-harness down\n",
        ] {
            assert!(text.contains(line), "'{line}' is not in:\n{text}");
        }
    }
}
