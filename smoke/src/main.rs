//! End-to-end checks over real HTTP against a started platform.
//!
//! `smoke` starts the built `lakehouse` on free ports with an empty data folder, on a local
//! directory or on a foreign S3 server, and runs every check against it, restarts and `kill -9`
//! included. `smoke --url` runs what needs no restart against any gateway. Each check prints one
//! line; the last line is `N passed, N failed`, and the exit code is 1 where one failed.

#![warn(missing_docs)]
#![allow(clippy::print_stdout, reason = "a harness talks to a person")]

mod checks;
mod context;
mod data;
mod http;
mod platform;
mod raw;

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use clap::{Parser, ValueEnum};
use futures::FutureExt as _;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;

use checks::{CHECKS, Check};
use context::Context;

const CHECK_TIMEOUT: Duration = Duration::from_secs(180);

#[derive(Parser)]
#[command(about = "End-to-end checks against a started platform")]
struct Arguments {
    /// Where the started platform keeps its objects.
    #[arg(long, value_enum, default_value_t = Backend::Local, conflicts_with = "url")]
    backend: Backend,
    /// A gateway that runs already; checks that restart it are left out.
    #[arg(long)]
    url: Option<Url>,
    /// The binary [default: beside this one].
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
    /// Only checks whose name holds this; may be given again.
    #[arg(value_name = "NAME")]
    only: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Backend {
    /// A temporary directory.
    Local,
    /// A foreign S3 server, started for this.
    S3,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Whatever comes first: leaving this function drops, and so ends, what was started.
    let outcome = tokio::select! {
        outcome = run(&arguments) => outcome,
        () = stopped() => Err(anyhow!("stopped by a signal")),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            println!("FAIL start: {error:#}");
            println!("0 passed, 1 failed");
            ExitCode::FAILURE
        }
    }
}

async fn stopped() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// How many checks failed.
async fn run(arguments: &Arguments) -> Result<usize> {
    let binary = match &arguments.bin {
        Some(binary) => std::path::absolute(binary)?,
        None => std::env::current_exe()?.with_file_name("lakehouse"),
    };
    let started = Instant::now();
    let s3 = match arguments.backend {
        Backend::S3 => Some(context::S3::start().await.context("the S3 server")?),
        Backend::Local => None,
    };
    let mut context = match &arguments.url {
        Some(url) => Context::of_running(url.clone(), binary)?,
        None => Context::started(binary, s3).await?,
    };
    println!("{} {:.1}s", context.describe(), started.elapsed().as_secs_f64());
    let (mut passed, mut failed) = (0, 0);
    let wanted = |check: &&Check| arguments.only.is_empty() || arguments.only.iter().any(|o| check.name.contains(o));
    for check in CHECKS.iter().filter(wanted) {
        if check.restarts && arguments.url.is_some() {
            println!("SKIP {} (needs a platform of its own)", check.name);
            continue;
        }
        let started = Instant::now();
        let outcome = one(check, &mut context).await;
        let seconds = started.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => {
                passed += 1;
                println!("PASS {} {seconds:.1}s", check.name);
            }
            Err(error) => {
                failed += 1;
                println!("FAIL {} {seconds:.1}s {error:#}", check.name);
                context.recover().await?;
            }
        }
    }
    context.stop(failed > 0).await?;
    println!("{passed} passed, {failed} failed");
    Ok(failed)
}

/// A check that panics or hangs has failed, and the next one is run.
async fn one(check: &Check, context: &mut Context) -> Result<()> {
    let checked = AssertUnwindSafe((check.run)(context)).catch_unwind();
    match tokio::time::timeout(CHECK_TIMEOUT, checked).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(anyhow!("panicked")),
        Err(_) => Err(anyhow!("not done after {CHECK_TIMEOUT:?}")),
    }
}
