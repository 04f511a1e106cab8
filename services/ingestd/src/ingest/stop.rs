//! From a token to an interrupt.

use std::time::Duration;

use duck::Interrupter;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

/// DuckDB forgets an interrupt that comes between two statements: it is sent until the work ends.
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// Interrupts as long as it lives.
pub(super) struct Interrupting(AbortHandle);

impl Drop for Interrupting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

pub(super) fn interrupt_when(runtime: &Handle, stop: CancellationToken, interrupter: Interrupter) -> Interrupting {
    let task = runtime.spawn(async move {
        stop.cancelled().await;
        loop {
            interrupter.interrupt();
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    });
    Interrupting(task.abort_handle())
}
