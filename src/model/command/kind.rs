//! A key's value as the type a command works on.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::Refusal;
use crate::model::object::{Data, Object, Slot};

pub(super) const WRONG_TYPE: &str =
    "WRONGTYPE Operation against a key holding the wrong kind of value";

pub(super) type List = VecDeque<Bytes>;
pub(super) type Set = BTreeSet<Bytes>;
pub(super) type Hash = BTreeMap<Bytes, Bytes>;
pub(super) type SortedSet = BTreeMap<Bytes, f64>;

/// One of KeyDB's types.
pub(super) trait Kind: Default {
    fn of(data: &Data) -> Option<&Self>;
    fn of_mut(data: &mut Data) -> Option<&mut Self>;
    fn into_data(self) -> Data;
}

macro_rules! kind {
    ($type:ty, $variant:ident) => {
        impl Kind for $type {
            fn of(data: &Data) -> Option<&Self> {
                match data {
                    Data::$variant(value) => Some(value),
                    _ => None,
                }
            }

            fn of_mut(data: &mut Data) -> Option<&mut Self> {
                match data {
                    Data::$variant(value) => Some(value),
                    _ => None,
                }
            }

            fn into_data(self) -> Data {
                Data::$variant(self)
            }
        }
    };
}

kind!(Bytes, String);
kind!(List, List);
kind!(Set, Set);
kind!(Hash, Hash);
kind!(SortedSet, SortedSet);

/// A value that must be of this type, if there is one.
///
/// # Errors
/// `WRONGTYPE` when it is of another.
pub(super) fn of<T: Kind>(object: Option<&Object>) -> Result<Option<&T>, Refusal> {
    match object {
        None => Ok(None),
        Some(object) => T::of(&object.data)
            .map(Some)
            .ok_or_else(|| WRONG_TYPE.to_owned()),
    }
}

/// The value of a key that holds this type or nothing.
///
/// # Errors
/// `WRONGTYPE` when it holds another.
pub(super) fn get<T: Kind>(slot: &Slot) -> Result<Option<&T>, Refusal> {
    of(slot.as_ref())
}

/// As [`get`], to change it.
///
/// # Errors
/// `WRONGTYPE` when it holds another.
pub(super) fn get_mut<T: Kind>(slot: &mut Slot) -> Result<Option<&mut T>, Refusal> {
    match slot {
        None => Ok(None),
        Some(object) => T::of_mut(&mut object.data)
            .map(Some)
            .ok_or_else(|| WRONG_TYPE.to_owned()),
    }
}

/// As [`get_mut`]; a key that holds nothing gets an empty value. A collection still empty after the
/// command is removed again; a string is not, so nothing may fail after this.
///
/// # Errors
/// `WRONGTYPE` when it holds another.
pub(super) fn make<T: Kind>(slot: &mut Slot) -> Result<&mut T, Refusal> {
    let object = slot.get_or_insert_with(|| Object::new(T::default().into_data()));
    T::of_mut(&mut object.data).ok_or_else(|| WRONG_TYPE.to_owned())
}
