//! The elements of what grows: texts, lists, sets, streams.

use crate::history::{Content, Token};

/// The elements of a value in its order, each a value of ours or a strange text; none if it is of
/// another kind.
pub(super) fn of(content: &Content) -> Option<impl Iterator<Item = Result<Token, &str>>> {
    let (text, values): (&str, &[String]) = match content {
        Content::Text(text) => (text, &[]),
        Content::List(values) | Content::Set(values) => ("", values),
        Content::Hash(_) | Content::Ranking(_) => return None,
    };
    let pieces = text.split_terminator(';');
    let all = pieces.chain(values.iter().map(String::as_str));
    Some(all.map(|element| element.parse().map_err(|_| element)))
}
