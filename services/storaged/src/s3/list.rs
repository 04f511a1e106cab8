//! Listing: S3's own order and pages.

use aws_sdk_s3::types::Object as Listed;

use super::S3;
use super::failure::failure;
use super::read::time;
use crate::etag::ETag;
use crate::key::ObjectKey;
use crate::store::{ListQuery, ObjectMeta, Page};
use crate::{Error, content_type, cursor};

const BACKEND: char = 's';

impl S3 {
    pub(super) async fn page(&self, query: ListQuery) -> Result<Page, Error> {
        let token = query.cursor.as_deref().map(|raw| cursor::decode(BACKEND, raw)).transpose()?;
        if !query.prefix.is_possible() {
            return Ok(Page::default());
        }
        let listing = self.client.list_objects_v2().bucket(&self.bucket).prefix(query.prefix.as_str());
        let listing = listing.set_delimiter(query.by_folder.then(|| "/".to_owned()));
        let listing = listing.max_keys(i32::try_from(query.limit).unwrap_or(i32::MAX));
        let listed = listing.set_continuation_token(token).send().await;
        let listed = listed.map_err(|error| failure("list objects", &self.bucket, error))?;
        let prefixes = listed.common_prefixes().iter().filter_map(|prefix| prefix.prefix());
        Ok(Page {
            objects: listed.contents().iter().filter_map(meta).collect(),
            prefixes: prefixes.map(str::to_owned).collect(),
            next_cursor: listed.next_continuation_token().map(|token| cursor::encode(BACKEND, token)),
        })
    }
}

/// `None` for what is no object of ours: the empty `folder/` that some tools put there.
fn meta(listed: &Listed) -> Option<ObjectMeta> {
    let key = ObjectKey::found(listed.key()?)?;
    Some(ObjectMeta {
        bytes: listed.size().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        etag: ETag::from_backend(listed.e_tag().unwrap_or_default()),
        modified: time(listed.last_modified()),
        // Listings carry none.
        content_type: content_type::of_key(&key).to_owned(),
        key,
    })
}
