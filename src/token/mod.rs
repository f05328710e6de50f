//! The sealed token: what a score must remember travels to the bidder and comes back with the impression.
//!
//! Nothing is kept when a score is given: bids are many, impressions few. Whoever holds the key can open the token,
//! nobody else can read, change or make one. It is text of the URL-safe base64 alphabet without padding, at most 400
//! characters, so that it fits into a billing notice's URL.
//!
//! | byte | length | what |
//! |---|---|---|
//! | 0 | 1 | version of this table, 1 |
//! | 1 | 1 | id of the key |
//! | 2 | 12 | nonce: replica id (4), counter (8) |
//! | 14 | 20 … 270 | payload, encrypted by AES-128-GCM with bytes 0 and 1 as additional data |
//! | end | 16 | tag |
//!
//! The payload; numbers are little-endian, and what is absent takes no bytes:
//!
//! | length | at most | what |
//! |---|---|---|
//! | 1 | 1 | version of the feature definitions |
//! | 1 | 1 | arm (bits 0–1); presence of user, line item, item, category (bits 2–5); zero (bits 6–7) |
//! | 1 | 1 | goals, 0–4 (bits 0–2); external segments, 0–8 (bits 3–7) |
//! | 1 | 1 | features, 0–64 |
//! | 6 | 6 | scored at, milliseconds since 1970 |
//! | 8 | 8 | opportunity key |
//! | 2 | 2 | advertiser |
//! | 0 or 8 | 8 | user key |
//! | 0, 4, 8 or 12 | 12 | keys of line item, item, category |
//! | 14 a goal | 56 | goal code (2, its top bit: the multiplier was drawn), logit, p, multiplier (f32 each) |
//! | 2 a segment | 16 | external segments |
//! | see `features.rs` | 158 | slots and values of the features |
//!
//! The middle column sums to 270, and 2 + 12 + 270 + 16 = 300 bytes are 400 characters: there is no exposure whose
//! token is longer.
//!
//! **Nonces.** AES-GCM fails altogether when one nonce is used twice under one key. The counter gives every token of a
//! process its own; replicas, and starts of one replica, which share a key are kept apart by a replica id that is drawn
//! at each start from the system's random source ([`draw_replica`]) *and* by a counter that starts at a random place.
//! Two starts collide only if both agree: 2^−32 × (tokens / 2^62), below 2^−50 for a trillion tokens. The counter
//! never wraps: sealing refuses before.
//!
//! *Invariants.* Knows exposures and keys; no profiles, settings, journal, sockets or clock: the moment of opening is
//! an argument. Nothing that comes in as a token makes it panic.

mod features;
mod layout;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use arrayvec::ArrayVec;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;

use crate::exposure::{Exposure, VALUED_FEATURES_MAX};
use crate::rejection::TokenRefusal;
use crate::units::{Span, Timestamp};

use layout::{PAYLOAD_BYTES_MIN, TokenBytes, put};

/// Longest token in bytes, before base64url.
pub const TOKEN_BYTES_MAX: usize = 300;
/// Longest token in characters.
pub const TOKEN_CHARACTERS_MAX: usize = TOKEN_BYTES_MAX / 3 * 4;
/// Most former keys whose tokens are still opened.
pub const PREVIOUS_KEYS_MAX: usize = 4;
/// How far ahead of the opener's clock a token may have been scored, since replicas' clocks differ.
pub const CLOCK_SKEW_MAX: Span = Span::minutes(5);

/// Version of the byte table.
const VERSION: u8 = 1;
/// Version and key id, in clear and authenticated.
const HEAD_BYTES: usize = 2;
const TAG_BYTES: usize = 16;
const PAYLOAD_START: usize = HEAD_BYTES + NONCE_LEN;
/// Shorter ones were cut.
const TOKEN_BYTES_MIN: usize = PAYLOAD_START + PAYLOAD_BYTES_MIN + TAG_BYTES;

/// A secret under which tokens are sealed, and the id by which a token names it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey {
    id: u8,
    secret: [u8; 16],
}

/// The secret that seals, and those that only open any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenKeys {
    /// Seals, and opens.
    pub current: TokenKey,
    /// Open what was sealed while they were the current one; the latest first.
    pub previous: Vec<TokenKey>,
}

/// Seals and opens tokens; one for all threads.
pub struct Tokens {
    current: Key,
    previous: ArrayVec<Key, PREVIOUS_KEYS_MAX>,
    replica: u32,
    /// The next nonce's counter. Relaxed: only that no two threads get the same matters.
    counter: AtomicU64,
}

/// A [`TokenKey`] with its round keys.
struct Key {
    id: u8,
    cipher: LessSafeKey,
}

/// Why an exposure has no token. Its score stands; only nothing can be learned from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SealError {
    /// A number is not finite or not within its field's limits.
    #[error("{0} of the exposure is out of range")]
    OutOfRange(&'static str),
    /// More features have values than the token has room for.
    #[error("{count} features have a value other than 1, at most {VALUED_FEATURES_MAX} fit a token")]
    TooManyValued {
        /// How many have.
        count: usize,
    },
    /// All nonces of this start are used up.
    #[error("all token nonces of this process are used up: restart it")]
    NoncesUsedUp,
}

impl TokenKey {
    /// A key from its parts, as an operator's secret store keeps them.
    pub fn new(id: u8, secret: [u8; 16]) -> TokenKey {
        TokenKey { id, secret }
    }

    /// A key that nobody else has, with a random id.
    ///
    /// # Panics
    /// When the operating system has no random bytes to give, at which no service can start safely.
    pub fn generate() -> TokenKey {
        TokenKey::of_bytes(TokenKey::generate_bytes())
    }

    /// The key of stored bytes, as [`generate_bytes`](TokenKey::generate_bytes) makes them.
    pub fn of_bytes(bytes: [u8; 17]) -> TokenKey {
        let [id, secret @ ..] = bytes;
        TokenKey { id, secret }
    }

    /// Id and secret of a key that nobody else has, to be stored.
    ///
    /// # Panics
    /// As [`generate`](TokenKey::generate).
    pub fn generate_bytes() -> [u8; 17] {
        random()
    }

    fn expand(&self) -> Key {
        let key = UnboundKey::new(&AES_128_GCM, &self.secret).expect("16 bytes are a key of AES-128");
        Key { id: self.id, cipher: LessSafeKey::new(key) }
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("TokenKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// An id for this start of this replica, for [`Tokens::new`].
///
/// # Panics
/// When the operating system has no random bytes to give.
pub fn draw_replica() -> u32 {
    u32::from_le_bytes(random())
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

impl Tokens {
    /// Seals under `current`; opens tokens of `current` and of the first [`PREVIOUS_KEYS_MAX`] of `previous`, the
    /// latest first, so that keys can be changed while tokens are out. Keys may share an id.
    ///
    /// `replica` is to be drawn anew at each start: see [`draw_replica`] and *Nonces* in the module's description.
    ///
    /// # Panics
    /// When the operating system has no random bytes to give.
    pub fn new(current: TokenKey, previous: Vec<TokenKey>, replica: u32) -> Tokens {
        // The lower quarter: at a billion tokens a second the counter is used up after 400 years.
        let start = u64::from_le_bytes(random()) >> 2;
        Tokens {
            current: current.expand(),
            previous: previous.iter().take(PREVIOUS_KEYS_MAX).map(TokenKey::expand).collect(),
            replica,
            counter: AtomicU64::new(start),
        }
    }

    /// Seals what a score must remember. Two tokens of one exposure differ.
    ///
    /// # Errors
    /// When the exposure breaks one of its own limits, so that [`Tokens::open`] could not give it back.
    pub fn seal(&self, exposure: &Exposure) -> Result<String, SealError> {
        let nonce = self.next_nonce()?;
        let head = [VERSION, self.current.id];
        let mut token = TokenBytes::new();
        put(&mut token, &head);
        put(&mut token, &nonce);
        layout::write(exposure, &mut token)?;
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .current
            .cipher
            .seal_in_place_separate_tag(nonce, Aad::from(head), &mut token[PAYLOAD_START..])
            .expect("a payload is far below the 64 GiB that AES-GCM can seal at once");
        put(&mut token, tag.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(&token))
    }

    /// Opens a token that comes back at `now`, if it was scored within `max_age` before.
    ///
    /// # Errors
    /// Says why the token is not accepted. No exposure is given back then, not even in part.
    pub fn open(&self, now: Timestamp, max_age: Span, token: &str) -> Result<Exposure, TokenRefusal> {
        let mut buffer = [0; TOKEN_BYTES_MAX];
        if token.len() > TOKEN_CHARACTERS_MAX {
            return Err(TokenRefusal::Malformed);
        }
        let length = URL_SAFE_NO_PAD.decode_slice(token, &mut buffer).map_err(|_| TokenRefusal::Malformed)?;
        if length < TOKEN_BYTES_MIN {
            return Err(TokenRefusal::Malformed);
        }
        if buffer[0] != VERSION {
            return Err(TokenRefusal::Version);
        }
        let exposure = self.open_bytes(&buffer[..length])?;
        let expired = exposure.scored_at + max_age < now || exposure.scored_at > now + CLOCK_SKEW_MAX;
        if expired { Err(TokenRefusal::Expired) } else { Ok(exposure) }
    }

    /// Opens a token of this version and of sufficient length with the keys that its id names.
    fn open_bytes(&self, token: &[u8]) -> Result<Exposure, TokenRefusal> {
        let head = [token[0], token[1]];
        let keys = std::iter::once(&self.current).chain(&self.previous).filter(|key| key.id == head[1]);
        let mut refusal = TokenRefusal::Foreign;
        for key in keys {
            let nonce = Nonce::try_assume_unique_for_key(&token[HEAD_BYTES..PAYLOAD_START])
                .expect("the place of the nonce has a nonce's length");
            // A failed attempt leaves nothing usable in the buffer: each key gets its own copy.
            let mut sealed: TokenBytes =
                token[PAYLOAD_START..].try_into().expect("a part is not longer than the whole");
            match key.cipher.open_in_place(nonce, Aad::from(head), &mut sealed) {
                Ok(payload) => return layout::read(payload),
                Err(ring::error::Unspecified) => refusal = TokenRefusal::Forged,
            }
        }
        Err(refusal)
    }

    fn next_nonce(&self) -> Result<[u8; NONCE_LEN], SealError> {
        let count = self
            .counter
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1))
            .map_err(|_| SealError::NoncesUsedUp)?;
        let mut nonce = [0; NONCE_LEN];
        nonce[..4].copy_from_slice(&self.replica.to_le_bytes());
        nonce[4..].copy_from_slice(&count.to_le_bytes());
        Ok(nonce)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tokens")
            .field("key", &self.current.id)
            .field("replica", &self.replica)
            .finish_non_exhaustive()
    }
}
