//! Bringing one version in: what differs is read, embedded and applied, each while the others go on.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use futures::StreamExt;
use kit::Caller;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;

use super::batches::{RowBatch, Step};
use super::follower::component;
use super::rows::{self, Row};
use super::statements::{Plan, Statements};
use crate::Error;
use crate::embedder::Deadline;
use crate::index::{Change, Index};
use crate::indexes::Indexes;
use crate::item::{ItemId, Op};
use crate::mark::Mark;
use crate::queryd::{Answer, Statement};
use crate::source::Source;

/// How long others are given whose writes fill the queue, or to link what waits for it.
const BACKLOG_PAUSE: Duration = Duration::from_millis(200);
/// Batches that are read and not with embedd yet.
const BATCHES_AHEAD: usize = 2;
/// Batches with embedd: while one comes back, the next is computed.
const BATCHES_EMBEDDED: usize = 2;
/// Ids looked at before others get a turn.
const IDS_PAGE: usize = 10_000;

/// What it takes.
pub(super) struct Bringing<'a> {
    pub(super) indexes: &'a Indexes,
    pub(super) index: &'a Arc<Index>,
    pub(super) source: &'a Source,
    pub(super) caller: &'a Caller,
    /// Rows of a batch.
    pub(super) batch_rows: usize,
}

impl Bringing<'_> {
    /// Brings a version in, or goes on with it where the mark says that this was begun.
    ///
    /// # Errors
    /// Rows that cannot be items; what peers or the log say. What was applied until then stays.
    pub(super) async fn run(&self, plan: Plan) -> Result<(), Error> {
        let begun = self.begin(plan).await?;
        let mark = self.bring(plan, begun).await?;
        if let Plan::Whole { target } = plan {
            self.drop_stale(target, &mark).await?;
        }
        let done = Mark { version: plan.target(), target: 0, after: None, ..mark };
        self.apply(Vec::new(), done).await
    }

    fn statements(&self) -> Statements<'_> {
        let config = self.indexes.config();
        // A character has four bytes at most.
        let text_chars_max = config.text_bytes_max / 4;
        Statements { source: self.source, text_chars_max, rows_max: config.follow_page_rows }
    }

    async fn query(&self, statement: Statement) -> Result<Answer, Error> {
        self.indexes.query(self.caller, statement, self.indexes.config().follow_timeout).await
    }

    /// The one batch of an answer that has one row.
    async fn one_row(&self, statement: Statement) -> Result<RecordBatch, Error> {
        self.query(statement).await?.next().await?.ok_or(Error::Content("queryd's answer has no rows"))
    }

    /// Where it begins; on the disk, so that whoever asks is told of it.
    async fn begin(&self, plan: Plan) -> Result<Mark, Error> {
        let held = self.index.mark();
        if (held.version, held.target) == (plan.base(), plan.target()) {
            return Ok(held);
        }
        let rows = self.check(plan.target()).await?;
        let rows_total = match plan {
            Plan::Whole { .. } => rows,
            Plan::Difference { base, target } => {
                rows::number(&self.one_row(self.statements().count(base, target)).await?, "rows")?
            }
        };
        let mark = Mark { version: plan.base(), target: plan.target(), after: None, rows_total, rows_done: 0 };
        self.apply(Vec::new(), mark.clone()).await?;
        Ok(mark)
    }

    /// How many rows a version has, if each can be an item.
    async fn check(&self, version: u64) -> Result<u64, Error> {
        let batch = self.one_row(self.statements().check(version)).await?;
        let column = &self.source.id_column;
        let bad = |what| Err(Error::BadRows { dataset: self.source.dataset.clone(), version, what });
        let nameless = rows::number(&batch, "nameless")?;
        if nameless > 0 {
            return bad(format!("{nameless} of its rows have no {column:?}, which is to be the items' id"));
        }
        if let Some(id) = rows::word(&batch, "twice")? {
            return bad(format!("several rows have the id {id:?} in {column:?}"));
        }
        if let Some(id) = rows::word(&batch, "odd")? {
            let start: String = id.chars().take(64).collect();
            return bad(format!("an id has 1 to {} bytes, and {start:?} has {}", ItemId::BYTES_MAX, id.len()));
        }
        rows::number(&batch, "rows")
    }

    /// Three stages, each of which waits for the next one when that is slow. One that fails ends those before
    /// it; those behind it end what they have, so that no vector is made in vain.
    async fn bring(&self, plan: Plan, begun: Mark) -> Result<Mark, Error> {
        let (read, to_embed) = mpsc::channel(BATCHES_AHEAD);
        let (embedded, to_apply) = mpsc::channel(1);
        let reading = self.read(plan, begun.after.clone(), read);
        let embedding = self.embed_all(to_embed, embedded);
        let (read, embedded, applied) = futures::join!(reading, embedding, self.apply_all(to_apply, begun));
        read.and(embedded).and(applied)
    }

    async fn embed_all(&self, from: mpsc::Receiver<RowBatch>, to: mpsc::Sender<Step>) -> Result<(), Error> {
        let steps = ReceiverStream::new(from).map(|batch| self.embed(batch));
        let mut steps = std::pin::pin!(steps.buffered(BATCHES_EMBEDDED));
        while let Some(step) = steps.next().await {
            if to.send(step?).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    async fn apply_all(&self, mut from: mpsc::Receiver<Step>, begun: Mark) -> Result<Mark, Error> {
        let mut mark = begun;
        while let Some(Step { ops, last, rows }) = from.recv().await {
            mark = Mark { after: last, rows_done: mark.rows_done + rows, ..mark };
            self.apply(ops, mark.clone()).await?;
        }
        Ok(mark)
    }

    async fn read(&self, plan: Plan, mut after: Option<ItemId>, to: mpsc::Sender<RowBatch>) -> Result<(), Error> {
        let config = self.indexes.config();
        loop {
            let mut answer = self.query(self.statements().page(plan, after.as_ref())).await?;
            let (mut page, mut bytes) = (Vec::new(), 0);
            // Held whole: embedd may take longer over it than a statement may run.
            while bytes < config.follow_page_bytes
                && let Some(batch) = answer.next().await?
            {
                let rows = rows::rows(&batch)?;
                bytes += rows.iter().map(Row::bytes).sum::<usize>();
                page.extend(rows);
            }
            drop(answer);
            let is_last = page.len() < config.follow_page_rows && bytes < config.follow_page_bytes;
            after = page.last().map(|row| row.id.clone()).or(after);
            for batch in RowBatch::cut(page, self.batch_rows, config.follow_batch_bytes) {
                if to.send(batch).await.is_err() {
                    return Ok(());
                }
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn embed(&self, batch: RowBatch) -> Result<Step, Error> {
        let (index, indexes) = (self.index.clone(), self.indexes.clone());
        let drafted = self.indexes.maintenance().run(move || batch.draft(&index.settings, indexes.config()));
        let mut draft = drafted.await??;
        let deadline = Deadline::after(self.indexes.config().embed_timeout);
        let vectors = self.indexes.embed(self.caller, self.index, draft.take_texts(), deadline).await?;
        Ok(draft.complete(vectors))
    }

    /// Durably and together: what is done, and that it is.
    async fn apply(&self, ops: Vec<Op>, mark: Mark) -> Result<(), Error> {
        loop {
            match self.index.change(Change::Follow(ops.clone(), mark.clone())).await {
                Err(Error::Backlog { .. } | Error::Overloaded { .. }) => sleep(BACKLOG_PAUSE).await,
                Err(error) => return Err(error),
                Ok(applied) => {
                    self.indexes.metrics().applied(applied);
                    self.indexes.metrics().follows(self.index);
                    self.indexes.health().remove(&component(self.index.settings.name.as_str()));
                    return Ok(());
                }
            }
        }
    }

    /// Deletes what the version does not have, once all that it has is there.
    async fn drop_stale(&self, target: u64, mark: &Mark) -> Result<(), Error> {
        if self.index.store.stats().count as u64 <= mark.rows_total {
            return Ok(());
        }
        let index = self.index.clone();
        let mut held = self.indexes.maintenance().run(move || all_ids(&index)).await?.into_iter().peekable();
        let mut stale = Vec::new();
        let mut answer = self.query(self.statements().ids(target)).await?;
        while let Some(batch) = answer.next().await? {
            for id in rows::ids(&batch)? {
                while let Some(before) = held.next_if(|held| held.as_str() < id.as_str()) {
                    stale.push(before);
                }
                held.next_if(|held| held.as_str() == id.as_str());
            }
        }
        stale.extend(held);
        for ids in stale.chunks(self.indexes.config().items_per_batch_max) {
            self.apply(ids.iter().cloned().map(Op::Delete).collect(), mark.clone()).await?;
        }
        Ok(())
    }
}

/// The ids of all items, in the order in which queryd has them.
fn all_ids(index: &Index) -> Vec<ItemId> {
    let mut ids = Vec::new();
    let mut after = None;
    loop {
        let page = index.store.scroll(after.as_ref(), IDS_PAGE, None, false);
        ids.extend(page.items.iter().filter_map(|item| ItemId::parse(item.record.id().to_owned()).ok()));
        after = page.next_after;
        if after.is_none() {
            ids.sort_unstable();
            return ids;
        }
    }
}
