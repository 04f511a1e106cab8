//! Connections to Redis, single servers and clusters alike.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{RoutingInfo, SingleNodeRoutingInfo};
use redis::{
    AsyncConnectionConfig, Cmd, ConnectionInfo, IntoConnectionInfo, Pipeline, RedisError, RedisResult, TlsCertificates,
    Value,
};
use url::Url;

use crate::config::RedisConfig;

const DEFAULT_PORT: u16 = 6379;
/// A cluster's answer that a key is elsewhere is followed so often, within the time of the call.
const CLUSTER_RETRIES: u32 = 2;

/// Why there is no second tier, though it is configured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// The file of the authorities cannot be read.
    #[error("redis.ca_file: {} cannot be read", path.display())]
    Authorities {
        /// As it is configured.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// URLs or certificates that the client does not take.
    #[error("redis: the configuration is not one that can be connected with")]
    Client(#[from] RedisError),
}

/// Makes connections to one server, or to one cluster.
pub(super) enum Client {
    One { client: Box<redis::Client>, config: Box<AsyncConnectionConfig> },
    Cluster(Box<ClusterClient>),
}

/// Shared by all calls: what they send is pipelined.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The clients that the configuration asks for, with their names: host and port, or `cluster`.
pub(super) fn open(config: &RedisConfig) -> Result<Vec<(String, Client)>, OpenError> {
    // redis takes the process' default; another part of it may have set the same already.
    let _already_set = rustls::crypto::ring::default_provider().install_default();
    let certificates = certificates(config)?;
    if config.cluster {
        return Ok(vec![("cluster".to_owned(), cluster(config, certificates)?)]);
    }
    let waits = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(config.connect_timeout))
        // Every call is bounded by its caller.
        .set_response_timeout(None);
    let one = |url: &Url| -> Result<(String, Client), OpenError> {
        let info = connection(url, config)?;
        let client = match &certificates {
            Some(certificates) => redis::Client::build_with_tls(info, certificates.clone())?,
            None => redis::Client::open(info)?,
        };
        Ok((name(url), Client::One { client: Box::new(client), config: Box::new(waits.clone()) }))
    };
    config.urls.iter().map(one).collect()
}

fn certificates(config: &RedisConfig) -> Result<Option<TlsCertificates>, OpenError> {
    if config.ca_file.as_os_str().is_empty() {
        return Ok(None);
    }
    let read = std::fs::read(&config.ca_file);
    let root_cert = read.map_err(|source| OpenError::Authorities { path: config.ca_file.clone(), source })?;
    Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(root_cert) }))
}

fn connection(url: &Url, config: &RedisConfig) -> RedisResult<ConnectionInfo> {
    let info = url.clone().into_connection_info()?;
    let mut settings = info.redis_settings().clone();
    if !config.username.is_empty() {
        settings = settings.set_username(&config.username);
    }
    if !config.password.is_empty() {
        settings = settings.set_password(config.password.expose());
    }
    Ok(info.set_redis_settings(settings))
}

fn cluster(config: &RedisConfig, certificates: Option<TlsCertificates>) -> RedisResult<Client> {
    let mut builder = ClusterClientBuilder::new(config.urls.iter().cloned())
        .connection_timeout(config.connect_timeout)
        .response_timeout(config.write_timeout.max(config.timeout))
        .retries(CLUSTER_RETRIES);
    if !config.username.is_empty() {
        builder = builder.username(&config.username);
    }
    if !config.password.is_empty() {
        builder = builder.password(config.password.expose());
    }
    if let Some(certificates) = certificates {
        builder = builder.certs(certificates);
    }
    Ok(Client::Cluster(Box::new(builder.build()?)))
}

/// Shown in health and logs, and what shards are told apart by.
fn name(url: &Url) -> String {
    format!(
        "{}:{}{}",
        url.host_str().unwrap_or_default(),
        url.port().unwrap_or(DEFAULT_PORT),
        url.path().trim_end_matches('/')
    )
}

impl Client {
    /// A new connection, with TLS, AUTH and whatever else it takes.
    pub(super) async fn connect(&self) -> RedisResult<Connection> {
        match self {
            Client::One { client, config } => {
                let made = client.get_multiplexed_async_connection_with_config(config).await;
                made.map(Connection::One)
            }
            Client::Cluster(client) => client.get_async_connection().await.map(Connection::Cluster),
        }
    }
}

impl Connection {
    /// Whether anybody is there. Of a cluster, any node: the others serve without one that is not.
    pub(super) async fn ping(self) -> RedisResult<()> {
        let ping = redis::cmd("PING");
        match self {
            Connection::One(mut connection) => ping.exec_async(&mut connection).await,
            Connection::Cluster(mut connection) => {
                let any = RoutingInfo::SingleNode(SingleNodeRoutingInfo::Random);
                connection.route_command(ping, any).await.map(|_pong| ())
            }
        }
    }

    /// The values of the names, in their order, by one command; a cluster takes one for each, as they lie in
    /// different slots.
    pub(super) fn get(
        self,
        names: &[String],
    ) -> impl Future<Output = RedisResult<Vec<Option<Vec<u8>>>>> + Send + use<> {
        let single = matches!(self, Connection::One(_));
        let gets =
            if single { Vec::new() } else { names.iter().map(|name| redis::cmd("GET").arg(name).take()).collect() };
        let mut mget = redis::cmd("MGET");
        mget.arg(names);
        async move {
            match self {
                Connection::One(mut connection) => match mget.query_async(&mut connection).await? {
                    Value::Array(values) => Ok(values.into_iter().map(bytes).collect()),
                    _ => Err(unexpected()),
                },
                cluster => {
                    let answers = cluster.run(gets).await?;
                    Ok(answers.into_iter().map(|answer| answer.ok().and_then(bytes)).collect())
                }
            }
        }
    }

    /// The answer to each command, in one round trip. An error is the connection's, or the answer of a cluster to
    /// all of them; what the server says of a single command stands in its answer.
    pub(super) async fn run(self, commands: Vec<Cmd>) -> RedisResult<Vec<RedisResult<Value>>> {
        match self {
            Connection::One(mut connection) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                for command in commands {
                    pipeline.add_command(command);
                }
                pipeline.ignore_errors().query_async(&mut connection).await
            }
            Connection::Cluster(connection) => {
                let calls = commands.into_iter().map(|command| {
                    let mut connection = connection.clone();
                    async move { command.query_async(&mut connection).await }
                });
                let mut answers: Vec<RedisResult<Value>> = join_all(calls).await;
                match answers.iter().position(Result::is_ok) {
                    None if !answers.is_empty() => Err(answers.swap_remove(0).err().unwrap_or_else(unexpected)),
                    _ => Ok(answers),
                }
            }
        }
    }

    /// Whether nothing will come of it any more after that. A cluster's mends itself.
    pub(super) fn is_lost_after(&self, error: &RedisError) -> bool {
        matches!(self, Connection::One(_)) && (error.is_unrecoverable_error() || error.is_connection_dropped())
    }
}

/// A bulk string's bytes; anything else is no value of ours.
pub(super) fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    }
}

fn unexpected() -> RedisError {
    RedisError::from((redis::ErrorKind::UnexpectedReturnType, "an answer that does not fit the question"))
}

/// Milliseconds as commands take them; at least one, as zero is an error to Redis.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2)
}
