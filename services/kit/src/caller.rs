//! Who calls: part of every handler and every RPC.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

use crate::{Code, Problem};

/// Where a service says for whom it calls another one. The gateway removes it from what comes from outside.
pub const CALLER: HeaderName = HeaderName::from_static(CALLER_KEY);
pub(crate) const CALLER_KEY: &str = "x-lakehouse-caller";

/// What a caller may do in general; on single names, its grants decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads what it is granted.
    Reader,
    /// Writes what it is granted.
    Writer,
    /// Everything.
    Admin,
}

/// The caller of a request. While there is no authentication every caller is [`Caller::local`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// The tenant it belongs to.
    pub tenant: Arc<str>,
    /// What it may do in general.
    pub role: Role,
    /// The names it may use; `*` is every name.
    pub grants: Arc<[String]>,
}

impl Caller {
    /// Whoever can reach a platform without authentication: everything is theirs.
    pub fn local() -> Self {
        Caller { tenant: "local".into(), role: Role::Admin, grants: ["*".to_owned()].into() }
    }

    /// Whether it may read what is called `name`.
    pub fn may_read(&self, name: &str) -> bool {
        self.role == Role::Admin || self.grants.iter().any(|grant| grant == "*" || grant == name)
    }

    /// Whether it may change what is called `name`.
    pub fn may_write(&self, name: &str) -> bool {
        self.role >= Role::Writer && self.may_read(name)
    }
}

impl Caller {
    /// As the value of [`CALLER`]: JSON in base64, since names need not be ASCII.
    pub fn to_header(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// What a service states in [`CALLER`]; `None` where it states nobody. Whoever can reach a service without
    /// authentication is [`Caller::local`], so nobody gains by stating another.
    ///
    /// # Errors
    /// 400 for what is no caller: it must not pass as somebody who may more.
    pub fn stated(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let Some(value) = headers.get(CALLER) else { return Ok(None) };
        let json = URL_SAFE_NO_PAD.decode(value.as_bytes()).ok();
        let caller = json.and_then(|json: Vec<u8>| serde_json::from_slice(&json).ok());
        caller.map(Some).ok_or_else(|| Problem::new(Code::InvalidArgument, format!("{CALLER} states no caller")))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Caller>().cloned().unwrap_or_else(Caller::local))
    }
}

impl Caller {
    /// Of a gRPC request.
    pub fn of<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Caller>().cloned().unwrap_or_else(Caller::local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_stated_as_it_is_and_what_is_none_is_refused() {
        let reader = Caller { tenant: "Grün".into(), role: Role::Reader, grants: ["workers".to_owned()].into() };
        let stated = |text: &str| Caller::stated(&[(CALLER, text.parse().unwrap())].into_iter().collect());
        assert_eq!(stated(&reader.to_header()).unwrap(), Some(reader));
        assert_eq!(Caller::stated(&HeaderMap::new()).unwrap(), None);
        let unknown_field = URL_SAFE_NO_PAD.encode(r#"{"tenant":"t","role":"reader","grants":[],"x":1}"#);
        for bad in ["", "admin", &URL_SAFE_NO_PAD.encode("{}"), &unknown_field] {
            assert_eq!(stated(bad).unwrap_err().code, Code::InvalidArgument, "{bad}");
        }
    }

    #[test]
    fn grants_are_by_name_and_role() {
        let reader = Caller { tenant: "t".into(), role: Role::Reader, grants: ["workers".to_owned()].into() };
        assert!(reader.may_read("workers") && !reader.may_read("wages") && !reader.may_write("workers"));
        assert!(Caller::local().may_write("anything"));
    }
}
