//! `lakehouse.v1.Catalog`.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use kit::Caller;
use proto::v1 as wire;
use proto::v1::catalog_server::Catalog as Service;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::convert::{self, status};
use crate::catalog::{Catalog, Registration};
use crate::name::DatasetName;

pub(super) struct Public(pub(super) Catalog);

#[tonic::async_trait]
impl Service for Public {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<wire::WatchEvent, Status>> + Send>>;

    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Result<Response<wire::RegisterResponse>, Status> {
        let caller = Caller::of(&request);
        let wanted = Registration::try_from(request.into_inner()).map_err(status)?;
        let name = wanted.name.clone();
        let receipt = self.0.register(&caller, wanted).await.map_err(status)?;
        Ok(Response::new(convert::registered(&name, receipt)))
    }

    async fn get(&self, request: Request<wire::GetDatasetRequest>) -> Result<Response<wire::Manifest>, Status> {
        let caller = Caller::of(&request);
        let wire::GetDatasetRequest { name, version } = request.into_inner();
        let name = DatasetName::parse(&name).map_err(status)?;
        let manifest = self.0.get(&caller, &name, version).await.map_err(status)?;
        Ok(Response::new(convert::manifest(&manifest)))
    }

    async fn list(
        &self,
        request: Request<wire::ListDatasetsRequest>,
    ) -> Result<Response<wire::ListDatasetsResponse>, Status> {
        let caller = Caller::of(&request);
        let wire::ListDatasetsRequest { limit, cursor } = request.into_inner();
        let page = self.0.list(&caller, convert::limit(limit), &cursor).map_err(status)?;
        let datasets = page.items.iter().map(|manifest| convert::dataset_summary(manifest)).collect();
        Ok(Response::new(wire::ListDatasetsResponse { datasets, next_cursor: page.next_cursor.unwrap_or_default() }))
    }

    async fn versions(
        &self,
        request: Request<wire::ListVersionsRequest>,
    ) -> Result<Response<wire::ListVersionsResponse>, Status> {
        let caller = Caller::of(&request);
        let wire::ListVersionsRequest { name, limit, cursor } = request.into_inner();
        let name = DatasetName::parse(&name).map_err(status)?;
        let page = self.0.versions(&caller, &name, convert::limit(limit), &cursor).await.map_err(status)?;
        let versions = page.items.iter().map(|manifest| convert::version_summary(manifest)).collect();
        Ok(Response::new(wire::ListVersionsResponse { versions, next_cursor: page.next_cursor.unwrap_or_default() }))
    }

    async fn delete(
        &self,
        request: Request<wire::DeleteDatasetRequest>,
    ) -> Result<Response<wire::DeleteDatasetResponse>, Status> {
        let caller = Caller::of(&request);
        let wire::DeleteDatasetRequest { name, request_id } = request.into_inner();
        let name = DatasetName::parse(&name).map_err(status)?;
        let receipt = self.0.delete(&caller, name, request_id).await.map_err(status)?;
        Ok(Response::new(wire::DeleteDatasetResponse { version: receipt.version }))
    }

    async fn watch(&self, request: Request<wire::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let caller = Caller::of(&request);
        let wire::WatchRequest { after_sequence, epoch } = request.into_inner();
        let told = self.0.watch(caller, after_sequence, &epoch).map_err(status)?;
        let epoch = self.0.epoch().to_owned();
        let events = ReceiverStream::new(told)
            .map(move |told| told.map(|told| convert::watch_event(told, &epoch)).map_err(status));
        Ok(Response::new(Box::pin(events)))
    }
}
