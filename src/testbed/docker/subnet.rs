//! The addresses of a cluster: a /24 of its own in a private range.

use std::net::Ipv4Addr;

use rand::RngExt;

/// The last part of the address of the container that tries whether relays are reached.
const PROBE: u8 = 10;
/// The last part of the first server's address; those below are the gateway's and spare.
const FIRST: u8 = 11;

/// How many servers have room in one subnet.
pub(super) const ROOM: usize = 255 - FIRST as usize;

/// 10.213.`n`.0/24.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Subnet(u8);

impl Subnet {
    /// Every subnet once, from a random one on, so that runs side by side seldom want the same.
    pub(super) fn candidates() -> impl Iterator<Item = Self> {
        Self::from(rand::rng().random())
    }

    fn from(start: u8) -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(move |step| Self(start.wrapping_add(step)))
    }

    pub(super) fn cidr(self) -> String {
        format!("{}/24", self.host(0))
    }

    /// The engine's own address, which is this machine's where the engine runs on it.
    pub(super) fn gateway(self) -> Ipv4Addr {
        self.host(1)
    }

    /// Nobody's for longer than a moment.
    pub(super) fn probe(self) -> Ipv4Addr {
        self.host(PROBE)
    }

    /// The addresses of the servers, in their order.
    pub(super) fn servers(self) -> impl Iterator<Item = Ipv4Addr> {
        (FIRST..u8::MAX).map(move |n| self.host(n))
    }

    fn host(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.0, n)
    }
}

/// Whether the engine refused a network because its subnet is in use.
pub(super) fn is_taken(cause: &str) -> bool {
    cause.to_lowercase().contains("overlap")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_subnet_is_tried_once() {
        let all: Vec<String> = Subnet::from(250).map(Subnet::cidr).collect();
        assert_eq!(all[0], "10.213.250.0/24");
        assert_eq!(all[6], "10.213.0.0/24");
        assert_eq!(all.iter().collect::<HashSet<_>>().len(), 256);
    }

    #[test]
    fn servers_have_room_and_never_the_gateway_or_broadcast_address() {
        let servers: Vec<_> = Subnet(7).servers().collect();
        assert_eq!(servers.len(), ROOM);
        assert_eq!(servers[0], Ipv4Addr::new(10, 213, 7, 11));
        assert_eq!(servers[ROOM - 1], Ipv4Addr::new(10, 213, 7, 254));
        assert!(
            servers
                .iter()
                .all(|one| *one != Subnet(7).gateway() && *one != Subnet(7).probe())
        );
    }

    #[test]
    fn the_engines_word_for_a_taken_subnet_is_known() {
        assert!(is_taken(
            "Pool overlaps with other one on this address space"
        ));
        assert!(!is_taken("permission denied"));
    }
}
