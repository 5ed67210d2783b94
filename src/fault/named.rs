//! Faults in words, as schedules have them.
//!
//! `KIND[=PARAMETER] [TARGET]`: `cut primary1->primary2`, `delay=200ms primary1<->primary2`,
//! `restart=wiped primary1`, `all-down`. A link with two heads stands for both directions at once.

use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::link::{Link, Strike};
use super::node::{Blow, NodeFault};
use super::{Fault, Together};
use crate::spec::KeydbSpec;

/// A fault in words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Named {
    /// One of [`all`](super::all).
    pub kind: String,
    /// What follows the kind after `=`.
    pub parameter: Option<String>,
    /// Whom it strikes: a node, or a link.
    pub target: Option<String>,
}

/// Words that name no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{words}' names no fault: {why}")]
pub struct NameError {
    words: String,
    why: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if let Some(parameter) = &self.parameter {
            write!(f, "={parameter}")?;
        }
        match &self.target {
            Some(target) => write!(f, " {target}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Named {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut words = text.split_whitespace();
        let kind = words.next().unwrap_or_default();
        let (kind, parameter) = match kind.split_once('=') {
            Some((kind, parameter)) => (kind, Some(parameter.to_owned())),
            None => (kind, None),
        };
        let named = Self {
            kind: kind.to_owned(),
            parameter,
            target: words.next().map(str::to_owned),
        };
        if words.next().is_some() {
            return Err(
                named.wrong("too many words; write KIND, KIND TARGET or KIND=PARAMETER TARGET")
            );
        }
        // Whatever can be told without a cluster is told here.
        named.fault()?;
        Ok(named)
    }
}

impl Named {
    /// A fault of this kind and target, without a parameter.
    pub fn new(kind: &str, target: Option<&str>) -> Self {
        Self {
            kind: kind.to_owned(),
            parameter: None,
            target: target.map(str::to_owned),
        }
    }

    /// The fault. Whether a cluster can have it is asked of the fault.
    ///
    /// # Errors
    /// There is no such kind, or it takes no such parameter or target; the text says what it takes.
    pub fn fault(&self) -> Result<Arc<dyn Fault>, NameError> {
        let Some(kind) = super::all().iter().find(|kind| kind.name == self.kind) else {
            return Err(self.wrong("there is no such kind; `list --faults` shows them all"));
        };
        let made_of = MadeOf {
            named: self,
            read: Cell::new(false),
        };
        let fault = (kind.make)(&made_of)?;
        match self.parameter.is_some() && !made_of.read.get() {
            true => Err(self.wrong("this kind takes no parameter")),
            false => Ok(fault),
        }
    }

    fn wrong(&self, why: impl Into<String>) -> NameError {
        NameError {
            words: self.to_string(),
            why: why.into(),
        }
    }
}

/// What a fault is made of: each kind takes what it needs.
#[derive(Debug)]
pub struct MadeOf<'a> {
    named: &'a Named,
    /// Whether the parameter was taken.
    read: Cell<bool>,
}

impl MadeOf<'_> {
    /// A fault of the link, or of both directions, that is the target.
    pub(super) fn link<S: Strike>(
        &self,
        strike: impl Fn() -> S,
    ) -> Result<Arc<dyn Fault>, NameError> {
        let target = self.target("a link, such as primary1->primary2 or primary1<->primary2")?;
        let ends = |(a, b): (&str, &str)| {
            let whole = !a.is_empty() && !b.is_empty() && !b.contains('>');
            whole.then(|| (a.to_owned(), b.to_owned()))
        };
        if let Some((one, other)) = target.split_once("<->").and_then(ends) {
            return Ok(Arc::new(Together::between(&one, &other, strike)));
        }
        match target.split_once("->").and_then(ends) {
            Some((one, other)) => Ok(Arc::new(Link::new(one, other).struck_by(strike()))),
            None => Err(self.named.wrong(
                "it strikes a link: write it as primary1->primary2, in the direction of the data, \
                 or primary1<->primary2",
            )),
        }
    }

    /// A fault of the node that is the target.
    pub(super) fn node(&self, blow: impl Blow) -> Result<Arc<dyn Fault>, NameError> {
        Ok(Arc::new(NodeFault::new(self.server()?, blow)))
    }

    /// A fault of what the proxy does with the primary that is the target.
    pub(super) fn primary<F: Fault + 'static>(
        &self,
        make: impl FnOnce(String) -> F,
    ) -> Result<Arc<dyn Fault>, NameError> {
        Ok(Arc::new(make(self.server()?.to_owned())))
    }

    /// A fault that has no target.
    pub(super) fn alone(&self, fault: impl Fault + 'static) -> Result<Arc<dyn Fault>, NameError> {
        match &self.named.target {
            Some(_) => Err(self.named.wrong("this kind has no target")),
            None => Ok(Arc::new(fault)),
        }
    }

    /// The parameter as a time, `250ms`.
    pub(super) fn time(&self, by_default: Duration) -> Result<Duration, NameError> {
        let Some(text) = self.parameter() else {
            return Ok(by_default);
        };
        let milliseconds = text
            .strip_suffix("ms")
            .and_then(|digits| digits.parse().ok());
        milliseconds
            .map(Duration::from_millis)
            .ok_or_else(|| self.named.wrong("its parameter is a time, such as 250ms"))
    }

    /// The parameter as the SPEC of a KeyDB.
    pub(super) fn keydb(&self) -> Result<KeydbSpec, NameError> {
        let Some(text) = self.parameter() else {
            let what = "its parameter is the KeyDB that the node becomes, such as version:6.3.4";
            return Err(self.named.wrong(what));
        };
        let spec = text.parse::<KeydbSpec>();
        spec.map_err(|error| self.named.wrong(error.to_string()))
    }

    /// The parameter as a number.
    pub(super) fn number(&self, by_default: u64) -> Result<u64, NameError> {
        match self.parameter().map(str::parse) {
            None => Ok(by_default),
            Some(Ok(number)) => Ok(number),
            Some(Err(_)) => Err(self.named.wrong("its parameter is a number")),
        }
    }

    /// The parameter as one of these words, the first by default.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, NameError> {
        let parameter = self.parameter();
        let found = match parameter {
            None => words.first(),
            Some(text) => words.iter().find(|(word, _)| *word == text),
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let all = words.join(", ");
            self.named.wrong(format!("its parameter is one of {all}"))
        })
    }

    fn parameter(&self) -> Option<&str> {
        self.read.set(true);
        self.named.parameter.as_deref()
    }

    fn server(&self) -> Result<&str, NameError> {
        let name = self.target("a node, such as primary1")?;
        match name.contains('>') {
            true => Err(self
                .named
                .wrong("it strikes a node, such as primary1, not a link")),
            false => Ok(name),
        }
    }

    fn target(&self, what: &str) -> Result<&str, NameError> {
        let target = self.named.target.as_deref();
        target.ok_or_else(|| self.named.wrong(format!("it strikes {what}: name it")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("cut primary1->primary2", "cut primary1->primary2", &["primary1", "primary2"])]
    #[case("delay=70ms a->b", "delay by 70 ms a->b", &["a", "b"])]
    #[case("cut a<->b", "cut a->b and cut b->a", &["a", "b"])]
    #[case("kill replica1", "kill replica1", &["replica1"])]
    #[case("restart=wiped primary1", "restart primary1 without its data", &["primary1"])]
    #[case("maintenance primary1", "maintenance of primary1", &["proxy", "primary1"])]
    #[case("become=version:6.3.4 primary1", "primary1 becomes version:6.3.4", &["primary1"])]
    #[case("restart-proxy", "restart proxy", &["proxy"])]
    fn words_name_a_fault(#[case] words: &str, #[case] name: &str, #[case] strikes: &[&str]) {
        let named: Named = words.parse().unwrap();
        assert_eq!(named.to_string(), words);
        let fault = named.fault().unwrap();
        assert_eq!(
            (&*fault.name(), &*fault.strikes()),
            (name, &own(strikes)[..])
        );
    }

    fn own(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[rstest]
    #[case("", "no such kind")]
    #[case("explode primary1", "no such kind")]
    #[case("cut", "name it")]
    #[case("cut primary1", "it strikes a link")]
    #[case("cut a->", "it strikes a link")]
    #[case("cut a->b->c", "it strikes a link")]
    #[case("kill", "name it")]
    #[case("kill a->b", "not a link")]
    #[case("kill=9 a", "takes no parameter")]
    #[case("delay=long a->b", "is a time")]
    #[case("restart=twice a", "one of kept, wiped")]
    #[case("throttle=slow a->b", "is a number")]
    #[case("become primary1", "such as version:6.3.4")]
    #[case("become=6.3.4 primary1", "not a KeyDB SPEC")]
    #[case("all-down primary1", "no target")]
    #[case("kill a b", "too many words")]
    fn what_names_no_fault_is_told(#[case] words: &str, #[case] why: &str) {
        let error = words.parse::<Named>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn every_kind_can_be_named() {
        for kind in crate::fault::all() {
            let target = match kind.strikes {
                crate::fault::What::Link => Some("a->b"),
                _ => Some("a"),
            };
            let named = |target| Named {
                parameter: (kind.name == "become").then(|| "version:6.3.4".to_owned()),
                ..Named::new(kind.name, target)
            };
            let with = named(target).fault();
            let without = named(None).fault();
            assert!(with.is_ok() != without.is_ok(), "{}", kind.name);
        }
    }
}
