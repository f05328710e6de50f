//! Code generated from `proto/`, for the edges only: nothing below the record codec and the service sees it.

/// The journal's disk format; used by [`crate::record`] alone.
#[allow(missing_docs, clippy::all, reason = "generated: documented and shaped by the .proto files")]
pub mod journal {
    tonic::include_proto!("inkling.journal.v1");
}
