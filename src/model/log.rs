//! Log lines in KeyDB's form: process id, role, time, severity, text.

use std::fmt::Display;
use std::rc::Rc;

/// Where a node's log lines go.
#[derive(Clone)]
pub(super) struct Log {
    sink: Rc<dyn Fn(&str)>,
}

impl Log {
    pub(super) fn new(sink: impl Fn(&str) + 'static) -> Self {
        Self {
            sink: Rc::new(sink),
        }
    }

    /// What an operator may want to know.
    pub(super) fn notice(&self, text: impl Display) {
        self.line('*', text);
    }

    /// What an operator ought to know.
    pub(super) fn warning(&self, text: impl Display) {
        self.line('#', text);
    }

    fn line(&self, severity: char, text: impl Display) {
        let now = jiff::Zoned::now();
        let time = now.strftime("%d %b %Y %H:%M:%S%.3f");
        (self.sink)(&format!(
            "{}:M {time} {severity} {text}",
            std::process::id()
        ));
    }
}
