//! Bounds of columns with NaN.
//!
//! `parquet` leaves NaN out of minimum and maximum and counts it beside them, which readers that are
//! older than that count do not know. To DuckDB NaN is the greatest number: it would pass over rows
//! that `x > 100` asks for, and tell a `max(x)` from the bounds that is not the greatest.

use parquet::arrow::arrow_writer::ArrowColumnChunk;
use parquet::errors::ParquetError;
use parquet::file::statistics::Statistics;

/// The chunk, without minimum and maximum where it has NaN, as a whole and of its pages.
pub(super) fn without_untrue_bounds(mut chunk: ArrowColumnChunk) -> Result<ArrowColumnChunk, ParquetError> {
    let closed = chunk.close_mut();
    let statistics = closed.metadata.statistics().filter(|known| known.nan_count_opt().is_some_and(|nan| nan > 0));
    let Some(rest) = statistics.and_then(without_bounds) else { return Ok(chunk) };
    closed.metadata = closed.metadata.clone().into_builder().set_statistics(rest).build()?;
    closed.column_index = None;
    Ok(chunk)
}

/// Statistics of a kind of floats with their counts alone.
fn without_bounds(statistics: &Statistics) -> Option<Statistics> {
    let (distinct, nulls) = (statistics.distinct_count_opt(), statistics.null_count_opt());
    match statistics {
        Statistics::Float(_) => Some(Statistics::float(None, None, distinct, nulls, false)),
        Statistics::Double(_) => Some(Statistics::double(None, None, distinct, nulls, false)),
        // Half floats.
        Statistics::FixedLenByteArray(_) => Some(Statistics::fixed_len_byte_array(None, None, distinct, nulls, false)),
        _ => None,
    }
}
