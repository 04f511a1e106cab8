//! The way of a write: queued, logged together with others, applied, acknowledged.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::Index;
use crate::batch::Batch;
use crate::change;
use crate::error::Error;
use crate::filter::Filter;
use crate::item::{ItemId, Op, Put};
use crate::log::{LogError, Snapshots, Wal};
use crate::mark::Mark;
use crate::store::Applied;

/// Bytes of log written before one wait for the disk.
const GROUP_BYTES_MAX: usize = 64 << 20;

/// A write that a caller waits for.
#[derive(Debug)]
pub(crate) enum Change {
    Add(Batch),
    Delete(Vec<ItemId>),
    DeleteMatching(Filter),
    /// Of the dataset that the index follows: what differs, and how far that brings it.
    Follow(Vec<Op>, Mark),
}

/// What a change comes to for items as they are.
struct Work {
    ops: Vec<Op>,
    mark: Option<Mark>,
    /// How many vectors it brings.
    vectors: usize,
}

impl Work {
    fn unmarked(ops: Vec<Op>, vectors: usize) -> Self {
        Work { ops, mark: None, vectors }
    }
}

type Answer = oneshot::Sender<Result<Applied, Error>>;

struct Job {
    change: Change,
    answer: Answer,
}

#[derive(Default)]
pub(super) struct Queue(Mutex<VecDeque<Job>>);

impl Queue {
    fn jobs(&self) -> std::sync::MutexGuard<'_, VecDeque<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What only one thread at a time uses.
pub(super) struct Writer {
    pub(super) wal: Wal,
    pub(super) snapshots: Snapshots,
    pub(super) bytes_since_snapshot: u64,
}

/// Jobs whose changes are logged and not yet on the disk.
#[derive(Default)]
struct Group {
    changes: Vec<(Vec<Op>, Option<Mark>)>,
    payloads: Vec<Vec<u8>>,
    answers: Vec<Answer>,
    /// Items that it adds, at most.
    vectors: usize,
}

impl Index {
    /// Applies a change durably.
    ///
    /// # Errors
    /// What is wrong with it; no room in memory, on the disk or in a queue.
    pub(crate) async fn change(self: &Arc<Self>, change: Change) -> Result<Applied, Error> {
        self.writable()?;
        let limit = self.shared.config.writes_waiting_max;
        let (answer, answered) = oneshot::channel();
        {
            let mut jobs = self.queue.jobs();
            if jobs.len() >= limit {
                return Err(Error::Overloaded { what: "writes", limit, config_key: "writes_waiting_max" });
            }
            jobs.push_back(Job { change, answer });
        }
        // A task of its own: what was queued is written also where the caller does not wait for it.
        self.shared.tasks.spawn(self.clone().commit_queued());
        answered.await.map_err(|_| Error::WorkLost)?
    }

    async fn commit_queued(self: Arc<Self>) {
        let mut writer = self.writer.clone().lock_owned().await;
        // Whoever had the writer before may have taken this job along.
        if self.queue.jobs().is_empty() {
            return;
        }
        let index = self.clone();
        let pool = self.shared.maintenance.clone();
        // A failure has dropped the jobs' answers, so their callers know.
        let _told = pool.run(move || index.commit(&mut writer)).await;
        self.maintain();
    }

    fn commit(&self, writer: &mut Writer) {
        let mut group = Group::default();
        loop {
            let Some(job) = self.queue.jobs().pop_front() else { break };
            let depends = match &job.change {
                Change::Add(batch) => batch.without_vector().next().is_some(),
                Change::Delete(_) => false,
                Change::DeleteMatching(_) | Change::Follow(..) => true,
            };
            // What the group changes, this job must see.
            if depends {
                self.flush(writer, &mut group);
            }
            match self.ops(job.change, group.vectors) {
                Ok(Work { ops, mark: None, .. }) if ops.is_empty() => drop(job.answer.send(Ok(Applied::default()))),
                Ok(Work { ops, mark, vectors }) => match change::encode(&ops, mark.as_ref()) {
                    Ok(payload) => {
                        group.vectors += vectors;
                        group.changes.push((ops, mark));
                        group.payloads.push(payload);
                        group.answers.push(job.answer);
                    }
                    Err(error) => drop(job.answer.send(Err(error))),
                },
                Err(error) => drop(job.answer.send(Err(error))),
            }
            if group.payloads.iter().map(Vec::len).sum::<usize>() >= GROUP_BYTES_MAX {
                self.flush(writer, &mut group);
            }
        }
        self.flush(writer, &mut group);
        self.measure();
    }

    /// What a change does to items as they are now, `vectors_before` of which are not there yet.
    fn ops(&self, change: Change, vectors_before: usize) -> Result<Work, Error> {
        self.writable()?;
        match change {
            Change::Add(batch) => {
                for (at, id) in batch.without_vector() {
                    if !self.store.contains(id.as_str()) {
                        let id = id.as_str();
                        return Err(Error::Invalid(format!(
                            "items[{at}]: no item {id:?} is stored, and a new one needs a vector"
                        )));
                    }
                }
                let vectors = batch.vectors();
                self.check_room(vectors_before, vectors)?;
                Ok(Work::unmarked(batch.into_ops(), vectors))
            }
            Change::Delete(ids) => {
                let there = ids.into_iter().filter(|id| vectors_before > 0 || self.store.contains(id.as_str()));
                Ok(Work::unmarked(there.map(Op::Delete).collect(), 0))
            }
            Change::DeleteMatching(filter) => {
                Ok(Work::unmarked(self.store.matching(&filter).into_iter().map(Op::Delete).collect(), 0))
            }
            Change::Follow(ops, mark) => {
                let mut vectors = 0;
                for op in &ops {
                    match op {
                        Op::Put(Put { vector: Some(_), .. }) => vectors += 1,
                        Op::Put(Put { id, .. }) if !self.store.contains(id.as_str()) => {
                            return Err(Error::Content("an item of the version it follows is not there"));
                        }
                        Op::Put(_) | Op::Delete(_) => {}
                    }
                }
                self.check_room(vectors_before, vectors)?;
                Ok(Work { ops, mark: Some(mark), vectors })
            }
        }
    }

    /// # Errors
    /// More vectors than may wait to be linked, or than there is memory for.
    fn check_room(&self, vectors_before: usize, vectors: usize) -> Result<(), Error> {
        let waiting = self.store.stats().unindexed + vectors_before + vectors;
        if vectors > 0 && waiting > self.shared.config.unindexed_items_max {
            return Err(Error::Backlog { name: self.settings.name.clone(), waiting: waiting - vectors });
        }
        self.check_memory(vectors_before + vectors)
    }

    fn check_memory(&self, vectors: usize) -> Result<(), Error> {
        // Floats, codes and lists of neighbours, and something for ids and metadata.
        let per_vector = self.settings.dimension * 5 + self.settings.m * 8 + 256;
        let limit = self.shared.config.memory_bytes_max();
        let bytes = self.shared.memory_bytes.load(std::sync::atomic::Ordering::Relaxed);
        if vectors > 0 && bytes + vectors * per_vector > limit {
            return Err(Error::Memory { bytes, limit });
        }
        Ok(())
    }

    /// Puts a group on the disk, applies it and answers.
    fn flush(&self, writer: &mut Writer, group: &mut Group) {
        let Group { changes, payloads, answers, .. } = std::mem::take(group);
        if changes.is_empty() {
            return;
        }
        let logged = writer.wal.append(&payloads).and_then(|_| writer.wal.sync());
        if let Err(error) = logged {
            self.refuse(writer, answers, error);
            return;
        }
        writer.bytes_since_snapshot += payloads.iter().map(|payload| payload.len() as u64).sum::<u64>();
        for ((ops, mark), answer) in changes.into_iter().zip(answers) {
            let applied = self.store.apply(ops);
            if let Err(error) = &applied {
                tracing::error!(index = %self.settings.name, error = error as &dyn std::error::Error, "a logged change cannot be applied");
                self.breaks("a change that is on the disk could not be applied: restart the service");
            }
            if let (Some(mark), Some(following), Ok(_)) = (mark, &self.following, &applied) {
                following.advance(mark);
            }
            // The caller may have left.
            drop(answer.send(applied));
        }
    }

    fn refuse(&self, writer: &Writer, answers: Vec<Answer>, error: LogError) {
        if writer.wal.is_poisoned() {
            self.breaks("its log could not be written: restart the service when the disk is well");
        }
        tracing::error!(index = %self.settings.name, error = &error as &dyn std::error::Error, "the log cannot be written");
        let is_full = matches!(error, LogError::NoSpace { .. });
        let source = Arc::new(error);
        for answer in answers {
            let source = source.clone();
            let error = if is_full { Error::DiskFull(source) } else { Error::Log { what: "writing the log", source } };
            drop(answer.send(Err(error)));
        }
    }
}
