use super::*;
use crate::manifest::{Op, Receipt, Size};
use crate::name::DatasetName;
use crate::schema::{Column, Field};
use proptest::prelude::*;

const FIXTURE: &str = "tests/fixtures/manifest-v1.parquet";

/// What lies in the fixture.
fn sample() -> Manifest {
    let object = |key: &str, added_version, statistics| {
        Arc::new(Object { key: key.into(), rows: 3, bytes: 1 << 33, etag: "\"e\"".into(), added_version, statistics })
    };
    let statistics = vec![
        ColumnStatistics { field_id: 1, min: Some("-5".into()), max: Some("7".into()), nulls: Some(0) },
        ColumnStatistics { field_id: 2, min: Some("é".into()), max: None, nulls: None },
    ];
    let field = |id, name: &str, type_text: &str, nullable| Field {
        id,
        column: Column { name: name.into(), type_text: type_text.into(), nullable },
    };
    Manifest {
        name: DatasetName::parse("workers").unwrap(),
        version: 3,
        parent_version: 2,
        born_version: 1,
        op: Op::Replace,
        fingerprint: "ab".repeat(32),
        schema_id: 1,
        last_field_id: 2,
        fields: vec![field(1, "id", "BIGINT", false), field(2, "näme", "VARCHAR", true)].into(),
        objects: vec![object("datasets/x/1.parquet", 1, statistics), object("datasets/x/2.parquet", 3, vec![])],
        removed_keys: vec!["datasets/x/0.parquet".into()],
        created_ms: 1_767_225_600_000,
        receipts: vec![Receipt {
            request_id: "r-1".into(),
            op: Op::Replace,
            version: 3,
            fingerprint: "ab".repeat(32),
            existing: true,
            total: Size { rows: 6, bytes: 1 << 34, objects: 2 },
            added: Size { rows: 3, bytes: 1 << 33, objects: 1 },
        }],
    }
}

#[test]
fn version_1_is_read_for_ever() {
    // Written once by this test with LAKEHOUSE_WRITE_FIXTURES set, then committed.
    if std::env::var_os("LAKEHOUSE_WRITE_FIXTURES").is_some() {
        std::fs::write(FIXTURE, encode(&sample()).unwrap()).unwrap();
    }
    assert_eq!(decode(std::fs::read(FIXTURE).unwrap().into()), Ok(sample()));
}

#[test]
fn a_later_format_is_refused() {
    let file = encode(&sample()).unwrap();
    let at = file.windows(FORMAT_KEY.len()).position(|w| w == FORMAT_KEY.as_bytes()).unwrap();
    let mut later = file.to_vec();
    // The value follows the key: a field header and a length byte between them.
    let value = at + FORMAT_KEY.len() + 2;
    assert_eq!(later[value], b'1');
    later[value] = b'2';
    assert_eq!(decode(later.into()).unwrap_err(), "its format version is 2, this program reads 1");
}

#[test]
fn a_torn_manifest_is_no_manifest() {
    let file = encode(&sample()).unwrap();
    for length in 0..file.len() {
        assert!(decode(file.slice(..length)).is_err(), "cut at {length}");
    }
    assert!(decode(Bytes::from_static(b"not a manifest at all")).is_err());
}

#[test]
fn a_tombstone_has_no_objects() {
    let gone = crate::manifest::plan::tombstone(&sample(), "r-2", 5).unwrap();
    assert_eq!(decode(encode(&gone).unwrap()), Ok(gone));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_was_written_is_read(
        objects in prop::collection::vec(("[a-z/]{1,20}", 0..u64::MAX >> 8, prop::option::of("\\PC{0,20}"), 0..u64::MAX >> 8), 0..40),
        columns in prop::collection::vec(("\\PC{1,20}", "\\PC{1,20}", any::<bool>()), 0..20),
    ) {
        let mut manifest = sample();
        manifest.objects = objects.into_iter().map(|(key, rows, max, nulls)| Arc::new(Object {
            key, rows, bytes: rows, etag: String::new(), added_version: 2,
            statistics: vec![ColumnStatistics { field_id: 1, min: None, max, nulls: Some(nulls) }],
        })).collect();
        manifest.fields = (1..).zip(columns).map(|(id, (name, type_text, nullable))| Field { id, column: Column { name, type_text, nullable } }).collect();
        prop_assert_eq!(decode(encode(&manifest).unwrap()), Ok(manifest));
    }
}

/// Every bit of the file, one at a time.
#[test]
fn a_damaged_manifest_is_read_or_refused() {
    let file = encode(&sample()).unwrap();
    for bit in 0..file.len() * 8 {
        let mut damaged = file.to_vec();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let _any_answer_will_do = decode(damaged.into());
    }
}
