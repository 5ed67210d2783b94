//! What exactly a run ran against, as the servers report it.
