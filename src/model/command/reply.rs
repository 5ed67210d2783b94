//! Replies.

use bytes::Bytes;
use redis_protocol::resp2::types::BytesFrame;

pub(super) const NIL: BytesFrame = BytesFrame::Null;

pub(super) fn ok() -> BytesFrame {
    simple("OK")
}

pub(super) fn simple(text: &'static str) -> BytesFrame {
    BytesFrame::SimpleString(Bytes::from_static(text.as_bytes()))
}

pub(super) fn integer(number: i64) -> BytesFrame {
    BytesFrame::Integer(number)
}

/// A number of things.
pub(super) fn size(size: usize) -> BytesFrame {
    BytesFrame::Integer(i64::try_from(size).unwrap_or(i64::MAX))
}

pub(super) fn flag(yes: bool) -> BytesFrame {
    BytesFrame::Integer(i64::from(yes))
}

pub(super) fn bulk(bytes: impl Into<Bytes>) -> BytesFrame {
    BytesFrame::BulkString(bytes.into())
}

pub(super) fn bulk_or_nil(bytes: Option<&Bytes>) -> BytesFrame {
    bytes.map_or(NIL, |bytes| bulk(bytes.clone()))
}

/// An array of byte strings.
pub(super) fn bulks(items: impl IntoIterator<Item = Bytes>) -> BytesFrame {
    BytesFrame::Array(items.into_iter().map(BytesFrame::BulkString).collect())
}
