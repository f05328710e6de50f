//! The same with snapshots: at every sync of the journal and at every step of a snapshot, the directory as a crash may
//! leave it is opened as a start does.
//!
//! A snapshot's own file is read by no one before it has its name, which it gets when it is durable: so what a crash
//! leaves of it is the file under its temporary name, as far as it was written, or the whole.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use inkling::engine::{Digest, Engine};
use inkling::event::Record;
use inkling::ids::Seq;
use inkling::journal::{Durability, DurableJournal, Journal, Options};
use inkling::record::decode_frame;
use inkling::snapshot::{Covers, Progress, Shelf, SnapshotError, Taking, Written, load};
use inkling::storage::{Directory, Ground, recover};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::disk::SimulatedDisk;
use crate::workload::Workload;
use crate::{FRAMES, options, seed};

/// Frames between two snapshots.
const INTERVAL: usize = 7;
const KEPT: usize = 2;
/// Images of each moment.
const IMAGES: usize = 3;

/// A service's journal and snapshots, step by step.
struct Drive {
    disk: SimulatedDisk,
    directory: Directory,
    journal: DurableJournal,
    engine: Engine,
    taking: Option<Taking>,
    seq: Seq,
    /// Snapshots are whole as soon as can be, while the journal takes its time.
    is_hasty: bool,
}

impl Drive {
    fn new(home: &Path, durability: Durability) -> Drive {
        let directory = Directory::open_or_make_with(home, || [1; 32]).unwrap();
        let disk = SimulatedDisk::with_images(IMAGES, seed());
        disk.beside(home);
        let is_hasty = durability == Durability::Buffered;
        if is_hasty {
            // Long enough for a snapshot that does not wait for it to get its name.
            disk.slow(Duration::from_millis(30));
        }
        let options = Options { durability, ..options() };
        let fingerprint = directory.identity().fingerprint();
        let journal = DurableJournal::open(Arc::new(disk.clone()), fingerprint, Seq(0), options).unwrap();
        Drive { disk, directory, journal, engine: Engine::new(), taking: None, seq: Seq(0), is_hasty }
    }

    fn shelf(&self) -> Shelf {
        self.directory.shelf()
    }

    /// Appends a frame and applies it once it is acknowledged.
    fn apply(&mut self, frame: &[u8]) {
        self.journal.append(frame.to_vec()).unwrap();
        self.journal.wait();
        let (seq, frame) = self.journal.next().unwrap().unwrap();
        decode_frame(&frame).unwrap().iter().for_each(|record: &Record| drop(self.engine.apply(record)));
        self.seq = seq;
        self.disk.acknowledge(seq.0);
    }

    /// As the service does it (`server/snapshots.rs`): the journal begins a file, then the snapshot is begun.
    fn begin(&mut self) {
        let rolled = self.journal.roll().unwrap();
        let covers =
            Covers { seq: self.seq, fingerprint: self.directory.identity().fingerprint(), at: self.engine.now() };
        let disk = self.disk.clone();
        let behind = move || {
            // Durable under its temporary name.
            disk.image();
            rolled.wait()
        };
        let home = self.directory.path();
        let taking = Taking::begin(&mut self.engine, home, covers, Box::new(behind), Box::new(|| {})).unwrap();
        self.disk.image();
        self.taking = taking;
        // Otherwise the journal's next frame would be waited for before there is a whole snapshot.
        while self.is_hasty
            && let Some(taking) = &mut self.taking
            && let Progress::Working = taking.step(&mut self.engine)
        {}
    }

    fn step(&mut self) {
        let Some(taking) = &mut self.taking else { return };
        if let Progress::Over(outcome) = taking.step(&mut self.engine) {
            self.taking = None;
            self.close(outcome);
        }
    }

    fn end(&mut self) {
        if let Some(taking) = self.taking.take() {
            let outcome = taking.end(&mut self.engine);
            self.close(outcome);
        }
    }

    /// It has its name: older ones go, and with them the journal that they need.
    fn close(&mut self, outcome: Result<Written, SnapshotError>) {
        outcome.unwrap();
        self.disk.image();
        let oldest = self.shelf().keep(KEPT).unwrap();
        self.disk.image();
        if let Some(oldest) = oldest {
            self.journal.trim(oldest.next()).unwrap();
        }
    }
}

/// Runs a workload with snapshots, and gives what crashes may leave with the last frame acknowledged at each moment.
fn driven(workload: &Workload, home: &Path, durability: Durability) -> Vec<(u64, SimulatedDisk)> {
    let mut drive = Drive::new(home, durability);
    for (number, frame) in workload.frames.iter().enumerate() {
        drive.apply(frame);
        drive.step();
        if number % INTERVAL == INTERVAL - 1 {
            drive.end();
            drive.begin();
        }
    }
    drive.end();
    drive.journal.close().unwrap();
    drive.disk.take_images()
}

/// What a start makes of a directory: how far it comes, the state, what it tells.
fn started(path: &Path) -> Result<(u64, Digest, Vec<String>), String> {
    let directory = Directory::open(path).map_err(|error| error.to_string())?;
    let (tell, told) = std::sync::mpsc::channel();
    let tell = move |what: &str| tell.send(what.to_owned()).unwrap_or_default();
    let ground = Ground::stored(&directory, options(), Box::new(|_, _| {}), Arc::new(tell));
    let Ground { mut engine, after, mut journal, .. } = ground.map_err(|error| error.to_string())?;
    let (last, mut at) = (journal.stored_last(), after);
    let next = || {
        let next = if at == last { None } else { journal.next()? };
        at = next.as_ref().map_or(at, |(seq, _)| *seq);
        Ok(next)
    };
    let recovered = recover(&mut engine, after, next, |_| {}).map_err(|error| format!("{error:?}"))?;
    Ok((recovered.seq.0, engine.digest(), told.try_iter().collect()))
}

/// Opens each image; how many of them had a snapshot, and how many came back with more than was acknowledged.
fn check(workload: &Workload, images: &[(u64, SimulatedDisk)], least: impl Fn(u64) -> u64) -> (usize, usize) {
    let (mut with, mut longer) = (0, 0);
    for (number, (acknowledged, image)) in images.iter().enumerate() {
        let place = tempfile::tempdir().unwrap();
        image.write_to(place.path());
        with += usize::from(!Shelf::new(place.path()).list().unwrap().is_empty());
        let (seq, digest, told) = match started(place.path()) {
            Ok(state) => state,
            Err(error) => panic!("image {number} of frame {acknowledged}: {error}"),
        };
        assert_eq!(told, Vec::<String>::new(), "no crash damages a snapshot");
        assert!(seq >= least(*acknowledged), "image {number}: {seq} of {acknowledged} frames came back");
        assert_eq!(digest, workload.digests[seq as usize], "image {number}: the state at frame {seq}");
        longer += usize::from(seq > *acknowledged);
    }
    (with, longer)
}

#[test]
fn whatever_a_crash_leaves_beside_snapshots_holds_what_was_acknowledged() {
    let (workload, home) = (Workload::new(FRAMES, seed()), tempfile::tempdir().unwrap());
    let images = driven(&workload, home.path(), Durability::Synced);
    let (with, longer) = check(&workload, &images, |acknowledged| acknowledged);
    println!("{} images, {with} with a snapshot, {longer} with more than was acknowledged", images.len());
    assert!(with > 300 && with < images.len() && longer > 0);
}

/// What was acknowledged and not synced may be lost. The directory starts all the same: no snapshot covers frames that
/// the journal has not got.
#[test]
fn buffered_frames_and_snapshots_leave_no_hole() {
    let (workload, home) = (Workload::new(FRAMES, seed()), tempfile::tempdir().unwrap());
    let images = driven(&workload, home.path(), Durability::Buffered);
    let (with, _) = check(&workload, &images, |_| 0);
    println!("{} images, {with} with a snapshot", images.len());
    assert!(with > 30 && with < images.len());
}

/// Flips and cuts in the newest snapshot of a directory whose journal is whole: found, told, and the state is the same.
#[test]
fn a_flipped_bit_or_a_cut_of_a_snapshot_is_found_wherever_it_is() {
    const DAMAGES: usize = 2_000;
    /// Every so many times the whole directory is started.
    const STARTS: usize = 100;
    let (workload, home) = (Workload::new(FRAMES, seed()), tempfile::tempdir().unwrap());
    let images = driven(&workload, home.path(), Durability::Synced);
    let image = images.iter().rev().map(|(_, image)| image).next().unwrap();
    let mut dice = StdRng::seed_from_u64(seed());
    let (mut flips, mut cuts) = (0, 0);
    let place = tempfile::tempdir().unwrap();
    for number in 0..DAMAGES {
        let place = if number % STARTS == 0 { &tempfile::tempdir().unwrap() } else { &place };
        image.write_to(place.path());
        let shelf = Shelf::new(place.path());
        let newest = shelf.path(*shelf.list().unwrap().last().unwrap());
        let mut bytes = std::fs::read(&newest).unwrap();
        let at = dice.random_range(0..bytes.len());
        let is_flip = dice.random();
        match is_flip {
            true => bytes[at] ^= 1 << dice.random_range(0..8),
            false => bytes.truncate(at),
        }
        std::fs::write(&newest, bytes).unwrap();
        let what = format!("{} at {at}", if is_flip { "flipped" } else { "cut" });
        let directory = Directory::open(place.path()).unwrap();
        let refused = load(&newest, directory.identity().fingerprint(), 1).expect_err(&what);
        drop(directory);
        assert!(matches!(refused, SnapshotError::Damaged { .. }), "{what}: {refused}");
        *(if is_flip { &mut flips } else { &mut cuts }) += 1;
        if number % STARTS == 0 {
            let (seq, digest, told) = started(place.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!((seq, digest), (FRAMES as u64, workload.digests[FRAMES]), "{what}");
            assert!(told.len() == 1 && told[0].contains("is damaged at byte"), "{what}: {told:?}");
        }
    }
    println!("{flips} flips and {cuts} cuts, all found");
}
