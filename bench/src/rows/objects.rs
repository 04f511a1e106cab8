//! Objects in and out of storaged, on a local directory.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::process::Command;

use crate::env::Env;
use crate::http::{Body, Connection, full, get, request};
use crate::load::{self, Length};
use crate::peers;
use crate::report::{Line, Section, Target, number};
use crate::server::{Server, free_address};
use crate::stats;

const WRITERS: usize = 4;
const SMALL_BYTES: usize = 4 << 10;
const PIECE_BYTES: usize = 256 << 10;
const MIB: f64 = 1_048_576.0;
const PEAK_MIB_MAX: f64 = 128.0;
const POLL_EVERY: std::time::Duration = std::time::Duration::from_millis(5);

/// Where one side keeps its objects.
struct Store {
    address: SocketAddr,
    prefix: &'static str,
    rounds: Vec<Round>,
}

/// Seconds of one round.
struct Round {
    put_large: f64,
    get_large: f64,
    put_small: f64,
    get_small: f64,
}

pub(crate) fn section(env: &Env) -> Section {
    Section::new(
        "objects",
        format!(
            "Objects: {} MiB and {} × 4 KiB, local directory",
            env.sizes.large_object_bytes >> 20,
            env.sizes.small_objects
        ),
        format!(
            "storaged alone against `rclone serve s3` (anonymous) on the same disk; the large object by one connection, \
             the small ones by {WRITERS}. rclone leaves writes to the kernel; storaged syncs each before its answer, and \
             was measured without that too. Dirty pages were flushed before each part, off the clock. Memory is the \
             peak (VmHWM) of storaged over everything."
        ),
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let synced = storaged(env, true).await?;
    let unsynced = storaged(env, false).await?;
    let rclone = peers::rclone(env, &env.folder("rclone")?).await?;
    let mut stores = [
        Store { address: synced.1, prefix: "/v1/storage", rounds: Vec::new() },
        Store { address: unsynced.1, prefix: "/v1/storage", rounds: Vec::new() },
        Store { address: rclone.address, prefix: "/bench", rounds: Vec::new() },
    ];
    for number in 0..env.rounds {
        for store in &mut stores {
            let round = store.round(env, number).await?;
            store.rounds.push(round);
        }
    }
    lines(env, &stores).into_iter().for_each(|line| section.add(line));
    for (server, what) in [(synced.0, "peak of memory"), (unsynced.0, "peak of memory, fsync off")] {
        let peak = server.peak_bytes()? as f64 / MIB;
        section.add(Line::absolute(what, peak, "MiB", Target::AtMost(PEAK_MIB_MAX)));
        server.stop().await?;
    }
    rclone.server.stop().await
}

async fn storaged(env: &Env, fsync: bool) -> Result<(Server, SocketAddr)> {
    let address = free_address().await?;
    let folder = env.folder("objects")?;
    let mut command = Command::new(env.binary("storaged")?);
    let settings = [
        format!("storaged.listen=\"{address}\""),
        format!("storaged.data_dir=\"{}\"", folder.display()),
        format!("storaged.fsync={fsync}"),
        format!("storaged.max_object_bytes={}", env.sizes.large_object_bytes),
    ];
    for setting in settings {
        command.arg("--set").arg(setting);
    }
    let mut server = Server::start("storaged", command.current_dir(env.work()), env.work())?;
    server.ready(address, "/health/readiness", POLL_EVERY).await?;
    Ok((server, address))
}

impl Store {
    async fn round(&self, env: &Env, number: usize) -> Result<Round> {
        let large = format!("{}/large", self.prefix);
        let bytes = env.sizes.large_object_bytes;
        let small = env.sizes.small_objects;
        let key = |object: u64| format!("{}/round{number}/{:02}/{object}", self.prefix, object % 100);
        let content = Bytes::from(noise(SMALL_BYTES));
        let put = |object| request(Method::PUT, &key(object), &[], full(content.clone()));

        rustix::fs::sync();
        let mut connection = Connection::open(self.address).await?;
        let started = Instant::now();
        connection.drain(large_put(&large, bytes)?).await?;
        let put_large = started.elapsed().as_secs_f64();
        rustix::fs::sync();
        let started = Instant::now();
        let read = connection.drain(get(&large)?).await?;
        let get_large = started.elapsed().as_secs_f64();
        ensure!(read == bytes, "{large} has {read} bytes, not {bytes}");
        let put_small = load::run(self.address, WRITERS, Length::Requests(small), &put).await?.seconds;
        rustix::fs::sync();
        let get_one = |object| get(&key(object));
        let get_small = load::run(self.address, WRITERS, Length::Requests(small), &get_one).await?.seconds;
        Ok(Round { put_large, get_large, put_small, get_small })
    }

    fn seconds(&self, of: fn(&Round) -> f64) -> f64 {
        stats::median(&self.rounds.iter().map(of).collect::<Vec<_>>())
    }
}

fn lines(env: &Env, [synced, unsynced, rclone]: &[Store; 3]) -> Vec<Line> {
    let mebibytes = env.sizes.large_object_bytes as f64 / MIB;
    let objects = env.sizes.small_objects as f64;
    let line = |what: &str, store: &Store, of: fn(&Round) -> f64, amount: f64, unit: &str, wanted: f64| {
        let (ours, theirs) = (amount / store.seconds(of), amount / rclone.seconds(of));
        Line::ratio(what, number(ours, unit), number(theirs, unit), ours / theirs, Target::AtLeast(wanted))
    };
    vec![
        line("PUT large, fsync", synced, |round| round.put_large, mebibytes, "MiB/s", 0.5),
        line("PUT large, fsync off", unsynced, |round| round.put_large, mebibytes, "MiB/s", 1.0),
        line("GET large", synced, |round| round.get_large, mebibytes, "MiB/s", 1.0),
        line("PUT 4 KiB, fsync", synced, |round| round.put_small, objects, "/s", 0.5),
        line("PUT 4 KiB, fsync off", unsynced, |round| round.put_small, objects, "/s", 1.0),
        line("GET 4 KiB", synced, |round| round.get_small, objects, "/s", 1.0),
    ]
}

fn large_put(path: &str, bytes: u64) -> Result<Request<Body>> {
    let piece = Bytes::from(noise(PIECE_BYTES));
    let pieces = futures::stream::unfold(bytes, move |left| {
        let piece = piece.clone();
        async move {
            let size = left.min(PIECE_BYTES as u64);
            (size > 0).then(|| (Ok(Frame::data(piece.slice(..size as usize))), left - size))
        }
    });
    let body: Body = StreamBody::new(pieces.boxed()).boxed_unsync();
    request(Method::PUT, path, &[("content-length", &bytes.to_string())], body)
}

/// Bytes that no file system makes smaller (xorshift64).
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}
