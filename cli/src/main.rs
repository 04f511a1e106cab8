//! `lakehouse`: the platform in one process, and its command-line client.
//!
//! `up` runs every service of the platform as it would run apart: each on its own loopback port,
//! calling the others over gRPC. Every other command is a client of a gateway, near or far
//! (`--url`). Invariants: standard output carries results alone, errors are one line on standard
//! error, and the exit code says whose fault it was (`lakehouse --help`).

#![warn(missing_docs)]

mod client;
mod configuration;
mod datasets;
mod demo;
mod embed;
mod failure;
mod feed;
mod health;
mod index;
mod ingest;
mod list;
mod output;
mod platform;
mod progress;
mod sample;
mod search;
mod size;
mod sql;
mod table;
mod up;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use kit::config::Sources;
use tokio::runtime::{Builder, Runtime};
use url::Url;

use client::Client;
use failure::{EXIT_CODES, Failure};

/// One platform for SQL and search by meaning over your own files: start it, send files, ask.
#[derive(Parser)]
#[command(name = "lakehouse", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts the whole platform in this process.
    Up(up::UpArguments),
    /// Sends a file, which becomes a dataset.
    Ingest(Remote<ingest::IngestArguments>),
    /// Runs one SQL statement over the datasets.
    Sql(Remote<sql::SqlArguments>),
    /// Lists the datasets, or shows one.
    Datasets(Remote<datasets::DatasetsArguments>),
    /// Makes, lists, shows and deletes indexes, which are searched by meaning.
    Index(Remote<index::IndexArguments>),
    /// Searches an index, in words.
    Search(Remote<search::SearchArguments>),
    /// Warms up the cache of embeddings.
    Embed(Remote<embed::EmbedArguments>),
    /// Shows what the platform does: sample rows, an index, searches, SQL with a search in it.
    Demo(Remote<demo::DemoArguments>),
    /// Generates records to try the platform with.
    Sample(sample::SampleArguments),
    /// Prints the configuration in force, secrets masked, and where each value comes from.
    Config(configuration::ConfigArguments),
    /// Prints how every service is.
    Health(Remote<NoArguments>),
}

const DEFAULT_URL: &str = "http://127.0.0.1:3210";

/// Arguments of a command that talks to a gateway.
#[derive(Args)]
struct Remote<A: Args> {
    /// The gateway.
    #[arg(long, env = "LAKEHOUSE_URL", value_name = "URL", default_value = DEFAULT_URL, global = true)]
    url: Url,
    #[command(flatten)]
    arguments: A,
}

#[derive(Args)]
struct NoArguments {}

/// Where the configuration and the data lie.
#[derive(Args)]
struct Place {
    #[command(flatten)]
    sources: Sources,
    /// The folder of everything the platform keeps on this machine.
    #[arg(long, value_name = "DIR", env = "LAKEHOUSE_DATA", default_value = "data")]
    data: std::path::PathBuf,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Up(arguments) => up::run(arguments),
        Command::Sample(arguments) => sample::run(arguments),
        Command::Config(arguments) => configuration::run(&arguments),
        Command::Ingest(Remote { url, arguments }) => {
            remote(async { ingest::run(&Client::new(url)?, arguments).await })
        }
        Command::Sql(Remote { url, arguments }) => remote(async { sql::run(&Client::new(url)?, arguments).await }),
        Command::Datasets(Remote { url, arguments }) => {
            remote(async { datasets::run(&Client::new(url)?, arguments).await })
        }
        Command::Index(Remote { url, arguments }) => remote(async { index::run(&Client::new(url)?, arguments).await }),
        Command::Search(Remote { url, arguments }) => {
            remote(async { search::run(&Client::new(url)?, arguments).await })
        }
        Command::Embed(Remote { url, arguments }) => remote(async { embed::run(&Client::new(url)?, arguments).await }),
        Command::Demo(Remote { url, arguments }) => remote(async { demo::run(&Client::new(url)?, arguments).await }),
        Command::Health(Remote { url, .. }) => remote(async { health::run(&Client::new(url)?).await }),
    }
}

/// A client has one thing to do at a time, and may wait for standard output in between. Dropping
/// it on an interrupt removes a file that is half written.
fn remote(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = runtime(&mut Builder::new_current_thread())?;
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = command => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted),
        }
    });
    // A read of standard input may be stuck for ever.
    runtime.shutdown_background();
    outcome
}

fn runtime(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| Failure::local("starting the runtime", error))
}
