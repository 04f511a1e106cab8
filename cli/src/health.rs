//! `lakehouse health`

use serde_json::Value;

use crate::client::Client;
use crate::failure::Failure;
use crate::output;

/// Prints what the gateway knows of every service; fails where the platform does not serve.
pub(crate) async fn run(client: &Client) -> Result<(), Failure> {
    let response = client.send_for_any(client.get(&["health"])).await?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| Failure::BrokenOff { bytes: 0, reason: error.to_string() })?;
    let report: Value = serde_json::from_slice(&body).map_err(|error| Failure::Answered(error.to_string()))?;
    output::print(&format!("{report:#}\n"))?;
    if status.is_success() { Ok(()) } else { Err(Failure::Platform(format!("the platform is not well ({status})"))) }
}
