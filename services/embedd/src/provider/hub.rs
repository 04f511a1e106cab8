//! Models by the id of a hub: their files are fetched once and kept.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::StatusCode;
use kit::Secret;
use serde::Deserialize;
use tokio::fs;
use tokio::io::AsyncWriteExt;
use url::Url;
use uuid::Uuid;

use crate::config::{Config, ModelConfig};

/// Files that a model may have, and whether it must.
const FILES: [(&str, bool); 5] = [
    ("modules.json", false),
    ("config.json", true),
    ("tokenizer.json", true),
    ("sentence_bert_config.json", false),
    ("config_sentence_transformers.json", false),
];
/// Either of them; the first one that is there.
const WEIGHTS: [&str; 2] = ["model.safetensors", "onnx/model.onnx"];

/// A hub, and where what it gave is kept.
pub(crate) struct Hub {
    client: reqwest::Client,
    url: Url,
    token: Secret,
    dir: PathBuf,
    id: String,
    revision: String,
    bytes_max: u64,
    timeout: Duration,
}

/// Why a model is not there.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HubError {
    #[error("{0:?} is no id of a model at a hub: it takes OWNER/NAME")]
    Id(String),
    #[error("the hub cannot be asked for {file}")]
    Http {
        file: String,
        #[source]
        source: reqwest::Error,
    },
    #[error("the hub answers {status} for {file}")]
    Status { file: String, status: StatusCode },
    #[error("the hub has neither model.safetensors nor onnx/model.onnx of it")]
    NoWeights,
    #[error("{file} has more than {limit} bytes (hub_bytes_max)")]
    TooLong { file: String, limit: u64 },
    #[error("modules.json is not what it must be")]
    Modules,
    #[error("it took longer than {0:?} (hub_timeout)")]
    Timeout(Duration),
    #[error("{what}")]
    Io {
        what: String,
        #[source]
        source: std::io::Error,
    },
}

#[derive(Deserialize)]
struct Module {
    path: String,
}

impl Hub {
    /// # Errors
    /// An id or a revision that could name anything else than a model.
    pub(crate) fn new(config: &Config, model: &ModelConfig, id: &str) -> Result<Self, HubError> {
        let revision = if model.revision.is_empty() { "main" } else { &model.revision };
        let is_plain = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            !text.is_empty() && text.chars().all(plain) && !text.starts_with('.')
        };
        let parts: Vec<&str> = id.split('/').collect();
        if parts.len() != 2 || !parts.iter().all(|part| is_plain(part)) || !is_plain(revision) {
            return Err(HubError::Id(id.to_owned()));
        }
        // Redirects are followed: a hub hands out its large files elsewhere. A token does not go there.
        let client = super::upstream::client(&config.hub_url, reqwest::redirect::Policy::limited(5));
        let client = client.map_err(|source| HubError::Http { file: id.to_owned(), source })?;
        Ok(Hub {
            client,
            url: config.hub_url.clone(),
            token: model.api_key.clone(),
            dir: config.hub_dir.clone(),
            id: id.to_owned(),
            revision: revision.to_owned(),
            bytes_max: config.hub_bytes_max,
            timeout: config.hub_timeout,
        })
    }

    /// The folder of a model: as it was kept, or fetched now.
    ///
    /// # Errors
    /// What the hub does not have or does not give; a disk that does not take it.
    pub(crate) async fn folder(&self) -> Result<PathBuf, HubError> {
        let folder = self.dir.join(self.id.replace('/', "--")).join(&self.revision);
        if folder.is_dir() {
            return Ok(folder);
        }
        // Into a folder of its own first: what has the right name is whole.
        let partial = self.dir.join(format!("partial-{}", Uuid::now_v7()));
        let fetched = tokio::time::timeout(self.timeout, self.fetch(&partial)).await;
        let done = match fetched.unwrap_or(Err(HubError::Timeout(self.timeout))) {
            Ok(()) => keep(&partial, &folder).await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            // It may not even be there.
            let _removed = fs::remove_dir_all(&partial).await;
        }
        done.map(|()| folder)
    }

    async fn fetch(&self, into: &Path) -> Result<(), HubError> {
        for (file, needed) in FILES {
            if !self.file(file, into).await? && needed {
                return Err(HubError::Status { file: file.to_owned(), status: StatusCode::NOT_FOUND });
            }
        }
        for path in modules(into).await? {
            self.file(&format!("{path}/config.json"), into).await?;
        }
        for weights in WEIGHTS {
            if self.file(weights, into).await? {
                return Ok(());
            }
        }
        Err(HubError::NoWeights)
    }

    /// Fetches a file; false where the hub does not have it.
    async fn file(&self, file: &str, into: &Path) -> Result<bool, HubError> {
        let http = |source: reqwest::Error| HubError::Http { file: file.to_owned(), source };
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(self.id.split('/')).extend(["resolve", &self.revision]);
            segments.extend(file.split('/'));
        }
        let mut request = self.client.get(url);
        if !self.token.is_empty() {
            request = request.bearer_auth(self.token.expose());
        }
        let mut response = request.send().await.map_err(http)?;
        match response.status() {
            StatusCode::NOT_FOUND => return Ok(false),
            status if !status.is_success() => return Err(HubError::Status { file: file.to_owned(), status }),
            _ => {}
        }
        let io = |source| HubError::Io { what: format!("keeping {file}"), source };
        let path = into.join(file);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).await.map_err(io)?;
        }
        let mut kept = fs::File::create(&path).await.map_err(io)?;
        let mut bytes = 0;
        while let Some(piece) = response.chunk().await.map_err(http)? {
            bytes += piece.len() as u64;
            if bytes > self.bytes_max {
                return Err(HubError::TooLong { file: file.to_owned(), limit: self.bytes_max });
            }
            kept.write_all(&piece).await.map_err(io)?;
        }
        kept.sync_all().await.map_err(io)?;
        Ok(true)
    }
}

/// The folders that `modules.json` names, where there is one.
async fn modules(folder: &Path) -> Result<Vec<String>, HubError> {
    let Ok(text) = fs::read(folder.join("modules.json")).await else { return Ok(Vec::new()) };
    let modules: Vec<Module> = serde_json::from_slice(&text).map_err(|_| HubError::Modules)?;
    let paths: Vec<String> = modules.into_iter().map(|module| module.path).filter(|path| !path.is_empty()).collect();
    // The hub does not get to say where else files go.
    let is_name = |path: &String| path.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if paths.iter().all(is_name) { Ok(paths) } else { Err(HubError::Modules) }
}

async fn keep(partial: &Path, folder: &Path) -> Result<(), HubError> {
    let io = |source| HubError::Io { what: format!("keeping {}", folder.display()), source };
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).await.map_err(io)?;
    }
    fs::rename(partial, folder).await.map_err(io)
}
