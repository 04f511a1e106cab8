//! `lakehouse.internal.v1.CatalogInternal`.

use kit::Caller;
use proto::internal::v1 as wire;
use proto::internal::v1::catalog_internal_server::CatalogInternal as Service;
use proto::v1::RegisterResponse;
use tonic::{Request, Response, Status};

use super::convert::{self, status};
use crate::catalog::{Asked, Catalog, Registration};
use crate::name::DatasetName;

pub(super) struct Inside(pub(super) Catalog);

#[tonic::async_trait]
impl Service for Inside {
    async fn prepare(&self, request: Request<wire::PrepareRequest>) -> Result<Response<wire::PrepareResponse>, Status> {
        let caller = Caller::of(&request);
        let wire::PrepareRequest { name, op, fields } = request.into_inner();
        let name = DatasetName::parse(&name).map_err(status)?;
        let op = convert::op(op).map_err(status)?;
        let columns: Vec<_> = fields.into_iter().map(convert::column).collect();
        let (outline, version) = self.0.prepare(&caller, &name, op, &columns).await.map_err(status)?;
        let fields = outline.fields.iter().map(convert::field).collect();
        Ok(Response::new(wire::PrepareResponse { dataset_id: name.id().to_string(), fields, version }))
    }

    async fn commit(&self, request: Request<wire::CommitRequest>) -> Result<Response<RegisterResponse>, Status> {
        let caller = Caller::of(&request);
        let wanted = Registration::try_from(request.into_inner()).map_err(status)?;
        let name = wanted.name.clone();
        let receipt = self.0.commit(&caller, wanted).await.map_err(status)?;
        Ok(Response::new(convert::registered(&name, receipt)))
    }

    async fn resolve(&self, request: Request<wire::ResolveRequest>) -> Result<Response<wire::ResolveResponse>, Status> {
        let caller = Caller::of(&request);
        let wire::ResolveRequest { wanted, all, known } = request.into_inner();
        let asked = wanted
            .into_iter()
            .map(|wire::Wanted { name, version, known_version }| Asked { name, version, known_version })
            .collect();
        let held = all.then(|| known.into_iter().map(|known| (known.name, known.version)).collect());
        let resolved = self.0.resolve(&caller, asked, held).await.map_err(status)?;
        Ok(Response::new(wire::ResolveResponse { resolved: resolved.into_iter().map(convert::resolved).collect() }))
    }
}
