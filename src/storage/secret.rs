//! A secret in a file that only its owner can read.
//!
//! ```text
//! inkling identity key, format 1
//! 3f…                              the secret, hexadecimal
//! 9c41d0e2b7a8f615                 the first 8 bytes of its BLAKE3 hash: tells a damaged file
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::StorageError;
use crate::journal::sync_directory;

/// Writes a secret and makes it durable. Nobody but the owner can read it at any moment.
///
/// # Errors
/// What the system says.
pub fn write(path: &Path, title: &str, secret: &[u8]) -> io::Result<()> {
    fs::rename(prepare(path, title, secret)?, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Writes a secret that is to stand at `path`, durable but for its name; returns the file that is yet to be named so.
///
/// # Errors
/// What the system says.
pub fn prepare(path: &Path, title: &str, secret: &[u8]) -> io::Result<PathBuf> {
    let unfinished = unfinished(path);
    // The mode of a file that exists already would stay as it is.
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{title}, format 1\n{}\n{}", hex(secret), hex(&check(secret)))?;
    file.sync_all()?;
    Ok(unfinished)
}

/// The file in which what is to stand at `path` is written first.
pub fn unfinished(path: &Path) -> PathBuf {
    path.with_extension("new")
}

/// Reads a secret of a known length; `None` when there is no such file.
///
/// # Errors
/// When the file cannot be read, or is not what was written.
pub fn read<const N: usize>(path: &Path, title: &str) -> Result<Option<[u8; N]>, StorageError> {
    let unfit = || StorageError::Secret { path: path.to_owned(), what: title.to_owned() };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory) => {
            return Err(unfit());
        }
        Err(error) => return Err(StorageError::Io { path: path.to_owned(), error }),
    };
    let mut lines = text.lines();
    let first = format!("{title}, format 1");
    let (Some(head), Some(secret), Some(sum), None) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
        return Err(unfit());
    };
    let secret: [u8; N] = unhex(secret).and_then(|bytes| bytes.try_into().ok()).ok_or_else(unfit)?;
    if head != first || unhex(sum).as_deref() != Some(&check(&secret)) {
        return Err(unfit());
    }
    Ok(Some(secret))
}

/// Makes a file of plain words, durable.
///
/// # Errors
/// What the system says.
pub fn write_words(path: &Path, words: &str) -> io::Result<()> {
    let unfinished = unfinished(path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(words.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), sync_directory)
}

fn check(secret: &[u8]) -> [u8; 8] {
    *blake3::hash(secret).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes().chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_secret_is_its_owners_alone_and_comes_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("identity.key");
        assert_eq!(read::<32>(&path, "a title").unwrap(), None);
        write(&path, "a title", &[0xa5; 32]).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(read(&path, "a title").unwrap(), Some([0xa5; 32]));
        assert!(read::<16>(&path, "a title").is_err(), "another length");
        assert!(read::<32>(&path, "another title").is_err());
    }

    #[test]
    fn every_changed_byte_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token.key");
        write(&path, "a title", b"sixteen bytes it").unwrap();
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() - 1 {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                fs::write(&path, &bad).unwrap();
                // Hexadecimal digits may be large or small; that changes nothing.
                let read = read::<16>(&path, "a title");
                assert!(read.is_err() || matches!(read, Ok(Some(same)) if same == *b"sixteen bytes it"), "{at} {bit}");
            }
            fs::write(&path, &good[..at]).unwrap();
            assert!(read::<16>(&path, "a title").is_err(), "cut at {at}");
        }
    }
}
