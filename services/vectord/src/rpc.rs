//! gRPC: `lakehouse.v1.Vectors`.

mod convert;
mod vectors;

use proto::v1::vectors_server::VectorsServer;

use crate::indexes::Indexes;

/// The service, to be merged into the REST router. A message, which may be a batch of items, has at most
/// `batch_bytes_max`.
pub(crate) fn routes(indexes: &Indexes) -> axum::Router {
    let bytes_max = indexes.config().batch_bytes_max;
    let vectors = VectorsServer::new(vectors::Rpc(indexes.clone())).max_decoding_message_size(bytes_max);
    tonic::service::Routes::new(vectors).prepare().into_axum_router()
}
