//! `lakehouse.v1.Storage`: the caller's own key space.

use std::sync::Arc;

use proto::v1;
use tonic::{Request, Streaming};

use super::{Answer, GetStream};
use crate::space::Space;

pub(super) struct Storage(pub(super) Arc<Space>);

#[tonic::async_trait]
impl v1::storage_server::Storage for Storage {
    type GetStream = GetStream;

    async fn put(&self, request: Request<Streaming<v1::PutRequest>>) -> Answer<v1::PutResponse> {
        super::put(&self.0, request).await
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Answer<GetStream> {
        super::get(&self.0, request).await
    }

    async fn head(&self, request: Request<v1::HeadRequest>) -> Answer<v1::ObjectInfo> {
        super::head(&self.0, request).await
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Answer<v1::DeleteResponse> {
        super::delete(&self.0, request).await
    }

    async fn list(&self, request: Request<v1::ListRequest>) -> Answer<v1::ListResponse> {
        super::list(&self.0, request).await
    }
}
