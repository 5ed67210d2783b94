//! Addresses for a cluster of processes: one loopback address per server where the system has
//! more than 127.0.0.1, else one port per server.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rand::RngExt;

use crate::run::state_dir;
use crate::testbed::{EnvironmentError, Port, Seat};
use crate::topology::{ADMIN_PORT, KEYDB_PORT};

/// How many subnets are tried before giving up.
const ATTEMPTS: usize = 64;
/// The last part of the relays' address; those of the servers follow.
const RELAYS: u8 = 10;
/// The folder of the lock files, one per subnet in use.
const LOCKS: &str = "loopback";

/// The addresses of one cluster, kept from other runs of this user by a held lock.
#[derive(Debug)]
pub(super) struct Addresses {
    service: BTreeMap<String, SocketAddr>,
    admin: BTreeMap<String, SocketAddr>,
    relays: IpAddr,
    lock: Option<(PathBuf, File)>,
}

impl Drop for Addresses {
    fn drop(&mut self) {
        if let Some((path, _held)) = &self.lock {
            let _ = fs::remove_file(path);
        }
    }
}

impl Addresses {
    pub(super) fn reserve(seats: &[Seat]) -> Result<Self, EnvironmentError> {
        for port in seats.iter().filter_map(|seat| seat.host_port) {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            TcpListener::bind(address).map_err(|error| {
                EnvironmentError::new(format!(
                    "port {port} on 127.0.0.1 cannot be used ({error}): stop what listens there, or choose free ports"
                ))
            })?;
        }
        let mut addresses = if has_loopback_network() {
            Self::subnet(seats)?
        } else {
            Self::ports(seats)?
        };
        for seat in seats {
            if let Some(port) = seat.host_port {
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                addresses.service.insert(seat.name.clone(), address);
            }
        }
        Ok(addresses)
    }

    pub(super) fn of(&self, server: &str, port: Port) -> SocketAddr {
        let table = match port {
            Port::Service => &self.service,
            Port::Admin => &self.admin,
        };
        // Every seat has both; a name that is none gets an address nothing listens on.
        table
            .get(server)
            .copied()
            .unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)))
    }

    /// Where relays listen: an address of their own, or the one that all share.
    pub(super) fn of_relays(&self) -> IpAddr {
        self.relays
    }

    /// 127.A.B.N for server N, with A.B held by a lock.
    fn subnet(seats: &[Seat]) -> Result<Self, EnvironmentError> {
        let locks = state_dir()?.join(LOCKS);
        fs::create_dir_all(&locks).map_err(|error| {
            EnvironmentError::new(format!(
                "cannot make {}: {error}; set XDG_STATE_HOME to a writable directory",
                locks.display()
            ))
        })?;
        let mut random = rand::rng();
        for _ in 0..ATTEMPTS {
            let (a, b): (u8, u8) = (random.random_range(64..128), random.random());
            let path = locks.join(format!("127.{a}.{b}"));
            let Some(lock) = lock(&path) else { continue };
            let table = |port: u16| -> BTreeMap<String, SocketAddr> {
                seats
                    .iter()
                    .zip(RELAYS + 1..)
                    .map(|(seat, n)| {
                        (
                            seat.name.clone(),
                            SocketAddr::from((Ipv4Addr::new(127, a, b, n), port)),
                        )
                    })
                    .collect()
            };
            let (service, admin) = (table(KEYDB_PORT), table(ADMIN_PORT));
            if service
                .values()
                .chain(admin.values())
                .all(|address| is_free(*address))
            {
                return Ok(Self {
                    service,
                    admin,
                    relays: Ipv4Addr::new(127, a, b, RELAYS).into(),
                    lock: Some((path, lock)),
                });
            }
        }
        Err(EnvironmentError::new(format!(
            "no free loopback subnet in {ATTEMPTS} tries: something listens on port {KEYDB_PORT} of every address; stop it"
        )))
    }

    /// 127.0.0.1 with a free port each. The listeners are held until all are chosen, so that no
    /// port is given twice.
    fn ports(seats: &[Seat]) -> Result<Self, EnvironmentError> {
        let mut held = Vec::new();
        let mut free = |seats: &[Seat]| -> std::io::Result<BTreeMap<String, SocketAddr>> {
            let mut table = BTreeMap::new();
            for seat in seats {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
                table.insert(seat.name.clone(), listener.local_addr()?);
                held.push(listener);
            }
            Ok(table)
        };
        let cannot = |error| {
            EnvironmentError::new(format!("no free port on 127.0.0.1 could be had: {error}"))
        };
        let service = free(seats).map_err(cannot)?;
        let admin = free(seats).map_err(cannot)?;
        Ok(Self {
            service,
            admin,
            relays: Ipv4Addr::LOCALHOST.into(),
            lock: None,
        })
    }
}

/// Takes the lock that is the file at `path`. Its holder removes the file, so that what was locked
/// may be a file that is there no more: then the lock is not had.
fn lock(path: &Path) -> Option<File> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .ok()?;
    file.try_lock().ok()?;
    let there = fs::metadata(path).ok()?;
    (file.metadata().ok()?.ino() == there.ino()).then_some(file)
}

/// Whether every server can have a loopback address of its own: Linux answers on all of
/// 127.0.0.0/8, other systems only on 127.0.0.1.
pub fn has_loopback_network() -> bool {
    is_free(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 64, 0, 1)), 0))
}

/// Removes the lock files that nobody holds: their holders were killed.
pub(super) fn remove_free_locks() {
    let Some(entries) = state_dir()
        .ok()
        .and_then(|dir| fs::read_dir(dir.join(LOCKS)).ok())
    else {
        return;
    };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if let Some(_held) = lock(&path) {
            let _ = fs::remove_file(&path);
        }
    }
}

fn is_free(address: SocketAddr) -> bool {
    TcpListener::bind(address).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats(host_port: Option<u16>) -> Vec<Seat> {
        ["proxy", "primary1"]
            .map(|name| Seat {
                name: name.to_owned(),
                host_port,
                admin: name == "proxy",
            })
            .to_vec()
    }

    #[test]
    fn every_server_has_its_own_address() {
        let one = Addresses::reserve(&seats(None)).expect("addresses");
        let two = Addresses::reserve(&seats(None)).expect("addresses");
        let all: std::collections::BTreeSet<_> =
            one.service.values().chain(two.service.values()).collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn ports_differ_where_there_is_one_address_only() {
        let addresses = Addresses::ports(&seats(None)).expect("ports");
        let all: std::collections::BTreeSet<_> = addresses
            .service
            .values()
            .chain(addresses.admin.values())
            .collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_port_in_use_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let port = taken.local_addr().expect("address").port();
        let error = Addresses::reserve(&seats(Some(port)))
            .expect_err("in use")
            .to_string();
        assert!(error.contains(&format!("port {port}")), "{error}");
    }
}
