//! Glob-style patterns, as KeyDB's `stringmatchlen` reads them, its oddities included: `[^]` is any
//! byte, `[]` none, and a `[` that is never closed ends with the pattern.

/// Whether all of `text` matches.
pub(in crate::model) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut position) = (0, 0);
    // Where to go on after the last star, should the rest not match: a star that matched too little.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&b'*') {
            at += 1;
            retry = Some((at, position));
            continue;
        }
        if at == pattern.len() && position == text.len() {
            return true;
        }
        let step = match (pattern.get(at), text.get(position)) {
            (Some(_), Some(&byte)) => one(&pattern[at..], byte),
            _ => None,
        };
        if let Some(length) = step {
            at += length;
            position += 1;
            continue;
        }
        match retry {
            Some((after, from)) if from < text.len() => {
                at = after;
                position = from + 1;
                retry = Some((after, from + 1));
            }
            _ => return false,
        }
    }
}

/// The length of the pattern's first element, if it matches the byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'[', rest @ ..] => class(rest, byte).map(|length| length + 1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// The length of a class after its `[`, if the byte is in it.
fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let negated = pattern.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match &pattern[at..] {
            [b'\\', escaped, ..] => {
                found |= *escaped == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [] => break,
            [low, b'-', high, ..] => {
                found |= (*low.min(high)..=*low.max(high)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= *literal == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some(at)
}
