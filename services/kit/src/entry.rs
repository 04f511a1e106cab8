//! The `main` of a service that runs as a process of its own.

use std::process::ExitCode;

use clap::Parser;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::{ServiceConfig, Sources};
use crate::server::ServeError;
use crate::{heap, signal, telemetry};

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    sources: Sources,
}

/// Reads the configuration, starts logs and signals, binds, serves; exits 0 after a drain, 2 on a
/// configuration that is not valid, 1 on anything else.
pub fn run<C, S, F>(serve: S) -> ExitCode
where
    C: ServiceConfig,
    S: FnOnce(C, TcpListener, CancellationToken) -> F,
    F: Future<Output = Result<(), ServeError>>,
{
    let arguments = Arguments::parse();
    let loaded = arguments.sources.load().and_then(|loaded| Ok((loaded.telemetry()?, loaded.section::<C>()?)));
    let (logs, config) = match loaded {
        Ok(loaded) => loaded,
        Err(error) => return fail(2, &error),
    };
    if let Err(error) = telemetry::init(&logs) {
        return fail(2, &error);
    }
    heap::configure();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    let listen = config.listen();
    let served = runtime.block_on(async {
        let listener = TcpListener::bind(listen).await.map_err(|source| ServeError::Bind { listen, source })?;
        let shutdown = signal::shutdown_token().map_err(ServeError::Io)?;
        serve(config, listener, shutdown).await
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &error),
    }
}

fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    let mut causes = String::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push_str(&format!(": {cause}"));
        next = cause.source();
    }
    // Logs may not be set up yet.
    #[allow(clippy::print_stderr)]
    {
        eprintln!("error: {error}{causes}");
    }
    ExitCode::from(code)
}
