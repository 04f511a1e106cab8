//! What catalogd says of single versions of a dataset.

use kit::grpc::PeerChannel;
use kit::{Caller, Problem};
use proto::internal::v1::catalog_internal_client::CatalogInternalClient;
use proto::internal::v1::resolved::Outcome;
use proto::internal::v1::{ResolveRequest, Wanted};
use tokio::time::timeout;

use crate::Error;
use crate::indexes::Indexes;
use crate::source::Source;

/// The names of a version's columns, or why there is none.
pub(super) type Columns = Result<Vec<String>, String>;

impl Indexes {
    /// The columns of versions of a source's dataset, as `caller` may see them; 0 is the newest version.
    ///
    /// # Errors
    /// catalogd's.
    pub(super) async fn versions(
        &self,
        caller: &Caller,
        dataset: &str,
        versions: &[u64],
    ) -> Result<Vec<Columns>, Error> {
        let wanted = |version: &u64| Wanted { name: dataset.to_owned(), version: *version, known_version: 0 };
        let request = ResolveRequest { wanted: versions.iter().map(wanted).collect(), ..ResolveRequest::default() };
        let bytes_max = self.config().peer_message_bytes_max;
        let channel: PeerChannel = self.catalogd();
        let mut client = CatalogInternalClient::new(channel).max_decoding_message_size(bytes_max);
        let answered =
            timeout(self.config().catalog_timeout, client.resolve(kit::grpc::request(request, caller, None))).await;
        let late = |_| Err(tonic::Status::deadline_exceeded("no answer within catalog_timeout"));
        let resolved = answered.unwrap_or_else(late).map_err(|status| Error::Peer {
            what: format!("the dataset {dataset}"),
            problem: Problem::from_status("catalogd", status),
        })?;
        let columns = |outcome| match outcome {
            Some(Outcome::Manifest(manifest)) => Ok(manifest.fields.into_iter().map(|field| field.name).collect()),
            Some(Outcome::NotFound(why)) => Err(why),
            Some(Outcome::Unchanged(_)) | None => Err(format!("catalogd says nothing of the dataset {dataset}")),
        };
        Ok(resolved.into_inner().resolved.into_iter().map(|resolved| columns(resolved.outcome)).collect())
    }

    /// Whether an index can be made that follows `source`, for a caller who may read it.
    ///
    /// # Errors
    /// No such dataset or column; a catalogd that is not there.
    pub(crate) async fn check_source(&self, caller: &Caller, source: &Source) -> Result<(), Error> {
        source.check_text(self.config().text_bytes_max)?;
        match self.versions(caller, &source.dataset, &[0]).await?.pop() {
            Some(Ok(columns)) => source.check_columns(&columns),
            Some(Err(why)) => Err(Error::NoDataset(why)),
            None => Err(Error::Content("catalogd's answer is empty")),
        }
    }
}
