//! gRPC: the public `Storage` and the services' own `ObjectStore`, two adapters of [`Space`].

mod convert;
mod object_store;
mod storage;

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use kit::{Caller, Problem};
use proto::internal::v1::object_store_server::ObjectStoreServer;
use proto::v1::put_request::Part;
use proto::v1::storage_server::StorageServer;
use proto::v1::{self as wire, get_response};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use crate::Error;
use crate::etag::Condition;
use crate::space::{PutOrder, Space};
use crate::store::ObjectBody;

type GetStream = Pin<Box<dyn Stream<Item = Result<wire::GetResponse, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

/// Both services. `message_bytes_max` bounds each message, and so each chunk of a Put.
pub(crate) fn routes(user: Arc<Space>, whole: Arc<Space>, message_bytes_max: u64) -> Routes {
    let bytes_max = usize::try_from(message_bytes_max).unwrap_or(usize::MAX);
    let public = StorageServer::new(storage::Storage(user)).max_decoding_message_size(bytes_max);
    let internal = ObjectStoreServer::new(object_store::Bucket(whole)).max_decoding_message_size(bytes_max);
    Routes::new(public).add_service(internal)
}

async fn put(space: &Space, request: Request<Streaming<wire::PutRequest>>) -> Answer<wire::PutResponse> {
    let caller = Caller::of(&request);
    let mut messages = request.into_inner();
    let start = match messages.message().await?.and_then(|message| message.part) {
        Some(Part::Start(start)) => start,
        _ => return Err(Problem::invalid("the first message of a Put carries start").into()),
    };
    let key = start.key.clone();
    let order = PutOrder::try_from(start).map_err(refused)?;
    let chunks = messages.map(|message| match message.map(|message| message.part) {
        Ok(Some(Part::Chunk(chunk))) => Ok(chunk),
        Ok(_) => {
            Err(Error::InvalidArgument { reason: "every message of a Put behind the first carries a chunk".into() })
        }
        Err(status) => Err(Error::BodyBrokeOff(status.into())),
    });
    let stored = space.put(&caller, order, chunks.boxed()).await.map_err(refused)?;
    Ok(Response::new(convert::put_response(key, &stored)))
}

async fn get(space: &Space, request: Request<wire::GetRequest>) -> Answer<GetStream> {
    let caller = Caller::of(&request);
    let request = request.into_inner();
    let read = convert::read(&request).map_err(refused)?;
    let object = space.get(&caller, &request.key, &read).await.map_err(refused)?;
    let part = |part| Ok(wire::GetResponse { part: Some(part) });
    let info = stream::iter([part(get_response::Part::Info(object.meta.into()))]);
    let chunk = move |chunk| wire::GetResponse { part: Some(get_response::Part::Chunk(chunk)) };
    let answer: GetStream = match object.body {
        ObjectBody::Short(bytes) if bytes.is_empty() => info.boxed(),
        ObjectBody::Short(bytes) => info.chain(stream::iter([Ok(chunk(bytes))])).boxed(),
        ObjectBody::Stream(chunks) => info.chain(chunks.map_ok(chunk).map_err(refused)).boxed(),
    };
    Ok(Response::new(answer))
}

async fn head(space: &Space, request: Request<wire::HeadRequest>) -> Answer<wire::ObjectInfo> {
    let meta = space.head(&Caller::of(&request), &request.get_ref().key).await.map_err(refused)?;
    Ok(Response::new(meta.into()))
}

async fn delete(space: &Space, request: Request<wire::DeleteRequest>) -> Answer<wire::DeleteResponse> {
    let key = &request.get_ref().key;
    space.delete(&Caller::of(&request), key, &Condition::None).await.map_err(refused)?;
    Ok(Response::new(wire::DeleteResponse {}))
}

async fn list(space: &Space, request: Request<wire::ListRequest>) -> Answer<wire::ListResponse> {
    let caller = Caller::of(&request);
    let page = space.list(&caller, request.into_inner().into()).await.map_err(refused)?;
    Ok(Response::new(page.into()))
}

fn refused(error: Error) -> Status {
    Problem::from(error).into()
}
