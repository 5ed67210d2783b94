//! Replies as traffic reads them, for [`crate::hostile`].

use super::{reply, wire};
use crate::history::{Action, Name, Token};

/// Takes replies apart, and has each answer every kind of question.
pub(crate) fn replies(bytes: &[u8]) {
    let token = Token {
        client: 1,
        number: 2,
    };
    let keys = || Box::<[Name]>::from([Name(0)]);
    let actions = [
        Action::Get,
        Action::List,
        Action::Fields,
        Action::Entries,
        Action::Log(token),
        Action::GetAll(keys()),
        Action::SetAll(keys(), token),
        Action::ScriptSetAll(keys(), token),
    ];
    let mut rest = bytes;
    while let Ok(Some((frame, size))) = reply::first(rest) {
        assert!(0 < size && size <= rest.len());
        for action in &actions {
            wire::outcome(action, rest, &frame, |text| {
                // Not valid text is three bytes for each; `Debug` of a number is as long as it is.
                assert!(text.len() <= 128 + 32 * size);
                Name(0)
            });
        }
        rest = &rest[size..];
    }
}
