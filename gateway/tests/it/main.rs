//! The gateway, for real, before services made for what a test needs of them.

mod bodies;
mod edge;
mod grpc;
mod pages;
mod service;
mod wire;
