//! Every method: parse, call, convert.

use kit::Caller;
use proto::v1 as wire;
use proto::v1::vectors_server::Vectors;
use tonic::{Request, Response, Status};

use super::convert::{self, status};
use crate::http;
use crate::indexes::{Indexes, NewScroll, NewSearch, Which};

pub(super) struct Rpc(pub(super) Indexes);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Vectors for Rpc {
    async fn create_index(&self, request: Request<wire::CreateIndexRequest>) -> Answer<wire::VectorIndex> {
        let caller = Caller::of(&request);
        let asked = convert::new_index(request.into_inner(), &caller).map_err(status)?;
        let created = self.0.create(&caller, asked).await.map_err(status)?;
        Ok(Response::new(created.into()))
    }

    async fn list_indexes(&self, request: Request<wire::ListIndexesRequest>) -> Answer<wire::ListIndexesResponse> {
        let caller = Caller::of(&request);
        let wire::ListIndexesRequest { limit, cursor } = request.into_inner();
        let after = convert::place(&cursor).map_err(status)?.unwrap_or_default();
        let (listed, next) = self.0.list(&caller, convert::number(limit), &after).map_err(status)?;
        let indexes = listed.into_iter().map(wire::VectorIndex::from).collect();
        let next_cursor = next.as_deref().map(http::cursor).unwrap_or_default();
        Ok(Response::new(wire::ListIndexesResponse { indexes, next_cursor }))
    }

    async fn get_index(&self, request: Request<wire::GetIndexRequest>) -> Answer<wire::VectorIndex> {
        let info = self.0.info(&Caller::of(&request), &request.get_ref().name).map_err(status)?;
        Ok(Response::new(info.into()))
    }

    async fn delete_index(&self, request: Request<wire::DeleteIndexRequest>) -> Answer<wire::DeleteIndexResponse> {
        self.0.delete_index(&Caller::of(&request), &request.get_ref().name).await.map_err(status)?;
        Ok(Response::new(wire::DeleteIndexResponse {}))
    }

    async fn add(&self, request: Request<wire::AddRequest>) -> Answer<wire::AddResponse> {
        let caller = Caller::of(&request);
        let wire::AddRequest { index, items } = request.into_inner();
        let items = self.0.batches().run(move || convert::items(items)).await;
        let items = items.map_err(|error| status(error.into()))?.map_err(status)?;
        let applied = self.0.add(&caller, &index, items).await.map_err(status)?;
        Ok(Response::new(applied.into()))
    }

    async fn search(&self, request: Request<wire::SearchRequest>) -> Answer<wire::SearchResponse> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let with_metadata = request.with_metadata.unwrap_or(true);
        let index = request.index.clone();
        let asked = NewSearch::try_from(request).map_err(status)?;
        let answers = self.0.search(&caller, &index, asked).await.map_err(status)?;
        Ok(Response::new(convert::answers(answers, with_metadata)))
    }

    async fn delete(&self, request: Request<wire::DeleteItemsRequest>) -> Answer<wire::DeleteItemsResponse> {
        let caller = Caller::of(&request);
        let wire::DeleteItemsRequest { index, which } = request.into_inner();
        let which = Which::try_from(which).map_err(status)?;
        let deleted = self.0.delete(&caller, &index, which).await.map_err(status)?;
        Ok(Response::new(wire::DeleteItemsResponse { deleted: deleted as u64 }))
    }

    async fn scroll(&self, request: Request<wire::ScrollRequest>) -> Answer<wire::ScrollResponse> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let index = request.index.clone();
        let asked = NewScroll::try_from(request).map_err(status)?;
        let page = self.0.scroll(&caller, &index, asked).await.map_err(status)?;
        Ok(Response::new(page.into()))
    }

    async fn get_item(&self, request: Request<wire::GetItemRequest>) -> Answer<wire::StoredItem> {
        let caller = Caller::of(&request);
        let wire::GetItemRequest { index, id } = request.into_inner();
        let item = self.0.item(&caller, &index, &id).await.map_err(status)?;
        Ok(Response::new(item.into()))
    }

    async fn count(&self, request: Request<wire::CountRequest>) -> Answer<wire::CountResponse> {
        let caller = Caller::of(&request);
        let wire::CountRequest { index, filter_json } = request.into_inner();
        let filter = convert::filter(filter_json.as_deref()).map_err(status)?;
        let count = self.0.count(&caller, &index, filter).await.map_err(status)?;
        Ok(Response::new(wire::CountResponse { count: count as u64 }))
    }

    async fn snapshot(&self, request: Request<wire::SnapshotRequest>) -> Answer<wire::VectorIndex> {
        let info = self.0.snapshot(&Caller::of(&request), &request.get_ref().index).await.map_err(status)?;
        Ok(Response::new(info.into()))
    }

    async fn compact(&self, request: Request<wire::CompactRequest>) -> Answer<wire::VectorIndex> {
        let info = self.0.compact(&Caller::of(&request), &request.get_ref().index).await.map_err(status)?;
        Ok(Response::new(info.into()))
    }

    async fn set_alias(&self, request: Request<wire::SetAliasRequest>) -> Answer<wire::Alias> {
        let caller = Caller::of(&request);
        let wire::SetAliasRequest { alias, index } = request.into_inner();
        self.0.set_alias(&caller, &alias, &index).await.map_err(status)?;
        Ok(Response::new(wire::Alias { alias, index }))
    }

    async fn delete_alias(&self, request: Request<wire::DeleteAliasRequest>) -> Answer<wire::DeleteAliasResponse> {
        self.0.delete_alias(&Caller::of(&request), &request.get_ref().alias).await.map_err(status)?;
        Ok(Response::new(wire::DeleteAliasResponse {}))
    }

    async fn list_aliases(&self, request: Request<wire::ListAliasesRequest>) -> Answer<wire::ListAliasesResponse> {
        let aliases = self.0.aliases(&Caller::of(&request)).into_iter();
        let aliases = aliases.map(|(alias, index)| wire::Alias { alias, index }).collect();
        Ok(Response::new(wire::ListAliasesResponse { aliases }))
    }

    async fn import(&self, request: Request<wire::ImportRequest>) -> Answer<wire::VectorImport> {
        let caller = Caller::of(&request);
        let request = request.into_inner();
        let index = request.index.clone();
        let import = self.0.import(&caller, &index, request.into()).await.map_err(status)?;
        Ok(Response::new(import.into()))
    }

    async fn get_import(&self, request: Request<wire::GetImportRequest>) -> Answer<wire::VectorImport> {
        let caller = Caller::of(&request);
        let wire::GetImportRequest { index, id } = request.into_inner();
        let import = self.0.find_import(&caller, &index, &id).map_err(status)?;
        Ok(Response::new(import.into()))
    }

    async fn list_imports(&self, request: Request<wire::ListImportsRequest>) -> Answer<wire::ListImportsResponse> {
        let imports = self.0.imports(&Caller::of(&request), &request.get_ref().index).map_err(status)?;
        let imports = imports.into_iter().map(wire::VectorImport::from).collect();
        Ok(Response::new(wire::ListImportsResponse { imports }))
    }
}
