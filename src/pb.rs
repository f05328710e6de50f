//! Code generated from `proto/`, for the edges only: nothing below the record codec and the service sees it.

/// The journal's disk format; used by [`crate::record`] alone.
#[allow(missing_docs, clippy::all, reason = "generated: documented and shaped by the .proto files")]
pub mod journal {
    tonic::include_proto!("inkling.journal.v1");
}

/// The gRPC interface; used by [`crate::server`] and by clients such as the demo.
#[allow(missing_docs, clippy::all, clippy::too_many_lines, reason = "generated: shaped by the .proto files")]
pub mod v1 {
    tonic::include_proto!("inkling.v1");
}

pub mod codec;

/// Descriptors of the gRPC interface, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/inkling.fds"));
