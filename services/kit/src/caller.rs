//! Who calls: part of every handler and every RPC.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

/// What a caller may do in general; on single names, its grants decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads what it is granted.
    Reader,
    /// Writes what it is granted.
    Writer,
    /// Everything.
    Admin,
}

/// The caller of a request. While there is no authentication every caller is [`Caller::local`].
#[derive(Debug, Clone, PartialEq, Eq)]
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
    fn grants_are_by_name_and_role() {
        let reader = Caller { tenant: "t".into(), role: Role::Reader, grants: ["workers".to_owned()].into() };
        assert!(reader.may_read("workers") && !reader.may_read("wages") && !reader.may_write("workers"));
        assert!(Caller::local().may_write("anything"));
    }
}
