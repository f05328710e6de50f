//! A disk whose plug can be pulled: what was not synced may be kept, lost, cut or zeroed, each write by itself.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use inkling::ids::Seq;
use inkling::journal::{Access, Disk, Files};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use redb::StorageBackend;

/// A write that no sync has covered.
#[derive(Debug, Clone)]
enum Unsynced {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

/// A file as the process sees it and as the disk holds it.
#[derive(Debug, Clone, Default)]
struct Content {
    seen: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

impl Content {
    fn apply(bytes: &mut Vec<u8>, change: &Unsynced) {
        match change {
            Unsynced::SetLen(len) => bytes.resize(*len as usize, 0),
            Unsynced::Write(at, data) => {
                let (at, end) = (*at as usize, *at as usize + data.len());
                bytes.resize(bytes.len().max(end), 0);
                bytes[at..end].copy_from_slice(data);
            }
        }
    }

    fn change(&mut self, change: Unsynced) {
        Content::apply(&mut self.seen, &change);
        self.unsynced.push(change);
    }

    /// What a crash may leave.
    fn crashed(&self, fate: &mut Fate) -> Content {
        let mut left = self.synced.clone();
        for change in &self.unsynced {
            match (fate.of(), change) {
                (Left::Kept, change) => Content::apply(&mut left, change),
                (Left::Lost, _) => {}
                (_, Unsynced::SetLen(_)) => {}
                (Left::Cut(share), Unsynced::Write(at, data)) => {
                    let kept = data[..(data.len() as f64 * share) as usize].to_vec();
                    Content::apply(&mut left, &Unsynced::Write(*at, kept));
                }
                (Left::Zeroed, Unsynced::Write(0, data)) => {
                    let mixed = data.iter().enumerate().map(|(place, new)| match fate.kept() {
                        true => *new,
                        false => left.get(place).copied().unwrap_or(0),
                    });
                    let mixed = mixed.collect();
                    Content::apply(&mut left, &Unsynced::Write(0, mixed));
                }
                (Left::Zeroed, Unsynced::Write(at, data)) => {
                    Content::apply(&mut left, &Unsynced::Write(*at, vec![0; data.len()]));
                }
            }
        }
        Content { seen: left.clone(), synced: left, unsynced: Vec::new() }
    }
}

/// What becomes of one unsynced write.
///
/// redb rewrites the head of its file in place, and relies on each byte being the old or the new one: what stands at
/// the beginning of a file is not zeroed, but mixed byte by byte.
enum Left {
    Kept,
    Lost,
    Cut(f64),
    Zeroed,
}

/// What becomes of unsynced writes.
pub enum Fate {
    AllKept,
    AllLost,
    Each(Box<StdRng>),
}

impl Fate {
    fn of(&mut self) -> Left {
        match self {
            Fate::AllKept => Left::Kept,
            Fate::AllLost => Left::Lost,
            Fate::Each(dice) => match dice.random_range(0..5) {
                0 | 1 => Left::Kept,
                2 => Left::Lost,
                3 => Left::Cut(dice.random_range(0.0..1.0)),
                _ => Left::Zeroed,
            },
        }
    }

    fn kept(&mut self) -> bool {
        matches!(self.of(), Left::Kept)
    }
}

#[derive(Debug, Default)]
struct State {
    /// Files by their names; what is not finished has a name that is not listed.
    files: BTreeMap<String, Content>,
    /// Names that a crash may take back, or finish.
    renamed: Vec<(String, String)>,
    calls: u64,
    /// From this call on, every call fails like this.
    fails: Option<(u64, i32)>,
    syncs: u64,
    /// At each sync, before it has any effect: how many images are made of what a crash may leave.
    images: usize,
    taken: Vec<(u64, SimulatedDisk)>,
    /// The file that is noted as the newest.
    newest: Option<Seq>,
    /// Last frame known as durable.
    acknowledged: u64,
    /// How long a sync takes.
    pause: Duration,
    /// Whose files are a part of each image.
    home: Option<PathBuf>,
    /// Its files, in an image.
    beside: BTreeMap<String, Vec<u8>>,
    seed: u64,
}

/// Cloned, it is the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

fn finished(first: Seq) -> String {
    format!("{:020}", first.0)
}

fn unfinished(first: Seq) -> String {
    format!("new {}", first.0)
}

impl SimulatedDisk {
    /// A disk that makes so many images at each sync, by this seed.
    pub fn with_images(images: usize, seed: u64) -> SimulatedDisk {
        let disk = SimulatedDisk::default();
        (disk.state().images, disk.state().seed) = (images, seed);
        disk
    }

    /// Lets the files of a directory be a part of each image, as they are at its moment.
    pub fn beside(&self, home: &Path) {
        self.state().home = Some(home.to_owned());
    }

    /// Lets each sync take so long, before its images are made.
    pub fn slow(&self, pause: Duration) {
        self.state().pause = pause;
    }

    /// Makes images now, as at a sync.
    pub fn image(&self) {
        self.state().sync();
    }

    /// Puts the finished files into a directory, as a service would have them there, and those beside them.
    pub fn write_to(&self, directory: &Path) {
        let state = self.state();
        for (name, file) in &state.files {
            if name.parse::<u64>().is_ok() {
                std::fs::write(directory.join(format!("journal-{name}.redb")), &file.seen).unwrap();
            }
        }
        Files::new(directory).note_newest(state.newest).unwrap();
        for (name, bytes) in &state.beside {
            let path = directory.join(name);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how far frames are known as durable.
    pub fn acknowledge(&self, seq: u64) {
        self.state().acknowledged = seq;
    }

    /// Lets every call from the n-th on fail with this error of the system.
    pub fn fail_from(&self, call: u64, error: i32) {
        self.state().fails = Some((call, error));
    }

    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The images that were made since the last time, each with the last frame known as durable at its moment.
    pub fn take_images(&self) -> Vec<(u64, SimulatedDisk)> {
        std::mem::take(&mut self.state().taken)
    }

    /// Deletes the newest file; its first frame.
    pub fn lose_newest(&self) -> Option<u64> {
        let mut state = self.state();
        let name = state.files.keys().rfind(|name| name.parse::<u64>().is_ok())?.clone();
        state.files.remove(&name);
        name.parse().ok()
    }

    /// What a crash leaves now.
    pub fn crash(&self, fate: &mut Fate) -> SimulatedDisk {
        self.state().crashed(fate)
    }

    /// Flips one bit of one of its files; the file's name.
    pub fn flip(&self, dice: &mut StdRng) -> String {
        let mut state = self.state();
        let total: usize = state.files.values().map(|file| file.seen.len()).sum();
        let mut at = dice.random_range(0..total);
        for (name, file) in &mut state.files {
            if at < file.seen.len() {
                file.seen[at] ^= 1 << dice.random_range(0..8);
                file.synced = file.seen.clone();
                return format!("{name} at byte {at}");
            }
            at -= file.seen.len();
        }
        unreachable!("the place is within one of the files")
    }

    fn called(&self) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        state.calls += 1;
        match state.fails {
            Some((call, error)) if state.calls >= call => Err(io::Error::from_raw_os_error(error)),
            _ => Ok(state),
        }
    }

    fn file(&self, name: String) -> Box<dyn StorageBackend> {
        Box::new(SimulatedFile { disk: self.clone(), name: Mutex::new(name) })
    }
}

impl State {
    /// Called before each sync.
    fn sync(&mut self) {
        self.syncs += 1;
        let beside = self.home.as_deref().map_or_else(BTreeMap::new, all_of);
        for image in 0..self.images {
            let mut fate = match image {
                0 => Fate::AllLost,
                1 => Fate::AllKept,
                _ => Fate::Each(Box::new(StdRng::seed_from_u64(self.seed ^ (self.syncs << 8) ^ image as u64))),
            };
            let crashed = self.crashed(&mut fate);
            crashed.state().beside = beside.clone();
            self.taken.push((self.acknowledged, crashed));
        }
    }

    fn crashed(&self, fate: &mut Fate) -> SimulatedDisk {
        let mut files: BTreeMap<_, _> =
            self.files.iter().map(|(name, file)| (name.clone(), file.crashed(fate))).collect();
        for (from, to) in &self.renamed {
            // A name that the directory had not synced may be the old one.
            if !fate.kept()
                && let Some(file) = files.remove(to)
            {
                files.insert(from.clone(), file);
            }
        }
        SimulatedDisk(Arc::new(Mutex::new(State { files, newest: self.newest, ..State::default() })))
    }
}

/// All files of a directory as they are at one moment, whoever works there.
fn all_of(home: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = || -> Vec<_> { std::fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name()).collect() };
    let read = |name: &std::ffi::OsString| {
        let bytes = std::fs::read(home.join(name)).ok()?;
        Some((name.clone().into_string().unwrap(), bytes))
    };
    loop {
        let before = names();
        let files: Option<BTreeMap<_, _>> = before.iter().map(read).collect();
        if let Some(files) = files
            && names() == before
        {
            return files;
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<Seq>> {
        Ok(self.called()?.files.keys().filter_map(|name| name.parse().ok()).map(Seq).collect())
    }

    fn open(&self, first: Seq, _: Access) -> io::Result<Box<dyn StorageBackend>> {
        let name = finished(first);
        if !self.called()?.files.contains_key(&name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(self.file(name))
    }

    fn create(&self, first: Seq) -> io::Result<Box<dyn StorageBackend>> {
        self.called()?.files.insert(unfinished(first), Content::default());
        Ok(self.file(unfinished(first)))
    }

    fn finish(&self, first: Seq) -> io::Result<()> {
        let mut state = self.called()?;
        let (from, to) = (unfinished(first), finished(first));
        let file = state.files.remove(&from).expect("it was created");
        state.files.insert(to.clone(), file);
        state.renamed.push((from, to));
        state.sync();
        state.renamed.clear();
        Ok(())
    }

    fn remove(&self, first: Seq) -> io::Result<()> {
        let mut state = self.called()?;
        state.sync();
        state.files.remove(&finished(first));
        Ok(())
    }

    fn newest(&self) -> io::Result<Option<Seq>> {
        Ok(self.called()?.newest)
    }

    fn note_newest(&self, first: Option<Seq>) -> io::Result<()> {
        let mut state = self.called()?;
        // Written beside and renamed: before or after, nothing in between.
        state.sync();
        state.newest = first;
        Ok(())
    }

    fn name(&self, first: Seq) -> String {
        finished(first)
    }
}

/// A file that goes on under its new name when it is finished.
#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    name: Mutex<String>,
}

impl SimulatedFile {
    fn with<T>(&self, act: impl FnOnce(&mut Content) -> T) -> io::Result<T> {
        let mut state = self.disk.called()?;
        let mut name = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = name.strip_prefix("new ")
            && !state.files.contains_key(&*name)
        {
            *name = finished(Seq(first.parse().expect("a number stands behind it")));
        }
        let file = state.files.get_mut(&*name).ok_or(io::ErrorKind::NotFound)?;
        Ok(act(file))
    }
}

impl StorageBackend for SimulatedFile {
    fn len(&self) -> io::Result<u64> {
        self.with(|file| file.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|file| {
            let there = file.seen.get(offset as usize..offset as usize + out.len());
            there.map(|there| out.copy_from_slice(there)).ok_or(io::ErrorKind::UnexpectedEof.into())
        })?
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|file| file.change(Unsynced::SetLen(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        // Looked up first, so that a failing disk makes no image.
        self.with(|_| ())?;
        let pause = self.disk.state().pause;
        std::thread::sleep(pause);
        self.disk.state().sync();
        let mut state = self.disk.state();
        let name = self.name.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let file = state.files.get_mut(&name).ok_or(io::ErrorKind::NotFound)?;
        file.synced = file.seen.clone();
        file.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|file| file.change(Unsynced::Write(offset, data.to_vec())))
    }
}
