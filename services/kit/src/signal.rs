//! From SIGTERM and SIGINT to a token.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT. The second one ends the process at
/// once, for whoever has lost patience with a drain.
pub fn shutdown_token() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let cancelled = token.clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if cancelled.is_cancelled() {
                tracing::warn!("second signal: exiting without a drain");
                std::process::exit(130);
            }
            tracing::info!("shutting down");
            cancelled.cancel();
        }
    });
    Ok(token)
}
