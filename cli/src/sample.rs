//! `lakehouse sample`: records to try the platform with.

mod dataset;
mod words;
mod workers;

use std::path::PathBuf;

use bytes::{BufMut as _, Bytes, BytesMut};
use clap::{Args, Subcommand, ValueEnum};

use crate::failure::Failure;
use crate::output::Output;
pub(crate) use dataset::load;
use words::Words;
use workers::{Worker, Workers};

/// The seed of the sample datasets that `up --sample` and `demo` load.
const SEED: u64 = 42;
const CHUNK_BYTES: usize = 256 << 10;
const HEADER: &str = "id,name,role,city,state,hourly_pay,skills,certifications,availability,summary\n";

#[derive(Args)]
pub(crate) struct SampleArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Staffing records: the same rows for ever for a given seed.
    Workers {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        rows: u64,
        /// Another seed makes other people.
        #[arg(long, default_value_t = SEED)]
        seed: u64,
        /// How they are written.
        #[arg(long, value_enum, default_value_t = SampleFormat::Csv)]
        format: SampleFormat,
        /// Where to [default: standard output].
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// How sample rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SampleFormat {
    /// With a header; skills and certifications are separated by `;`.
    Csv,
    /// One object a line.
    Ndjson,
}

pub(crate) fn run(arguments: SampleArguments) -> Result<(), Failure> {
    let What::Workers { rows, seed, format, output } = arguments.what;
    let mut output = Output::open(output)?;
    for chunk in SampleChunks::new(rows, seed, format)? {
        output.write_all(&chunk)?;
    }
    output.finish()
}

/// The text of a sample in pieces.
struct SampleChunks {
    workers: Workers,
    format: SampleFormat,
    next: u64,
    rows: u64,
    worker: Worker,
    header_due: bool,
}

impl SampleChunks {
    fn new(rows: u64, seed: u64, format: SampleFormat) -> Result<Self, Failure> {
        let words = Words::load().map_err(|error| Failure::local("generating the sample", error))?;
        let (workers, worker, header_due) = (Workers::new(words, seed), Worker::default(), format == SampleFormat::Csv);
        Ok(SampleChunks { workers, format, next: 0, rows, worker, header_due })
    }
}

impl Iterator for SampleChunks {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut text = BytesMut::with_capacity(CHUNK_BYTES + 4_096);
        if std::mem::take(&mut self.header_due) {
            text.put_slice(HEADER.as_bytes());
        }
        while self.next < self.rows && text.len() < CHUNK_BYTES {
            self.workers.fill(self.next, &mut self.worker);
            match self.format {
                SampleFormat::Csv => csv_row(&self.worker, &mut text),
                SampleFormat::Ndjson => ndjson_row(&self.worker, &mut text),
            }
            self.next += 1;
        }
        (!text.is_empty()).then(|| text.freeze())
    }
}

fn csv_row(worker: &Worker, text: &mut BytesMut) {
    put_number(worker.id, text);
    for field in [&worker.name, &worker.role, &worker.city, &worker.state] {
        put_csv_field(field, text);
    }
    text.put_u8(b',');
    put_pay(worker.hourly_pay_cents, text);
    for field in [&worker.skills, &worker.certifications, &worker.availability, &worker.summary] {
        put_csv_field(field, text);
    }
    text.put_u8(b'\n');
}

/// The words hold no quotes and no line ends: a test of theirs says so.
fn put_csv_field(field: &str, text: &mut BytesMut) {
    text.put_u8(b',');
    let quoted = field.contains(',');
    if quoted {
        text.put_u8(b'"');
    }
    text.put_slice(field.as_bytes());
    if quoted {
        text.put_u8(b'"');
    }
}

fn ndjson_row(worker: &Worker, text: &mut BytesMut) {
    text.put_slice(b"{\"id\":");
    put_number(worker.id, text);
    let before_pay = [("name", &worker.name), ("role", &worker.role), ("city", &worker.city), ("state", &worker.state)];
    before_pay.into_iter().for_each(|(key, value)| put_json_field(key, value, text));
    text.put_slice(b",\"hourly_pay\":");
    put_pay(worker.hourly_pay_cents, text);
    put_json_field("skills", &worker.skills, text);
    if worker.certifications.is_empty() {
        // As in CSV, where nothing is NULL.
        text.put_slice(b",\"certifications\":null");
    } else {
        put_json_field("certifications", &worker.certifications, text);
    }
    put_json_field("availability", &worker.availability, text);
    put_json_field("summary", &worker.summary, text);
    text.put_slice(b"}\n");
}

fn put_json_field(key: &str, value: &str, text: &mut BytesMut) {
    for part in [",\"", key, "\":\"", value, "\""] {
        text.put_slice(part.as_bytes());
    }
}

fn put_pay(cents: u32, text: &mut BytesMut) {
    put_number(u64::from(cents / 100), text);
    text.put_slice(&[b'.', b'0' + (cents / 10 % 10) as u8, b'0' + (cents % 10) as u8]);
}

fn put_number(number: u64, text: &mut BytesMut) {
    text.put_slice(number.to_string().as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    fn text(rows: u64, seed: u64, format: SampleFormat) -> Vec<u8> {
        SampleChunks::new(rows, seed, format).unwrap().flatten().collect()
    }

    fn hash(text: &[u8]) -> String {
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Published results and other tests rely on these very rows: make a new sample rather than
    /// change this one.
    #[test]
    fn the_rows_are_the_same_for_ever() {
        assert_eq!(
            hash(&text(10_000, 42, SampleFormat::Csv)),
            "c5117cdd2b4d04523dfa5151aeb5820d5d75ccb746cb670d0e1cae677194074a"
        );
        assert_eq!(
            hash(&text(10_000, 42, SampleFormat::Ndjson)),
            "a8b63278b6f06a88a3545c5bb9b9508e0e0e37ffc2aa7ff18598f79ed21b7590"
        );
    }

    #[test]
    fn a_longer_sample_begins_with_a_shorter_one() {
        let long = text(3_000, 5, SampleFormat::Csv);
        assert!(long.starts_with(&text(1_000, 5, SampleFormat::Csv)));
        assert_eq!(long.iter().filter(|&&b| b == b'\n').count(), 3_001);
    }

    #[test]
    fn an_empty_sample_is_a_header() {
        assert_eq!(text(0, 5, SampleFormat::Csv), HEADER.as_bytes());
        assert_eq!(text(0, 5, SampleFormat::Ndjson), b"");
    }

    #[test]
    fn ndjson_is_json_with_the_columns_of_the_csv() {
        let text = text(50, 5, SampleFormat::Ndjson);
        for line in text.split(|&b| b == b'\n').filter(|line| !line.is_empty()) {
            let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).unwrap();
            assert_eq!(row.len(), HEADER.split(',').count());
            assert!(row["hourly_pay"].as_f64().unwrap() > 10.0);
        }
    }
}
