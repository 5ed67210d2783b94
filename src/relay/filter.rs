//! The hook by which a relay changes what it passes on.

use std::fmt;
use std::sync::Arc;

/// Sees the bytes of one direction of one connection, from its first one on, and says what goes on
/// instead.
pub trait Filter: Send + fmt::Debug {
    /// The next bytes, in whatever pieces they come. What is to go on is added to `onward`, now or
    /// at a later call.
    fn bytes(&mut self, came: &[u8], onward: &mut Vec<u8>);

    /// Nothing more comes. What was kept back is added to `onward`.
    fn end(&mut self, _onward: &mut Vec<u8>) {}
}

/// Makes the filter of a new connection.
#[derive(Clone)]
pub struct MakeFilter(Arc<dyn Fn() -> Box<dyn Filter> + Send + Sync>);

impl MakeFilter {
    /// A filter made by `make` for each connection.
    pub fn new(make: impl Fn() -> Box<dyn Filter> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }

    pub(super) fn make(&self) -> Box<dyn Filter> {
        (self.0)()
    }
}

impl fmt::Debug for MakeFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MakeFilter").finish_non_exhaustive()
    }
}
