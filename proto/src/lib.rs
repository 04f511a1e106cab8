//! The gRPC contracts of the services and the code generated from them.
//!
//! `v1` is public: the gateway forwards it. `internal::v1` is what only services may call: the
//! gateway never does. REST bodies are not defined here: each service's `http/wire.rs` is.

#![allow(unreachable_pub, unused_qualifications, clippy::all)]

pub mod v1 {
    tonic::include_proto!("lakehouse.v1");
}

pub mod internal {
    pub mod v1 {
        tonic::include_proto!("lakehouse.internal.v1");
    }
}
