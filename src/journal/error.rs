//! Why a journal refuses or fails, with the file, the frame and what can be done.

use std::io::{self, ErrorKind};

use thiserror::Error;

use super::{FRAME_BYTES_MAX, JOURNAL_FORMAT};

/// What an operator can do about a part of the journal that is lost.
const REMEDY: &str = "restore the data directory from a backup, or let `inkling repair` say what it would drop";

/// Why a journal refuses or fails.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JournalError {
    /// The frame is larger than any journal takes.
    #[error("a frame of {bytes} bytes is refused: at most {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// Size of the frame.
        bytes: usize,
    },
    /// Too much was taken and not yet returned.
    #[error("the journal is full: {frames} frames of {bytes} bytes wait, at most {frames_max} of {bytes_max} may")]
    Full {
        /// Waiting frames.
        frames: usize,
        /// Their bytes.
        bytes: usize,
        /// Most waiting frames.
        frames_max: usize,
        /// Most waiting bytes.
        bytes_max: usize,
    },
    /// Frames that nobody has read would be let go.
    #[error("frames below {below} cannot be let go: frame {next} was not read yet")]
    TrimAhead {
        /// Where trimming was to end.
        below: u64,
        /// The next frame to be read.
        next: u64,
    },
    /// A write or a sync failed earlier.
    #[error("{cause}; the journal refuses after a failed write: restart to recover")]
    Poisoned {
        /// The first failure.
        cause: String,
    },
    /// The frame that was found is not the one whose turn it is.
    #[error(
        "{file}: frame {found} was found where frame {expected} belongs: a part of the journal is missing; {REMEDY}"
    )]
    Gap {
        /// Where the frame was found.
        file: String,
        /// The frame whose turn it is.
        expected: u64,
        /// The frame that was found.
        found: u64,
    },
    /// A file begins with frames that the one before it holds as well.
    #[error(
        "{file}: begins with frame {first}, which the file before it holds too: files of two journals are mixed; \
         {REMEDY}"
    )]
    Rewound {
        /// The later file.
        file: String,
        /// Its first frame.
        first: u64,
    },
    /// The journal ends before the frame at which it is to be read.
    #[error(
        "the journal ends with frame {last}, though the snapshot covers frame {covered}: its end is missing; {REMEDY}"
    )]
    Ends {
        /// Last frame of the journal.
        last: u64,
        /// Last frame that the state to go on from has seen.
        covered: u64,
    },
    /// The newest file is gone.
    #[error(
        "{file}: is missing, and the latest frames were in it: put it back; or restore the data directory from a \
         backup, or let `inkling repair` say what there is without it"
    )]
    Lost {
        /// Which file.
        file: String,
    },
    /// The note which file is the newest cannot be read.
    #[error(
        "journal.newest, the note which journal file is the newest, cannot be read: {cause}; where all journal files \
         are there, delete it: the next start writes it"
    )]
    Note {
        /// What is wrong with it.
        cause: String,
    },
    /// The frame is not what was appended.
    #[error("{file}: frame {seq} is damaged: its checksum is wrong; {REMEDY}")]
    Damaged {
        /// Where it stands.
        file: String,
        /// Which frame.
        seq: u64,
    },
    /// This user may not read a file, or not write it where it is appended to; what is in it may well be whole.
    #[error("{file}: cannot be opened: {cause}")]
    Denied {
        /// Which file.
        file: String,
        /// What the system says, and what can be done.
        cause: String,
    },
    /// A file cannot be read as a part of a journal.
    #[error("{file}: cannot be read: {cause}; {REMEDY}")]
    Unreadable {
        /// Which file.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A file was written by a later version.
    #[error(
        "{file}: is of format {found}, this version knows format {JOURNAL_FORMAT}: start the version that wrote it, or \
         a later one"
    )]
    Version {
        /// Which file.
        file: String,
        /// Its format.
        found: u32,
    },
    /// A file belongs to another identity key: its users would not be found.
    #[error(
        "{file}: belongs to the identity key {found}, this directory's is {expected}: put back the file identity.key \
         that belongs to the journal"
    )]
    Foreign {
        /// Which file.
        file: String,
        /// Fingerprint of the key it belongs to.
        found: String,
        /// Fingerprint of the directory's key.
        expected: String,
    },
}

/// What a failed read or write means, in words: a full disk is the one failure that an operator can mend at once.
pub(super) fn cause(error: impl Into<redb::Error>) -> String {
    match error.into() {
        redb::Error::Io(error) => io_cause(&error),
        error => error.to_string(),
    }
}

/// The same of the system's own errors, each with what an operator can do.
pub fn io_cause(error: &io::Error) -> String {
    let what = match error.kind() {
        ErrorKind::StorageFull => "the disk is full: make room, then start again",
        ErrorKind::QuotaExceeded => "the disk quota is used up: raise it, then start again",
        ErrorKind::ReadOnlyFilesystem => "the file system can only be read: mount it for writing, or use another one",
        ErrorKind::PermissionDenied => {
            "this user may not: run inkling as the user whom the directory belongs to, who may write there"
        }
        ErrorKind::IsADirectory => "a directory stands where a file belongs: move it away",
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => "a file stands where a directory belongs: name another",
        ErrorKind::NotFound => "it is not there",
        _ => "the disk failed",
    };
    format!("{what} ({error})")
}
