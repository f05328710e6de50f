//! What another model predicted for the opportunities of a log, to be judged on the very same ones.

use std::collections::HashMap;
use std::io::Read;

use thiserror::Error;

use super::player::OPPORTUNITIES_MAX;
use crate::hash::{self, KeyHasher};
use crate::wording::shown;

/// Columns that must be there: an opportunity's id, and its probability.
const ID: &str = "id";
const P: &str = "p";
/// Columns that tell apart predictions of one opportunity, where they are there.
const APART: [&str; 2] = ["advertiser", "goal"];

/// Another model's predictions, by opportunity.
#[derive(Debug)]
pub struct Rival {
    /// Which of the columns that tell apart are there.
    apart: [bool; 2],
    /// By the hash of the names that tell them apart.
    predictions: HashMap<u64, f64, KeyHasher>,
}

/// Why they cannot be read.
#[derive(Debug, Error)]
pub enum RivalError {
    /// The file cannot be read as comma-separated values.
    #[error(transparent)]
    Csv(#[from] csv::Error),
    /// A column is missing.
    #[error(
        "no column '{column}': the first line names the columns: id and p, and advertiser and goal where one id has \
         several predictions"
    )]
    NoColumn {
        /// Which.
        column: &'static str,
    },
    /// A column stands there twice.
    #[error("column '{column}' stands there twice")]
    DoubleColumn {
        /// Which.
        column: &'static str,
    },
    /// No probability.
    #[error("line {line}, column 'p': '{found}' is no probability, a number from 0 to 1")]
    NoProbability {
        /// Line of the file.
        line: u64,
        /// What stands there.
        found: String,
    },
    /// One opportunity has two predictions that differ.
    #[error(
        "line {line}: '{id}' has another prediction on an earlier line: columns advertiser and goal tell apart \
         several predictions of one opportunity"
    )]
    Twice {
        /// Line of the file.
        line: u64,
        /// Which opportunity.
        id: String,
    },
    /// There are more than one replay evaluates.
    #[error("line {line}: more than the {limit} predictions that one replay compares")]
    TooMany {
        /// Line of the file.
        line: u64,
        /// How many there may be.
        limit: usize,
    },
}

impl Rival {
    /// Reads comma-separated values whose first line names the columns: `id` of the opportunity and `p`, as
    /// `--predictions` writes them; `advertiser` and `goal` count where they are there, other columns do not.
    ///
    /// # Errors
    /// With the line, where they are no such predictions.
    pub fn read(input: impl Read) -> Result<Rival, RivalError> {
        // Names are taken as they stand, blanks included, as a log may have such.
        let mut table = csv::ReaderBuilder::new().trim(csv::Trim::Headers).from_reader(input);
        let head = table.headers()?.clone();
        let place = |column: &str| head.iter().position(|name| name == column);
        let needed = |column| place(column).ok_or(RivalError::NoColumn { column });
        let (id, p, apart) = (needed(ID)?, needed(P)?, APART.map(place));
        for column in [ID, P].into_iter().chain(APART) {
            if head.iter().filter(|name| *name == column).count() > 1 {
                return Err(RivalError::DoubleColumn { column });
            }
        }
        let mut rival = Rival { apart: apart.map(|place| place.is_some()), predictions: HashMap::default() };
        for row in table.records() {
            let row = row?;
            let line = row.position().map_or(0, csv::Position::line);
            let p = probability(&row[p]).ok_or_else(|| RivalError::NoProbability { line, found: shown(&row[p]) })?;
            let key = key(hash::text(&row[id]), apart.map(|place| place.map_or("", |place| &row[place])));
            if *rival.predictions.entry(key).or_insert(p) != p {
                return Err(RivalError::Twice { line, id: shown(&row[id]) });
            }
            if rival.predictions.len() > OPPORTUNITIES_MAX {
                return Err(RivalError::TooMany { line, limit: OPPORTUNITIES_MAX });
            }
        }
        Ok(rival)
    }

    /// What it predicted, by the hash of the opportunity's id, its advertiser and goal.
    pub fn p(&self, opportunity: u64, of: [&str; 2]) -> Option<f64> {
        let named = std::array::from_fn(|place| if self.apart[place] { of[place] } else { "" });
        self.predictions.get(&key(opportunity, named)).copied()
    }
}

fn key(opportunity: u64, apart: [&str; 2]) -> u64 {
    apart.into_iter().fold(opportunity, |key, name| hash::mix(key, hash::text(name)))
}

fn probability(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|p| (0.0..=1.0).contains(p))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Rival, String> {
        Rival::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn predictions_are_found_by_what_tells_them_apart() {
        let by_id = read("\u{feff}p, id,goal2\n0.25,o-1,x\n 1,o-2,y\n1,o-2,z\n0.5, o-4 ,x\n").unwrap();
        let p = |of: &Rival, id: &str, goal| of.p(hash::text(id), ["shop", goal]);
        assert_eq!((p(&by_id, "o-1", "buy"), p(&by_id, "o-2", "join")), (Some(0.25), Some(1.0)));
        assert_eq!(
            [p(&by_id, "o-3", "buy"), p(&by_id, "o-4", "buy"), p(&by_id, " o-4 ", "buy")],
            [None, None, Some(0.5)]
        );
        let by_goal = read("id,goal,p\no-1,buy,1e-3\no-1,join,0\n").unwrap();
        assert_eq!((p(&by_goal, "o-1", "buy"), p(&by_goal, "o-1", "join")), (Some(1e-3), Some(0.0)));
        assert_eq!(p(&by_goal, "o-1", "sell"), None);
        assert_eq!(by_goal.p(hash::text("o-1"), ["another", "buy"]), Some(1e-3), "no column tells advertisers apart");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, told) in [
            ("", "no column 'id'"),
            ("id,probability\n", "no column 'p'"),
            ("id,p,p\n", "column 'p' stands there twice"),
            ("id,p\no-1,0.5\no-2,50%\n", "line 3, column 'p': '50%'"),
            ("id,p\no-1,1.01\n", "line 2, column 'p': '1.01'"),
            ("id,p\no-1,NaN\n", "line 2, column 'p': 'NaN'"),
            ("id,p\no-1,-0\no-2,\n", "line 3, column 'p': ''"),
            ("id,p\no-1,0.5\no-1,0.6\n", "line 3: 'o-1' has another prediction"),
            ("id,p\no-1,0.5,7\n", "line: 2"),
            ("id,p\no-1,\"0.5\n\"\no-2,\"\u{7}\"\n", "column 'p': '\\u{7}'"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told), "{text:?}: {error}");
        }
    }
}
