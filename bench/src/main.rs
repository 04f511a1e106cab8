//! Measures the platform side by side with its peers.
//!
//! Each row of the table is measured in one run, ours and the peer in turns, on the same machine
//! and the same files; the figure is the median of the rounds, and what counts is the ratio. A
//! request that fails is a measurement that failed. Nothing is taken from anywhere but here.

mod answers;
mod data;
mod duck;
mod embeddings;
mod env;
mod http;
mod load;
mod machine;
mod peers;
mod platform;
mod program;
mod report;
mod rows;
mod server;
mod stats;
mod vectors;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use crate::env::{Env, Options};
use crate::report::{Section, Verdict};
use crate::rows::Row;

/// The generator and everything it waits for live on this one thread.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let options = Options::parse();
    let env = Env::new(&options)?;
    tokio::select! {
        measured = measure(&options, &env) => measured,
        // What was started is killed where it is dropped.
        ended = told_to_end() => ended.and_then(|()| bail!("told to end")),
    }
}

async fn measure(options: &Options, env: &Env) -> Result<ExitCode> {
    let rows = if options.only.is_empty() { Row::value_variants() } else { &options.only };
    let mut sections = Vec::new();
    for row in rows {
        sections.push(rows::run(*row, env).await);
    }
    if let Some(out) = &env.out {
        let head = include_str!("../BENCHMARKS.head.md").replace("@MACHINE@", &machine::facts(env.threads));
        let names: Vec<&str> = Row::value_variants().iter().map(|row| row.name()).collect();
        report::write(out, &head, &names, &sections)?;
    }
    Ok(summary(&sections))
}

async fn told_to_end() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        _ = terminate.recv() => Ok(()),
    }
}

/// A target that was missed is a result; a measurement that failed is not.
#[allow(clippy::print_stdout, reason = "it talks to a person")]
fn summary(sections: &[Section]) -> ExitCode {
    let [met, missed, failed] = [Verdict::Met, Verdict::Missed, Verdict::Failed]
        .map(|verdict| sections.iter().map(|section| section.count(verdict)).sum::<usize>());
    println!("{met} met, {missed} missed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
