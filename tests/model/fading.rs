//! Decayed sums, from the whole list of what was added.

/// Points of the engine's grid in one half-life.
const GRID: u64 = 64;
/// One step of the grid: the engine may be so far from the exact value.
const STEP: f64 = 0.011;

pub struct Fading {
    /// In seconds, like the half-life.
    pub now: u64,
    pub half_life: u64,
    /// How far ahead of the clock some events may have been: a count then reads as of the latest.
    pub ahead: u64,
}

/// A sum, faded exactly and on the grid.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    pub exact: f64,
    pub grid: f64,
    pub terms: usize,
    /// Without fading.
    gross: f64,
}

impl Sum {
    pub fn add(&mut self, (exact, grid): (f64, f64), amount: f64) {
        self.exact += amount * exact;
        self.grid += amount * grid;
        self.gross += amount;
        self.terms += 1;
    }
}

#[expect(clippy::disallowed_methods, reason = "the standard library is the reference here")]
fn halved(times: f64) -> f64 {
    (-times).exp2()
}

impl Fading {
    /// What is left of 1: 2^(−Δt/H), and the same with whole steps of the grid.
    pub fn factors(&self, then: u64) -> (f64, f64) {
        let now = self.now.max(then);
        let steps = now * GRID / self.half_life - then * GRID / self.half_life;
        (halved((now - then) as f64 / self.half_life as f64), halved(steps as f64 / GRID as f64))
    }

    pub fn check(&self, engine: f64, sum: Sum, what: impl Fn() -> String) {
        let ahead = 1.0 - halved(self.ahead as f64 / self.half_life as f64);
        let step = if self.ahead == 0 { 0.0 } else { STEP };
        self.compare(engine, sum, (STEP + ahead) * sum.exact, (step + ahead) * sum.grid, what);
    }

    /// Of an amount that is cut to a whole number.
    pub fn check_whole(&self, engine: i64, sum: Sum, what: impl Fn() -> String) {
        let whole = engine as f64;
        self.check(sum.grid.clamp(whole, whole + 1.0), sum, what);
    }

    /// Of a count that is kept in 32 bits and rounded at each of its changes.
    pub fn check_f32(&self, engine: f64, sum: Sum, changes: usize, what: impl Fn() -> String) {
        let rounding = changes as f64 * f64::from(f32::EPSILON);
        self.compare(engine, sum, STEP * sum.exact, rounding * sum.grid, what);
    }

    fn compare(&self, engine: f64, sum: Sum, of_exact: f64, of_grid: f64, what: impl Fn() -> String) {
        // What is taken back leaves rounding errors of what was there.
        let cut = 1e-9 + 1e-12 * sum.gross;
        let (exact, grid) = ((engine - sum.exact).abs(), (engine - sum.grid).abs());
        assert!(exact <= of_exact + cut, "{}: {engine}, not {}", what(), sum.exact);
        assert!(grid <= of_grid + cut, "{}: {engine}, on the grid {}", what(), sum.grid);
    }
}
