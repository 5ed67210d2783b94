//! Gathers what breaks a property, and keeps the smallest explanations.

/// How many explanations are kept.
const KEPT: usize = 3;

/// What breaks a property: how often, and the explanations with the fewest operations.
#[derive(Debug, Default)]
pub(super) struct Breaches {
    pub count: usize,
    kept: Vec<Breach>,
}

/// One explanation.
#[derive(Debug)]
pub(super) struct Breach {
    /// How many operations one must read to follow it.
    size: usize,
    pub text: String,
    /// The key that it is about, for a trace.
    pub slot: Option<usize>,
    /// The write that is missed, or wrong.
    pub write: Option<u32>,
}

impl Breaches {
    /// One more, explained by `text` if it is among the smallest.
    pub fn add(&mut self, size: usize, slot: Option<usize>, text: impl FnOnce() -> String) {
        self.add_of(size, slot, None, text);
    }

    /// The same, and which write is missed, or wrong.
    pub fn add_of(
        &mut self,
        size: usize,
        slot: Option<usize>,
        write: Option<u32>,
        text: impl FnOnce() -> String,
    ) {
        self.count += 1;
        let place = self.kept.partition_point(|kept| kept.size <= size);
        if place < KEPT {
            let text = text();
            let breach = Breach {
                size,
                text,
                slot,
                write,
            };
            self.kept.insert(place, breach);
            self.kept.truncate(KEPT);
        }
    }

    /// The smallest explanations, the smallest first.
    pub fn smallest(&self) -> &[Breach] {
        &self.kept
    }
}
