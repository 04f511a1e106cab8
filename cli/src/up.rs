//! `lakehouse up`: every service in one process.
//!
//! The order matters: the data folder is locked and every port is bound before anything starts,
//! so that what cannot work is said at once and leaves nothing half started.

mod folder;
mod listeners;
mod ready;
mod services;
mod supervisor;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::runtime::Builder;
use url::Url;

use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;
use crate::platform::{PlatformConfig, peer_url};
use crate::{DEFAULT_URL, Place, runtime, sample};
use listeners::Listeners;
use supervisor::{BACK_OFF, Platform};

/// The dataset that a first start begins with.
const SAMPLE: &str = "workers";
/// How long blocking work that was not awaited may hold up the exit.
const LEFTOVERS_TIMEOUT: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct UpArguments {
    #[command(flatten)]
    place: Place,
    /// Loads the dataset `workers`, where there is none, with so many rows of sample data.
    #[arg(long, value_name = "ROWS", num_args = 0..=1, require_equals = true, default_missing_value = "10000")]
    sample: Option<u64>,
    /// Writes the gateway's URL there once every service is ready.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) fn run(arguments: UpArguments) -> Result<(), Failure> {
    let config = PlatformConfig::load(&arguments.place.sources, &arguments.place.data)?;
    kit::telemetry::init(&config.telemetry)
        .map_err(|error| Failure::Usage(format!("configuration: [telemetry] filter: {error}")))?;
    let _locked = folder::lock(&arguments.place.data)?;
    raise_descriptor_limit();
    kit::heap::configure();
    let runtime = runtime(&mut Builder::new_multi_thread())?;
    let outcome = runtime.block_on(serve(config, &arguments));
    runtime.shutdown_timeout(LEFTOVERS_TIMEOUT);
    outcome
}

async fn serve(mut config: PlatformConfig, arguments: &UpArguments) -> Result<(), Failure> {
    let listeners = Listeners::bind(&config).await?;
    config.connect(&listeners.addresses())?;
    let stop = kit::signal::shutdown_token().map_err(|error| Failure::local("listening for signals", error))?;
    let gateway = peer_url(listeners.gateway.address)?;
    let probes = listeners.all().iter().map(|bound| peer_url(bound.address)).collect::<Result<Vec<_>, _>>()?;
    let mut platform = Platform::start(services::all(config, listeners), BACK_OFF);

    let announced = announce(&gateway, &probes, arguments);
    let outcome = tokio::select! {
        gave_up = platform.gave_up() => Err(gave_up),
        () = stop.cancelled() => Ok(()),
        // Serving goes on; only an announcement that nobody can read ends it.
        Err(failure) = announced => Err(failure),
    };
    platform.stop().await;
    outcome
}

/// Waits until all is ready and says so, then keeps quiet for ever.
async fn announce(gateway: &Url, probes: &[Url], arguments: &UpArguments) -> Result<(), Failure> {
    ready::wait(probes).await?;
    let address = gateway.as_str().trim_end_matches('/');
    if let Some(file) = &arguments.ready_file {
        write_whole(file, address)?;
    }
    say(&format!("ready {address}\n"))?;
    let client = Client::new(gateway.clone())?;
    if let Some(rows) = arguments.sample
        && let Err(failure) = sample::load(&client, SAMPLE, rows).await
    {
        tracing::warn!(%failure, "the sample dataset was not loaded");
    }
    say(&what_to_try(address))?;
    std::future::pending().await
}

fn what_to_try(address: &str) -> String {
    let url = if address == DEFAULT_URL { String::new() } else { format!(" --url {address}") };
    format!(
        "
  health    {address}/health
  API       {address}/openapi.json
  metrics   {address}/metrics

Try:
  curl '{address}/v1/catalog/datasets'
  curl --data-binary @crew.csv '{address}/v1/ingest/crew'
  curl '{address}/v1/sql' -d '{{\"sql\": \"SELECT state, count(*), avg(hourly_pay) FROM workers GROUP BY ALL\"}}'
  lakehouse index create workers_idx --dataset workers --text '{{role}} in {{city}}, {{state}}: {{summary}}'{url}
  lakehouse search workers_idx 'forklift driver IL' --k 5{url}
  lakehouse demo{url}

Ctrl-C stops.
"
    )
}

/// On standard output. Whoever started the platform may have closed it and still want it to run.
fn say(text: &str) -> Result<(), Failure> {
    let mut output = Output::open(None)?;
    match output.write_all(text.as_bytes()).and_then(|()| output.finish()) {
        Err(Failure::OutputClosed) => Ok(()),
        outcome => outcome,
    }
}

/// A reader finds the whole file or none.
fn write_whole(file: &Path, text: &str) -> Result<(), Failure> {
    let mut output = Output::open(Some(file.to_owned()))?;
    output.write_all(text.as_bytes())?;
    output.finish()
}

/// The usual soft limit of 1,024 is less than the connections that the services may hold.
fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
}
