//! A part of the bucket as a kind of caller sees it, with the limits of that kind.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use kit::Caller;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Error;
use crate::config::Config;
use crate::etag::Condition;
use crate::key::{KeyPrefix, ObjectKey};
use crate::metrics::Metrics;
use crate::store::{ByteStream, ListQuery, Object, ObjectBody, ObjectMeta, ObjectStore, Page, Put, Read, Stored};

/// Where the objects of outside callers lie.
const USER_PREFIX: &str = "user/";

/// How much at once, and how long: with the config keys that say so.
struct Limits {
    puts: Arc<Semaphore>,
    puts_max: usize,
    puts_key: &'static str,
    bytes_max: u64,
    bytes_key: &'static str,
}

/// The keys below a prefix, as if there were no others.
pub(crate) struct Space {
    store: Arc<dyn ObjectStore>,
    metrics: Metrics,
    prefix: &'static str,
    limits: Limits,
    list_entries_max: usize,
}

/// A write, as its caller states it.
pub(crate) struct PutOrder {
    pub(crate) key: String,
    pub(crate) bytes: Option<u64>,
    pub(crate) content_type: Option<String>,
    pub(crate) condition: Condition,
}

/// A listing, as its caller states it.
#[derive(Debug, Default)]
pub(crate) struct ListOrder {
    pub(crate) prefix: String,
    pub(crate) delimiter: String,
    pub(crate) limit: Option<usize>,
    pub(crate) cursor: Option<String>,
}

impl Space {
    /// What outside callers see: the keys below `user/`.
    pub(crate) fn user(store: Arc<dyn ObjectStore>, metrics: Metrics, config: &Config) -> Self {
        let limits = Limits {
            puts: Arc::new(Semaphore::new(config.max_concurrent_puts)),
            puts_max: config.max_concurrent_puts,
            puts_key: "max_concurrent_puts",
            bytes_max: config.max_object_bytes,
            bytes_key: "max_object_bytes",
        };
        Space { store, metrics, prefix: USER_PREFIX, limits, list_entries_max: config.max_list_entries }
    }

    /// What services see: the whole bucket.
    pub(crate) fn whole(store: Arc<dyn ObjectStore>, metrics: Metrics, config: &Config) -> Self {
        let limits = Limits {
            puts: Arc::new(Semaphore::new(config.max_concurrent_internal_puts)),
            puts_max: config.max_concurrent_internal_puts,
            puts_key: "max_concurrent_internal_puts",
            bytes_max: config.max_internal_object_bytes,
            bytes_key: "max_internal_object_bytes",
        };
        Space { store, metrics, prefix: "", limits, list_entries_max: config.max_list_entries }
    }

    /// Refuses what cannot be taken before anything of `body` is read, then stores it.
    pub(crate) async fn put(&self, caller: &Caller, order: PutOrder, body: ByteStream) -> Result<Stored, Error> {
        let outcome = self.try_put(caller, order, body).await;
        self.metrics.count_put(&outcome);
        outcome
    }

    async fn try_put(&self, caller: &Caller, order: PutOrder, body: ByteStream) -> Result<Stored, Error> {
        let key = self.writable(caller, &order.key)?;
        let too_large = || Error::TooLarge { bytes_max: self.limits.bytes_max, limit: self.limits.bytes_key };
        if order.bytes.is_some_and(|bytes| bytes > self.limits.bytes_max) {
            return Err(too_large());
        }
        let _permit = self.permit()?;
        let body = self.counted(body, order.bytes);
        let put = Put { body, bytes: order.bytes, content_type: order.content_type, condition: order.condition };
        self.metrics.timed("put", self.store.put(&key, put)).await.map_err(|error| self.outside(error))
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        let taken = self.limits.puts.clone().try_acquire_owned();
        taken.map_err(|_| Error::Overloaded { running: self.limits.puts_max, limit: self.limits.puts_key })
    }

    /// The body, which fails where it turns out too long or not as long as was stated.
    fn counted(&self, body: ByteStream, stated: Option<u64>) -> ByteStream {
        let (bytes_max, limit) = (self.limits.bytes_max, self.limits.bytes_key);
        let counter = self.metrics.bytes_in.clone();
        let chunks = stream::unfold((body, 0_u64, false), move |(mut body, sofar, failed)| {
            let counter = counter.clone();
            async move {
                if failed {
                    return None;
                }
                let (item, actual) = match body.next().await {
                    None if stated.is_none_or(|stated| stated == sofar) => return None,
                    None => (Err(Error::LengthDiffers { stated: stated.unwrap_or(sofar), actual: sofar }), sofar),
                    Some(Err(error)) => (Err(error), sofar),
                    Some(Ok(chunk)) => {
                        let actual = sofar + chunk.len() as u64;
                        counter.inc_by(chunk.len() as u64);
                        match stated {
                            _ if actual > bytes_max => (Err(Error::TooLarge { bytes_max, limit }), actual),
                            Some(stated) if actual > stated => (Err(Error::LengthDiffers { stated, actual }), actual),
                            _ => (Ok(chunk), actual),
                        }
                    }
                };
                let failed = item.is_err();
                Some((item, (body, actual, failed)))
            }
        });
        chunks.boxed()
    }

    pub(crate) async fn get(&self, caller: &Caller, raw: &str, read: &Read) -> Result<Object, Error> {
        let key = self.readable(caller, raw)?;
        let got = self.metrics.timed("get", self.store.get(&key, read)).await;
        let object = got.map_err(|error| self.outside(error))?;
        let counter = self.metrics.bytes_out.clone();
        let body = match object.body {
            ObjectBody::Short(bytes) => {
                counter.inc_by(bytes.len() as u64);
                ObjectBody::Short(bytes)
            }
            ObjectBody::Stream(stream) => {
                let counted = stream.inspect_ok(move |bytes| _ = counter.inc_by(bytes.len() as u64));
                ObjectBody::Stream(counted.boxed())
            }
        };
        Ok(Object { meta: self.relative(object.meta), selection: object.selection, body })
    }

    pub(crate) async fn head(&self, caller: &Caller, raw: &str) -> Result<ObjectMeta, Error> {
        let key = self.readable(caller, raw)?;
        let meta = self.metrics.timed("head", self.store.head(&key)).await;
        meta.map(|meta| self.relative(meta)).map_err(|error| self.outside(error))
    }

    pub(crate) async fn delete(&self, caller: &Caller, raw: &str, condition: &Condition) -> Result<(), Error> {
        let key = self.writable(caller, raw)?;
        let deleted = self.metrics.timed("delete", self.store.delete(&key, condition)).await;
        deleted.map_err(|error| self.outside(error))
    }

    pub(crate) async fn list(&self, caller: &Caller, order: ListOrder) -> Result<Page, Error> {
        let invalid = |reason: String| Error::InvalidArgument { reason };
        let by_folder = match order.delimiter.as_str() {
            "" => false,
            "/" => true,
            other => return Err(invalid(format!("delimiter is \"/\" or nothing, not {other:?}"))),
        };
        let limit = order.limit.unwrap_or(self.list_entries_max);
        if limit == 0 || limit > self.list_entries_max {
            return Err(invalid(format!("limit lies between 1 and {} (max_list_entries)", self.list_entries_max)));
        }
        let prefix = KeyPrefix::parse(&order.prefix)?.below(self.prefix);
        let query = ListQuery { prefix, by_folder, limit, cursor: order.cursor };
        let page = self.metrics.timed("list", self.store.list(query)).await.map_err(|error| self.outside(error))?;
        let objects = page.objects.into_iter().map(|meta| self.relative(meta));
        let prefixes = page.prefixes.iter().map(|text| self.relative_text(text));
        Ok(Page {
            objects: objects.filter(|meta| caller.may_read(meta.key.as_str())).collect(),
            prefixes: prefixes.filter(|prefix| caller.may_read(prefix)).collect(),
            next_cursor: page.next_cursor,
        })
    }

    pub(crate) async fn copy(
        &self,
        caller: &Caller,
        (source, target): (&str, &str),
        source_condition: &Condition,
    ) -> Result<Stored, Error> {
        let (source, target) = (self.readable(caller, source)?, self.writable(caller, target)?);
        let _permit = self.permit()?;
        let copying = self.store.copy(&source, &target, source_condition);
        let copied = self.metrics.timed("copy", copying).await;
        self.metrics.count_put(&copied);
        copied.map_err(|error| self.outside(error))
    }

    /// Where objects, and all that starts with a prefix of whole components, lie.
    pub(crate) fn locate(&self, keys: &[String], prefix: &str) -> Result<(Vec<String>, String), Error> {
        let urls = keys.iter().map(|raw| {
            let key = ObjectKey::parse(raw)?.below(self.prefix);
            Ok(self.store.locate(key.as_str()))
        });
        let prefix_url = if prefix.is_empty() {
            String::new()
        } else {
            let prefix = KeyPrefix::parse(prefix)?;
            if prefix.folder() != prefix.as_str() || !prefix.is_possible() {
                return Err(Error::InvalidArgument { reason: "prefix has to end in / and be one of keys".into() });
            }
            self.store.locate(prefix.below(self.prefix).as_str())
        };
        Ok((urls.collect::<Result<_, Error>>()?, prefix_url))
    }

    pub(crate) fn conditional_puts(&self) -> bool {
        self.store.conditional_puts()
    }

    fn readable(&self, caller: &Caller, raw: &str) -> Result<ObjectKey, Error> {
        let key = ObjectKey::parse(raw)?;
        if !caller.may_read(raw) {
            return Err(Error::NotAllowed { key: raw.to_owned() });
        }
        Ok(key.below(self.prefix))
    }

    fn writable(&self, caller: &Caller, raw: &str) -> Result<ObjectKey, Error> {
        let key = ObjectKey::parse(raw)?;
        if !caller.may_write(raw) {
            return Err(Error::NotAllowed { key: raw.to_owned() });
        }
        Ok(key.below(self.prefix))
    }

    fn relative_text(&self, text: &str) -> String {
        text.strip_prefix(self.prefix).unwrap_or(text).to_owned()
    }

    fn relative(&self, meta: ObjectMeta) -> ObjectMeta {
        ObjectMeta { key: meta.key.relative_to(self.prefix), ..meta }
    }

    /// The same error with the key as its caller knows it.
    fn outside(&self, error: Error) -> Error {
        match error {
            Error::NotFound { key } => Error::NotFound { key: self.relative_text(&key) },
            Error::ConditionFailed { key } => Error::ConditionFailed { key: self.relative_text(&key) },
            Error::AlreadyExists { key } => Error::AlreadyExists { key: self.relative_text(&key) },
            Error::Conflict { key } => Error::Conflict { key: self.relative_text(&key) },
            other => other,
        }
    }
}
