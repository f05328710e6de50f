//! From the journal to state: the frames in their order, each decoded and applied.
//!
//! One thread reads, checks and decodes, the other applies: applying takes longer, and no frame waits for the disk.

use std::sync::mpsc;
use std::thread;

use thiserror::Error;

use crate::engine::Engine;
use crate::event::Record;
use crate::ids::Seq;
use crate::journal::JournalError;
use crate::record::{RecordError, decode_frame};
use crate::units::Timestamp;

/// Frames that are decoded and not applied yet.
const FRAMES_AHEAD_MAX: usize = 8;

/// Why state cannot be recovered.
#[derive(Debug, Error)]
pub enum RecoveryError {
    /// The journal is damaged or incomplete.
    #[error("the journal cannot be read behind frame {}", after.0)]
    Journal {
        /// Last frame that was applied.
        after: Seq,
        /// What is wrong, and what to do.
        source: JournalError,
    },
    /// A frame is intact, and no frame of records.
    #[error(
        "frame {} of the journal is no frame of records, as another program or a later version wrote it: start the \
         version that wrote it, or restore a backup",
        at.0
    )]
    Frame {
        /// The frame.
        at: Seq,
        /// What is wrong with it.
        source: RecordError,
    },
    /// The clock of the records goes back.
    #[error(
        "record {index} of frame {} is stamped {} ms, after one at {} ms: the journal was put together wrongly: \
         restore a backup",
        at.0, found.0, before.0
    )]
    Clock {
        /// The frame.
        at: Seq,
        /// Place of the record in its frame, from 0.
        index: usize,
        /// Its time stamp.
        found: Timestamp,
        /// The time stamp before it.
        before: Timestamp,
    },
}

/// What a recovery did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Last frame that was applied; where there was none, the one that the engine had seen before.
    pub seq: Seq,
    /// Frames that were applied.
    pub frames: u64,
    /// Records in them, ticks included.
    pub records: u64,
}

/// Applies the frames that `next` gives to an engine that has seen all up to `after`, and publishes the state.
/// `watch` is told of each frame that was applied.
///
/// # Errors
/// At the first frame that is not what it should be. The engine has then applied those before it, and no part of it.
pub fn recover(
    engine: &mut Engine,
    after: Seq,
    mut next: impl FnMut() -> Result<Option<(Seq, Vec<u8>)>, JournalError> + Send,
    mut watch: impl FnMut(Seq),
) -> Result<Recovered, RecoveryError> {
    let mut done = Recovered { seq: after, ..Recovered::default() };
    let recovered = thread::scope(|scope| {
        let (sender, frames) = mpsc::sync_channel(FRAMES_AHEAD_MAX);
        // Memory is given back where it was taken, which costs less than from another thread.
        let (used, spent) = mpsc::sync_channel::<Vec<Record>>(FRAMES_AHEAD_MAX);
        scope.spawn(move || {
            let mut read = || -> Result<Option<(Seq, Vec<Record>)>, Failure> {
                let Some((seq, frame)) = next().map_err(Failure::Journal)? else { return Ok(None) };
                let records = decode_frame(&frame).map_err(|source| Failure::Frame(seq, source))?;
                Ok(Some((seq, records)))
            };
            loop {
                spent.try_iter().for_each(drop);
                let one = read().transpose();
                let Some(one) = one else { return };
                let failed = one.is_err();
                // Nobody takes any more once applying has failed.
                if sender.send(one).is_err() || failed {
                    return;
                }
            }
        });
        for one in frames {
            let (seq, records) = one.map_err(|failure| failure.after(done.seq))?;
            check_clock(engine.now(), seq, &records)?;
            for records in records.chunks(Engine::AHEAD) {
                engine.prefetch(records);
                records.iter().for_each(|record| {
                    engine.apply(record);
                });
            }
            done = Recovered { seq, frames: done.frames + 1, records: done.records + records.len() as u64 };
            // If there is no room, or nobody there any more: here.
            drop(used.try_send(records));
            watch(seq);
        }
        Ok(done)
    });
    engine.publish();
    recovered
}

/// What the reading thread met.
enum Failure {
    Journal(JournalError),
    Frame(Seq, RecordError),
}

impl Failure {
    fn after(self, after: Seq) -> RecoveryError {
        match self {
            Failure::Journal(source) => RecoveryError::Journal { after, source },
            Failure::Frame(at, source) => RecoveryError::Frame { at, source },
        }
    }
}

/// Whether the time stamps of a frame only climb.
pub(super) fn check_clock(mut before: Timestamp, at: Seq, records: &[Record]) -> Result<(), RecoveryError> {
    for (index, record) in records.iter().enumerate() {
        if record.at < before {
            return Err(RecoveryError::Clock { at, index, found: record.at, before });
        }
        before = record.at;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;
    use crate::ids::UserKey;
    use crate::record::encode_frame;

    fn frame(times: &[u64]) -> Vec<u8> {
        let record = |at: &u64| Record {
            at: Timestamp(*at),
            occurred_at: Timestamp(*at),
            event_id: None,
            event: Event::Forget(UserKey(*at)),
        };
        encode_frame(&times.iter().map(record).collect::<Vec<_>>()).unwrap()
    }

    fn recovered(frames: Vec<Vec<u8>>) -> (Engine, Result<Recovered, RecoveryError>) {
        let mut engine = Engine::new();
        let mut frames = frames.into_iter().enumerate();
        let next = move || Ok(frames.next().map(|(place, frame)| (Seq(8 + place as u64), frame)));
        let result = recover(&mut engine, Seq(7), next, |_| {});
        (engine, result)
    }

    #[test]
    fn frames_become_state() {
        let (engine, result) = recovered(vec![frame(&[5, 5]), frame(&[6])]);
        assert_eq!(result.unwrap(), Recovered { seq: Seq(9), frames: 2, records: 3 });
        assert_eq!(engine.now(), Timestamp(6));
        let (_, result) = recovered(Vec::new());
        assert_eq!(result.unwrap(), Recovered { seq: Seq(7), frames: 0, records: 0 });
    }

    #[test]
    fn the_first_bad_frame_ends_it_and_nothing_of_it_is_applied() {
        let (engine, result) = recovered(vec![frame(&[5]), b"no frame".to_vec(), frame(&[6])]);
        assert!(matches!(result, Err(RecoveryError::Frame { at: Seq(9), .. })), "{result:?}");
        assert_eq!(engine.now(), Timestamp(5));
        let (engine, result) = recovered(vec![frame(&[5]), frame(&[6, 4])]);
        let told = result.unwrap_err().to_string();
        assert!(told.contains("record 1 of frame 9 is stamped 4 ms, after one at 6 ms"), "{told}");
        assert_eq!(engine.now(), Timestamp(5));
    }

    #[test]
    fn a_journal_that_fails_says_where() {
        let mut turns = 0;
        let next = move || {
            turns += 1;
            match turns {
                1 => Ok(Some((Seq(1), frame(&[5])))),
                _ => Err(JournalError::Damaged { file: "f".into(), seq: 2 }),
            }
        };
        let error = recover(&mut Engine::new(), Seq(0), next, |_| {}).unwrap_err();
        assert!(matches!(error, RecoveryError::Journal { after: Seq(1), .. }), "{error:?}");
    }
}
