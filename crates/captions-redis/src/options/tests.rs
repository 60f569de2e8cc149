use std::{path::PathBuf, time::Duration};

use captions_domain::fault::FaultKind;
use rstest::rstest;

use super::RedisOptions;
use crate::RedisCache;

fn options(url: &str) -> RedisOptions {
    RedisOptions {
        url: url.to_owned(),
        ca_file: None,
        connections: 1,
        connect_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_millis(50),
        write_timeout: Duration::from_millis(500),
        prefix: "test".to_owned(),
        max_value_bytes: 1000,
    }
}

#[rstest]
#[case::plain("redis://127.0.0.1/")]
#[case::everything("redis://user:secret@cache.example:6380/3")]
#[case::tls("rediss://cache.example")]
#[case::socket("unix:///run/redis.sock")]
fn a_redis_url_is_taken_without_connecting(#[case] url: &str) {
    // Outside of any runtime: nothing can be going on in the background.
    RedisCache::new(options(url)).unwrap();
}

#[rstest]
#[case::no_url("nonsense")]
#[case::empty("")]
#[case::another_scheme("http://127.0.0.1/")]
#[case::a_bad_database("redis://127.0.0.1/first")]
#[case::no_check_of_the_certificate("rediss://127.0.0.1/#insecure")]
fn a_bad_url_is_our_own_mistake(#[case] url: &str) {
    assert_eq!(RedisCache::new(options(url)).unwrap_err().kind, FaultKind::Internal);
}

#[test]
fn no_connections_at_all_are_refused() {
    let none = RedisOptions {
        connections: 0,
        ..options("redis://127.0.0.1/")
    };

    assert_eq!(RedisCache::new(none).unwrap_err().kind, FaultKind::Internal);
}

#[rstest]
#[case::missing_file("rediss://127.0.0.1/", "/nonexistent/ca.pem")]
#[case::without_tls("redis://127.0.0.1/", "/dev/null")]
fn a_ca_file_that_cannot_count_is_refused(#[case] url: &str, #[case] file: &str) {
    let bad = RedisOptions {
        ca_file: Some(PathBuf::from(file)),
        ..options(url)
    };

    assert_eq!(RedisCache::new(bad).unwrap_err().kind, FaultKind::Internal);
}

#[rstest]
#[case::with_a_user("redis://user:hunter2@127.0.0.1:6379/0")]
#[case::without_a_user("rediss://:hunter2@127.0.0.1:6379/0")]
#[case::not_even_a_url("hunter2@127.0.0.1")]
#[case::refused_for_another_reason("redis://:hunter2@127.0.0.1/first")]
fn the_password_is_never_printed(#[case] url: &str) {
    let options = options(url);

    assert!(!format!("{options:?}").contains("hunter2"));
    let printed = match RedisCache::new(options) {
        Ok(cache) => format!("{cache:?}"),
        Err(fault) => format!("{fault:?} {fault}"),
    };
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn the_rest_of_the_url_is_printed() {
    let printed = format!("{:?}", options("redis://user:hunter2@cache.example:6380/3"));

    assert!(printed.contains("redis://user:***@cache.example:6380/3"), "{printed}");
}

#[test]
fn a_command_does_not_wait_for_the_acknowledgement_of_the_one_before() {
    let client = options("redis://127.0.0.1/").client().unwrap();

    assert!(client.get_connection_info().tcp_settings().nodelay());
}
