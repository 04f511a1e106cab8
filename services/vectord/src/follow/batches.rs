//! Rows that are brought in together.

use ann::Vector;

use super::rows::Row;
use crate::Error;
use crate::batch::Texts;
use crate::config::Config;
use crate::item::{ItemId, Op};
use crate::settings::Settings;

/// Rows in the order of their ids, at least one.
#[derive(Debug)]
pub(super) struct RowBatch {
    rows: Vec<Row>,
}

impl RowBatch {
    /// Cuts rows into batches of at most `rows_max` and about `bytes_max`.
    pub(super) fn cut(rows: Vec<Row>, rows_max: usize, bytes_max: usize) -> Vec<Self> {
        let mut batches = Vec::new();
        let (mut batch, mut bytes) = (Vec::new(), 0);
        for row in rows {
            bytes += row.bytes();
            batch.push(row);
            if batch.len() >= rows_max || bytes >= bytes_max {
                batches.push(RowBatch { rows: std::mem::take(&mut batch) });
                bytes = 0;
            }
        }
        if !batch.is_empty() {
            batches.push(RowBatch { rows: batch });
        }
        batches
    }

    /// # Errors
    /// What is wrong with which row.
    pub(super) fn draft(self, settings: &Settings, config: &Config) -> Result<StepDraft, Error> {
        let rows = self.rows.len() as u64;
        let mut ops = Vec::with_capacity(self.rows.len());
        let mut texts = Texts::default();
        let mut last = None;
        for row in self.rows {
            last = Some(row.id.clone());
            let (op, text) = row.into_op(settings, config)?;
            text.into_iter().for_each(|text| texts.push(ops.len(), text));
            ops.push(op);
        }
        Ok(StepDraft { step: Step { ops, last, rows }, texts })
    }
}

/// What a batch comes to, but for its vectors.
pub(super) struct StepDraft {
    step: Step,
    texts: Texts,
}

/// What a batch comes to.
pub(super) struct Step {
    pub(super) ops: Vec<Op>,
    /// The id of its last row.
    pub(super) last: Option<ItemId>,
    pub(super) rows: u64,
}

impl StepDraft {
    pub(super) fn take_texts(&mut self) -> Vec<String> {
        self.texts.take()
    }

    /// With the vectors of the texts that were taken, in their order.
    pub(super) fn complete(self, vectors: Vec<Vector>) -> Step {
        let StepDraft { mut step, texts } = self;
        for (at, vector) in texts.placed(vectors) {
            if let Op::Put(put) = &mut step.ops[at] {
                put.vector = Some(vector);
            }
        }
        step
    }
}
