//! What is logged, and what is not.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::Level;

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

#[tokio::test]
async fn the_stats_are_logged_and_misses_by_their_hash() {
    const TEXT: &str = "welder, telephone 555-0199";
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(Level::TRACE).with_writer(move || writer.clone());
    // The server's tasks run on this thread too.
    let _here = tracing::subscriber::set_default(subscriber.finish());
    let platform = Platform::with(|config| config.stats_every = Duration::from_millis(20)).await;
    platform.embed(&[TEXT]).await;
    let said = || String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    while !said().contains("\"misses\":1") {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let said = said();
    assert!(said.contains("embeddings so far"), "{said}");
    let miss = said.lines().find(|line| line.contains("miss") && line.contains("embedd::embedder")).unwrap();
    assert!(miss.contains(&hex::encode(Sha256::digest(TEXT))), "{miss}");
    let ours = said.lines().filter(|line| line.contains("embedd::") || line.contains("kit::"));
    assert!(ours.into_iter().all(|line| !line.contains("555-0199")), "{said}");
}
