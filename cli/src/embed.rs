//! `lakehouse embed`: what the platform knows of texts.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::failure::Failure;
use crate::feed;
use crate::output;
use crate::progress::Work;

const WARM: [&str; 3] = ["v1", "embed", "warm"];
const POLL_EVERY: Duration = Duration::from_millis(100);

#[derive(Args)]
pub(crate) struct EmbedArguments {
    #[command(subcommand)]
    command: EmbedCommand,
}

#[derive(Subcommand)]
enum EmbedCommand {
    /// Embeds texts before anybody asks for them, so that they are in the cache when somebody does.
    Warm(WarmArguments),
}

#[derive(Args)]
#[command(group(ArgGroup::new("source").required(true)))]
struct WarmArguments {
    /// One text a line, plain, as JSON, or as objects with "text"; - for standard input.
    #[arg(group = "source")]
    file: Option<PathBuf>,
    /// The texts of a dataset's column.
    #[arg(long, group = "source", requires = "column")]
    dataset: Option<String>,
    /// The column.
    #[arg(long, requires = "dataset")]
    column: Option<String>,
    /// What memory held when it was last saved.
    #[arg(long, group = "source")]
    most_used: bool,
    /// [default: the platform's default model].
    #[arg(long)]
    model: Option<String>,
    /// Return at once; it goes on in the background.
    #[arg(long)]
    no_wait: bool,
    /// Print the server's last answer as it is.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    model: String,
    state: String,
    texts_total: Option<u64>,
    texts_done: u64,
    computed: u64,
    error: Option<String>,
}

pub(crate) async fn run(client: &Client, arguments: EmbedArguments) -> Result<(), Failure> {
    let EmbedCommand::Warm(arguments) = arguments.command;
    let begun = begin(client, &arguments).await?;
    let ended = if arguments.no_wait { begun } else { wait(client, begun).await? };
    let text = match read(&ended)? {
        _ if arguments.json => format!("{ended}\n"),
        Job { id, state, .. } if arguments.no_wait => format!("warm-up {id}: {state}\n"),
        Job { model, texts_done, computed, .. } => {
            format!("{texts_done} texts are in the cache of {model}, {computed} of them new\n")
        }
    };
    output::print(&text)
}

async fn begin(client: &Client, arguments: &WarmArguments) -> Result<Value, Failure> {
    let request = client.request(Method::POST, &WARM);
    let Some(file) = &arguments.file else {
        return client.json(request.json(&body(arguments))).await;
    };
    let (body, length, progress) = feed::file(file)?;
    let mut request: RequestBuilder = request.header(CONTENT_TYPE, "text/plain").body(body);
    if let Some(length) = length {
        request = request.header(CONTENT_LENGTH, length);
    }
    if let Some(model) = &arguments.model {
        request = request.query(&[("model", model)]);
    }
    let begun = client.json(request).await;
    progress.finish_and_clear();
    begun
}

fn body(arguments: &WarmArguments) -> Value {
    let WarmArguments { dataset, column, most_used, model, .. } = arguments;
    let mut body =
        if *most_used { json!({ "most_used": true }) } else { json!({ "dataset": dataset, "column": column }) };
    if let Some(model) = model {
        body["model"] = json!(model);
    }
    body
}

/// The job once it is done.
async fn wait(client: &Client, begun: Value) -> Result<Value, Failure> {
    let mut shown = begun;
    let mut work = Work::new("warm-up", "texts");
    loop {
        let Job { id, state, texts_total, texts_done, error, .. } = read(&shown)?;
        match state.as_str() {
            "done" => return Ok(shown),
            "failed" => return Err(Failure::Background(format!("warm-up {id}: {}", error.unwrap_or_default()))),
            _ => work.show(texts_done, texts_total),
        }
        tokio::time::sleep(POLL_EVERY).await;
        shown = client.json(client.get(&[&WARM[..], &[&id]].concat())).await?;
    }
}

fn read(job: &Value) -> Result<Job, Failure> {
    Job::deserialize(job).map_err(|error| Failure::Answered(error.to_string()))
}
