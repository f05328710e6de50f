//! Writes a journey log, packed as the file's ending says.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{JourneyError, Line, LineFault};
use crate::units::Timestamp;

/// Writes lines in the order of their times. Ends the log only when [`finish`](JourneyWriter::finish) is called.
pub struct JourneyWriter {
    path: PathBuf,
    output: Output,
    /// The line being written; reused from line to line.
    buffer: Vec<u8>,
    lines: u64,
    previous: Timestamp,
}

enum Output {
    Plain(BufWriter<File>),
    Gzip(GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl JourneyWriter {
    /// Creates a log where there is no file: gzip when the name ends in `.gz`, zstd when in `.zst`, else plain.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<JourneyWriter, JourneyError> {
        let path = path.as_ref();
        let file = File::create_new(path).map_err(|source| JourneyError::Open { path: path.to_owned(), source })?;
        JourneyWriter::into_file(file, path)
    }

    /// Writes a log into an empty file that is to become `path`: that says how it is packed, and is what errors name.
    ///
    /// # Errors
    /// When it cannot be packed as its name says.
    pub fn into_file(file: File, path: &Path) -> Result<JourneyWriter, JourneyError> {
        let path = path.to_owned();
        match Output::new(file, &path) {
            Ok(output) => Ok(JourneyWriter { path, output, buffer: Vec::new(), lines: 0, previous: Timestamp(0) }),
            Err(source) => Err(JourneyError::Open { path, source }),
        }
    }

    /// Appends a line.
    ///
    /// # Errors
    /// When a reader would refuse the line, which is then left out, or when the disk does.
    pub fn write(&mut self, line: &Line) -> Result<(), JourneyError> {
        self.buffer.clear();
        let number = self.lines + 1;
        self.render(line).map_err(|fault| JourneyError::Line { path: self.path.clone(), line: number, fault })?;
        let written = self.output.as_write().write_all(&self.buffer);
        written.map_err(|source| JourneyError::Write { path: self.path.clone(), line: number, source })?;
        self.previous = line.time();
        self.lines = number;
        Ok(())
    }

    /// Lines written so far.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Writes what is still held back, ends the compressed stream, and waits for the disk.
    ///
    /// # Errors
    /// When the disk refuses: the log is then cut.
    pub fn finish(self) -> Result<(), JourneyError> {
        let JourneyWriter { path, output, lines: line, .. } = self;
        output.finish().map_err(|source| JourneyError::Write { path, line, source })
    }

    fn render(&mut self, line: &Line) -> Result<(), LineFault> {
        if line.time() < self.previous {
            return Err(LineFault::BackInTime { time_ms: line.time().0, previous_ms: self.previous.0 });
        }
        line.write(&mut self.buffer)?;
        self.buffer.push(b'\n');
        Ok(())
    }
}

impl Output {
    fn new(file: File, path: &Path) -> io::Result<Output> {
        let file = BufWriter::new(file);
        Ok(match path.extension().and_then(|ending| ending.to_str()) {
            Some("gz") => Output::Gzip(GzEncoder::new(file, Compression::default())),
            Some("zst") => {
                let mut encoder = zstd::Encoder::new(file, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Output::Zstd(encoder)
            }
            _ => Output::Plain(file),
        })
    }

    fn as_write(&mut self) -> &mut dyn Write {
        match self {
            Output::Plain(output) => output,
            Output::Gzip(output) => output,
            Output::Zstd(output) => output,
        }
    }

    fn finish(self) -> io::Result<()> {
        let file = match self {
            Output::Plain(file) => file,
            Output::Gzip(encoder) => encoder.finish()?,
            Output::Zstd(encoder) => encoder.finish()?,
        };
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}
