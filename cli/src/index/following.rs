//! How far an index has followed its dataset, and waiting for it.

use std::time::{Duration, Instant};

use clap::Args;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::segments;
use crate::client::Client;
use crate::failure::Failure;
use crate::output;
use crate::progress::Work;
use crate::sql::humantime;

/// Soon at first, as small indexes are built in no time.
const POLL_FIRST: Duration = Duration::from_millis(20);
const POLL_LAST: Duration = Duration::from_millis(500);
/// What is in the way for a moment only is not worth a line.
const SILENT: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(super) struct WaitArguments {
    /// The index.
    name: String,
    /// How long to wait, as 30s or 5m [default: as long as it takes].
    #[arg(long, value_name = "TIME", value_parser = humantime)]
    timeout: Option<Duration>,
    /// Print the index as JSON.
    #[arg(long)]
    json: bool,
}

/// What is told of an index that follows.
#[derive(Deserialize)]
pub(super) struct Index {
    name: String,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    dimension: u64,
    #[serde(default)]
    model: Option<String>,
    source: Option<Source>,
    following: Option<Following>,
}

#[derive(Deserialize)]
struct Source {
    dataset: String,
}

#[derive(Deserialize)]
struct Following {
    status: String,
    version: Option<u64>,
    target_version: Option<u64>,
    rows_total: Option<u64>,
    #[serde(default)]
    rows_done: u64,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Dataset {
    version: u64,
}

pub(super) async fn run(client: &Client, arguments: &WaitArguments) -> Result<(), Failure> {
    let index = wait(client, &arguments.name, arguments.timeout).await?;
    let text = if arguments.json { format!("{index}\n") } else { standing(&index)? };
    output::print(&text)
}

/// The index once it holds the version that its dataset has now, or a later one.
pub(super) async fn wait(client: &Client, name: &str, timeout: Option<Duration>) -> Result<Value, Failure> {
    let (mut work, began, mut pause) = (Work::new(name, "rows"), Instant::now(), POLL_FIRST);
    let mut wanted: Option<u64> = None;
    loop {
        match client.json::<Value>(client.get(&segments(name))).await {
            Ok(shown) => {
                let index = read(&shown)?;
                let (Some(source), Some(following)) = (&index.source, &index.following) else {
                    return Err(Failure::Usage(format!("{name} follows no dataset")));
                };
                let wanted = match wanted {
                    Some(wanted) => wanted,
                    None => *wanted.insert(newest(client, &source.dataset).await?),
                };
                if following.version >= Some(wanted) {
                    return Ok(shown);
                }
                report(&mut work, following, wanted, began.elapsed())?;
            }
            // It is being loaded, after a restart in between.
            Err(Failure::Answer(answer)) if answer.is(StatusCode::SERVICE_UNAVAILABLE) => work.say(answer.sentence()),
            Err(failure) => return Err(failure),
        }
        if let Some(timeout) = timeout.filter(|timeout| began.elapsed() >= *timeout) {
            return Err(Failure::TimedOut(format!(
                "{name} is not there after {}",
                humantime_serde::re::humantime::format_duration(timeout)
            )));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 5 / 4).min(POLL_LAST);
    }
}

async fn newest(client: &Client, dataset: &str) -> Result<u64, Failure> {
    let found: Dataset = client.json(client.get(&["v1", "catalog", "datasets", dataset])).await?;
    Ok(found.version)
}

/// Tells where it stands; fails where this version cannot be brought in.
fn report(work: &mut Work, following: &Following, wanted: u64, waited: Duration) -> Result<(), Failure> {
    let reason = following.reason.as_deref().unwrap_or_default();
    match following.status.as_str() {
        "failed" if following.target_version >= Some(wanted) => {
            return Err(Failure::Background(reason.to_owned()));
        }
        "waiting" if !reason.is_empty() && waited >= SILENT => work.say(format!("waits: {reason}")),
        _ => work.show(following.rows_done, following.rows_total),
    }
    Ok(())
}

/// `workers_idx: 10000 items at version 1 of workers, all-MiniLM-L6-v2, 384 dimensions`
pub(super) fn standing(shown: &Value) -> Result<String, Failure> {
    let Index { name, count, dimension, model, source, following } = read(shown)?;
    let version = following.and_then(|following| following.version).unwrap_or_default();
    let of = source.map(|source| format!(" at version {version} of {}", source.dataset)).unwrap_or_default();
    let model = model.map(|model| format!(", {model}")).unwrap_or_default();
    Ok(format!("{name}: {count} items{of}{model}, {dimension} dimensions\n"))
}

fn read(shown: &Value) -> Result<Index, Failure> {
    Index::deserialize(shown).map_err(|error| Failure::Answered(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn following(status: &str, target_version: u64) -> Following {
        let following =
            json!({ "status": status, "version": null, "target_version": target_version, "reason": "no id" });
        Following::deserialize(following).unwrap()
    }

    #[test]
    fn only_a_failure_of_what_is_waited_for_ends_the_wait() {
        let mut work = Work::new("i", "rows");
        assert!(report(&mut work, &following("failed", 1), 2, SILENT).is_ok(), "version 2 will be tried");
        assert_eq!(report(&mut work, &following("failed", 2), 2, SILENT).unwrap_err().to_string(), "no id");
        assert!(report(&mut work, &following("waiting", 2), 2, SILENT).is_ok());
    }
}
