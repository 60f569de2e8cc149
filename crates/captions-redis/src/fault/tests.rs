use std::io;

use captions_domain::fault::FaultKind;
use redis::{RedisError, RedisResult, Value};
use rstest::rstest;

use super::{breaks_connection, fault};

/// The driver's error for what a server answers.
fn answer(line: &str) -> RedisError {
    let value: RedisResult<Value> = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
    value.and_then(Value::extract_error).unwrap_err()
}

#[rstest]
#[case::starting("LOADING Redis is loading the dataset in memory", FaultKind::Unavailable)]
#[case::replica("READONLY You can't write against a read only replica.", FaultKind::Unavailable)]
#[case::cluster("CLUSTERDOWN The cluster is down", FaultKind::Unavailable)]
#[case::no_master("MASTERDOWN Link with MASTER is down", FaultKind::Unavailable)]
#[case::full_house("ERR max number of clients reached", FaultKind::Unavailable)]
#[case::disk("MISCONF Redis is configured to save RDB snapshots", FaultKind::Unavailable)]
#[case::script("BUSY Redis is busy running a script.", FaultKind::Unavailable)]
#[case::memory("OOM command not allowed when used memory > 'maxmemory'.", FaultKind::Overloaded)]
#[case::no_login("NOAUTH Authentication required.", FaultKind::Internal)]
#[case::wrong_login("WRONGPASS invalid username-password pair or user is disabled.", FaultKind::Internal)]
#[case::not_allowed("NOPERM this user has no permissions to run the 'get' command", FaultKind::Internal)]
#[case::elsewhere("MOVED 3999 127.0.0.1:6381", FaultKind::Internal)]
#[case::bad_command("ERR unknown command", FaultKind::Internal)]
#[case::foreign_value(
    "WRONGTYPE Operation against a key holding the wrong kind of value",
    FaultKind::Corrupt
)]
fn the_servers_words_are_understood(#[case] line: &str, #[case] kind: FaultKind) {
    assert_eq!(fault(&answer(line)).kind, kind);
}

#[rstest]
#[case::refused(io::ErrorKind::ConnectionRefused, FaultKind::Unavailable)]
#[case::reset(io::ErrorKind::ConnectionReset, FaultKind::Unavailable)]
#[case::broken(io::ErrorKind::BrokenPipe, FaultKind::Unavailable)]
#[case::cut(io::ErrorKind::UnexpectedEof, FaultKind::Unavailable)]
#[case::late(io::ErrorKind::TimedOut, FaultKind::Timeout)]
#[case::tls(io::ErrorKind::InvalidData, FaultKind::Internal)]
fn the_connections_errors_are_understood(#[case] error: io::ErrorKind, #[case] kind: FaultKind) {
    assert_eq!(fault(&RedisError::from(io::Error::from(error))).kind, kind);
}

#[rstest]
#[case::broken(RedisError::from(io::Error::from(io::ErrorKind::BrokenPipe)), true)]
#[case::demoted(answer("READONLY You can't write against a read only replica."), true)]
#[case::full(answer("OOM command not allowed"), false)]
#[case::foreign_value(answer("WRONGTYPE Operation"), false)]
fn a_connection_is_given_up_only_when_it_is_the_cause(#[case] error: RedisError, #[case] expected: bool) {
    assert_eq!(breaks_connection(&error), expected);
}
