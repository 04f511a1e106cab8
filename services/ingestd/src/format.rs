//! What a body is: told by the caller, by its content type, by its file name, or by its first bytes.

use crate::error::{Error, Result};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Csv,
    Ndjson,
    /// One array of objects.
    JsonArray,
    Parquet,
    ArrowStream,
    ArrowFile,
}

/// What is said of a body; the bytes decide the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hint {
    Is(Format),
    /// Newline-delimited or an array.
    Json,
    /// A stream or a file.
    Arrow,
    Unknown,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    Gzip,
    Zstd,
}

impl Hint {
    /// Of the query parameter `format`.
    pub(crate) fn from_parameter(text: &str) -> Result<Self> {
        Ok(match text {
            "csv" => Hint::Is(Format::Csv),
            "ndjson" => Hint::Is(Format::Ndjson),
            "json" => Hint::Json,
            "parquet" => Hint::Is(Format::Parquet),
            "arrow" => Hint::Arrow,
            _ => return Err(Error::invalid(format!("format is csv, ndjson, json, parquet or arrow, not {text:?}"))),
        })
    }

    /// Of a content type; types that say nothing about rows (octet-stream, curl's form type) are
    /// [`Hint::Unknown`], types that say something else are refused.
    pub(crate) fn from_content_type(text: &str) -> Result<Self> {
        let mut parts = text.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default().to_ascii_lowercase();
        let charset = parts.find_map(|part| part.to_ascii_lowercase().strip_prefix("charset=").map(str::to_owned));
        if let Some(charset) = charset
            && !matches!(charset.trim_matches('"'), "utf-8" | "utf8" | "us-ascii")
        {
            return Err(Error::UnsupportedFormat(format!("text is taken in UTF-8, not in {charset}")));
        }
        Ok(match essence.as_str() {
            "text/csv" | "application/csv" | "text/tab-separated-values" => Hint::Is(Format::Csv),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines" => {
                Hint::Is(Format::Ndjson)
            }
            "application/json" => Hint::Json,
            "application/vnd.apache.parquet" | "application/x-parquet" | "application/parquet" => {
                Hint::Is(Format::Parquet)
            }
            "application/vnd.apache.arrow.stream" => Hint::Is(Format::ArrowStream),
            "application/vnd.apache.arrow.file" => Hint::Is(Format::ArrowFile),
            ""
            | "text/plain"
            | "application/octet-stream"
            | "binary/octet-stream"
            | "application/gzip"
            | "application/x-gzip"
            | "application/zstd"
            | "application/x-www-form-urlencoded" => Hint::Unknown,
            _ => {
                return Err(Error::UnsupportedFormat(format!(
                    "{essence} is not CSV, NDJSON, JSON, Parquet or Arrow; the parameter format says what it is"
                )));
            }
        })
    }

    /// Of a file name, with or without `.gz` or `.zst` behind it.
    pub(crate) fn from_file_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("csv" | "tsv" | "tab") => Hint::Is(Format::Csv),
            Some("ndjson" | "jsonl") => Hint::Is(Format::Ndjson),
            Some("json") => Hint::Json,
            Some("parquet" | "pq") => Hint::Is(Format::Parquet),
            Some("arrow" | "feather" | "arrows" | "ipc") => Hint::Arrow,
            _ => Hint::Unknown,
        }
    }

    pub(crate) fn or(self, other: Hint) -> Hint {
        if self == Hint::Unknown { other } else { self }
    }
}

impl Format {
    /// Settles a hint by the first bytes of the (decompressed) body.
    pub(crate) fn settle(hint: Hint, head: &[u8]) -> Format {
        let is_arrow_file = head.starts_with(b"ARROW1");
        let arrow = if is_arrow_file { Format::ArrowFile } else { Format::ArrowStream };
        match hint {
            Hint::Is(format) => format,
            Hint::Json => json(head).unwrap_or(Format::Ndjson),
            Hint::Arrow => arrow,
            Hint::Unknown if head.starts_with(b"PAR1") => Format::Parquet,
            // An IPC stream begins with a continuation marker and the length of its schema.
            Hint::Unknown if is_arrow_file || head.starts_with(&[0xff; 4]) => arrow,
            Hint::Unknown => json(head).unwrap_or(Format::Csv),
        }
    }
}

fn json(head: &[u8]) -> Option<Format> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    match text.iter().find(|byte| !byte.is_ascii_whitespace())? {
        b'[' => Some(Format::JsonArray),
        b'{' => Some(Format::Ndjson),
        _ => None,
    }
}

impl Compression {
    /// Of `Content-Encoding`.
    pub(crate) fn from_content_encoding(text: &str) -> Result<Option<Self>> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(None),
            "gzip" | "x-gzip" => Ok(Some(Compression::Gzip)),
            "zstd" => Ok(Some(Compression::Zstd)),
            other => Err(Error::UnsupportedFormat(format!("content-encoding is gzip or zstd, not {other:?}"))),
        }
    }

    /// Of the first bytes: nothing that is taken here begins with either mark, so a file that was
    /// compressed before it was sent needs no header to say so.
    pub(crate) fn sniff(head: &[u8]) -> Option<Self> {
        if head.starts_with(&[0x1f, 0x8b]) {
            Some(Compression::Gzip)
        } else if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            Some(Compression::Zstd)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_decide_where_nothing_is_said() {
        let cases: [(&[u8], Format); 8] = [
            (b"PAR1\x15\x04", Format::Parquet),
            (b"ARROW1\0\0", Format::ArrowFile),
            (b"\xff\xff\xff\xff\x10\0\0\0", Format::ArrowStream),
            (b"  [{\"a\":1}]", Format::JsonArray),
            (b"\xef\xbb\xbf\n{\"a\":1}", Format::Ndjson),
            (b"a,b\n1,2\n", Format::Csv),
            (b"", Format::Csv),
            (b"\"[x\",b\n", Format::Csv),
        ];
        for (head, format) in cases {
            assert_eq!(Format::settle(Hint::Unknown, head), format, "{head:?}");
        }
        assert_eq!(Format::settle(Hint::Is(Format::Csv), b"{}"), Format::Csv, "what is said holds");
    }

    #[test]
    fn names_and_types_say_what_a_body_is() {
        assert_eq!(Hint::from_file_name("Workers.CSV.gz"), Hint::Is(Format::Csv));
        assert_eq!(Hint::from_file_name("workers"), Hint::Unknown);
        assert_eq!(Hint::from_content_type("application/json; charset=utf-8").unwrap(), Hint::Json);
        assert_eq!(Hint::from_content_type("application/x-www-form-urlencoded").unwrap(), Hint::Unknown);
        assert!(Hint::from_content_type("image/png").is_err());
        assert!(Hint::from_content_type("text/csv; charset=iso-8859-1").is_err());
        assert!(Hint::from_parameter("xml").is_err());
        assert_eq!(Compression::sniff(b"\x1f\x8b\x08"), Some(Compression::Gzip));
        assert!(Compression::from_content_encoding("br").is_err());
    }
}
