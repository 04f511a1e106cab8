//! Where objects lie, as storaged says.

use std::sync::Arc;

use moka::sync::Cache;
use proto::internal::v1::LocateRequest;
use proto::internal::v1::object_store_client::ObjectStoreClient;
use url::Url;

use super::Dataset;
use crate::error::Error;

const DATASETS: &str = "datasets/";
/// Keys asked for in one message.
const KEYS_MAX: usize = 10_000;

/// A dataset's objects as DuckDB opens them: paths, or `s3://` URLs.
pub(crate) type Places = Arc<[String]>;

/// Asks storaged, and remembers: objects never move.
#[derive(Clone)]
pub(crate) struct Locations {
    client: ObjectStoreClient<kit::grpc::PeerChannel>,
    /// By (dataset id, version).
    known: Cache<(String, u64), Places>,
}

impl Locations {
    pub(crate) fn new(channel: kit::grpc::PeerChannel, message_bytes_max: usize) -> Self {
        let client = ObjectStoreClient::new(channel).max_decoding_message_size(message_bytes_max);
        let known = Cache::builder()
            .max_capacity(256 << 20)
            .weigher(|_, places: &Places| {
                let bytes: usize = places.iter().map(|place| place.len() + 16).sum();
                u32::try_from(bytes + 128).unwrap_or(u32::MAX)
            })
            .build();
        Locations { client, known }
    }

    /// Where everything below `datasets/` lies: what the engine may open, ending in `/`.
    pub(crate) async fn root(&self) -> Result<String, Error> {
        let request = LocateRequest { keys: Vec::new(), prefix: DATASETS.into() };
        let answer = self.client.clone().locate(request).await.map_err(Error::peer("storaged"))?;
        let mut root = place(answer.into_inner().prefix_url)?;
        // Without it, DuckDB would open what merely begins like the folder.
        if !root.ends_with('/') {
            root.push('/');
        }
        Ok(root)
    }

    /// Without asking.
    pub(crate) fn held(&self, dataset: &Dataset) -> Option<Places> {
        self.known.get(&(dataset.dataset_id.clone(), dataset.version))
    }

    pub(crate) async fn of(&self, dataset: &Dataset) -> Result<Places, Error> {
        if let Some(places) = self.held(dataset) {
            return Ok(places);
        }
        let mut places = Vec::with_capacity(dataset.keys.len());
        for keys in dataset.keys.chunks(KEYS_MAX) {
            let request = LocateRequest { keys: keys.to_vec(), prefix: String::new() };
            let answer = self.client.clone().locate(request).await.map_err(Error::peer("storaged"))?.into_inner();
            if answer.urls.len() != keys.len() {
                return Err(Error::Internal("storaged located other objects than asked for"));
            }
            for url in answer.urls {
                places.push(place(url)?);
            }
        }
        let places = Places::from(places);
        self.known.insert((dataset.dataset_id.clone(), dataset.version), places.clone());
        Ok(places)
    }
}

/// `file:///a%20b/` → `/a b/`; `s3://` stays as it is.
fn place(url: String) -> Result<String, Error> {
    if !url.starts_with("file:") {
        return Ok(url);
    }
    let path = Url::parse(&url).ok().and_then(|parsed| parsed.to_file_path().ok());
    let Some(mut path) = path.and_then(|path| path.into_os_string().into_string().ok()) else {
        return Err(Error::Internal("storaged gave a file URL that is no path"));
    };
    if url.ends_with('/') && !path.ends_with('/') {
        path.push('/');
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_urls_become_paths_and_s3_urls_stay() {
        assert_eq!(place("file:///var/a%20b/datasets/".into()).unwrap(), "/var/a b/datasets/");
        assert_eq!(place("file:///x.parquet".into()).unwrap(), "/x.parquet");
        assert_eq!(place("s3://lake/datasets/".into()).unwrap(), "s3://lake/datasets/");
    }
}
