//! An Arrow IPC stream.

use arrow_array::RecordBatch;
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, SchemaRef};

use super::{Encoder, End};
use crate::error::Error;

pub(super) struct Stream(StreamWriter<Vec<u8>>);

impl Stream {
    pub(super) fn begin(schema: &SchemaRef) -> Result<Self, Error> {
        StreamWriter::try_new(Vec::new(), schema).map(Stream).map_err(unencodable)
    }

    fn hand_over(&mut self, out: &mut Vec<u8>) {
        let written = self.0.get_mut();
        if out.is_empty() {
            std::mem::swap(out, written);
        } else {
            out.append(written);
        }
    }
}

fn unencodable(error: ArrowError) -> Error {
    Error::Unencodable(format!("the result cannot be written as Arrow: {error}"))
}

impl Encoder for Stream {
    fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.write(batch).map_err(unencodable)?;
        self.hand_over(out);
        Ok(())
    }

    fn end(mut self: Box<Self>, _: End, out: &mut Vec<u8>) -> Result<(), Error> {
        self.0.finish().map_err(unencodable)?;
        self.hand_over(out);
        Ok(())
    }
}
