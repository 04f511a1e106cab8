mod faults;
mod index;
mod limits;
mod properties;
mod semantics;

use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use super::{Cover, Fields, Filter, Limits};

const ROOM: Limits = Limits { paths_max: 100, bytes_max: 1 << 30 };

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap()
}

/// What a caller does: builds what is missing and asks, or evaluates item by item.
fn ask(fields: &mut Fields, filter: &Filter, items: &[(u32, Value)], live: &RoaringBitmap) -> Option<RoaringBitmap> {
    match fields.cover(filter) {
        Cover::Indexed => {}
        Cover::Missing(mut draft) => {
            draft.fill(items.iter().map(|(key, metadata)| (*key, object(metadata))));
            fields.install(draft).ok()?;
        }
        Cover::Refused => return None,
    }
    Some(matching(fields, filter, live).unwrap())
}

fn matching(fields: &Fields, filter: &Filter, live: &RoaringBitmap) -> Option<RoaringBitmap> {
    Some(fields.view(filter)?.matching(filter, live))
}
