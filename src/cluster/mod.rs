//! What the servers of a running cluster say about themselves, as values.

pub mod haproxy_stat;
pub mod info;
pub mod role;
