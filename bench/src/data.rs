//! The inputs, made once and kept: the same bytes in every run.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use tokio::process::Command;

use crate::duck::{Duck, quoted};
use crate::env::Env;

pub(crate) const TPCH_TABLES: [&str; 8] =
    ["region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem"];

/// A folder with a Parquet file for each TPC-H table.
pub(crate) async fn tpch(env: &Env) -> Result<PathBuf> {
    let folder = env.inputs.join(format!("tpch-{}", env.sizes.tpch_scale));
    if !folder.is_dir() {
        let part = env.folder("tpch")?;
        let mut generate = Command::new(env.peers.join("bin/tpchgen-cli"));
        generate.args(["parquet", "--scale-factor", env.sizes.tpch_scale, "--output-dir"]).arg(&part);
        run(&mut generate).await?;
        fs::rename(part, &folder)?;
    }
    Ok(folder)
}

/// Staffing records as `lakehouse sample` makes them, in CSV.
pub(crate) async fn workers_csv(env: &Env) -> Result<PathBuf> {
    let rows = env.sizes.worker_rows.to_string();
    let file = env.inputs.join(format!("workers-{rows}.csv"));
    if !file.is_file() {
        let part = env.work().join("workers.csv");
        let mut sample = Command::new(env.binary("lakehouse")?);
        sample.args(["sample", "workers", "--rows", &rows]).stdout(File::create(&part)?);
        run(&mut sample).await?;
        fs::rename(part, &file)?;
    }
    Ok(file)
}

/// The first `rows` of them.
pub(crate) async fn first_workers_csv(env: &Env, rows: usize) -> Result<PathBuf> {
    let (source, file) = (workers_csv(env).await?, env.work().join(format!("workers-{rows}.csv")));
    let lines = BufReader::new(File::open(source)?).lines();
    let mut out = BufWriter::new(File::create(&file)?);
    for line in lines.take(1 + rows) {
        writeln!(out, "{}", line?)?;
    }
    out.flush()?;
    Ok(file)
}

/// The same records over and over, until there are as many bytes as wanted.
pub(crate) async fn big_csv(env: &Env) -> Result<PathBuf> {
    let source = workers_csv(env).await?;
    let file = env.work().join("big.csv");
    let wanted = env.sizes.big_csv_bytes;
    let target = file.clone();
    tokio::task::spawn_blocking(move || repeat(&source, &target, wanted)).await??;
    Ok(file)
}

fn repeat(source: &Path, target: &Path, wanted: u64) -> Result<()> {
    let mut out = BufWriter::new(File::create(target)?);
    let mut written = 0;
    while written < wanted {
        let mut reader = BufReader::new(File::open(source)?);
        let mut header = String::new();
        reader.read_line(&mut header)?;
        if written == 0 {
            out.write_all(header.as_bytes())?;
        }
        written += std::io::copy(&mut reader.by_ref().take(wanted), &mut out)?;
    }
    out.flush()?;
    Ok(())
}

/// Five columns of five types, in Parquet.
pub(crate) async fn wide_parquet(env: &Env, duck: &mut Duck) -> Result<PathBuf> {
    let file = env.inputs.join(format!("wide-{}.parquet", env.sizes.wide_rows));
    if !file.is_file() {
        let part = env.work().join("wide.parquet");
        let rows = env.sizes.wide_rows;
        duck.execute(&format!(
            "COPY (SELECT i AS id, (hash(i) % 1000)::INTEGER AS kind, (hash(i + 1) % 1000000) / 7.0 AS amount, \
             'name ' || (hash(i + 2) % 100000) AS name, DATE '2020-01-01' + (i % 2000)::INTEGER AS day \
             FROM range({rows}) AS numbers (i)) TO {} (FORMAT parquet, COMPRESSION zstd)",
            quoted(&part.to_string_lossy())
        ))
        .await?;
        fs::rename(part, &file)?;
    }
    Ok(file)
}

async fn run(command: &mut Command) -> Result<()> {
    let status = command.status().await?;
    ensure!(status.success(), "{:?} ended with {status}", command.as_std().get_program());
    Ok(())
}
