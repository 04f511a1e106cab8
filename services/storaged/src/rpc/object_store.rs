//! `lakehouse.internal.v1.ObjectStore`: the whole bucket, for services.

use std::sync::Arc;

use kit::Caller;
use proto::internal::v1::{self as internal, object_store_server::ObjectStore};
use proto::v1;
use tonic::{Request, Response, Streaming};

use super::{Answer, GetStream, convert, refused};
use crate::etag::Condition;
use crate::space::Space;

pub(super) struct Bucket(pub(super) Arc<Space>);

#[tonic::async_trait]
impl ObjectStore for Bucket {
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

    async fn copy(&self, request: Request<internal::CopyRequest>) -> Answer<v1::PutResponse> {
        let caller = Caller::of(&request);
        let internal::CopyRequest { source, target, source_if_match } = request.into_inner();
        let condition = Condition::parse(None, Some(&source_if_match)).map_err(refused)?;
        let stored = self.0.copy(&caller, (&source, &target), &condition).await.map_err(refused)?;
        Ok(Response::new(convert::put_response(target, &stored)))
    }

    async fn locate(&self, request: Request<internal::LocateRequest>) -> Answer<internal::LocateResponse> {
        let internal::LocateRequest { keys, prefix } = request.into_inner();
        let (urls, prefix_url) = self.0.locate(&keys, &prefix).map_err(refused)?;
        let conditional_puts = self.0.conditional_puts();
        Ok(Response::new(internal::LocateResponse { urls, prefix_url, conditional_puts }))
    }
}
