//! What an object is said to hold.

use crate::key::ObjectKey;

/// Longer ones are not kept.
pub(crate) const BYTES_MAX: usize = 255;

const UNKNOWN: &str = "application/octet-stream";
/// What curl says of `--data-binary`, whatever the data.
const CURL_DEFAULT: &str = "application/x-www-form-urlencoded";

/// The type to keep of the one that was stated; `None` where that says nothing.
pub(crate) fn stated(raw: Option<&str>) -> Option<String> {
    let raw = raw?.trim();
    let visible = raw.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (!raw.is_empty() && raw.len() <= BYTES_MAX && visible && raw != CURL_DEFAULT).then(|| raw.to_owned())
}

/// The type that a key's extension stands for.
pub(crate) fn of_key(key: &ObjectKey) -> &'static str {
    let name = key.as_str().rsplit('/').next().unwrap_or_default();
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("parquet") => "application/vnd.apache.parquet",
        Some("arrow" | "arrows") => "application/vnd.apache.arrow.stream",
        Some("csv") => "text/csv",
        Some("json") => "application/json",
        Some("ndjson" | "jsonl") => "application/x-ndjson",
        Some("txt" | "md" | "log") => "text/plain; charset=utf-8",
        Some("gz") => "application/gzip",
        Some("zst") => "application/zstd",
        Some("pdf") => "application/pdf",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => UNKNOWN,
    }
}
