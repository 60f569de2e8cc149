//! What the driver's errors mean for callers.

use std::borrow::Cow;

use captions_domain::fault::{Fault, FaultKind, StoreError};
use sqlx::{
    Error,
    error::DatabaseError,
    migrate::MigrateError,
    postgres::{PgDatabaseError, PgSeverity},
};

/// A refused duplicate is a conflict; everything else is a fault.
pub(crate) fn store_error(error: Error) -> StoreError {
    match &error {
        Error::Database(refusal) if refusal.is_unique_violation() => StoreError::Conflict,
        _ => fault(error).into(),
    }
}

pub(crate) fn fault(error: Error) -> Fault {
    Fault::because(kind(&error), error)
}

pub(crate) fn migration_fault(error: MigrateError) -> Fault {
    let kind = match &error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => kind(error),
        _ => FaultKind::Internal,
    };
    Fault::because(kind, error)
}

/// True if the connection can go on after this error: the server refused the one statement and nothing else is wrong.
/// After anything unexpected a new connection is the safe choice; it also heals what is bound to the session, such as
/// prepared statements that no longer fit their tables.
pub(crate) fn spares_connection(error: &Error) -> bool {
    let Error::Database(refusal) = error else {
        return false;
    };
    let code = refusal.code().unwrap_or_default();
    !is_fatal(refusal.as_ref()) && (code == "23505" || code == "57014" || code.starts_with("40"))
}

/// True if the error tells that the server or the way to it is gone, and with it every other connection most likely.
pub(crate) fn is_breakdown(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Protocol(_) => true,
        Error::Database(refusal) => is_fatal(refusal.as_ref()),
        _ => false,
    }
}

fn is_fatal(refusal: &dyn DatabaseError) -> bool {
    refusal
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|refusal| matches!(refusal.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

fn kind(error: &Error) -> FaultKind {
    match error {
        Error::Database(refusal) => kind_of_code(&refusal.code().unwrap_or(Cow::Borrowed(""))),
        Error::Io(_) => FaultKind::Unavailable,
        Error::Protocol(_)
        | Error::TypeNotFound { .. }
        | Error::ColumnIndexOutOfBounds { .. }
        | Error::ColumnNotFound(_)
        | Error::ColumnDecode { .. }
        | Error::Decode(_) => FaultKind::Corrupt,
        _ => FaultKind::Internal,
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn kind_of_code(code: &str) -> FaultKind {
    match code {
        // The statement was cancelled: by its time limit, as nobody else cancels.
        "57014" => FaultKind::Timeout,
        // The server has become a replica that takes no writes: a new connection may find the primary.
        "25006" => FaultKind::Unavailable,
        _ => match code.get(..2) {
            // Connection gone; transaction rolled back because of others; out of connections, disk or memory; shutting
            // down or starting; failure of the machine below.
            Some("08" | "40" | "53" | "57" | "58") => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        },
    }
}

#[cfg(test)]
mod tests;
