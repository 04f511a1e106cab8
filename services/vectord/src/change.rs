//! Changes as bytes, for the log.
//!
//! Version byte; u32 number of changes; each a tag byte, u16 bytes of the id and the id. Tag 0 is a
//! delete. Tag 1 is a put: a byte of flags (1: a vector follows, 2: metadata follows), then the vector's
//! f32 numbers, u32 bytes of JSON and the JSON. Numbers are little-endian.
//!
//! Version 2 has a mark (see [`Mark::put`]) behind its version byte. It is written only where there is one.

use ann::{Metric, Vector};

use crate::Error;
use crate::item::{ItemId, Metadata, Op, Put};
use crate::mark::Mark;

const VERSION: u8 = 1;
const VERSION_MARKED: u8 = 2;
const DELETE: u8 = 0;
const PUT: u8 = 1;
const HAS_VECTOR: u8 = 1;
const HAS_METADATA: u8 = 2;

pub(crate) fn encode(ops: &[Op], mark: Option<&Mark>) -> Result<Vec<u8>, Error> {
    let vectors = ops.iter().filter_map(|op| match op {
        Op::Put(put) => put.vector.as_ref(),
        Op::Delete(_) => None,
    });
    let floats: usize = vectors.map(|vector| vector.components().len()).sum();
    let mut bytes = Vec::with_capacity(floats * 4 + ops.len() * 64 + 5);
    match mark {
        None => bytes.push(VERSION),
        Some(mark) => {
            bytes.push(VERSION_MARKED);
            mark.put(&mut bytes);
        }
    }
    bytes.extend((ops.len() as u32).to_le_bytes());
    for op in ops {
        match op {
            Op::Delete(id) => put_id(&mut bytes, DELETE, id),
            Op::Put(put) => {
                put_id(&mut bytes, PUT, &put.id);
                let flags =
                    u8::from(put.vector.is_some()) * HAS_VECTOR + u8::from(put.metadata.is_some()) * HAS_METADATA;
                bytes.push(flags);
                if let Some(vector) = &put.vector {
                    bytes.extend(vector.components().iter().flat_map(|x| x.to_le_bytes()));
                }
                if let Some(metadata) = &put.metadata {
                    let json = serde_json::to_vec(metadata).map_err(|_| Error::Content("metadata is no JSON"))?;
                    bytes.extend((json.len() as u32).to_le_bytes());
                    bytes.extend(json);
                }
            }
        }
    }
    Ok(bytes)
}

fn put_id(bytes: &mut Vec<u8>, tag: u8, id: &ItemId) {
    bytes.push(tag);
    bytes.extend((id.as_str().len() as u16).to_le_bytes());
    bytes.extend(id.as_str().as_bytes());
}

pub(crate) fn decode(mut bytes: &[u8], metric: Metric, dimension: usize) -> Result<(Vec<Op>, Option<Mark>), Error> {
    let from = &mut bytes;
    let mark = match take(from, 1)? {
        [VERSION] => None,
        [VERSION_MARKED] => Some(Mark::take(from)?),
        _ => return Err(Error::Content("a change is of another version")),
    };
    let count = u32::from_le_bytes(array(from)?);
    let mut ops = Vec::with_capacity((count as usize).min(from.len()));
    for _ in 0..count {
        let tag = take(from, 1)?[0];
        let id_bytes = usize::from(u16::from_le_bytes(array(from)?));
        let id = str::from_utf8(take(from, id_bytes)?).map_err(|_| Error::Content("an id is no text"))?;
        let id = ItemId::parse(id.to_owned())?;
        ops.push(match tag {
            DELETE => Op::Delete(id),
            PUT => Op::Put(take_put(from, id, metric, dimension)?),
            _ => return Err(Error::Content("a change is of an unknown kind")),
        });
    }
    if from.is_empty() { Ok((ops, mark)) } else { Err(Error::Content("a change goes on behind its end")) }
}

fn take_put(from: &mut &[u8], id: ItemId, metric: Metric, dimension: usize) -> Result<Put, Error> {
    let flags = take(from, 1)?[0];
    let vector = if flags & HAS_VECTOR != 0 {
        let floats = take(from, dimension * 4)?.as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
        Some(Vector::parse(metric, floats).map_err(|_| Error::Content("a vector is not valid"))?)
    } else {
        None
    };
    let metadata: Option<Metadata> = if flags & HAS_METADATA != 0 {
        let json_bytes = u32::from_le_bytes(array(from)?) as usize;
        Some(serde_json::from_slice(take(from, json_bytes)?).map_err(|_| Error::Content("metadata is no JSON"))?)
    } else {
        None
    };
    Ok(Put { id, vector, metadata })
}

pub(crate) fn take<'a>(from: &mut &'a [u8], count: usize) -> Result<&'a [u8], Error> {
    from.split_off(..count).ok_or(Error::Content("a change ends too early"))
}

pub(crate) fn array<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], Error> {
    take(from, N)?.try_into().map_err(|_| Error::Content("a change ends too early"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::mark::tests::mark;

    fn op() -> impl Strategy<Value = Op> {
        let id = || "[a-zé]{1,9}".prop_map(|id| ItemId::parse(id).unwrap());
        let vector = prop::collection::vec(-9.0_f32..9.0, 3).prop_map(|x| Vector::parse(Metric::L2, x).unwrap());
        let metadata = prop::option::of(any::<i64>()).prop_map(|n| match n {
            Some(n) => json!({ "n": n, "é": ["x"] }).as_object().unwrap().clone(),
            None => Metadata::new(),
        });
        prop_oneof![
            id().prop_map(Op::Delete),
            (id(), prop::option::of(vector), prop::option::of(metadata))
                .prop_map(|(id, vector, metadata)| Op::Put(Put { id, vector, metadata })),
        ]
    }

    proptest! {
        #[test]
        fn changes_come_back_as_they_were(
            ops in prop::collection::vec(op(), 0..9), mark in prop::option::of(mark()),
        ) {
            let bytes = encode(&ops, mark.as_ref()).unwrap();
            prop_assert_eq!(decode(&bytes, Metric::L2, 3).unwrap(), (ops, mark));
        }

        #[test]
        fn what_is_cut_or_changed_is_refused_or_read_and_never_panics(
            ops in prop::collection::vec(op(), 1..5), mark in prop::option::of(mark()),
            at in any::<prop::sample::Index>(), byte in any::<u8>(),
        ) {
            let mut bytes = encode(&ops, mark.as_ref()).unwrap();
            let at = at.index(bytes.len());
            prop_assert!(decode(&bytes[..at], Metric::L2, 3).is_err());
            bytes[at] = byte;
            let _read_or_refused = decode(&bytes, Metric::L2, 3);
        }
    }

    #[test]
    fn the_first_version_is_read_for_ever() {
        let stored = b"\x01\x02\0\0\0\x00\x01\0a\x01\x01\0b\x03\0\0\x80\x3f\0\0\0\xc0\x07\0\0\0{\"k\":1}";
        let vector = Vector::parse(Metric::Dot, vec![1.0, -2.0]).unwrap();
        let metadata = json!({ "k": 1 }).as_object().cloned();
        let id = |id: &str| ItemId::parse(id.to_owned()).unwrap();
        let ops = vec![Op::Delete(id("a")), Op::Put(Put { id: id("b"), vector: Some(vector), metadata })];
        assert_eq!(decode(stored, Metric::Dot, 2).unwrap(), (ops.clone(), None));
        assert_eq!(encode(&ops, None).unwrap(), stored);
    }

    #[test]
    fn the_second_version_is_read_for_ever() {
        let stored =
            b"\x02\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x01\0b\x01\0\0\0\x00\x01\0a";
        let id = |id: &str| ItemId::parse(id.to_owned()).unwrap();
        let ops = vec![Op::Delete(id("a"))];
        let mark = Mark { version: 1, target: 2, after: Some(id("b")), rows_total: 9, rows_done: 4 };
        assert_eq!(decode(stored, Metric::Dot, 2).unwrap(), (ops.clone(), Some(mark.clone())));
        assert_eq!(encode(&ops, Some(&mark)).unwrap(), stored);
    }
}
