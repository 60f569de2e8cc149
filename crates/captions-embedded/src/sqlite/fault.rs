//! What the driver's errors mean for callers.

use std::{borrow::Cow, io, path::Path};

use captions_domain::fault::{Fault, FaultKind, StoreError};
use sqlx::{Error, migrate::MigrateError};

/// A refused duplicate is a conflict; everything else is a fault.
pub(super) fn store_error(error: Error) -> StoreError {
    match &error {
        Error::Database(refusal) if refusal.is_unique_violation() => StoreError::Conflict,
        _ => fault(error).into(),
    }
}

pub(crate) fn fault(error: Error) -> Fault {
    Fault::because(kind(&error), error)
}

pub(super) fn migration_fault(error: MigrateError) -> Fault {
    let kind = match &error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => kind(error),
        _ => FaultKind::Internal,
    };
    Fault::because(kind, error)
}

/// A file or folder that cannot be made.
pub(crate) fn file_fault(path: &Path, error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied
        | io::ErrorKind::ReadOnlyFilesystem
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        | io::ErrorKind::AlreadyExists
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::InvalidFilename => FaultKind::Internal,
        _ => FaultKind::Unavailable,
    };
    Fault::because(kind, format!("{}: {error}", path.display()))
}

/// True if somebody else holds the file right now.
pub(super) fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Database(refusal) if matches!(primary(refusal.code()), Some(5 | 6)))
}

fn kind(error: &Error) -> FaultKind {
    match error {
        Error::Database(refusal) => kind_of_code(primary(refusal.code())),
        // Not a slow disk but a line that is too long: opening the file is a small part of the wait.
        Error::PoolTimedOut => FaultKind::Overloaded,
        Error::PoolClosed | Error::WorkerCrashed | Error::Io(_) => FaultKind::Unavailable,
        Error::Protocol(_)
        | Error::TypeNotFound { .. }
        | Error::ColumnIndexOutOfBounds { .. }
        | Error::ColumnNotFound(_)
        | Error::ColumnDecode { .. }
        | Error::Decode(_) => FaultKind::Corrupt,
        _ => FaultKind::Internal,
    }
}

/// The result code without its extension: <https://www.sqlite.org/rescode.html>.
fn primary(code: Option<Cow<'_, str>>) -> Option<u32> {
    code?.parse::<u32>().ok().map(|code| code & 0xff)
}

fn kind_of_code(primary: Option<u32>) -> FaultKind {
    match primary {
        // Busy, locked: the wait for whoever holds it is over. Interrupted.
        Some(5 | 6 | 9) => FaultKind::Timeout,
        // No memory, input or output error, disk full, cannot open: the machine's trouble, which may pass.
        Some(7 | 10 | 13 | 14) => FaultKind::Unavailable,
        // Damaged, or not a database at all.
        Some(11 | 26) => FaultKind::Corrupt,
        // Among them 8, read-only: no retry makes it writable.
        _ => FaultKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::busy("5", FaultKind::Timeout)]
    #[case::busy_snapshot("517", FaultKind::Timeout)]
    #[case::read_only("8", FaultKind::Internal)]
    #[case::input_output("522", FaultKind::Unavailable)]
    #[case::damaged("11", FaultKind::Corrupt)]
    #[case::disk_full("13", FaultKind::Unavailable)]
    #[case::cannot_open("14", FaultKind::Unavailable)]
    #[case::not_a_database("26", FaultKind::Corrupt)]
    #[case::bad_statement("1", FaultKind::Internal)]
    fn a_result_code_has_its_kind(#[case] code: &str, #[case] kind: FaultKind) {
        assert_eq!(kind_of_code(primary(Some(code.into()))), kind);
    }

    #[rstest]
    #[case::no_slot(Error::PoolTimedOut, FaultKind::Overloaded)]
    #[case::closed(Error::PoolClosed, FaultKind::Unavailable)]
    #[case::undecodable(Error::Decode("what?".into()), FaultKind::Corrupt)]
    fn an_error_of_the_driver_has_its_kind(#[case] error: Error, #[case] kind: FaultKind) {
        assert_eq!(fault(error).kind, kind);
    }
}
