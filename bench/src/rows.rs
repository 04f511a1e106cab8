//! A module for each row of the table.

mod embeddings;
mod hop;
mod ingest;
mod objects;
mod result;
mod sql;
mod start;
mod tpch;
mod vectors;

use clap::ValueEnum;

use crate::env::Env;
use crate::report::Section;

/// What can be measured on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Row {
    /// The 22 queries of TPC-H.
    Tpch,
    /// A small aggregate, many times.
    Sql,
    /// A large result, once.
    Result,
    /// A file in.
    Ingest,
    /// Objects in and out.
    Objects,
    /// What the gateway costs.
    Hop,
    /// From nothing to ready.
    Start,
    /// The vector engine and vectord.
    Vectors,
    /// Local embedding, its caches, and indexes and SQL over them.
    Embeddings,
}

impl Row {
    /// As on the command line and in the document's marks.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Row::Tpch => "tpch",
            Row::Sql => "sql",
            Row::Result => "result",
            Row::Ingest => "ingest",
            Row::Objects => "objects",
            Row::Hop => "hop",
            Row::Start => "start",
            Row::Vectors => "vectors",
            Row::Embeddings => "embeddings",
        }
    }
}

/// Measures one row. What fails is in the section as failed.
pub(crate) async fn run(row: Row, env: &Env) -> Section {
    let mut section = match row {
        Row::Tpch => tpch::section(env),
        Row::Sql => sql::section(env),
        Row::Result => result::section(env),
        Row::Ingest => ingest::section(env),
        Row::Objects => objects::section(env),
        Row::Hop => hop::section(env),
        Row::Start => start::section(env),
        Row::Vectors => vectors::section(env),
        Row::Embeddings => embeddings::section(env),
    };
    let done = match row {
        Row::Tpch => tpch::run(env, &mut section).await,
        Row::Sql => sql::run(env, &mut section).await,
        Row::Result => result::run(env, &mut section).await,
        Row::Ingest => ingest::run(env, &mut section).await,
        Row::Objects => objects::run(env, &mut section).await,
        Row::Hop => hop::run(env, &mut section).await,
        Row::Start => start::run(env, &mut section).await,
        Row::Vectors => vectors::run(env, &mut section).await,
        Row::Embeddings => embeddings::run(env, &mut section).await,
    };
    if let Err(error) = done {
        section.record("stopped here", Err(error));
    }
    section
}
