//! GeoParquet 1.x: columns of bytes that are geometries, told by the file's key-value metadata
//! (<https://geoparquet.org/releases/v1.1.0/>). DuckDB reads them as GEOMETRY.

use parquet::file::metadata::ParquetMetaData;
use serde_json::{Map, Value};

use crate::column_type::ColumnType;

const KEY: &str = "geo";
/// What the specification says where a column says nothing.
const CRS_DEFAULT: &str = "OGC:CRS84";

/// The columns that the metadata describes; none where there is no such metadata.
pub(super) fn columns(metadata: &ParquetMetaData) -> Map<String, Value> {
    let entries = metadata.file_metadata().key_value_metadata();
    let text = entries.into_iter().flatten().find(|entry| entry.key == KEY).and_then(|entry| entry.value.as_deref());
    let parsed = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
    match parsed.map(|mut geo| geo["columns"].take()) {
        Some(Value::Object(columns)) => columns,
        _ => Map::new(),
    }
}

/// The type of a column, where it is a geometry that its own annotation does not tell.
pub(super) fn geometry(column: Option<&Value>, kind: &ColumnType) -> Option<ColumnType> {
    let column = column.filter(|column| *kind == ColumnType::Blob && column["encoding"] == "WKB")?;
    let crs = match column.get("crs") {
        None => Some(CRS_DEFAULT.to_owned()),
        Some(crs) => crs["id"]["authority"].as_str().map(|authority| {
            let code = &crs["id"]["code"];
            format!("{authority}:{}", code.as_str().map_or_else(|| code.to_string(), str::to_owned))
        }),
    };
    Some(ColumnType::Geometry { crs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_geometry_has_the_system_that_its_column_names() {
        let typed = |column: Value| geometry(Some(&column), &ColumnType::Blob).map(|kind| kind.to_string());
        assert_eq!(typed(serde_json::json!({ "encoding": "WKB" })).as_deref(), Some("GEOMETRY('OGC:CRS84')"));
        assert_eq!(typed(serde_json::json!({ "encoding": "WKB", "crs": null })).as_deref(), Some("GEOMETRY"));
        let projected =
            serde_json::json!({ "encoding": "WKB", "crs": { "id": { "authority": "EPSG", "code": 3857 } } });
        assert_eq!(typed(projected).as_deref(), Some("GEOMETRY('EPSG:3857')"));
        assert_eq!(typed(serde_json::json!({ "encoding": "point" })), None);
    }
}
