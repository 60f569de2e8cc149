//! What the driver's errors mean.

use std::{error::Error, io, sync::Arc};

use captions_domain::fault::{Fault, FaultKind};
use redis::{ErrorKind, RedisError, ServerError, ServerErrorKind};

/// Classifies an error of the driver or of the server.
pub(crate) fn fault(error: &RedisError) -> Fault {
    Fault::because(kind(error), error.clone())
}

/// True if the connection that gave this error is of no use any more.
pub(crate) fn breaks_connection(error: &RedisError) -> bool {
    // A replica that was a master a moment ago: the name may lead to the new master by now.
    let demoted = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly);
    demoted || error.is_io_error() || error.is_unrecoverable_error()
}

fn kind(error: &RedisError) -> FaultKind {
    if error.is_timeout() {
        return FaultKind::Timeout;
    }
    match error.kind() {
        // What TLS reports about certificates and about servers that do not speak it: a matter of settings.
        ErrorKind::Io if io_kind(error) == Some(io::ErrorKind::InvalidData) => FaultKind::Internal,
        ErrorKind::Io
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::MasterNameNotFoundBySentinel
        | ErrorKind::NoValidReplicasFoundBySentinel => FaultKind::Unavailable,
        ErrorKind::Parse | ErrorKind::UnexpectedReturnType => FaultKind::Corrupt,
        ErrorKind::Server(server) => match server {
            ServerErrorKind::BusyLoading
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly => FaultKind::Unavailable,
            // Told in words only.
            ServerErrorKind::ResponseError if says(error, "max number of clients") => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        },
        ErrorKind::Extension => match server_error(error).as_ref().map(ServerError::code) {
            // Somebody else's list or set stands at our key.
            Some("WRONGTYPE") => FaultKind::Corrupt,
            // Redis is full and may not evict. It still reads, so it is not down, and asking again is no help.
            Some("OOM") => FaultKind::Overloaded,
            // A script that does not end; a disk that takes no snapshot; too few replicas for a write.
            Some("BUSY" | "MISCONF" | "NOREPLICAS") => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        },
        _ => FaultKind::Internal,
    }
}

fn says(error: &RedisError, words: &str) -> bool {
    server_error(error).is_some_and(|error| error.details().is_some_and(|details| details.contains(words)))
}

/// What the server answered to the command, or to the first command of a pipeline that it did not like.
fn server_error(error: &RedisError) -> Option<ServerError> {
    error
        .clone()
        .into_server_errors()?
        .first()
        .map(|(_, error)| error.clone())
}

fn io_kind(error: &RedisError) -> Option<io::ErrorKind> {
    let source = error.source()?;
    let io = match source.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        Some(shared) => shared.downcast_ref::<io::Error>(),
        None => source.downcast_ref(),
    };
    io.map(io::Error::kind)
}

#[cfg(test)]
mod tests;
