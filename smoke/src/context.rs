//! What a check works with.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use testbed::S3Server;
use url::Url;
use uuid::Uuid;

use crate::http::Http;
use crate::platform::Platform;

/// Small enough that its limit is reached quickly.
pub(crate) const MAX_OBJECT_BYTES: usize = 24 << 20;
const BUCKET: &str = "smoke";

/// The foreign S3 server.
pub(crate) struct S3(S3Server);

impl S3 {
    pub(crate) async fn start() -> Result<Self> {
        // Waits for a Python to come up.
        Ok(S3(tokio::task::spawn_blocking(S3Server::moto).await??))
    }
}

/// One platform, and what is known of it.
pub(crate) struct Context {
    pub(crate) http: Http,
    pub(crate) binary: PathBuf,
    pub(crate) folder: TempDir,
    /// Of this run, so that a platform that is used already is not in the way.
    run: String,
    platform: Option<Platform>,
    s3: Option<S3>,
}

impl Context {
    pub(crate) fn of_running(url: Url, binary: PathBuf) -> Result<Self> {
        let (http, folder) = (Http::new(url)?, tempfile::tempdir()?);
        Ok(Context { http, binary, folder, run: run_name(), platform: None, s3: None })
    }

    pub(crate) async fn started(binary: PathBuf, s3: Option<S3>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut settings = vec![
            format!("storaged.max_object_bytes={MAX_OBJECT_BYTES}"),
            // What is logged of every statement and object, for the check that no secret is.
            "telemetry.filter=info,kit=debug,storaged=debug,queryd=debug".to_owned(),
        ];
        if let Some(S3(server)) = &s3 {
            settings.extend([
                "storaged.backend=s3".to_owned(),
                format!("storaged.s3.endpoint={}", server.endpoint()),
                format!("storaged.s3.bucket={BUCKET}"),
                format!("storaged.s3.access_key_id={}", server.access_key_id()),
                format!("storaged.s3.secret_access_key={}", server.secret_access_key()),
            ]);
        }
        let platform = Platform::start(&binary, folder.path(), settings).await?;
        let http = Http::new(platform.url.clone())?;
        Ok(Context { http, binary, folder, run: run_name(), platform: Some(platform), s3 })
    }

    pub(crate) fn describe(&self) -> String {
        let what = match (&self.platform, &self.s3) {
            (None, _) => "a running platform",
            (_, None) => "local backend",
            (_, Some(_)) => "S3 backend",
        };
        format!("smoke: {what} at {}, ready in", self.http.base())
    }

    /// The name of a dataset, or the first component of a key, that nothing else has.
    pub(crate) fn name(&self, base: &str) -> String {
        format!("smoke_{}_{base}", self.run)
    }

    /// What the platform was given and must not tell: its keys for S3.
    pub(crate) fn secrets(&self) -> Vec<&str> {
        self.s3.iter().map(|S3(server)| server.secret_access_key()).collect()
    }

    /// All that the platform has logged, where it is ours.
    pub(crate) fn log(&self) -> Result<Option<String>> {
        self.platform.as_ref().map(Platform::log).transpose()
    }

    pub(crate) fn is_own(&self) -> bool {
        self.platform.is_some()
    }

    pub(crate) async fn terminate_and_launch(&mut self) -> Result<()> {
        let platform = self.platform.as_mut().context("not a platform of this run")?;
        platform.terminate().await?;
        self.launch().await
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.platform.as_mut().context("not a platform of this run")?.kill().await
    }

    pub(crate) async fn launch(&mut self) -> Result<()> {
        let platform = self.platform.as_mut().context("not a platform of this run")?;
        platform.launch().await?;
        self.http = Http::new(platform.url.clone())?;
        Ok(())
    }

    /// After a check that failed, perhaps between two starts.
    pub(crate) async fn recover(&mut self) -> Result<()> {
        let ended = self.platform.as_mut().is_some_and(|platform| !platform.is_running());
        if ended { self.launch().await.context("starting again") } else { Ok(()) }
    }

    /// Ends what was started.
    #[allow(clippy::print_stdout, reason = "a harness talks to a person")]
    pub(crate) async fn stop(mut self, failed: bool) -> Result<()> {
        if let Some(platform) = &mut self.platform {
            if failed {
                println!("the platform's log ends with:\n{}", platform.log_end());
            }
            platform.terminate().await?;
        }
        Ok(())
    }
}

fn run_name() -> String {
    Uuid::new_v4().simple().to_string()[..8].to_owned()
}
