//! One coordinate of all lanes, as it lies in memory.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::learn::{HEADS, LANES};

/// One stored number for each head, and one for the ladder: apart, because four numbers fill a register.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lanes {
    pub heads: [f32; HEADS],
    pub ladder: [f32; 1],
}

/// What is stored of one number of all heads, two in a word.
pub(super) type HeadsWords = [AtomicU64; HEADS / 2];

/// One coordinate of all lanes: a cache line. Only the writer stores; readers see each word whole.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(super) struct Slot {
    /// Used and collided flags, tag (upper bits of the feature's slot), time of the last touch.
    pub stamp: AtomicU32,
    /// The ladder's z, n and w.
    pub ladder: [AtomicU32; 3],
    pub z: HeadsWords,
    pub n: HeadsWords,
    pub w: HeadsWords,
}

/// What some lanes know of one coordinate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Known<const N: usize> {
    pub z: [f32; N],
    pub n: [f32; N],
    pub w: [f32; N],
}

/// The numbers of all heads.
pub(super) fn load(words: &HeadsWords) -> [f32; HEADS] {
    let [first, second] = [words[0].load(Relaxed), words[1].load(Relaxed)];
    [first, first >> 32, second, second >> 32].map(|word| f32::from_bits(word as u32))
}

fn store(words: &HeadsWords, numbers: [f32; HEADS]) {
    let [a, b, c, d] = numbers.map(|number| u64::from(number.to_bits()));
    words[0].store(a | b << 32, Relaxed);
    words[1].store(c | d << 32, Relaxed);
}

impl Lanes {
    /// The numbers lane by lane.
    pub fn all(self) -> [f32; LANES] {
        let [a, b, c, d] = self.heads;
        [a, b, c, d, self.ladder[0]]
    }
}

impl Slot {
    /// Writes what stands there. Only the one writer may call it.
    pub fn touch(&self) {
        // The box keeps the compiler from seeing that nothing changes: of `fetch_or(0)` it leaves a load, and a page
        // that was only read still lacks memory of its own.
        self.stamp.store(std::hint::black_box(self.stamp.load(Relaxed)), Relaxed);
    }

    pub fn heads(&self) -> Known<HEADS> {
        Known { z: load(&self.z), n: load(&self.n), w: load(&self.w) }
    }

    pub fn ladder(&self) -> Known<1> {
        let [z, n, w] = [0, 1, 2].map(|place: usize| [self.ladder_number(place)]);
        Known { z, n, w }
    }

    pub fn ladder_number(&self, place: usize) -> f32 {
        f32::from_bits(self.ladder[place].load(Relaxed))
    }

    pub fn set_heads(&self, known: Known<HEADS>) {
        known.check();
        store(&self.z, known.z);
        store(&self.n, known.n);
        store(&self.w, known.w);
    }

    pub fn set_ladder(&self, known: Known<1>) {
        known.check();
        let numbers = [known.z, known.n, known.w];
        self.ladder.iter().zip(numbers).for_each(|(word, [number])| word.store(number.to_bits(), Relaxed));
    }

    /// The weights of all lanes.
    pub fn weights(&self) -> [f32; LANES] {
        Lanes { heads: load(&self.w), ladder: [self.ladder_number(2)] }.all()
    }
}

impl<const N: usize> Known<N> {
    /// # Panics
    /// When a number is not finite: 0 × x is 0 for finite numbers only.
    fn check(&self) {
        let sum: f32 = (0..N).map(|lane| (self.z[lane] * 0.0 + self.n[lane] * 0.0) + self.w[lane] * 0.0).sum();
        assert!(sum == 0.0, "a weight left the finite numbers");
    }
}
