//! `inkling rotate DIR`: a new key for tokens.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::words;
use crate::storage::rotate_token_key;
use crate::token::PREVIOUS_KEYS_MAX;

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
        let former = rotate_token_key(&self.directory)?;
        let text = format!(
            "{}: the next start seals tokens with a new key, and still opens those of {} (at most \
             {PREVIOUS_KEYS_MAX})\n\
             delete {} once its tokens have expired (`[retention] token`), or now if it has leaked\n",
            self.directory.display(),
            words::several(former.len(), "former key"),
            former[0].display(),
        );
        super::print(&text).context("the key is changed; that cannot be written to standard output")
    }
}
