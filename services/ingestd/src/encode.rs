//! Batches into Parquet objects, on several threads, while the next batches are still being parsed.
//!
//! DuckDB's own COPY writes neither column nor offset indexes (seen on 1.5.5), so the `parquet`
//! crate encodes. Each encoder thread owns some of the columns and sees every batch; at the end of
//! a row group each hands its encoded chunks to one assembler, which writes them in the schema's
//! order and closes an object once it is long enough. What is held in memory is a few batches and
//! one row group in its encoded form, whatever the length of the file.

use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow_array::RecordBatch;
use arrow_schema::{Field, Schema, SchemaRef};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::TypePtr;

use crate::config::Config;
use crate::error::{Error, Result};
use crate::source::{Failure, Source};

mod balance;
mod counted;
mod nan;
#[cfg(test)]
mod tests;

use balance::assign;
use counted::Counted;
use nan::without_untrue_bounds;

/// Batches that wait for an encoder: enough that neither side stops at every batch.
const BATCHES_QUEUED: usize = 16;
/// Encoded row groups that wait for the assembler, and open writers for the encoders.
const GROUPS_QUEUED: usize = 1;

/// DuckDB reads vectors of 2,048 rows. One that spans two pages has to be copied together: small pages
/// that end anywhere made reads of our own files take about 1.1 times as long (PyArrow's 1.3 times). So
/// every page ends where a vector does.
const VECTOR_ROWS: usize = 2_048;
const PAGE_ROWS: usize = 10 * VECTOR_ROWS;
/// Long texts would end pages earlier than that by the default of 1 MiB.
const PAGE_BYTES_MAX: usize = 8 << 20;

/// Where objects go.
pub(crate) trait Objects: Sync {
    type Object: Object;

    /// Begins an object.
    fn begin(&self) -> Result<Self::Object>;
}

/// An object being written. Dropped unfinished, it never comes to be.
pub(crate) trait Object: Write + Send {
    /// Makes it durable.
    fn finish(self) -> Result<()>;

    /// Why a write to it failed, where it knows.
    fn failure(&mut self) -> Option<Error>;
}

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) objects: u64,
}

/// How objects are laid out.
pub(crate) struct Layout {
    schema: SchemaRef,
    root: TypePtr,
    properties: WriterPropertiesPtr,
    row_group_rows: usize,
    row_group_bytes_max: u64,
    object_bytes_target: u64,
    threads: usize,
}

impl Layout {
    /// For the columns of `schema`, field ids included.
    pub(crate) fn new(schema: Schema, config: &Config) -> Result<Self> {
        let level = ZstdLevel::try_new(config.compression_level).map_err(Error::Encode)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_max_row_group_row_count(None)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_data_page_size_limit(PAGE_BYTES_MAX)
            .set_write_batch_size(VECTOR_ROWS)
            // Lists and maps with the names that the Parquet specification gives their parts.
            .set_coerce_types(true)
            .set_created_by(concat!("lakehouse-ingestd version ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let described = ArrowSchemaConverter::new().with_coerce_types(true).convert(&schema).map_err(Error::Encode)?;
        Ok(Layout {
            threads: config.encode_threads().clamp(1, schema.fields().len().max(1)),
            schema: Arc::new(schema),
            root: described.root_schema_ptr(),
            properties: Arc::new(properties),
            row_group_rows: config.row_group_rows,
            row_group_bytes_max: config.row_group_bytes_max,
            object_bytes_target: config.object_bytes_target,
        })
    }

    fn file<W: Write + Send>(&self, to: W) -> Result<SerializedFileWriter<W>> {
        SerializedFileWriter::new(to, self.root.clone(), self.properties.clone()).map_err(Error::Encode)
    }
}

/// Writes every batch of a source. At least one object, as an empty one still has a schema.
pub(crate) fn encode(
    source: &mut dyn Source,
    layout: &Layout,
    objects: &impl Objects,
) -> std::result::Result<Written, Failure> {
    thread::scope(|scope| {
        let (chunks_in, chunks) = sync_channel(layout.threads * GROUPS_QUEUED);
        let mut lanes = Vec::with_capacity(layout.threads);
        for _ in 0..layout.threads {
            let (lane, work) = sync_channel(BATCHES_QUEUED);
            lanes.push(lane);
            let (layout, chunks_in) = (&*layout, chunks_in.clone());
            spawn(scope, "encode", move || encode_lane(layout, &work, &chunks_in))?;
        }
        drop(chunks_in);
        let assembler = spawn(scope, "assemble", move || assemble(layout, &chunks, objects))?;
        let dealt = deal(source, layout, lanes);
        let assembled = assembler.join().unwrap_or(Err(Error::Internal("the assembler panicked")));
        match (dealt, assembled) {
            // The lanes ended before their time because the assembler did.
            (Err(Failure::Final(Error::Internal(_))) | Ok(()), assembled) => assembled.map_err(Failure::Final),
            (Err(failure), _) => Err(failure),
        }
    })
}

fn spawn<'scope, 'env, T: Send + 'scope>(
    scope: &'scope thread::Scope<'scope, 'env>,
    name: &str,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<thread::ScopedJoinHandle<'scope, T>> {
    thread::Builder::new().name(name.into()).spawn_scoped(scope, work).map_err(Error::Spool)
}

/// The writers of one column, leaf by leaf.
struct ColumnWriters {
    column: usize,
    leaves: Vec<ArrowColumnWriter>,
}

/// What an encoder does next.
enum Work {
    /// Begin a row group with these.
    Begin(Vec<ColumnWriters>),
    Batch(RecordBatch),
    /// Close the row group; it has so many rows.
    End(u64),
    /// There is nothing more.
    Finish,
}

/// What an encoder made of its columns.
enum Encoded {
    Group { columns: Vec<(usize, Vec<ArrowColumnChunk>)>, rows: u64 },
    Finished,
}

/// Reads the source and deals batches to the lanes, row group by row group.
fn deal(source: &mut dyn Source, layout: &Layout, lanes: Vec<SyncSender<Work>>) -> std::result::Result<(), Failure> {
    let stopped = |_| Failure::Final(Error::Internal("an encoder stopped"));
    let factory = ArrowRowGroupWriterFactory::new(&layout.file(std::io::sink())?, layout.schema.clone());
    let assignment = assign(&layout.schema, lanes.len());
    let (mut group, mut rows, mut bytes) = (0, 0, 0_u64);
    let mut pending = None;
    loop {
        let batch = match pending.take() {
            Some(batch) => Some(batch),
            None => source.next_batch()?,
        };
        let Some(batch) = batch.filter(|batch: &RecordBatch| batch.num_rows() > 0 || rows > 0) else {
            if rows > 0 {
                lanes.iter().try_for_each(|lane| lane.send(Work::End(rows as u64))).map_err(stopped)?;
            }
            return lanes.iter().try_for_each(|lane| lane.send(Work::Finish)).map_err(stopped);
        };
        if rows == 0 {
            let writers = factory.create_column_writers(group).map_err(Error::Encode)?;
            for (lane, columns) in lanes.iter().zip(split(writers, layout, &assignment)) {
                lane.send(Work::Begin(columns)).map_err(stopped)?;
            }
            group += 1;
        }
        let room = (layout.row_group_rows - rows).min(PAGE_ROWS - rows % PAGE_ROWS);
        let now = batch.slice(0, room.min(batch.num_rows()));
        if now.num_rows() < batch.num_rows() {
            pending = Some(batch.slice(now.num_rows(), batch.num_rows() - now.num_rows()));
        }
        rows += now.num_rows();
        bytes += now.get_array_memory_size() as u64;
        lanes.iter().try_for_each(|lane| lane.send(Work::Batch(now.clone()))).map_err(stopped)?;
        if rows >= layout.row_group_rows || bytes >= layout.row_group_bytes_max {
            lanes.iter().try_for_each(|lane| lane.send(Work::End(rows as u64))).map_err(stopped)?;
            (rows, bytes) = (0, 0);
        }
    }
}

/// Gives the leaf writers of a row group to the lanes by column.
fn split(writers: Vec<ArrowColumnWriter>, layout: &Layout, assignment: &[usize]) -> Vec<Vec<ColumnWriters>> {
    let mut lanes: Vec<Vec<ColumnWriters>> = (0..layout.threads).map(|_| Vec::new()).collect();
    let mut writers = writers.into_iter();
    for (column, (field, &lane)) in layout.schema.fields().iter().zip(assignment).enumerate() {
        let leaves = writers.by_ref().take(leaf_count(field)).collect();
        lanes[lane].push(ColumnWriters { column, leaves });
    }
    lanes
}

fn leaf_count(field: &Field) -> usize {
    use arrow_schema::DataType::{List, Map, Struct};
    match field.data_type() {
        List(child) | Map(child, _) => leaf_count(child),
        Struct(members) => members.iter().map(|member| leaf_count(member)).sum(),
        _ => 1,
    }
}

/// One encoder: its columns of every batch, until there are no more.
fn encode_lane(layout: &Layout, work: &Receiver<Work>, chunks: &SyncSender<Result<Encoded>>) {
    let mut columns: Vec<ColumnWriters> = Vec::new();
    for work in work {
        let made = match work {
            Work::Begin(writers) => {
                columns = writers;
                continue;
            }
            Work::Batch(batch) => match write(layout, &mut columns, &batch) {
                Ok(()) => continue,
                Err(error) => Err(Error::Encode(error)),
            },
            Work::End(rows) => close(std::mem::take(&mut columns))
                .map(|columns| Encoded::Group { columns, rows })
                .map_err(Error::Encode),
            Work::Finish => Ok(Encoded::Finished),
        };
        let failed = made.is_err();
        if chunks.send(made).is_err() || failed {
            return;
        }
    }
}

fn write(layout: &Layout, columns: &mut [ColumnWriters], batch: &RecordBatch) -> std::result::Result<(), ParquetError> {
    for writers in columns {
        let (field, array) = (layout.schema.field(writers.column), batch.column(writers.column));
        for (leaf, writer) in compute_leaves(field, array)?.iter().zip(&mut writers.leaves) {
            writer.write(leaf)?;
        }
    }
    Ok(())
}

fn close(columns: Vec<ColumnWriters>) -> std::result::Result<Vec<(usize, Vec<ArrowColumnChunk>)>, ParquetError> {
    let chunks = |writers: ColumnWriters| {
        let leaves = writers.leaves.into_iter().map(|leaf| without_untrue_bounds(leaf.close()?));
        Ok((writers.column, leaves.collect::<std::result::Result<_, _>>()?))
    };
    columns.into_iter().map(chunks).collect()
}

/// Writes row groups as all lanes have made theirs. A lane sends its groups in order, but lanes
/// differ in speed: groups are gathered by their lane's turn.
fn assemble<O: Objects>(layout: &Layout, chunks: &Receiver<Result<Encoded>>, objects: &O) -> Result<Written> {
    let mut written = Written::default();
    let mut file: Option<SerializedFileWriter<Counted<O::Object>>> = None;
    let mut gathering: Vec<Gathering> = Vec::new();
    let mut finished = 0;
    while finished < layout.threads {
        let encoded = chunks.recv().map_err(|_| Error::Internal("an encoder ended before its time"))??;
        let Encoded::Group { columns, rows } = encoded else {
            finished += 1;
            continue;
        };
        let lane_of = columns.first().map_or(0, |(column, _)| *column);
        let Some(done) = gather(&mut gathering, lane_of, columns, layout.threads) else { continue };
        let writer = match &mut file {
            Some(writer) => writer,
            None => file.insert(layout.file(Counted::new(objects.begin()?))?),
        };
        if let Err(error) = append(writer, done) {
            return Err(failure_of(writer, error));
        }
        written.rows += rows;
        if writer.bytes_written() as u64 >= layout.object_bytes_target
            && let Some(full) = file.take()
        {
            finish(full, &mut written)?;
        }
    }
    match file {
        Some(last) => finish(last, &mut written)?,
        None if written.objects == 0 => {
            finish(layout.file(Counted::new(objects.begin()?))?, &mut written)?;
        }
        None => {}
    }
    Ok(written)
}

/// One row group, as far as it is there.
#[derive(Default)]
struct Gathering {
    /// The first column of each lane that has given its part.
    lanes: Vec<usize>,
    columns: Vec<(usize, Vec<ArrowColumnChunk>)>,
}

/// Adds a lane's part to the oldest group that has none of it; the group, once it is whole.
fn gather(
    gathering: &mut Vec<Gathering>,
    lane: usize,
    columns: Vec<(usize, Vec<ArrowColumnChunk>)>,
    lanes: usize,
) -> Option<Vec<(usize, Vec<ArrowColumnChunk>)>> {
    let at = gathering.iter().position(|group| !group.lanes.contains(&lane)).unwrap_or(gathering.len());
    if at == gathering.len() {
        gathering.push(Gathering::default());
    }
    let group = &mut gathering[at];
    group.lanes.push(lane);
    group.columns.extend(columns);
    if group.lanes.len() < lanes {
        return None;
    }
    let mut whole = gathering.remove(at).columns;
    whole.sort_unstable_by_key(|(column, _)| *column);
    Some(whole)
}

fn append<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    columns: Vec<(usize, Vec<ArrowColumnChunk>)>,
) -> std::result::Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for chunk in columns.into_iter().flat_map(|(_, leaves)| leaves) {
        chunk.append_to_row_group(&mut group)?;
    }
    group.close().map(|_| ())
}

fn finish<O: Object>(mut file: SerializedFileWriter<Counted<O>>, written: &mut Written) -> Result<()> {
    let columns = file.schema_descr().num_columns();
    file.inner_mut().hold_back();
    let ended = file.finish().and_then(|_| Ok(file.inner_mut().write_end(columns)?));
    if let Err(error) = ended {
        return Err(failure_of(&mut file, error));
    }
    let counted = file.inner_mut();
    written.bytes += counted.bytes;
    written.objects += 1;
    counted.to.take().map_or(Err(Error::Internal("an object was finished twice")), Object::finish)
}

/// What the object says of a failed write, else what the writer says.
fn failure_of<O: Object>(file: &mut SerializedFileWriter<Counted<O>>, error: ParquetError) -> Error {
    file.inner_mut().to.as_mut().and_then(Object::failure).unwrap_or(Error::Encode(error))
}
