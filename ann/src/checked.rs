//! Moving a snapshot: by the piece, with a checksum of all that went through.

use std::io::{Read, Write};

use crate::{EngineError, Metric};

/// Moved at once.
const PIECE_BYTES: usize = 1 << 20;

fn metric_byte(metric: Metric) -> u8 {
    match metric {
        Metric::Cosine => 0,
        Metric::L2 => 1,
        Metric::Dot => 2,
    }
}

fn metric_of(byte: u8) -> Option<Metric> {
    [Metric::Cosine, Metric::L2, Metric::Dot].into_iter().find(|metric| metric_byte(*metric) == byte)
}

/// See the module.
pub(crate) struct Checked<T> {
    inner: T,
    piece: Vec<u8>,
    crc: u32,
}

impl<T> Checked<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, piece: Vec::new(), crc: 0 }
    }
}

impl Checked<&mut dyn Write> {
    /// What a snapshot begins with.
    pub(crate) fn start(&mut self, magic: [u8; 4], version: u8, metric: Metric) -> Result<(), EngineError> {
        self.put(&magic)?;
        self.put(&[version, metric_byte(metric)])
    }

    #[inline]
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES { self.pass() } else { Ok(()) }
    }

    fn pass(&mut self) -> Result<(), EngineError> {
        self.crc = crc32c::crc32c_append(self.crc, &self.piece);
        self.inner.write_all(&self.piece)?;
        self.piece.clear();
        Ok(())
    }

    /// Ends with the checksum.
    pub(crate) fn finish(mut self) -> Result<(), EngineError> {
        self.pass()?;
        self.inner.write_all(&self.crc.to_le_bytes())?;
        Ok(self.inner.flush()?)
    }
}

impl Checked<&mut dyn Read> {
    /// The metric of a snapshot that begins as wanted.
    pub(crate) fn start(&mut self, magic: [u8; 4], version: u8) -> Result<Metric, EngineError> {
        if self.take(magic.len())? != magic {
            return Err(EngineError::Snapshot("it does not begin as one"));
        }
        if self.take(1)? != [version] {
            return Err(EngineError::Snapshot("it is of another version"));
        }
        let byte = self.take(1)?[0];
        metric_of(byte).ok_or(EngineError::Snapshot("its metric is unknown"))
    }

    pub(crate) fn numbers<const N: usize>(&mut self) -> Result<[u32; N], EngineError> {
        let mut numbers = [0; N];
        for (number, bytes) in numbers.iter_mut().zip(self.take(N * size_of::<u32>())?.as_chunks().0) {
            *number = u32::from_le_bytes(*bytes);
        }
        Ok(numbers)
    }

    /// Holds the checksum against what was read.
    pub(crate) fn finish(mut self) -> Result<(), EngineError> {
        let crc = self.crc;
        if self.take(size_of::<u32>())? == crc.to_le_bytes() {
            Ok(())
        } else {
            Err(EngineError::Snapshot("its checksum is wrong"))
        }
    }

    /// The next so many bytes.
    fn take(&mut self, bytes: usize) -> Result<&[u8], EngineError> {
        self.piece.resize(bytes, 0);
        self.inner.read_exact(&mut self.piece)?;
        self.crc = crc32c::crc32c_append(self.crc, &self.piece);
        Ok(&self.piece)
    }

    /// Calls `look` with one row after the other. A count that lies costs no more memory than a piece.
    pub(crate) fn rows(
        &mut self,
        count: usize,
        row_bytes: usize,
        mut look: impl FnMut(&[u8]) -> Result<(), EngineError>,
    ) -> Result<(), EngineError> {
        let at_once = (PIECE_BYTES / row_bytes).max(1);
        let mut left = count;
        while left > 0 {
            let rows = left.min(at_once);
            self.take(rows * row_bytes)?.chunks_exact(row_bytes).try_for_each(&mut look)?;
            left -= rows;
        }
        Ok(())
    }
}
