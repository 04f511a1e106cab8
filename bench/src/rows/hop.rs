//! What the gateway costs, compared with no proxy and with nginx.

use std::net::SocketAddr;

use anyhow::Result;
use http::{Method, Request};

use crate::env::Env;
use crate::http::{Body, fetch, full, get, request};
use crate::load;
use crate::peers;
use crate::platform::{Platform, sql_request};
use crate::report::{Line, Section, Target, number};
use crate::rows::sql::AGGREGATE;
use crate::{data, stats};

const EMPTY: &str = "/v1/storage/bench/empty";
const QUERY_CONNECTIONS: usize = 4;
const GET_CONNECTIONS: usize = 16;
const ADDED_US_MAX: f64 = 200.0;

/// The medians of a closed loop's rounds.
struct Loop {
    rate: f64,
    p50_us: f64,
}

impl Loop {
    fn rate_text(&self) -> String {
        number(self.rate, "/s")
    }
}

pub(crate) fn section(_: &Env) -> Section {
    Section::new(
        "hop",
        "The gateway's hop",
        format!(
            "The small aggregate by {QUERY_CONNECTIONS} connections, to queryd and through the gateway; a GET of an \
             empty object by {GET_CONNECTIONS}, to storaged, through the gateway and through nginx with keep-alive to \
             the same storaged. Latencies are those of one connection."
        ),
    )
}

pub(crate) async fn run(env: &Env, section: &mut Section) -> Result<()> {
    let csv = data::workers_csv(env).await?;
    let platform = Platform::start(env, &env.folder("data")?).await?;
    platform.ingest("workers", "csv", &csv).await?;
    fetch(platform.gateway, request(Method::PUT, EMPTY, &[], full(""))?).await?;
    let nginx = peers::nginx(env, platform.storaged).await?;

    let query = || sql_request(AGGREGATE, "application/json");
    let [through, direct] = turns(env, [platform.gateway, platform.queryd], QUERY_CONNECTIONS, &query).await?;
    let ratio = through.rate / direct.rate;
    section.add(compared("aggregate, queryd itself", &through, &direct, ratio, 0.95));

    let empty = || get(EMPTY);
    let targets = [platform.gateway, platform.storaged, nginx.address];
    let [through, direct, nginx_rate] = turns(env, targets, GET_CONNECTIONS, &empty).await?;
    let ratio = through.rate / direct.rate;
    section.add(compared("empty GET, storaged itself", &through, &direct, ratio, 0.4));
    let ratio = through.rate / nginx_rate.rate;
    section.add(compared("empty GET, nginx", &through, &nginx_rate, ratio, 0.8));

    let [through, direct, nginx_alone] = turns(env, targets, 1, &empty).await?;
    let added = through.p50_us - direct.p50_us;
    section.add(Line::absolute("p50 that the gateway adds to an empty GET", added, "µs", Target::AtMost(ADDED_US_MAX)));
    let their_added = number(nginx_alone.p50_us - direct.p50_us, "µs");
    section.add(Line::figure("the same, nginx", number(added, "µs"), their_added, None));
    nginx.server.stop().await?;
    platform.server.stop().await
}

/// Measures all the addresses in turns.
async fn turns<const N: usize>(
    env: &Env,
    addresses: [SocketAddr; N],
    connections: usize,
    request: &dyn Fn() -> Result<Request<Body>>,
) -> Result<[Loop; N]> {
    let mut rates = [const { Vec::new() }; N];
    let mut medians = [const { Vec::new() }; N];
    for _ in 0..env.rounds {
        for (side, address) in addresses.iter().enumerate() {
            let outcome = load::run(*address, connections, env.sizes.loops, &|_| request()).await?;
            rates[side].push(outcome.rate());
            medians[side].push(outcome.percentile(0.5) * 1e6);
        }
    }
    Ok(std::array::from_fn(|side| Loop { rate: stats::median(&rates[side]), p50_us: stats::median(&medians[side]) }))
}

fn compared(what: &str, through: &Loop, other: &Loop, ratio: f64, wanted: f64) -> Line {
    Line::ratio(what, through.rate_text(), other.rate_text(), ratio, Target::AtLeast(wanted))
}
