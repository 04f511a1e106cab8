//! `lakehouse index`: indexes that are searched by meaning.

mod columns;
mod create;
mod following;
mod show;

use clap::{Args, Subcommand};

pub(crate) use create::CreateArguments;

use crate::client::Client;
use crate::failure::Failure;

/// Where indexes are.
const COLLECTION: [&str; 3] = ["v1", "vectors", "index"];

#[derive(Args)]
pub(crate) struct IndexArguments {
    #[command(subcommand)]
    command: IndexCommand,
}

#[derive(Subcommand)]
enum IndexCommand {
    /// Makes an index: of a dataset's rows, which it follows from then on, or an empty one for texts or vectors.
    Create(CreateArguments),
    /// Lists the indexes.
    List(show::ListArguments),
    /// Shows one index, and how far it has followed its dataset.
    Show(show::ShowArguments),
    /// Waits until an index holds what its dataset holds now.
    Wait(following::WaitArguments),
    /// Deletes an index; the dataset stays.
    Delete(show::DeleteArguments),
}

pub(crate) async fn run(client: &Client, arguments: IndexArguments) -> Result<(), Failure> {
    match arguments.command {
        IndexCommand::Create(arguments) => create::run(client, arguments).await,
        IndexCommand::List(arguments) => show::list(client, &arguments).await,
        IndexCommand::Show(arguments) => show::show(client, &arguments).await,
        IndexCommand::Wait(arguments) => following::run(client, &arguments).await,
        IndexCommand::Delete(arguments) => show::delete(client, &arguments).await,
    }
}

/// The path of one index.
fn segments(name: &str) -> Vec<&str> {
    [&COLLECTION[..], &[name]].concat()
}
