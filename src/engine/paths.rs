//! Which sequences of acts enough people have walked to say something.
//!
//! The last two or three acts of a person are a feature only once [`SUPPORT`] distinct people have walked them: what
//! fewer did says more of those few than of the path, and nobody's own way through a shop shall be recognised by its
//! weight. Below that, the shorter one stands in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrayvec::ArrayVec;

use super::bytes::{Bytes, Read, Reader};
use crate::hash::{self, KeyHasher};
use crate::ids::{AdvertiserCode, UserKey};

/// Distinct people who must have walked a path before it is a feature.
pub(super) const SUPPORT: usize = 25;
/// Paths of one advertiser that are looked after; a further one is counted as untracked and never becomes a feature.
pub(super) const PATHS_MAX: usize = 16_384;

/// Mixed into the keys of walkers.
const WALKER: u64 = 0x7761_6c6b_6572;

/// The codes of two or three successive actions, the last one in the lowest byte; above them 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Path(u32);

impl Path {
    /// Of up to three actions, earlier ones first, 0 for none.
    pub fn new([third, second, first]: [u8; 3]) -> Path {
        Path(u32::from_be_bytes([0, third, second, first]))
    }

    /// The path as a number below 2^24.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// Paths of one advertiser that are features.
type Supported = HashSet<Path, KeyHasher>;

/// The paths that are features, by advertiser code: what scorers see.
#[derive(Debug, Clone, Default)]
pub(super) struct SupportedPaths {
    advertisers: Arc<Vec<Arc<Supported>>>,
}

impl SupportedPaths {
    /// Whether enough people have walked a path. One action alone is no path, and needs nobody else.
    pub fn contains(&self, advertiser: AdvertiserCode, path: [u8; 3]) -> bool {
        path[1] == 0 || self.advertisers.get(advertiser.index()).is_some_and(|all| all.contains(&Path::new(path)))
    }

    fn insert(&mut self, advertiser: AdvertiserCode, path: Path) {
        let all = Arc::make_mut(&mut self.advertisers);
        if all.len() <= advertiser.index() {
            all.resize_with(advertiser.index() + 1, Arc::default);
        }
        Arc::make_mut(&mut all[advertiser.index()]).insert(path);
    }

    fn count(&self, advertiser: AdvertiserCode) -> usize {
        self.advertisers.get(advertiser.index()).map_or(0, |all| all.len())
    }
}

/// The writer's side: who has walked what, until it is enough.
///
/// Walkers are known by 16 bits of a hash, so two in 65,536 count as one, and nobody can be told by them. Hence an id
/// that is linked later stays a walker of its own, and who is forgotten stays counted.
#[derive(Debug, Default)]
pub(super) struct Paths {
    supported: SupportedPaths,
    /// Those that wait for more people, with their walkers in the order of arrival; by advertiser code.
    waiting: Vec<HashMap<Path, ArrayVec<u16, SUPPORT>, KeyHasher>>,
}

/// What noting a walker has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noted {
    /// Nothing that scorers see.
    Quietly,
    /// The path is a feature from now on.
    Supported,
    /// There are too many paths for this one.
    Untracked,
}

impl Paths {
    /// What scorers see. Cloning it is cheap.
    pub fn supported(&self) -> &SupportedPaths {
        &self.supported
    }

    /// Notes that a person has walked a path of two or three actions.
    pub fn note(&mut self, advertiser: AdvertiserCode, path: [u8; 3], root: UserKey) -> Noted {
        if self.supported.contains(advertiser, path) {
            return Noted::Quietly;
        }
        let path = Path::new(path);
        if self.waiting.len() <= advertiser.index() {
            self.waiting.resize_with(advertiser.index() + 1, HashMap::default);
        }
        let waiting = &mut self.waiting[advertiser.index()];
        if waiting.len() + self.supported.count(advertiser) >= PATHS_MAX && !waiting.contains_key(&path) {
            return Noted::Untracked;
        }
        let walkers = waiting.entry(path).or_default();
        let walker = hash::mix(root.0, WALKER) as u16;
        if walkers.contains(&walker) {
            return Noted::Quietly;
        }
        walkers.push(walker);
        if walkers.len() < SUPPORT {
            return Noted::Quietly;
        }
        waiting.remove(&path);
        self.supported.insert(advertiser, path);
        Noted::Supported
    }

    /// Canonical entries: advertiser and path as one number, and the walkers; none once there are enough.
    pub fn image(&self, visit: &mut dyn FnMut(u64, &[u8])) {
        let number = |advertiser: usize, path: &Path| (advertiser as u64) << 32 | u64::from(path.number());
        let mut bytes = Vec::new();
        for (advertiser, waiting) in self.waiting.iter().enumerate() {
            for (path, walkers) in waiting {
                bytes.clear();
                walkers.iter().for_each(|walker| bytes.short(*walker));
                visit(number(advertiser, path), &bytes);
            }
        }
        for (advertiser, supported) in self.supported.advertisers.iter().enumerate() {
            supported.iter().for_each(|path| visit(number(advertiser, path), &[]));
        }
    }

    /// Takes a path out of an image.
    pub fn restore(&mut self, number: u64, mut bytes: Reader<'_>) -> Read<()> {
        let fault = bytes.fault("this is no path of somebody");
        let advertiser = u16::try_from(number >> 32).map(AdvertiserCode).map_err(|_| fault)?;
        let [0, third, second, first] = (number as u32).to_be_bytes() else { return Err(fault) };
        if second == 0 || first == 0 {
            return Err(fault);
        }
        let path = Path::new([third, second, first]);
        if self.waiting.len() <= advertiser.index() {
            self.waiting.resize_with(advertiser.index() + 1, HashMap::default);
        }
        if bytes.is_at_end() {
            self.supported.insert(advertiser, path);
            return Ok(());
        }
        let mut walkers = ArrayVec::<u16, SUPPORT>::new();
        while !bytes.is_at_end() {
            let walker = bytes.short()?;
            if walkers.len() + 1 == SUPPORT || walkers.contains(&walker) {
                return Err(fault);
            }
            walkers.push(walker);
        }
        self.waiting[advertiser.index()].insert(path, walkers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACME: AdvertiserCode = AdvertiserCode(3);
    const PATH: [u8; 3] = [0, 5, 7];

    #[test]
    fn a_path_is_supported_by_so_many_people_and_no_fewer() {
        let mut paths = Paths::default();
        let seen_before = paths.supported().clone();
        // 1 to 30 happen to have 30 different fingerprints.
        for walk in 0..3 * (SUPPORT as u64 - 1) {
            assert_eq!(paths.note(ACME, PATH, UserKey(1 + walk / 3)), Noted::Quietly);
        }
        assert!(!paths.supported().contains(ACME, PATH));
        assert_eq!(paths.note(ACME, PATH, UserKey(30)), Noted::Supported);
        assert!(paths.supported().contains(ACME, PATH));
        assert!(!paths.supported().contains(ACME, [5, 7, 7]) && !paths.supported().contains(AdvertiserCode(2), PATH));
        assert!(!seen_before.contains(ACME, PATH), "a scorer sees what was published");
        assert!(seen_before.contains(ACME, [0, 0, 7]), "one action is no path");
        assert_eq!(paths.note(ACME, PATH, UserKey(31)), Noted::Quietly);
    }

    #[test]
    fn beyond_the_most_paths_no_new_one_is_looked_after() {
        let mut paths = Paths::default();
        let path = |number: usize| [1 + (number >> 14) as u8, 1 + (number >> 7 & 127) as u8, 1 + (number & 127) as u8];
        for user in 1..=30 {
            paths.note(ACME, path(0), UserKey(user));
        }
        for number in 0..PATHS_MAX {
            assert_eq!(paths.note(ACME, path(number), UserKey(1)), Noted::Quietly);
        }
        assert_eq!(paths.note(ACME, path(PATHS_MAX), UserKey(1)), Noted::Untracked);
        assert_eq!(paths.note(AdvertiserCode(0), path(PATHS_MAX), UserKey(1)), Noted::Quietly, "each its own");
        for user in 1..=30 {
            paths.note(ACME, path(1), UserKey(user));
            assert_eq!(paths.note(ACME, path(PATHS_MAX), UserKey(user)), Noted::Untracked);
        }
        assert!(paths.supported().contains(ACME, path(1)), "those it knows go on");
        let mut entries = 0;
        paths.image(&mut |_, _| entries += 1);
        assert_eq!(entries, PATHS_MAX + 1);
    }
}
