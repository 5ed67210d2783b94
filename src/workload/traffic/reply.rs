//! Replies as they come from a server that is not to be trusted: one that nests too deep, or does not end,
//! is refused before it fills the stack or the memory.

use redis_protocol::resp2::decode::decode_range;
use redis_protocol::resp2::types::RangeFrame;

/// How deep arrays may lie in each other. `XRANGE` in `EXEC` has four levels.
const DEEPEST: usize = 8;
/// The longest reply in bytes. The values of traffic have a few bytes each.
const LONGEST: usize = 16 << 20;

/// The first reply of these bytes, and how long it is; `None` until it is whole. Its places count from
/// the beginning of the bytes.
///
/// # Errors
/// The bytes do not begin with a reply, or it is deeper or longer than any that traffic asks for; the
/// text says which.
pub(super) fn first(bytes: &[u8]) -> Result<Option<(RangeFrame, usize)>, String> {
    if nests_too_deep(bytes) {
        return Err(format!("arrays are nested deeper than {DEEPEST}"));
    }
    match decode_range(bytes) {
        Ok(None) if bytes.len() > LONGEST => {
            Err(format!("a reply is longer than {} MiB", LONGEST >> 20))
        }
        first => first.map_err(|error| error.to_string()),
    }
}

/// Whether what is there of the first reply nests too deep: the decoder calls itself for each level.
fn nests_too_deep(bytes: &[u8]) -> bool {
    if bytes.first() != Some(&b'*') {
        return false;
    }
    // How many values are to come, of each array that is open.
    let mut open: Vec<u64> = Vec::new();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let line = &rest[..end];
        rest = &rest[end + 2..];
        let number = line.get(1..).and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok()?;
            digits.parse::<i64>().ok()?.try_into().ok()
        });
        match (line.first(), number) {
            (Some(b'*'), Some(count)) if count > 0_u64 => {
                open.push(count);
                if open.len() > DEEPEST {
                    return true;
                }
                continue;
            }
            (Some(b'$'), Some(length)) => {
                let after = usize::try_from(length).ok();
                let after = after.and_then(|length| rest.get(length.checked_add(2)?..));
                let Some(after) = after else { return false };
                rest = after;
            }
            _ => {}
        }
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
        if open.is_empty() {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without a bound this overflows the stack, which ends the process.
    #[test]
    fn nesting_is_bounded() {
        let error = first(&b"*1\r\n".repeat(1 << 18)).unwrap_err();
        assert_eq!(error, "arrays are nested deeper than 8");
        // Also where a blank line, or a bulk, stands before it.
        let hidden = b"*2\r\n+a\nb$9\r\n".repeat(1 << 16);
        assert!(first(&hidden).is_err());
        let within = [b"*1\r\n".repeat(DEEPEST), b":1\r\n".to_vec()].concat();
        assert!(first(&within).unwrap().is_some());
        let side_by_side = [b"*100\r\n".to_vec(), b"*1\r\n$3\r\n*1\r\r\n".repeat(100)].concat();
        assert!(first(&side_by_side).unwrap().is_some());
    }

    #[test]
    fn a_reply_without_an_end_is_given_up() {
        let endless = [b"$999999999999\r\n".to_vec(), vec![b'x'; LONGEST]].concat();
        assert_eq!(first(&endless[..100]).unwrap(), None);
        let error = first(&endless).unwrap_err();
        assert_eq!(error, "a reply is longer than 16 MiB");
    }
}
