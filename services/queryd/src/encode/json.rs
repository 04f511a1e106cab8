//! JSON, as one object or line by line.

use arrow_array::RecordBatch;

use super::cell::{Cell, Style, cell};
use super::text::write_string;
use super::{Encoder, End};
use crate::engine::ResultColumn;
use crate::error::Error;

fn cells<'a>(batch: &'a RecordBatch, columns: &'a [ResultColumn]) -> Vec<Cell<'a>> {
    let pairs = batch.columns().iter().zip(columns);
    pairs.map(|(array, column)| cell(array.as_ref(), &column.logical_type, Style::Json)).collect()
}

/// `{"columns":[…],"rows":[[…],…],"row_count":N}`
pub(super) struct Rows {
    columns: Vec<ResultColumn>,
    is_first: bool,
}

impl Rows {
    pub(super) fn begin(columns: &[ResultColumn], out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(b"{\"columns\":[");
        for (at, column) in columns.iter().enumerate() {
            out.extend_from_slice(if at > 0 { b",{\"name\":" } else { b"{\"name\":" });
            write_string(&column.name, out);
            out.extend_from_slice(b",\"type\":");
            write_string(&column.logical_type.to_string(), out);
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"rows\":[");
        Rows { columns: columns.to_vec(), is_first: true }
    }
}

impl Encoder for Rows {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        let cells = cells(batch, &self.columns);
        for row in 0..batch.num_rows() {
            if self.is_first {
                self.is_first = false;
            } else {
                out.push(b',');
            }
            out.push(b'[');
            for (at, write) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(row, out);
            }
            out.push(b']');
        }
        Ok(())
    }

    fn end(self: Box<Self>, end: End, out: &mut Vec<u8>) -> Result<(), Error> {
        out.extend_from_slice(b"],\"row_count\":");
        out.extend_from_slice(itoa::Buffer::new().format(end.rows).as_bytes());
        if end.truncated {
            out.extend_from_slice(b",\"truncated\":true");
        }
        out.extend_from_slice(b"}");
        Ok(())
    }
}

/// One object a line.
pub(super) struct Lines {
    columns: Vec<ResultColumn>,
    /// `{"name":`, and `,"name":` for all but the first.
    keys: Vec<Vec<u8>>,
}

impl Lines {
    pub(super) fn begin(columns: &[ResultColumn]) -> Self {
        let keys = columns.iter().enumerate().map(|(at, column)| {
            let mut key = vec![if at > 0 { b',' } else { b'{' }];
            write_string(&column.name, &mut key);
            key.push(b':');
            key
        });
        Lines { keys: keys.collect(), columns: columns.to_vec() }
    }
}

impl Encoder for Lines {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        let cells = cells(batch, &self.columns);
        for row in 0..batch.num_rows() {
            for (key, write) in self.keys.iter().zip(&cells) {
                out.extend_from_slice(key);
                write(row, out);
            }
            out.extend_from_slice(b"}\n");
        }
        Ok(())
    }

    fn end(self: Box<Self>, _: End, _: &mut Vec<u8>) -> Result<(), Error> {
        Ok(())
    }
}
