//! Where a report goes.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, ensure};
use tempfile::NamedTempFile;

/// Whether a report can go there, before anything is worked out for it.
///
/// # Errors
/// When it cannot.
pub fn check(file: &Path) -> anyhow::Result<()> {
    ensure!(!file.is_dir(), "{}: is a directory: name the file to be written in it", file.display());
    // What is replaced is a report, not a log or a configuration that was named by mistake.
    let is_page = file.extension().is_some_and(|ending| ending == "html" || ending == "htm");
    ensure!(is_page, "{}: a report is a page: name a file that ends in .html", file.display());
    temporary(file).map(drop)
}

fn temporary(file: &Path) -> anyhow::Result<NamedTempFile> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    NamedTempFile::with_prefix_in(".inkling-", directory)
        .with_context(|| format!("{}: cannot be written there", file.display()))
}

/// Writes a report, whole or not at all.
///
/// # Errors
/// When the disk fails.
pub fn write(file: &Path, page: &str) -> anyhow::Result<()> {
    let place = || format!("{}: cannot be written", file.display());
    let mut temporary = temporary(file)?;
    temporary.write_all(page.as_bytes()).with_context(place)?;
    // Temporary files are for their owner alone; a report is for others too.
    temporary.as_file().set_permissions(Permissions::from_mode(0o644)).with_context(place)?;
    temporary.persist(file).map(drop).map_err(|error| error.error).with_context(place)
}
