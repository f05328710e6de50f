//! The plug is pulled at every sync of a workload, bits flip, calls fail: what comes back is what was acknowledged.
//!
//! The journal runs on a simulated disk. At each sync, before it has any effect, images are made of what a crash at
//! that moment may leave: everything unsynced lost, everything kept, and each write by itself kept, lost, cut or
//! zeroed. Each image is opened like a data directory after a loss of power. The state that comes out of it must be
//! that of the frames acknowledged at that moment, or of those and some that followed, to the bit.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

mod disk;
mod snapshots;
mod workload;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use disk::{Fate, SimulatedDisk};
use inkling::engine::{Digest, Engine};
use inkling::event::{Event, Record};
use inkling::ids::{Seq, UserKey};
use inkling::journal::{Durability, DurableJournal, Fingerprint, Journal, JournalError, Options};
use inkling::record::encode_frame;
use inkling::storage::recover;
use inkling::units::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use workload::Workload;

const IDENTITY: Fingerprint = [1; 8];
const FRAMES: usize = 60;

fn options() -> Options {
    // Small, so that files follow each other during the workload.
    Options { file_bytes_max: 3_000, durability: Durability::Synced, ..Options::default() }
}

fn open(disk: &SimulatedDisk, options: Options) -> Result<DurableJournal, JournalError> {
    DurableJournal::open(Arc::new(disk.clone()), IDENTITY, Seq(0), options)
}

/// The state that comes out of a disk, and the number of frames that it has seen.
fn recovered(disk: &SimulatedDisk) -> Result<(u64, Digest), String> {
    let mut journal = open(disk, options()).map_err(|error| error.to_string())?;
    let (last, mut at) = (journal.stored_last(), Seq(0));
    let next = || {
        if at == last {
            return Ok(None);
        }
        let next = journal.next()?;
        at = next.as_ref().map_or(at, |(seq, _)| *seq);
        Ok(next)
    };
    let mut engine = Engine::new();
    let recovered = recover(&mut engine, Seq(0), next, |_| {}).map_err(|error| format!("{error:?}"))?;
    Ok((recovered.seq.0, engine.digest()))
}

/// Appends frames, a few at a time, and reads them back; stops at the first failure. How many came back.
fn run(workload: &Workload, disk: &SimulatedDisk, options: Options, frames: usize) -> (u64, Option<JournalError>) {
    let mut acknowledged = 0;
    let result = (|| {
        let mut journal = open(disk, options)?;
        let mut dice = StdRng::seed_from_u64(9);
        let mut waiting = workload.frames[..frames].iter().peekable();
        while waiting.peek().is_some() {
            let together = dice.random_range(1..5);
            let group: Vec<_> = waiting.by_ref().take(together).collect();
            let last = acknowledged + group.len() as u64;
            group.into_iter().try_for_each(|frame| journal.append(frame.clone()))?;
            while acknowledged < last {
                journal.wait();
                while let Some((seq, frame)) = journal.next()? {
                    assert_eq!((seq.0, &frame), (acknowledged + 1, &workload.frames[acknowledged as usize]));
                    acknowledged = seq.0;
                    disk.acknowledge(seq.0);
                }
            }
        }
        journal.close()
    })();
    (acknowledged, result.err())
}

fn seed() -> u64 {
    let seed = std::env::var("INKLING_SEED").map_or(1, |text| text.parse().unwrap());
    println!("INKLING_SEED={seed}");
    seed
}

#[test]
fn whatever_a_crash_leaves_holds_what_was_acknowledged() {
    let workload = Workload::new(FRAMES, seed());
    let disk = SimulatedDisk::with_images(8, seed());
    let (acknowledged, failure) = run(&workload, &disk, options(), FRAMES);
    assert_eq!((acknowledged, failure), (FRAMES as u64, None));
    let images = disk.take_images();
    assert!(images.len() > 8 * 30, "{} images", images.len());
    let mut longer = 0;
    for (number, (acknowledged, image)) in images.iter().enumerate() {
        let (seq, digest) = match recovered(image) {
            Ok(state) => state,
            Err(error) => panic!("image {number} of frame {acknowledged}: {error}"),
        };
        assert!(seq >= *acknowledged, "image {number}: {seq} of {acknowledged} frames came back");
        assert_eq!(digest, workload.digests[seq as usize], "image {number}: the state at frame {seq}");
        longer += usize::from(seq > *acknowledged);
        // What was recovered is a journal to go on with: its repair survives the next loss of power.
        if number % 5 == 0 {
            let again = recovered(&image.crash(&mut Fate::AllLost)).unwrap();
            assert!(again.0 >= *acknowledged && again.1 == workload.digests[again.0 as usize], "image {number}");
        }
    }
    println!("{} images, {longer} with more than was acknowledged", images.len());
    // A file that is lost at the end is missed at every moment, but for one that no frame was acknowledged in.
    let mut missed = 0;
    for (acknowledged, image) in images.iter().step_by(4) {
        let Some(newest) = image.lose_newest() else { continue };
        match recovered(image) {
            Ok((seq, _)) => assert!(newest > *acknowledged && seq >= *acknowledged, "file {newest} was not missed"),
            Err(told) => missed += usize::from(told.contains("is missing, and the latest frames were in it")),
        }
    }
    assert!(missed > images.len() / 8, "{missed} of {}", images.len());
    assert!(longer > 0, "what is kept without a sync may come back as well");
}

#[test]
fn buffered_frames_are_lost_from_the_end_only() {
    let workload = Workload::new(FRAMES, seed());
    let disk = SimulatedDisk::default();
    let buffered = Options { durability: Durability::Buffered, ..options() };
    let mut journal = open(&disk, buffered).unwrap();
    let mut lost = 0;
    for (at, frame) in workload.frames.iter().enumerate() {
        journal.append(frame.clone()).unwrap();
        journal.wait();
        journal.next().unwrap().unwrap();
        let mut fate = Fate::Each(Box::new(StdRng::seed_from_u64(at as u64)));
        let (seq, digest) = recovered(&disk.crash(&mut fate)).unwrap();
        assert!(seq <= at as u64 + 1);
        assert_eq!(digest, workload.digests[seq as usize]);
        lost += at as u64 + 1 - seq;
    }
    assert!(lost > 0, "nothing was buffered");
    journal.close().unwrap();
    let kept = recovered(&disk.crash(&mut Fate::AllLost)).unwrap();
    assert_eq!(kept, (FRAMES as u64, workload.digests[FRAMES]), "a stop loses nothing");
}

/// Appends a frame and takes it back, which says nothing about the disk where frames are buffered.
fn pass_through(journal: &mut DurableJournal, frame: &[u8]) {
    journal.append(frame.to_vec()).unwrap();
    journal.wait();
    journal.next().unwrap().unwrap();
}

/// A crash is promised to cost about a second of what was acknowledged, under load as well, where a writer that waits
/// for silence would never sync. Small pauses: a long one would be the silence.
#[test]
fn buffered_frames_are_synced_while_others_come() {
    const PAUSES_MAX: usize = 400;
    let at = Timestamp(1_780_000_000_000);
    let record = Record { at, occurred_at: at, event_id: None, event: Event::Forget(UserKey(1)) };
    let frame = encode_frame(&[record]).unwrap();
    let disk = SimulatedDisk::default();
    // One file, as the end of one is synced too.
    let buffered = Options { durability: Durability::Buffered, ..Options::default() };
    let mut journal = open(&disk, buffered).unwrap();
    pass_through(&mut journal, &frame);
    let is_synced = || recovered(&disk.crash(&mut Fate::AllLost)).unwrap().0 >= 1;
    let mut pauses = 0;
    while !is_synced() {
        pauses += 1;
        assert!(pauses < PAUSES_MAX, "the first of {pauses} frames is not on the disk yet");
        std::thread::sleep(Duration::from_millis(50));
        pass_through(&mut journal, &frame);
    }
    println!("synced after {pauses} pauses");
}

#[test]
fn a_buffered_frame_is_synced_when_none_follows() {
    const PAUSES_MAX: usize = 400;
    let workload = Workload::new(1, seed());
    let disk = SimulatedDisk::default();
    let buffered = Options { durability: Durability::Buffered, ..Options::default() };
    let mut journal = open(&disk, buffered).unwrap();
    pass_through(&mut journal, &workload.frames[0]);
    let mut pauses = 0;
    while recovered(&disk.crash(&mut Fate::AllLost)).unwrap() != (1, workload.digests[1]) {
        pauses += 1;
        assert!(pauses < PAUSES_MAX, "the frame is not on the disk yet");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Flips bits of copies of a disk, one in each; how many flips were found, and how many changed nothing.
fn flipped(disk: &SimulatedDisk, workload: &Workload, least: u64, flips: u64) -> (u64, u64) {
    let (mut found, mut harmless) = (0, 0);
    let mut dice = StdRng::seed_from_u64(seed());
    for _ in 0..flips {
        let damaged = disk.crash(&mut Fate::AllKept);
        let place = damaged.flip(&mut dice);
        let outcome = catch_unwind(AssertUnwindSafe(|| recovered(&damaged)));
        match outcome.unwrap_or_else(|_| panic!("{place}: a panic")) {
            Err(_) => found += 1,
            Ok((seq, digest)) => {
                assert!(seq >= least, "{place}: {seq} frames of at least {least} came back, and nothing was said");
                assert_eq!(digest, workload.digests[seq as usize], "{place}: state that never was");
                harmless += 1;
            }
        }
    }
    println!("{found} flips found, {harmless} without effect");
    (found, harmless)
}

#[test]
fn a_flipped_bit_of_a_closed_journal_is_found_or_without_effect() {
    let workload = Workload::new(FRAMES, seed());
    for durability in [Durability::Synced, Durability::Buffered] {
        let disk = SimulatedDisk::default();
        let options = Options { durability, ..options() };
        assert_eq!(run(&workload, &disk, options, FRAMES), (FRAMES as u64, None));
        let flips = std::env::var("INKLING_FLIPS").map_or(400, |text| text.parse().unwrap());
        let (found, _) = flipped(&disk, &workload, FRAMES as u64, flips);
        assert!(found > 0);
    }
}

#[test]
fn a_flipped_bit_of_a_journal_that_was_not_closed_costs_its_last_commit_at_most() {
    let workload = Workload::new(FRAMES, seed());
    let disk = SimulatedDisk::default();
    let mut journal = open(&disk, options()).unwrap();
    for frame in &workload.frames {
        journal.append(frame.clone()).unwrap();
        journal.wait();
        journal.next().unwrap().unwrap();
    }
    let killed = disk.crash(&mut Fate::AllLost);
    drop(journal);
    let (found, _) = flipped(&killed, &workload, FRAMES as u64 - 1, 400);
    assert!(found > 0);
}

#[test]
fn a_disk_that_fails_at_any_call_costs_nothing_that_was_acknowledged() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    let frames = 20;
    let workload = Workload::new(frames, seed());
    let whole = SimulatedDisk::default();
    assert_eq!(run(&workload, &whole, options(), frames).0, frames as u64);
    let calls = whole.calls();
    assert!(calls > 100, "{calls}");
    for (error, words) in [(EIO, "the disk failed"), (ENOSPC, "the disk is full: make room, then start again")] {
        for call in 1..=calls {
            let disk = SimulatedDisk::default();
            disk.fail_from(call, error);
            let (acknowledged, failure) = run(&workload, &disk, options(), frames);
            // A failure may come after the last frame, when nobody waits for anything any more.
            match failure {
                Some(failure) => assert!(failure.to_string().contains(words), "call {call}: {failure}"),
                None => assert_eq!(acknowledged, frames as u64, "call {call}"),
            }
            let mut fate = Fate::Each(Box::new(StdRng::seed_from_u64(call)));
            for after in [disk.crash(&mut Fate::AllLost), disk.crash(&mut fate)] {
                let (seq, digest) = recovered(&after).unwrap_or_else(|told| panic!("call {call}: {told}"));
                assert!(seq >= acknowledged, "call {call}: {seq} of {acknowledged} frames came back");
                assert_eq!(digest, workload.digests[seq as usize], "call {call}");
            }
        }
    }
}

#[test]
fn a_failed_journal_takes_nothing_more() {
    let workload = Workload::new(3, seed());
    let disk = SimulatedDisk::default();
    let mut journal = open(&disk, options()).unwrap();
    disk.fail_from(disk.calls() + 1, 28);
    journal.append(workload.frames[0].clone()).unwrap();
    journal.wait();
    let failure = journal.next().unwrap_err();
    assert!(matches!(&failure, JournalError::Poisoned { .. }) && failure.to_string().contains("restart to recover"));
    // The disk is well again, and yet: nobody knows what it holds.
    disk.fail_from(u64::MAX, 28);
    for _ in 0..2 {
        assert_eq!(journal.append(workload.frames[1].clone()), Err(failure.clone()));
        assert_eq!(journal.next(), Err(failure.clone()));
        journal.wait();
    }
    assert_eq!(journal.close(), Err(failure));
    assert_eq!(recovered(&disk).unwrap(), (0, workload.digests[0]));
}

/// A snapshot gets its name when what it covers is safe: a journal that could not end its file must not say so.
#[test]
fn who_waits_for_a_file_to_end_hears_that_it_never_will() {
    let workload = Workload::new(1, seed());
    let disk = SimulatedDisk::default();
    let mut journal = open(&disk, options()).unwrap();
    pass_through(&mut journal, &workload.frames[0]);
    assert!(journal.roll().unwrap().wait());
    pass_through(&mut journal, &workload.frames[0]);
    disk.fail_from(disk.calls() + 1, 5);
    assert!(!journal.roll().unwrap().wait());
    // Taken or refused, depending on what is known already; it does not come back.
    let _ = journal.append(workload.frames[0].clone());
    journal.wait();
    assert!(matches!(journal.next(), Err(JournalError::Poisoned { .. })));
}
