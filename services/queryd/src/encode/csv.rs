//! CSV by RFC 4180: a header, CRLF, quotes where they are needed. A missing value is empty, an empty
//! text is `""`.

use arrow_array::{Array, RecordBatch};

use super::cell::{Style, cell};
use super::{Encoder, End};
use crate::engine::ResultColumn;
use crate::error::Error;

pub(super) struct Csv {
    columns: Vec<ResultColumn>,
    field: Vec<u8>,
}

impl Csv {
    pub(super) fn begin(columns: &[ResultColumn], out: &mut Vec<u8>) -> Self {
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write_field(column.name.as_bytes(), out);
        }
        out.extend_from_slice(b"\r\n");
        Csv { columns: columns.to_vec(), field: Vec::new() }
    }
}

fn write_field(field: &[u8], out: &mut Vec<u8>) {
    if !field.is_empty() && !field.iter().any(|byte| matches!(byte, b'"' | b',' | b'\r' | b'\n')) {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for &byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}

impl Encoder for Csv {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        let pairs = batch.columns().iter().zip(&self.columns);
        let cells: Vec<_> = pairs
            .map(|(array, column)| (array.logical_nulls(), cell(array.as_ref(), &column.logical_type, Style::Plain)))
            .collect();
        for row in 0..batch.num_rows() {
            for (at, (nulls, write)) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row)) {
                    self.field.clear();
                    write(row, &mut self.field);
                    write_field(&self.field, out);
                }
            }
            out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    fn end(self: Box<Self>, _: End, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        for (field, written) in [
            ("a b", "a b"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("x\ny", "\"x\ny\""),
        ] {
            let mut out = Vec::new();
            write_field(field.as_bytes(), &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), written);
        }
    }
}
