//! Looking at a file without changing it: writes stay in memory, over what the file holds.
//!
//! A file that was not closed has to be repaired before it can be read, and checking one writes to it as well.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// Bytes kept together.
const PAGE_BYTES: u64 = 4_096;

/// A backend whose writes are seen by itself alone.
#[derive(Debug)]
pub struct Overlay {
    base: Box<dyn StorageBackend>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// As far as the base still shows through; beyond it there were zeros at some time.
    base_len: u64,
    pages: HashMap<u64, Box<[u8]>>,
}

impl Overlay {
    /// Lies over a file.
    ///
    /// # Errors
    /// When the file does not say how long it is.
    pub fn new(base: Box<dyn StorageBackend>) -> io::Result<Overlay> {
        let len = base.len()?;
        Ok(Overlay { base, state: Mutex::new(State { len, base_len: len, pages: HashMap::new() }) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole pages are put in at once: a panic in between leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page as the file has it, with zeros behind its end.
    fn base_page(&self, page: u64, base_len: u64) -> io::Result<Box<[u8]>> {
        let mut bytes = vec![0; PAGE_BYTES as usize].into_boxed_slice();
        let start = page * PAGE_BYTES;
        let there = base_len.saturating_sub(start).min(PAGE_BYTES) as usize;
        if there > 0 {
            self.base.read(start, &mut bytes[..there])?;
        }
        Ok(bytes)
    }
}

/// The pieces of a range, page by page: page, start within it, start within the range, length.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        (done < len).then(|| {
            let at = offset + done as u64;
            let within = (at % PAGE_BYTES) as usize;
            let count = (PAGE_BYTES as usize - within).min(len - done);
            let piece = (at / PAGE_BYTES, within, done, count);
            done += count;
            piece
        })
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > state.len) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "read behind the end of the file"));
        }
        let clean = state.pages.is_empty() && offset + out.len() as u64 <= state.base_len;
        if clean {
            return self.base.read(offset, out);
        }
        for (page, within, done, count) in pieces(offset, out.len()) {
            match state.pages.get(&page) {
                Some(bytes) => out[done..done + count].copy_from_slice(&bytes[within..within + count]),
                None => {
                    let bytes = self.base_page(page, state.base_len)?;
                    out[done..done + count].copy_from_slice(&bytes[within..within + count]);
                }
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        if len < state.len {
            state.pages.retain(|page, _| page * PAGE_BYTES < len);
            let within = (len % PAGE_BYTES) as usize;
            if let Some(bytes) = state.pages.get_mut(&(len / PAGE_BYTES)) {
                bytes[within..].fill(0);
            }
            state.base_len = state.base_len.min(len);
        }
        state.len = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        for (page, within, done, count) in pieces(offset, data.len()) {
            let mut bytes = match state.pages.remove(&page) {
                Some(bytes) => bytes,
                None => self.base_page(page, state.base_len)?,
            };
            bytes[within..within + count].copy_from_slice(&data[done..done + count]);
            state.pages.insert(page, bytes);
        }
        state.len = state.len.max(offset + data.len() as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;

    /// What is done to a backend.
    #[derive(Debug, Clone)]
    enum Act {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    fn act() -> impl Strategy<Value = Act> {
        prop_oneof![
            (0..20_000_u64, prop::collection::vec(any::<u8>(), 0..6_000)).prop_map(|(at, data)| Act::Write(at, data)),
            (0..20_000_u64).prop_map(Act::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn an_overlay_reads_like_a_file_and_leaves_the_one_below_alone(
            below in prop::collection::vec(any::<u8>(), 0..20_000),
            acts in prop::collection::vec(act(), 0..12),
        ) {
            let base = InMemoryBackend::new();
            base.set_len(below.len() as u64).unwrap();
            base.write(0, &below).unwrap();
            let overlay = Overlay::new(Box::new(base)).unwrap();
            let mut model = below.clone();
            for act in acts {
                match act {
                    Act::Write(at, data) => {
                        let (at, end) = (at as usize, at as usize + data.len());
                        model.resize(model.len().max(end), 0);
                        model[at..end].copy_from_slice(&data);
                        overlay.set_len(model.len() as u64).unwrap();
                        overlay.write(at as u64, &data).unwrap();
                    }
                    Act::SetLen(len) => {
                        model.resize(len as usize, 0);
                        overlay.set_len(len).unwrap();
                    }
                }
                let mut read = vec![0; model.len()];
                prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
                overlay.read(0, &mut read).unwrap();
                prop_assert!(read == model);
            }
            prop_assert!(overlay.read(model.len() as u64, &mut [0]).is_err());
            let mut untouched = vec![0; below.len()];
            overlay.base.read(0, &mut untouched).unwrap();
            prop_assert!(untouched == below);
        }
    }
}
