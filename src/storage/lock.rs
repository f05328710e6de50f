//! Who works in a directory: one process that writes, or some that look.
//!
//! Two files are locked: `inkling.lock`, which whoever writes makes, and `inkling.format`, which each directory has.
//! So looking leaves nothing behind, works where nothing can be written, and keeps out a service that would start
//! meanwhile.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::StorageError;
use super::directory::{FORMAT, at};

pub(super) const LOCK: &str = "inkling.lock";

/// Held while it lives. A kill lets go of it as well.
#[derive(Debug)]
pub struct Lock {
    held: Vec<File>,
    /// Holds this process's number, if it writes.
    number: Option<File>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Only for messages: nobody is in here any more.
        let _ = self.number.as_ref().map(|file| file.set_len(0));
        for file in self.held.iter().chain(&self.number) {
            // Closing alone would leave it to a process that this one is just starting, until that one runs.
            let _ = file.unlock();
        }
    }
}

impl Lock {
    /// Keeps all other processes out.
    ///
    /// # Errors
    /// When there is another one, or the files cannot be made and locked.
    pub fn alone(path: &Path) -> Result<Lock, StorageError> {
        let name = path.join(LOCK);
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&name);
        let mut number = opened.map_err(at(&name))?;
        taken(path, &name, number.try_lock())?;
        let mut held = Vec::new();
        let name = path.join(FORMAT);
        match OpenOptions::new().read(true).write(true).open(&name) {
            // It is being made.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => {
                let file = opened.map_err(at(&name))?;
                taken(path, &name, file.try_lock())?;
                held.push(file);
            }
        }
        // Only for messages.
        let _ = number.set_len(0).and_then(|()| number.rewind());
        let _ = writeln!(number, "{}", std::process::id());
        Ok(Lock { held, number: Some(number) })
    }

    /// Keeps out whoever would write. Makes and changes nothing.
    ///
    /// # Errors
    /// When somebody writes, or the files cannot be read and locked.
    pub fn beside(path: &Path) -> Result<Lock, StorageError> {
        let mut lock = Lock { held: Vec::new(), number: None };
        for name in [LOCK, FORMAT].map(|name| path.join(name)) {
            match File::open(&name) {
                // Nobody has ever written here: a copy.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                opened => {
                    let file = opened.map_err(at(&name))?;
                    taken(path, &name, file.try_lock_shared())?;
                    lock.held.push(file);
                }
            }
        }
        Ok(lock)
    }
}

fn taken(path: &Path, name: &Path, locked: Result<(), TryLockError>) -> Result<(), StorageError> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message.
            let _ = File::open(path.join(LOCK)).and_then(|file| file.take(20).read_to_string(&mut holder));
            let holder = holder.trim().to_owned();
            Err(StorageError::InUse { path: path.to_owned(), holder })
        }
        Err(TryLockError::Error(error)) => Err(at(name)(error)),
    }
}
