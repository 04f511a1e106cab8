//! gRPC: `lakehouse.v1.Catalog` for everybody, `lakehouse.internal.v1.CatalogInternal` for
//! services.

mod catalog;
mod convert;
mod internal;

use proto::internal::v1::catalog_internal_server::CatalogInternalServer;
use proto::v1::catalog_server::CatalogServer;

use crate::catalog::Catalog;

/// Both services, to be merged into the REST router.
pub(crate) fn routes(catalog: &Catalog) -> axum::Router {
    let bytes_max = catalog.config().http.grpc_message_bytes_max();
    let public = CatalogServer::new(catalog::Public(catalog.clone())).max_decoding_message_size(bytes_max);
    let inside = CatalogInternalServer::new(internal::Inside(catalog.clone())).max_decoding_message_size(bytes_max);
    tonic::service::Routes::new(public).add_service(inside).prepare().into_axum_router()
}
