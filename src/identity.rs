//! User ids become keys here, at the edge: a raw id is hashed on arrival and never stored, journaled or logged.
//!
//! The hash is keyed, so that a key can be made from an id only by who holds the secret: knowing the journal and a
//! list of e-mail addresses is not enough to find a person in it. The secret is made once and never changed, since
//! every profile is found by keys made with it; its fingerprint tells whether stored state belongs to it.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

use crate::ids::UserKey;

/// Purpose of the fingerprint, as BLAKE3's key derivation wants it: fixed, and used for nothing else.
const FINGERPRINT_CONTEXT: &str = "inkling 2026-11-22 fingerprint of the identity key";

/// The secret by which user ids become keys.
#[derive(Clone)]
pub struct Identity {
    key: [u8; 32],
}

impl Identity {
    /// The identity of a stored secret.
    pub fn new(key: [u8; 32]) -> Identity {
        Identity { key }
    }

    /// An identity that nobody else has.
    ///
    /// # Panics
    /// When the operating system has no random bytes to give, at which no service can start safely.
    pub fn generate() -> Identity {
        Identity::new(Identity::generate_key())
    }

    /// A secret that nobody else has, to be stored.
    ///
    /// # Panics
    /// As [`generate`](Identity::generate).
    pub fn generate_key() -> [u8; 32] {
        let mut key = [0; 32];
        SystemRandom::new().fill(&mut key).expect("the operating system gives random bytes");
        key
    }

    /// The key of a user id: the first eight bytes of its keyed BLAKE3 hash, little-endian.
    ///
    /// Some two of n users share a key with odds of about n² / 2^65: 1 in 37 million where n is a million, 1 in 3,700
    /// where it is a hundred million.
    pub fn user_key(&self, raw: &str) -> UserKey {
        UserKey(u64::from_le_bytes(first_eight(blake3::keyed_hash(&self.key, raw.as_bytes()).as_bytes())))
    }

    /// Tells secrets apart and reveals nothing of them: for file headers and error messages.
    pub fn fingerprint(&self) -> [u8; 8] {
        first_eight(&blake3::derive_key(FINGERPRINT_CONTEXT, &self.key))
    }
}

fn first_eight(hash: &[u8; 32]) -> [u8; 8] {
    *hash.first_chunk().expect("a hash has 32 bytes")
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Identity({:016x})", u64::from_be_bytes(self.fingerprint()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Profiles and snapshots depend on these values. The first is of BLAKE3's own test vectors.
    #[test]
    fn keys_and_fingerprints_never_change() {
        let identity = Identity::new(*b"whats the Elvish word for friend");
        assert_eq!(identity.user_key(""), UserKey(0x763c_ed04_56b7_b292));
        let keys = ["u1", "someone@example.com", "Männer"].map(|raw| identity.user_key(raw).0);
        assert_eq!(keys, [3_681_743_861_778_522_362, 4_343_795_270_534_484_405, 656_989_839_792_703_863]);
        assert_eq!(identity.fingerprint(), [141, 9, 92, 173, 28, 145, 129, 211]);
    }

    #[test]
    fn another_secret_gives_other_keys() {
        let (one, other) = (Identity::new([1; 32]), Identity::new([2; 32]));
        assert_ne!(one.user_key("u1"), other.user_key("u1"));
        assert_ne!(one.user_key("u1"), one.user_key("u2"));
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_ne!(Identity::generate().fingerprint(), Identity::generate().fingerprint());
    }

    #[test]
    fn nothing_of_the_secret_is_shown() {
        let identity = Identity::new([0xab; 32]);
        let shown = format!("{identity:?}");
        assert_eq!(shown, format!("Identity({:016x})", u64::from_be_bytes(identity.fingerprint())));
        assert!(!shown.contains("abab") && !shown.contains("171"), "{shown}");
    }
}
