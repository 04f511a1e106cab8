//! What lies between the encoder and an object.

use std::io::{Error, ErrorKind, Result, Write};

/// Counts what goes through, and can hold back the end. Empty once it is finished.
pub(super) struct Counted<W> {
    pub(super) to: Option<W>,
    pub(super) bytes: u64,
    held: Option<Vec<u8>>,
}

impl<W: Write> Counted<W> {
    pub(super) fn new(to: W) -> Self {
        Counted { to: Some(to), bytes: 0, held: None }
    }

    /// What comes from now on, page indexes and the footer, is the file's end. The encoder holds the
    /// same in memory, in a longer form.
    pub(super) fn hold_back(&mut self) {
        self.held = Some(Vec::new());
    }

    /// Writes the end of a file with so many leaf columns, for readers of every age.
    pub(super) fn write_end(&mut self, columns: usize) -> Result<()> {
        let mut end = self.held.take().unwrap_or_default();
        column_order::by_type(&mut end, columns).map_err(Error::other)?;
        self.write_all(&end)
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if let Some(held) = &mut self.held {
            held.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let Some(to) = &mut self.to else { return Err(ErrorKind::BrokenPipe.into()) };
        let length = to.write(bytes)?;
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> Result<()> {
        self.to.as_mut().map_or(Ok(()), Write::flush)
    }
}
