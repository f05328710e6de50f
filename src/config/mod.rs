//! The configuration file: TOML into settings of the engine and of the service.
//!
//! A trader edits this file, so nothing in it is silently ignored: an unknown key, a value out of range, a name that
//! leads nowhere and a setting without effect are all refused, together, each with line, column and what is allowed.
//!
//! *Invariants.* Knows the file and its words; no engine, no service, no clock. What it hands out is within the ranges
//! that [`crate::settings`] promises.

mod advertiser;
mod edit;
mod goal;
mod policy;
mod problem;
mod segment;
mod server;
mod storage;
mod table;
mod value;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use toml::de::DeTable;

pub use edit::{Edit, EditError, edit};
pub use problem::{ConfigError, PROBLEMS_MAX, Problem};
pub use server::{Clock, ServerConfig, Workers};
pub use storage::{Durability, StorageConfig};

use crate::settings::{ADVERTISERS_MAX, Advertiser, Arms, GOALS_MAX, Multiplier, Settings};
use advertiser::read_advertiser;
use policy::{read_arms, read_guards, read_learner, read_limits, read_multiplier, read_retention};
use problem::{Problems, place};
pub(crate) use table::{Names, Table};
pub(crate) use value::Range;

/// Largest configuration in bytes.
pub const CONFIG_BYTES_MAX: usize = 1 << 20;

/// A whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How the service listens, and what bounds it.
    pub server: ServerConfig,
    /// Where it keeps what must outlive it.
    pub storage: StorageConfig,
    /// What state and score depend on.
    pub settings: Settings,
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// When the file cannot be read, is no text, or says what is not allowed: see [`ConfigError`].
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        load(path, read)
    }

    /// Reads a configuration from a text; `name` stands for it in errors.
    ///
    /// # Errors
    /// When the text says what is not allowed, up to [`PROBLEMS_MAX`] mistakes at once; mistakes of TOML itself come
    /// alone, as what follows one is guesswork.
    pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
        parse(name, text, read)
    }

    /// These settings, and the defaults of the service.
    pub fn from_settings(settings: Settings) -> Config {
        Config { server: ServerConfig::default(), storage: StorageConfig::default(), settings }
    }
}

/// Reads a TOML file of whatever kind, field by field.
///
/// # Errors
/// Those of [`Config::load`].
pub(crate) fn load<T>(path: &Path, read: impl FnOnce(Table<'_>) -> T) -> Result<T, ConfigError> {
    let file = path.display().to_string();
    let bytes = read_bounded(path, &file)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => parse(&file, text, read),
        Err(error) => {
            let good = std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("checked up to here");
            let (line, column) = place(good, good.len());
            Err(ConfigError::NotUtf8 { file, line, column, byte: bytes[error.valid_up_to()] })
        }
    }
}

/// Reads a TOML text of whatever kind; `name` stands for it in errors.
///
/// # Errors
/// Those of [`Config::parse`].
pub(crate) fn parse<T>(name: &str, text: &str, read: impl FnOnce(Table<'_>) -> T) -> Result<T, ConfigError> {
    if text.len() > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge { file: name.to_owned() });
    }
    let problems = Problems::new(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    let first = errors.iter().min_by_key(|error| error.span().map_or(0, |span| span.start));
    let all = match first {
        Some(error) => {
            report_syntax(&problems, text, error);
            None
        }
        None => Some(read(Table::root(&problems, document.get_ref()))),
    };
    problems.into_result(name)?;
    Ok(all.expect("a text without problems was read"))
}

/// All bytes of a file, as far as it is no larger than a configuration may be.
fn read_bounded(path: &Path, name: &str) -> Result<Vec<u8>, ConfigError> {
    let unreadable = |source| ConfigError::Read { file: name.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.is_dir() {
        return Err(ConfigError::Directory { file: name.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(CONFIG_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > CONFIG_BYTES_MAX {
        return Err(ConfigError::TooLarge { file: name.to_owned() });
    }
    Ok(bytes)
}

fn report_syntax(problems: &Problems<'_>, text: &str, error: &toml::de::Error) {
    let at = error.span().map_or(0, |span| span.start);
    let rest = problems.quote(at..text.len());
    let message = error.message();
    problems.report(at, || match rest.trim() {
        "" | "…" => format!("not TOML: {message}"),
        rest => format!("not TOML at '{rest}': {message}"),
    });
}

fn read(mut root: Table<'_>) -> Config {
    let server = read_section(&mut root, "server", ServerConfig::read);
    let storage = read_section(&mut root, "storage", StorageConfig::read);
    let multiplier = read_section(&mut root, "multiplier", |table| read_multiplier(table, Multiplier::default()));
    let arms = read_section(&mut root, "arms", read_arms);
    let settings = Settings {
        learner: read_section(&mut root, "learner", read_learner),
        arms,
        limits: read_section(&mut root, "limits", read_limits),
        retention: read_section(&mut root, "retention", read_retention),
        guards: read_section(&mut root, "guards", read_guards),
        advertisers: read_advertisers(&mut root, multiplier, arms),
    };
    let has_advertiser = root.has("advertiser");
    let problems = root.finish();
    // Where something else is wrong, that is the likely cause, and told already.
    if problems.is_empty() && settings.advertisers.iter().all(|advertiser| advertiser.goals.is_empty()) {
        let why = match has_advertiser {
            true => "no advertiser has a goal: add an [[advertiser.goal]] with a name",
            false => "there is no advertiser: add an [[advertiser]] with an id, and an [[advertiser.goal]] with a name",
        };
        problems.report(0, || why.to_owned());
    }
    Config { server, storage, settings }
}

fn read_advertisers(root: &mut Table<'_>, multiplier: Multiplier, arms: Arms) -> Vec<Advertiser> {
    let mut names = Names::default();
    let tables = root.list("advertiser", "advertiser");
    if tables.len() > ADVERTISERS_MAX {
        root.refuse(format_args!("there are {} advertisers: at most {ADVERTISERS_MAX}", tables.len()));
    }
    let tables = tables.into_iter().take(ADVERTISERS_MAX);
    let read = |table| read_advertiser(table, &mut names, multiplier, arms);
    let advertisers: Vec<_> = tables.filter_map(read).collect();
    let goals: usize = advertisers.iter().map(|advertiser| advertiser.goals.len()).sum();
    if goals > GOALS_MAX {
        root.refuse(format_args!("there are {goals} goals over all advertisers: at most {GOALS_MAX}"));
    }
    advertisers
}

fn read_section<'a, T: Default>(root: &mut Table<'a>, key: &'static str, read: impl FnOnce(&mut Table<'a>) -> T) -> T {
    let Some(mut table) = root.section(key) else { return T::default() };
    let section = read(&mut table);
    table.finish();
    section
}

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
