//! A pattern search with paired worlds and successive halving.
//!
//! A round tries each step from the best point so far in a few worlds, keeps the better half, plays these in twice as
//! many, and so on (successive halving: Karnin, Koren and Somekh 2013). What remains is also tried together. A point is
//! taken only where it is better by two standard errors in all worlds; where none is, steps are halved.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::arena::{Arena, Difference};
use super::knob::{Move, Space};

/// Worlds in which all steps of a round are tried.
const WORLDS_FIRST: usize = 3;
/// Standard errors by which a point must be better.
const BETTER_BY: f64 = 2.0;
/// Steps that are tried together, at most.
const TOGETHER_MAX: usize = 4;
/// Times that steps are halved before the search ends.
const HALVINGS_MAX: u32 = 2;

/// How long is searched.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Most plays; a round that has begun is finished.
    pub plays_max: usize,
    /// Threads.
    pub threads: usize,
}

/// Why a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// No step leads to anything better.
    Settled,
    /// It had no plays left.
    OutOfPlays,
    /// It was told to stop.
    Stopped,
}

/// A point that was taken.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Which.
    pub point: Vec<f64>,
    /// What it is better by than the one before it, on the worlds that it was chosen on.
    pub better: Difference,
    /// Plays until then.
    pub plays: usize,
}

/// What a search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Where it began.
    pub start: Vec<f64>,
    /// The best point.
    pub best: Vec<f64>,
    /// How it was come by.
    pub steps: Vec<Step>,
    /// Plays in all.
    pub plays: usize,
    /// Why it ended.
    pub ended: Ended,
}

/// Why a round ended early.
enum Halt<E> {
    Stopped,
    Failed(E),
}

struct Search<'a, A: Arena> {
    arena: &'a A,
    space: &'a Space,
    plan: Plan,
    stop: &'a AtomicBool,
    progress: &'a (dyn Fn(usize) + Sync),
    /// By point, as the bits of its numbers, and world.
    played: BTreeMap<(Vec<u64>, usize), A::Played>,
    done: AtomicUsize,
}

/// Searches from a point on. `stop` ends it early, with the best so far; `progress` is told how many plays are done.
///
/// # Errors
/// When a point cannot be played.
pub fn search<A: Arena>(
    arena: &A,
    space: &Space,
    start: Vec<f64>,
    plan: Plan,
    stop: &AtomicBool,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Found, A::Error> {
    let done = AtomicUsize::new(0);
    let mut search = Search { arena, space, plan, stop, progress, played: BTreeMap::new(), done };
    let first = start.clone();
    let (mut best, mut steps, mut halvings) = (start, Vec::new(), 0);
    let ended = loop {
        if search.plays() >= plan.plays_max {
            break Ended::OutOfPlays;
        }
        match search.round(&best, halvings) {
            Ok(Some((point, better))) => {
                steps.push(Step { point: point.clone(), better, plays: search.plays() });
                best = point;
            }
            Ok(None) if halvings == HALVINGS_MAX => break Ended::Settled,
            Ok(None) => halvings += 1,
            Err(Halt::Stopped) => break Ended::Stopped,
            Err(Halt::Failed(error)) => return Err(error),
        }
    };
    let best = match ended {
        Ended::Stopped => best,
        Ended::Settled | Ended::OutOfPlays if space.moves(0).iter().any(|step| matches!(step, Move::Times(..))) => {
            match search.prune(&first, best.clone()) {
                Ok(pruned) => pruned,
                Err(Halt::Stopped) => best,
                Err(Halt::Failed(error)) => return Err(error),
            }
        }
        // A strength is of all weights or of none.
        Ended::Settled | Ended::OutOfPlays => best,
    };
    Ok(Found { start: first, best, steps, plays: search.plays(), ended })
}

fn bits(point: &[f64]) -> Vec<u64> {
    point.iter().map(|number| number.to_bits()).collect()
}

impl<A: Arena> Search<'_, A> {
    fn plays(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// The best step from a point, if any is good enough.
    fn round(&mut self, best: &[f64], halvings: u32) -> Result<Option<(Vec<f64>, Difference)>, Halt<A::Error>> {
        let all = self.arena.worlds();
        let steps = self.space.moves(halvings).into_iter();
        let mut left: Vec<(Move, Vec<f64>)> = steps.map(|step| (step, self.space.moved(best, step))).collect();
        left.retain(|(_, point)| point != best);
        let mut worlds = WORLDS_FIRST.min(all);
        loop {
            let ranked = self.ranked(best, left, worlds)?;
            if worlds == all {
                left = ranked;
                break;
            }
            let keep = ranked.len().div_ceil(2);
            left = ranked.into_iter().take(keep).collect();
            worlds = (worlds * 2).min(all);
        }
        let mut points: Vec<Vec<f64>> = left.iter().map(|(_, point)| point.clone()).collect();
        points.extend(self.together(best, &left));
        self.play(&points, all)?;
        let better = points.into_iter().filter_map(|point| {
            let difference = self.difference(best, &point, all)?;
            (difference.share > BETTER_BY * difference.error && difference.share > 0.0).then_some((point, difference))
        });
        // The first of equal ones.
        Ok(better.reduce(|one, other| if other.1.share > one.1.share { other } else { one }))
    }

    /// Sets each number back to where it began, unless that is worse by two standard errors: what came along with
    /// something else, and does nothing by itself, is not to be changed.
    fn prune(&mut self, first: &[f64], mut best: Vec<f64>) -> Result<Vec<f64>, Halt<A::Error>> {
        let all = self.arena.worlds();
        for place in 0..best.len() {
            let mut back = best.clone();
            back[place] = first[place];
            if back == best {
                continue;
            }
            self.play(&[best.clone(), back.clone()], all)?;
            let loss = self.difference(&best, &back, all);
            if loss.is_some_and(|loss| loss.share + BETTER_BY * loss.error >= 0.0) {
                best = back;
            }
        }
        Ok(best)
    }

    /// Those that are better than the point, the best first.
    fn ranked(
        &mut self,
        best: &[f64],
        left: Vec<(Move, Vec<f64>)>,
        worlds: usize,
    ) -> Result<Vec<(Move, Vec<f64>)>, Halt<A::Error>> {
        let mut points = vec![best.to_vec()];
        points.extend(left.iter().map(|(_, point)| point.clone()));
        self.play(&points, worlds)?;
        let share = |point: &[f64]| self.difference(best, point, worlds).map(|difference| difference.share);
        let mut ranked: Vec<_> =
            left.into_iter().filter_map(|step| Some((share(&step.1).filter(|share| *share > 0.0)?, step))).collect();
        ranked.sort_by(|one, other| other.0.total_cmp(&one.0));
        Ok(ranked.into_iter().map(|(_, step)| step).collect())
    }

    /// The best two, three and more steps at once, as far as they move different numbers.
    fn together(&self, best: &[f64], left: &[(Move, Vec<f64>)]) -> Vec<Vec<f64>> {
        let (mut moved, mut point, mut points) = (Vec::new(), best.to_vec(), Vec::new());
        for (step, _) in left {
            let Move::Times(place, _) = step else { continue };
            if moved.contains(place) || moved.len() == TOGETHER_MAX {
                continue;
            }
            moved.push(*place);
            point = self.space.moved(&point, *step);
            if moved.len() > 1 {
                points.push(point.clone());
            }
        }
        points
    }

    fn difference(&self, base: &[f64], other: &[f64], worlds: usize) -> Option<Difference> {
        let of = |point: &[f64]| -> Option<Vec<&A::Played>> {
            (0..worlds).map(|world| self.played.get(&(bits(point), world))).collect()
        };
        self.arena.compare(&of(base)?, &of(other)?)
    }

    /// Plays what has not been played yet.
    fn play(&mut self, points: &[Vec<f64>], worlds: usize) -> Result<(), Halt<A::Error>> {
        let all = (0..worlds).flat_map(|world| points.iter().map(move |point| (point, world)));
        let mut jobs: Vec<(&Vec<f64>, usize)> = Vec::new();
        for job in all {
            if !self.played.contains_key(&(bits(job.0), job.1)) && !jobs.contains(&job) {
                jobs.push(job);
            }
        }
        let next = AtomicUsize::new(0);
        let found: Mutex<Vec<(usize, Result<A::Played, A::Error>)>> = Mutex::default();
        let work = || {
            while !self.stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((point, world)) = jobs.get(number) else { return };
                let played = self.arena.play(point, *world);
                found.lock().expect("no play panics while it holds the lock").push((number, played));
                (self.progress)(self.done.fetch_add(1, Ordering::Relaxed) + 1);
            }
        };
        thread::scope(|scope| (0..self.plan.threads.max(1)).for_each(|_| drop(scope.spawn(work))));
        let mut found = found.into_inner().expect("no play panics while it holds the lock");
        found.sort_by_key(|(number, _)| *number);
        let is_whole = found.len() == jobs.len();
        let keys: Vec<(Vec<u64>, usize)> = jobs.iter().map(|(point, world)| (bits(point), *world)).collect();
        for (number, played) in found {
            self.played.insert(keys[number].clone(), played.map_err(Halt::Failed)?);
        }
        if is_whole { Ok(()) } else { Err(Halt::Stopped) }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::hash;
    use crate::ids::Id;
    use crate::market::compare::Estimate;
    use crate::market::draws::to_uniform;
    use crate::market::tune::Group;
    use crate::settings::{Advertiser, Goal, Settings};

    /// A hill over exponent and largest multiplier, with noise of its own for each point and world.
    struct Hill {
        top: (f64, f64),
        noise: f64,
    }

    impl Arena for Hill {
        type Played = f64;
        type Error = Infallible;

        fn worlds(&self) -> usize {
            8
        }

        fn play(&self, point: &[f64], world: usize) -> Result<f64, Infallible> {
            let off = |at: f64, top: f64| (at / top).ln() * (at / top).ln();
            let seed = point.iter().fold(world as u64, |seed, number| hash::mix(seed, number.to_bits()));
            let noise = self.noise * (to_uniform(seed) - 0.5);
            Ok(100.0 * (1.0 - 0.2 * off(point[0], self.top.0) - 0.1 * off(point[2], self.top.1) + noise))
        }

        fn compare(&self, base: &[&f64], other: &[&f64]) -> Option<Difference> {
            let more: Vec<f64> = base.iter().zip(other).map(|(base, other)| **other - **base).collect();
            let mean = Estimate::of(&more)?.mean / 100.0;
            let variance = more.iter().map(|one| (one / 100.0 - mean) * (one / 100.0 - mean)).sum::<f64>() / 7.0;
            Some(Difference { share: mean, error: (variance / more.len() as f64).sqrt() })
        }
    }

    fn space() -> Space {
        let mut advertiser = Advertiser::new(Id::literal("a"));
        advertiser.goals.push(Goal::new(Id::literal("g")));
        let settings = Settings { advertisers: vec![advertiser], ..Settings::default() };
        Space::new(&settings, &[Group::Exponent, Group::Bounds])
    }

    fn climb(hill: &Hill, threads: usize, plays_max: usize) -> Found {
        let (space, plan) = (space(), Plan { plays_max, threads });
        search(hill, &space, space.start(), plan, &AtomicBool::new(false), &|_| ()).unwrap()
    }

    #[test]
    fn climbs_to_the_top_and_stays_there() {
        let hill = Hill { top: (2.2, 7.0), noise: 0.002 };
        let found = climb(&hill, 2, 10_000);
        assert_eq!(found.ended, Ended::Settled);
        assert!((found.best[0] / 2.2 - 1.0).abs() < 0.15 && (found.best[2] / 7.0 - 1.0).abs() < 0.25, "{found:?}");
        assert_eq!(found.best[1], 0.3, "what changes nothing stays");
        assert_eq!(climb(&hill, 1, 10_000), found, "threads make no difference");
        assert!(found.steps.iter().all(|step| step.better.share > 0.0));
    }

    #[test]
    fn takes_little_of_what_is_noise_and_ends_when_told() {
        let flat = Hill { top: (1.0, 3.0), noise: 0.0 };
        assert_eq!(climb(&flat, 2, 10_000).best, space().start());
        let hill = Hill { top: (2.2, 7.0), noise: 0.002 };
        let short = climb(&hill, 2, 1);
        assert_eq!((short.ended, short.steps.len()), (Ended::OutOfPlays, 1));
        let (space, plan) = (space(), Plan { plays_max: 1_000, threads: 2 });
        let stopped = search(&hill, &space, space.start(), plan, &AtomicBool::new(true), &|_| ()).unwrap();
        assert_eq!((stopped.ended, stopped.best, stopped.plays), (Ended::Stopped, space.start(), 0));
    }
}
