//! The secrets of a data directory: one for the users' ids, which never changes, and those for tokens, of which the
//! latest seals and some former ones still open.

use std::fs;
use std::path::{Path, PathBuf};

use super::directory::at;
use super::repair::check_owner;
use super::secret;
use super::{Directory, StorageError};
use crate::identity::Identity;
use crate::journal::sync_directory;
use crate::token::{PREVIOUS_KEYS_MAX, TokenKey, TokenKeys};

pub(super) const IDENTITY: &str = "identity.key";
const IDENTITY_TITLE: &str = "inkling identity key";
pub(super) const TOKEN: &str = "token.key";
const TOKEN_TITLE: &str = "inkling token key";
/// Bytes of a token key's file: its id, and the secret.
const TOKEN_BYTES: usize = 17;

/// Name of a former token key, from 1 for the latest on.
fn former(age: usize) -> String {
    format!("{TOKEN}.{age}")
}

/// Names of all files of keys that a directory may have.
pub(super) fn names() -> impl Iterator<Item = String> {
    [IDENTITY, TOKEN].map(str::to_owned).into_iter().chain((1..=PREVIOUS_KEYS_MAX).map(former))
}

/// Whether a file of this name holds a key.
pub(super) fn is_key(name: &str) -> bool {
    names().any(|key| key == name)
}

/// The files of keys that a directory has.
pub(super) fn files(path: &Path) -> Vec<PathBuf> {
    names().map(|name| path.join(name)).filter(|file| file.exists()).collect()
}

/// Makes the keys of a directory. Those that were put there beforehand are kept: so an identity is moved to a new one.
pub(super) fn make(path: &Path, identity: impl FnOnce() -> [u8; 32]) -> Result<(), StorageError> {
    let file = path.join(IDENTITY);
    if secret::read::<32>(&file, IDENTITY_TITLE)?.is_none() {
        secret::write(&file, IDENTITY_TITLE, &identity()).map_err(at(&file))?;
    }
    if token_key(path, TOKEN)?.is_none() {
        make_token_key(path)?;
    }
    Ok(())
}

/// The secret by which a directory's user ids become keys.
pub(super) fn identity_of(path: &Path) -> Result<Identity, StorageError> {
    let key = secret::read(&path.join(IDENTITY), IDENTITY_TITLE)?;
    key.map(Identity::new).ok_or_else(|| StorageError::NoSecret { path: path.join(IDENTITY) })
}

/// The secrets that a directory's tokens are sealed with, and were.
pub(super) fn token_keys_of(path: &Path) -> Result<TokenKeys, StorageError> {
    let current = token_key(path, TOKEN)?.ok_or_else(|| StorageError::NoSecret { path: path.join(TOKEN) })?;
    let mut previous = Vec::new();
    for age in 1..=PREVIOUS_KEYS_MAX {
        previous.extend(token_key(path, &former(age)).map_err(|error| match error {
            StorageError::Secret { path, .. } => StorageError::FormerSecret { path },
            error => error,
        })?);
    }
    Ok(TokenKeys { current, previous })
}

/// What became of a directory's former token keys when a new one was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// Their files, the latest first: at least one.
    pub former: Vec<PathBuf>,
    /// There were [`PREVIOUS_KEYS_MAX`], so that the oldest is gone: its tokens are no longer opened.
    pub is_oldest_gone: bool,
}

/// Makes a new token key for a directory and keeps the one before as a former one; the oldest of
/// [`PREVIOUS_KEYS_MAX`] makes room.
///
/// # Errors
/// When a service works there, which has read its keys; when the directory is another user's, who could not read the
/// new one; when a file cannot be written.
pub fn rotate_token_key(path: &Path) -> Result<Rotated, StorageError> {
    check_owner(path)?;
    let _directory = Directory::open(path)?;
    let is_oldest_gone = rotate(path)?;
    let is_former = |file: &PathBuf| ![IDENTITY, TOKEN].iter().any(|name| file.ends_with(name));
    Ok(Rotated { former: files(path).into_iter().filter(is_former).collect(), is_oldest_gone })
}

/// All that needs room on the disk is written first, so that what fails then has changed nothing. A crash at any moment
/// leaves a key that seals, and loses none but the oldest; the next rotation goes on with one that was broken off. True
/// where the oldest made room.
fn rotate(path: &Path) -> Result<bool, StorageError> {
    let (current, latest) = (path.join(TOKEN), path.join(former(1)));
    let missing = || StorageError::NoSecret { path: current.clone() };
    let replaced = secret::read::<TOKEN_BYTES>(&current, TOKEN_TITLE)?.ok_or_else(missing)?;
    let prepare =
        |of: &Path, secret: &[u8]| secret::prepare(of, TOKEN_TITLE, secret).map_err(at(&secret::unfinished(of)));
    let fresh = prepare(&current, &TokenKey::generate_bytes())?;
    let mut is_full = false;
    if secret::read(&latest, TOKEN_TITLE)? != Some(replaced) {
        let kept = prepare(&latest, &replaced)?;
        // Up to the first gap, as an operator may have deleted a leaked one.
        let gap = (1..=PREVIOUS_KEYS_MAX).find(|age| !path.join(former(*age)).exists());
        is_full = gap.is_none();
        for age in (1..gap.unwrap_or(PREVIOUS_KEYS_MAX)).rev() {
            let from = path.join(former(age));
            fs::rename(&from, path.join(former(age + 1))).map_err(at(&from))?;
        }
        fs::rename(kept, &latest).and_then(|()| sync_directory(path)).map_err(at(&latest))?;
    }
    fs::rename(fresh, &current).and_then(|()| sync_directory(path)).map_err(at(&current))?;
    Ok(is_full)
}

fn token_key(path: &Path, name: &str) -> Result<Option<TokenKey>, StorageError> {
    Ok(secret::read::<TOKEN_BYTES>(&path.join(name), TOKEN_TITLE)?.map(TokenKey::of_bytes))
}

fn make_token_key(path: &Path) -> Result<(), StorageError> {
    let file = path.join(TOKEN);
    secret::write(&file, TOKEN_TITLE, &TokenKey::generate_bytes()).map_err(at(&file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_directory_holds_no_secret() {
        let place = tempfile::tempdir().unwrap();
        drop(Directory::open_or_make(place.path()).unwrap());
        rotate(place.path()).unwrap();
        let shown = format!("{:?}", Directory::open(place.path()).unwrap());
        assert!(shown.contains("TokenKey { id: ") && shown.contains("Identity("), "{shown}");
        for name in [TOKEN.to_owned(), former(1)] {
            let secret = secret::read::<17>(&place.path().join(name), TOKEN_TITLE).unwrap().unwrap();
            assert!(!shown.contains(&format!("{secret:?}")), "{shown}");
            assert!(!shown.contains(&format!("{:?}", &secret[1..])), "{shown}");
        }
    }

    #[test]
    fn former_keys_stand_in_their_order_and_the_oldest_makes_room() {
        let place = tempfile::tempdir().unwrap();
        drop(Directory::open_or_make(place.path()).unwrap());
        let mut made = Vec::new();
        for _ in 0..PREVIOUS_KEYS_MAX + 3 {
            made.insert(0, token_keys_of(place.path()).unwrap().current);
            assert_eq!(rotate(place.path()).unwrap(), made.len() > PREVIOUS_KEYS_MAX, "the oldest is told of");
            let keys = token_keys_of(place.path()).unwrap();
            assert!(!made.contains(&keys.current));
            assert_eq!(keys.previous, made[..made.len().min(PREVIOUS_KEYS_MAX)]);
        }
        assert_eq!(files(place.path()).len(), 2 + PREVIOUS_KEYS_MAX);
        let refused = || {
            let told = Directory::open(place.path()).unwrap_err().to_string();
            assert!(told.contains("token.key.3: is no token key, or damaged"), "{told}");
            assert!(told.contains("or delete it"), "{told}");
        };
        let third = place.path().join(former(3));
        fs::write(&third, "damaged").unwrap();
        refused();
        fs::remove_file(&third).and_then(|()| fs::create_dir(&third)).unwrap();
        refused();
    }

    /// A crash while former keys move up leaves a gap among them, one before the new key has its name leaves the
    /// present one twice. No key may stand twice afterwards: who deletes a leaked one must have deleted it.
    #[test]
    fn a_rotation_that_was_broken_off_is_gone_on_with() {
        let place = tempfile::tempdir().unwrap();
        drop(Directory::open_or_make(place.path()).unwrap());
        rotate(place.path()).unwrap();
        let TokenKeys { current, previous } = token_keys_of(place.path()).unwrap();
        let [before] = &previous[..] else { panic!("{previous:?}") };
        fs::rename(place.path().join(former(1)), place.path().join(former(2))).unwrap();
        assert_eq!(token_keys_of(place.path()).unwrap().previous, previous);
        fs::copy(place.path().join(TOKEN), place.path().join(former(1))).unwrap();
        assert_eq!(token_keys_of(place.path()).unwrap().previous, [current.clone(), before.clone()]);
        rotate(place.path()).unwrap();
        let keys = token_keys_of(place.path()).unwrap();
        assert_eq!(keys.previous, [current, before.clone()]);
        assert!(!keys.previous.contains(&keys.current));
    }

    #[test]
    fn a_rotation_that_fails_changes_nothing() {
        let place = tempfile::tempdir().unwrap();
        drop(Directory::open_or_make(place.path()).unwrap());
        (0..PREVIOUS_KEYS_MAX).for_each(|_| assert!(!rotate(place.path()).unwrap()));
        let before = token_keys_of(place.path()).unwrap();
        // In the way of what is written first: of the new key, and of the copy of the present one.
        for name in ["token.new", "token.key.new"] {
            fs::create_dir(place.path().join(name)).unwrap();
            let told = rotate(place.path()).unwrap_err().to_string();
            assert!(told.contains(name) && told.contains("a directory stands where a file belongs"), "{told}");
            assert!(rotate(place.path()).is_err(), "and again");
            fs::remove_dir(place.path().join(name)).unwrap();
            assert_eq!(token_keys_of(place.path()).unwrap(), before);
        }
        rotate(place.path()).unwrap();
        assert_eq!(token_keys_of(place.path()).unwrap().previous[0], before.current);
    }

    #[test]
    fn a_key_that_was_deleted_makes_room_for_the_next() {
        let place = tempfile::tempdir().unwrap();
        drop(Directory::open_or_make(place.path()).unwrap());
        (0..PREVIOUS_KEYS_MAX).for_each(|_| assert!(!rotate(place.path()).unwrap()));
        let TokenKeys { current, mut previous } = token_keys_of(place.path()).unwrap();
        fs::remove_file(place.path().join(former(2))).unwrap();
        rotate(place.path()).unwrap();
        previous.remove(1);
        previous.insert(0, current);
        assert_eq!(token_keys_of(place.path()).unwrap().previous, previous);
    }
}
