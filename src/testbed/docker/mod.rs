//! The Docker testbed: every server is a container on a network of its own cluster.
