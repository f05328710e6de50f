//! Where candidates are tried.

/// Worlds in which points of a space can be played.
pub trait Arena: Sync {
    /// What a play came to.
    type Played: Send + Sync;
    /// Why one cannot be played.
    type Error: Send;

    /// How many worlds there are.
    fn worlds(&self) -> usize;

    /// Plays a point in a world. The same, whenever it is asked.
    ///
    /// # Errors
    /// When it cannot be played.
    fn play(&self, point: &[f64], world: usize) -> Result<Self::Played, Self::Error>;

    /// What another point is better by, both in the same worlds; `None` where they do not spend the same, or nothing
    /// can be said.
    fn compare(&self, base: &[&Self::Played], other: &[&Self::Played]) -> Option<Difference>;
}

/// What one point is better by than another, as a share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Best estimate.
    pub share: f64,
    /// Its standard error.
    pub error: f64,
}
