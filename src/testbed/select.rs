//! Which testbed a run takes.
