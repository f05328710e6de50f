//! `inkling rotate DIR`: a new key for tokens.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::words;
use crate::storage::{Rotated, rotate_token_key};

/// Makes a new key for the tokens of a data directory; those that are out are still accepted
///
/// The key before becomes token.key.1, the one before that token.key.2, and so on; tokens of these are opened for as
/// long as the files are there. After a leak delete them: whoever has such a key can make tokens that are believed.
/// Not while a service works in the directory: it has read its keys at its start.
#[derive(Debug, Args)]
pub struct Rotate {
    /// The data directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Rotate {
    /// Makes the key and says what becomes of the others.
    ///
    /// # Errors
    /// When a service works there, or the disk fails.
    pub fn run(self) -> anyhow::Result<()> {
        let Rotated { former, is_oldest_gone } = rotate_token_key(&self.directory)?;
        let gone = match is_oldest_gone {
            true => {
                format!("{} keys are kept at most: tokens of the one before them are no longer opened\n", former.len())
            }
            false => String::new(),
        };
        let files = former.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ");
        let text = format!(
            "{}: the next start seals tokens with a new key, and still opens those of {}\n{gone}\
             delete each once its tokens have expired (`[retention] token`), or now if it has leaked: {files}\n",
            self.directory.display(),
            words::several(former.len(), "former key"),
        );
        super::print(&text).context("the key is changed; that cannot be written to standard output")
    }
}
