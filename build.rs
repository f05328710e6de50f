//! Compiles the protocol buffers with a compiler written in Rust, so that building needs no `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

/// Where imports start.
const ROOT: &str = "proto";
/// The gRPC interface. The journal's disk format stands apart and is not told to clients.
const API: &str = "proto/inkling/v1";
/// The journal's disk format.
const JOURNAL: &str = "proto/inkling/journal/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ROOT}");

    let api = protos(API)?;
    let reflection = protox::compile(&api, [ROOT])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("inkling.fds"), reflection.encode_to_vec())?;

    let all: Vec<PathBuf> = api.into_iter().chain(protos(JOURNAL)?).collect();
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::pb::codec::Codec")
        .compile_fds(protox::compile(all, [ROOT])?)?;
    Ok(())
}

/// The `.proto` files of a directory, sorted, so that the output does not depend on the file system.
fn protos(directory: &str) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
