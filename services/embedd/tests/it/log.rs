//! What is logged, and what is not.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::Level;
use tracing::subscriber::DefaultGuard;

use crate::platform::Platform;

/// What this thread logs.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Everything, for as long as the guard lives. A server's tasks run on a test's own thread too.
    fn listen() -> (Self, DefaultGuard) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(move || writer.clone());
        (log, tracing::subscriber::set_default(subscriber.finish()))
    }

    fn said(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[tokio::test]
async fn more_than_a_tenth_of_the_machine_for_the_cache_is_warned_of() {
    let (log, _listening) = Log::listen();
    for (bytes, warned) in [(1 << 20, false), (usize::MAX, true)] {
        // Once it answers, it has said what it had to say.
        Platform::with(|config| config.cache_bytes_max = bytes).await.embed(&["a"]).await;
        let said = log.said().contains("cache_bytes_max exceeds a tenth of the machine's memory");
        assert_eq!(said, warned, "{bytes}");
    }
}

#[tokio::test]
async fn the_stats_are_logged_and_misses_by_their_hash() {
    const TEXT: &str = "welder, telephone 555-0199";
    let (log, _listening) = Log::listen();
    let platform = Platform::with(|config| config.stats_every = Duration::from_millis(20)).await;
    platform.embed(&[TEXT]).await;
    while !log.said().contains("\"misses\":1") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let said = log.said();
    assert!(said.contains("embeddings so far"), "{said}");
    let miss = said.lines().find(|line| line.contains("miss") && line.contains("embedd::embedder")).unwrap();
    assert!(miss.contains(&hex::encode(Sha256::digest(TEXT))), "{miss}");
    let ours = said.lines().filter(|line| line.contains("embedd::") || line.contains("kit::"));
    assert!(ours.into_iter().all(|line| !line.contains("555-0199")), "{said}");
}
