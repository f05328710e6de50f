//! Where a tuned configuration goes: whole or not at all, and never over something else.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use tempfile::NamedTempFile;

/// A place that can be written to.
#[derive(Debug)]
pub struct Output {
    path: PathBuf,
    /// The configuration that is tuned: whoever may read it may read the tuned one.
    config: PathBuf,
    /// It is the configuration that is tuned.
    is_in_place: bool,
}

impl Output {
    /// Checks a place before hours are spent on what shall go there.
    ///
    /// # Errors
    /// When something else is there, or the directory cannot be written to.
    pub fn new(config: &Path, out: &Path, market: &Path) -> anyhow::Result<Output> {
        let name = out.display();
        let is_in_place = out == config;
        ensure!(!out.is_dir(), "{name}: is a directory: name the file to be written in it");
        if !is_in_place && let Ok(there) = out.canonicalize() {
            let is = |path: &Path| path.canonicalize().is_ok_and(|path| path == there);
            if is(config) {
                bail!("{name}: is the configuration itself: name it as in --config to have it changed in its place");
            }
            let what = if is(market) { "is the market" } else { "is there already" };
            bail!("{name}: {what}: name a new file");
        }
        let output = Output { path: out.to_owned(), config: config.to_owned(), is_in_place };
        output.temporary()?;
        Ok(output)
    }

    /// A file in the same directory, gone again unless it is given its name.
    fn temporary(&self) -> anyhow::Result<NamedTempFile> {
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        NamedTempFile::with_prefix_in(".inkling-", directory).map_err(|error| {
            let what = match error.kind() {
                ErrorKind::NotFound => "the directory is not there",
                _ => "the directory cannot be written to",
            };
            anyhow::Error::new(error).context(format!("{}: {what}", self.path.display()))
        })
    }

    /// Writes the new text: to a file beside it, which then takes its name.
    ///
    /// # Errors
    /// When the disk fails, or what is to be replaced is no longer what was tuned.
    pub fn write(&self, old: &str, new: &str) -> anyhow::Result<()> {
        let place = || format!("{}: cannot be written", self.path.display());
        if self.is_in_place {
            let now = fs::read_to_string(&self.path).with_context(place)?;
            ensure!(now == old, "{}: was changed meanwhile: nothing was written", self.path.display());
        }
        let mut file = self.temporary()?;
        file.write_all(new.as_bytes()).with_context(place)?;
        if let Some(permissions) = fs::metadata(&self.config).ok().map(|there| there.permissions()) {
            file.as_file().set_permissions(permissions).with_context(place)?;
        }
        file.as_file().sync_all().with_context(place)?;
        match self.is_in_place {
            true => file.persist(&self.path).map(drop).map_err(|error| error.error),
            false => file.persist_noclobber(&self.path).map(drop).map_err(|error| error.error),
        }
        .with_context(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_there_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("config.toml"), "old").unwrap();
        fs::write(at("market.toml"), "market").unwrap();
        let new = |out: &Path| Output::new(&at("config.toml"), out, &at("market.toml"));
        for (out, expected) in [
            (at("market.toml"), "market.toml: is the market: name a new file"),
            (directory.path().join("./config.toml"), ""),
            (directory.path().to_owned(), "is a directory"),
            (at("no/such/out.toml"), "out.toml: the directory is not there"),
        ] {
            match new(&out) {
                Ok(_) => assert_eq!(expected, "", "{}", out.display()),
                Err(error) => assert!(error.to_string().contains(expected) && !expected.is_empty(), "{error}"),
            }
        }
        std::os::unix::fs::symlink(at("config.toml"), at("other.toml")).unwrap();
        assert!(new(&at("other.toml")).unwrap_err().to_string().contains("is the configuration itself"));
        let output = new(&at("out.toml")).unwrap();
        output.write("old", "new").unwrap();
        assert_eq!(fs::read_to_string(at("out.toml")).unwrap(), "new");
        let permissions = |name: &str| fs::metadata(at(name)).unwrap().permissions();
        assert_eq!(permissions("out.toml"), permissions("config.toml"), "a service reads the one as it read the other");
        assert!(output.write("old", "newer").is_err(), "it has come into being meanwhile");
        assert_eq!(fs::read_to_string(at("out.toml")).unwrap(), "new");
        let in_place = new(&at("config.toml")).unwrap();
        assert!(in_place.write("other", "new").unwrap_err().to_string().contains("was changed meanwhile"));
        in_place.write("old", "new").unwrap();
        assert_eq!(fs::read_to_string(at("config.toml")).unwrap(), "new");
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 4, "no temporary file stays: {left:?}");
    }
}
