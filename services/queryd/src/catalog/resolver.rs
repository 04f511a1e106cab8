//! Asking catalogd what stands, for many statements at once.
//!
//! An answer counts for every statement that came before the question was sent. So one question is
//! under way at a time, and whatever comes meanwhile goes into the next, together.

use std::time::Duration;

use proto::internal::v1::catalog_internal_client::CatalogInternalClient;
use proto::internal::v1::resolved::Outcome;
use proto::internal::v1::{Known as KnownVersion, ResolveRequest, Resolved, Wanted};
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;

/// Statements whose questions go together, and names in one message (catalogd's limit is 1,000; a
/// statement that names more than this asks alone).
const BATCH_MAX: usize = 256;
const NAMES_MAX: usize = 500;
const QUEUE_MAX: usize = 4_096;

/// A dataset to resolve.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) name: String,
    /// 0: the newest.
    pub(crate) version: u64,
    pub(crate) known_version: u64,
}

struct Asked {
    questions: Vec<Question>,
    answer: oneshot::Sender<Result<Vec<Outcome>, Error>>,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Resolver {
    queue: mpsc::Sender<Asked>,
    catalogd: Catalogd,
}

/// The peer. One call that is stalled would hold up all that come after it, so each has its time.
#[derive(Clone)]
struct Catalogd {
    client: CatalogInternalClient<kit::grpc::PeerChannel>,
    timeout: Duration,
}

impl Catalogd {
    async fn ask(&self, request: ResolveRequest) -> Result<Vec<Resolved>, Error> {
        let mut client = self.client.clone();
        let answered = tokio::time::timeout(self.timeout, client.resolve(request)).await;
        let late = |_| Err(tonic::Status::deadline_exceeded("no answer within resolve_timeout"));
        answered.unwrap_or_else(late).map(|answer| answer.into_inner().resolved).map_err(Error::peer("catalogd"))
    }
}

impl Resolver {
    /// Starts its task, which ends with the last clone.
    pub(crate) fn start(channel: kit::grpc::PeerChannel, message_bytes_max: usize, timeout: Duration) -> Self {
        let client = CatalogInternalClient::new(channel).max_decoding_message_size(message_bytes_max);
        let catalogd = Catalogd { client, timeout };
        let (queue, asked) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(run(catalogd.clone(), asked));
        Resolver { queue, catalogd }
    }

    /// One outcome for each question, in their order, of one moment after the call.
    pub(crate) async fn resolve(&self, questions: Vec<Question>) -> Result<Vec<Outcome>, Error> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { questions, answer };
        self.queue.send(asked).await.map_err(|_| Error::Internal("the resolver ended"))?;
        answered.await.map_err(|_| Error::Internal("the resolver ended"))?
    }

    /// Every dataset there is; those known in this version answer `unchanged`.
    pub(crate) async fn resolve_all(&self, known: Vec<(String, u64)>) -> Result<Vec<(String, Outcome)>, Error> {
        let known = known.into_iter().map(|(name, version)| KnownVersion { name, version }).collect();
        let request = ResolveRequest { wanted: Vec::new(), all: true, known };
        let resolved = self.catalogd.ask(request).await?;
        Ok(resolved.into_iter().filter_map(|r| Some((r.name, r.outcome?))).collect())
    }
}

async fn run(catalogd: Catalogd, mut queue: mpsc::Receiver<Asked>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, BATCH_MAX).await > 0 {
        let (mut together, mut names) = (Vec::new(), 0);
        for asked in batch.drain(..) {
            if names > 0 && names + asked.questions.len() > NAMES_MAX {
                answer(&catalogd, std::mem::take(&mut together)).await;
                names = 0;
            }
            names += asked.questions.len();
            together.push(asked);
        }
        answer(&catalogd, together).await;
    }
}

async fn answer(catalogd: &Catalogd, batch: Vec<Asked>) {
    let wanted = batch.iter().flat_map(|asked| &asked.questions).map(|question| Wanted {
        name: question.name.clone(),
        version: question.version,
        known_version: question.known_version,
    });
    let request = ResolveRequest { wanted: wanted.collect(), all: false, known: Vec::new() };
    let mut outcome = catalogd.ask(request).await.map(Vec::into_iter);
    for asked in batch {
        let part = match &mut outcome {
            Ok(resolved) => take(resolved, asked.questions.len()),
            Err(error) => Err(error.clone()),
        };
        // Whoever asked may have left.
        let _gone = asked.answer.send(part);
    }
}

fn take(resolved: &mut std::vec::IntoIter<Resolved>, count: usize) -> Result<Vec<Outcome>, Error> {
    let part: Vec<_> = resolved.take(count).filter_map(|resolved| resolved.outcome).collect();
    if part.len() == count { Ok(part) } else { Err(Error::Internal("catalogd resolved other datasets than asked for")) }
}
