//! Parquet, read by DuckDB and written anew: with field ids, page statistics and zstd.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use super::table::{Table, Wanted, query};
use super::{Failure, Opened, Opening, Source};
use crate::column::check_names;
use crate::session::Session;

struct Parquet {
    // Streams end before their session.
    table: Table,
    session: Session,
}

pub(super) fn open(session: Session, opening: &Opening<'_>) -> Opened {
    opening.self_describing("parquet")?;
    let source = format!("read_parquet({})", session.file());
    let described = session.describe(&source).map_err(|error| session.refused("parquet", error))?;
    check_names(described.iter().map(|column| column.name.as_str()), opening.config.columns_max)?;
    let order = opening.arrange(&described.iter().map(|column| column.name.clone()).collect::<Vec<_>>())?;
    let wanted = Wanted::by_name(&described, &order);
    let sql = query(&source, &wanted)?;
    match Table::run(&session, &sql, &wanted) {
        Ok(table) => Ok(Box::new(Parquet { table, session })),
        Err(error) => Err(session.refused("parquet", error).into()),
    }
}

impl Source for Parquet {
    fn schema(&self) -> &SchemaRef {
        self.table.schema()
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, Failure> {
        self.table.next_batch().map_err(|error| self.session.refused("parquet", error).into())
    }
}
