//! The port to catalogd.

use std::future::Future;
use std::time::Duration;

use kit::Code;
use kit::grpc::PeerChannel;
use proto::internal::v1::catalog_internal_client::CatalogInternalClient;
use proto::internal::v1::{CommitRequest, PrepareRequest, PrepareResponse};
use proto::v1::catalog_client::CatalogClient;
use proto::v1::{Field, GetDatasetRequest, ListVersionsRequest, Manifest, Op, RegisterResponse};

use crate::error::{Error, Result};
use crate::request::{DatasetName, IngestRequest};

const PEER: &str = "catalogd";
/// Of a dataset's history, when an earlier request with the same id is looked for.
const VERSIONS_PAGE: u32 = 500;
const PAGES_MAX: usize = 20;
const COMMIT_TRIES: usize = 3;

#[derive(Clone)]
pub(crate) struct Catalog {
    public: CatalogClient<PeerChannel>,
    internal: CatalogInternalClient<PeerChannel>,
    timeout: Duration,
}

/// How a commit ended.
pub(crate) enum Commit {
    Done(RegisterResponse),
    /// Nothing was registered: the objects can go.
    Refused(Error),
    /// No answer that can be trusted: the version may stand, so its objects must stay.
    Unknown(Error),
}

impl Catalog {
    pub(crate) fn new(channel: PeerChannel, timeout: Duration) -> Self {
        let message_bytes_max = 64 << 20;
        Catalog {
            public: CatalogClient::new(channel.clone()).max_decoding_message_size(message_bytes_max),
            internal: CatalogInternalClient::new(channel).max_decoding_message_size(message_bytes_max),
            timeout,
        }
    }

    async fn call<T>(
        &self,
        call: impl Future<Output = std::result::Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(Error::peer(PEER, status)),
            Err(_) => Err(Error::peer(PEER, tonic::Status::deadline_exceeded("no answer in time"))),
        }
    }

    /// The dataset as it stands; `None` where there is none.
    pub(crate) async fn find(&self, name: &DatasetName) -> Result<Option<Manifest>> {
        self.version(name, 0).await
    }

    async fn version(&self, name: &DatasetName, version: u64) -> Result<Option<Manifest>> {
        let request = GetDatasetRequest { name: name.as_str().to_owned(), version };
        match self.call(self.public.clone().get(request)).await {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Error::Peer { problem, .. }) if problem.code == Code::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The version that an earlier request with this id made.
    pub(crate) async fn made_by(&self, name: &DatasetName, request_id: &str) -> Result<Option<Manifest>> {
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let request = ListVersionsRequest { name: name.as_str().to_owned(), limit: VERSIONS_PAGE, cursor };
            let page = match self.call(self.public.clone().versions(request)).await {
                Ok(page) => page,
                Err(Error::Peer { problem, .. }) if problem.code == Code::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            if let Some(found) = page.versions.iter().find(|version| version.request_id == request_id) {
                return self.version(name, found.version).await;
            }
            if page.next_cursor.is_empty() {
                return Ok(None);
            }
            cursor = page.next_cursor;
        }
        Ok(None)
    }

    /// Asks whether the columns would be taken, for the dataset's id and the field ids to write.
    pub(crate) async fn prepare(&self, request: &IngestRequest, fields: Vec<Field>) -> Result<PrepareResponse> {
        let op = request.mode.op().into();
        let request = PrepareRequest { name: request.name.as_str().to_owned(), op, fields };
        self.call(self.internal.clone().prepare(request)).await
    }

    /// Makes the version. Tried again with the same request id while the answer is not known,
    /// which adds nothing where the first try got through.
    pub(crate) async fn commit(&self, name: &DatasetName, op: Op, keys: Vec<String>, request_id: &str) -> Commit {
        let request =
            CommitRequest { name: name.as_str().to_owned(), op: op.into(), keys, request_id: request_id.to_owned() };
        let mut tries = 0;
        loop {
            tries += 1;
            match self.call(self.internal.clone().commit(request.clone())).await {
                Ok(registered) => return Commit::Done(registered),
                Err(error) if is_refusal(&error) => return Commit::Refused(error),
                Err(error) if tries >= COMMIT_TRIES => return Commit::Unknown(error),
                Err(error) => tracing::warn!(%error, tries, "commit: trying again"),
            }
        }
    }

    /// Whether a version has all these objects.
    pub(crate) async fn holds(&self, name: &DatasetName, version: u64, keys: &[String]) -> Result<bool> {
        let manifest = self.version(name, version).await?;
        let has = |key: &String| manifest.iter().flat_map(|m| &m.objects).any(|object| &object.key == key);
        Ok(keys.iter().all(has))
    }
}

/// Whether catalogd said no, rather than nothing.
fn is_refusal(error: &Error) -> bool {
    match error {
        Error::Peer { problem, .. } => problem.code.http_status().is_client_error(),
        _ => false,
    }
}
