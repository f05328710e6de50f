//! Opens a recorded file, whatever it is packed in.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

/// Bytes read from the file, and from the decompressor, at once.
const BUFFER_BYTES: usize = 64 * 1024;

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Whether a log's name stands for standard input: `-`, as everywhere.
pub fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// What a file or standard input holds, unpacked while it is read, and the file's size; 0 for a pipe. It is plain, gzip
/// or zstd, as its first bytes tell. Its bytes are counted as they are read.
///
/// # Errors
/// When the file cannot be opened or its first bytes cannot be read.
pub fn unpack(path: &Path, bytes_read: Arc<AtomicU64>) -> io::Result<(Box<dyn BufRead + Send>, u64)> {
    let (inner, bytes_total): (Box<dyn Read + Send>, u64) = if is_standard_input(path) {
        (Box::new(io::stdin()), 0)
    } else {
        let file = File::open(path)?;
        let bytes_total = file.metadata()?.len();
        (Box::new(file), bytes_total)
    };
    let mut packed = BufReader::with_capacity(BUFFER_BYTES, Counted { inner, bytes_read });
    let first = packed.fill_buf()?;
    let input: Box<dyn BufRead + Send> = if first.starts_with(GZIP_MAGIC) {
        Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(packed)))
    } else if first.starts_with(ZSTD_MAGIC) {
        let decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
        Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
    } else {
        Box::new(packed)
    };
    Ok((input, bytes_total))
}

/// An error of reading in clear words: decompressors call a cut stream by the names of their insides.
pub fn clearer(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "the compressed stream is cut"),
        _ => error,
    }
}

/// Counts the bytes that pass.
struct Counted<R> {
    inner: R,
    bytes_read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.inner.read(buffer)?;
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
        Ok(bytes)
    }
}
