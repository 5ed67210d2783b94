//! What operations do: to which keys, and with which values.

use crate::history::{Action, Name, Operation, Outcome, Reply, Token};

/// What an operation does to a key, if it is done. Deletions that found nothing do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// Set, with milliseconds to live.
    Set(Token, Option<u32>),
    Delete,
    Expire(u32),
    Increment(i32),
    /// One more element: of a text, a list, a set, a stream.
    Add(Token),
    /// One element less.
    Remove(Token),
    Field(u16, Token),
    Score(i32, Token),
    /// Nothing is changed.
    Read,
}

/// What an operation does.
pub(super) fn effect(operation: &Operation) -> Effect {
    let found_nothing = matches!(operation.outcome, Outcome::Ok(Reply::Number(0)));
    match operation.action {
        Action::Delete | Action::Expire(_) | Action::Remove(_) if found_nothing => Effect::Read,
        Action::Set(token) | Action::SetAll(_, token) | Action::ScriptSetAll(_, token) => {
            Effect::Set(token, None)
        }
        Action::SetFor(token, ttl) => Effect::Set(token, Some(ttl)),
        Action::Delete => Effect::Delete,
        Action::Expire(ttl) => Effect::Expire(ttl),
        Action::Increment(by) => Effect::Increment(by),
        Action::Append(token) | Action::Push(token) | Action::Add(token) | Action::Log(token) => {
            Effect::Add(token)
        }
        Action::Remove(token) => Effect::Remove(token),
        Action::PutField(field, token) => Effect::Field(field, token),
        Action::Score(score, token) => Effect::Score(score, token),
        Action::Get
        | Action::List
        | Action::Members
        | Action::Fields
        | Action::Ranking
        | Action::Entries
        | Action::GetAll(_)
        | Action::Publish(_)
        | Action::Subscribe
        | Action::Hear => Effect::Read,
    }
}

/// The value that an operation brings into the world.
pub(super) fn brings(action: &Action) -> Option<Token> {
    match action {
        Action::Set(token)
        | Action::SetFor(token, _)
        | Action::SetAll(_, token)
        | Action::ScriptSetAll(_, token)
        | Action::Append(token)
        | Action::Push(token)
        | Action::Add(token)
        | Action::PutField(_, token)
        | Action::Score(_, token)
        | Action::Log(token) => Some(*token),
        _ => None,
    }
}

/// Whether the key of such an operation is no key, but a channel or a pattern of some.
pub(super) fn of_a_channel(action: &Action) -> bool {
    matches!(
        action,
        Action::Publish(_) | Action::Subscribe | Action::Hear
    )
}

/// The keys that an operation touches; channels are none.
pub(super) fn touched(operation: &Operation) -> impl Iterator<Item = Name> + '_ {
    let others: &[Name] = match &operation.action {
        Action::SetAll(keys, _) | Action::ScriptSetAll(keys, _) | Action::GetAll(keys) => keys,
        _ => &[],
    };
    let own = (!of_a_channel(&operation.action)).then_some(operation.key);
    let others = others.iter().copied().filter(move |key| Some(*key) != own);
    own.into_iter().chain(others)
}
