//! Logins and TLS.

use std::sync::Arc;

use captions_domain::fault::FaultKind;
use captions_redis::{RedisCache, RedisOptions};
use captions_testkit::{
    contract::cache::{self as contract, key},
    redis::Server,
};
use rstest::rstest;

use super::{get, patient};

#[rstest]
#[case::none("", FaultKind::Internal)]
#[case::wrong(":wrong@", FaultKind::Internal)]
#[tokio::test]
async fn a_refused_login_is_our_own_mistake(#[case] login: &str, #[case] kind: FaultKind) {
    let server = Server::start_with(&["--requirepass", "secret"]);
    let url = format!("redis://{login}127.0.0.1:{}/", server.port());
    let cache = RedisCache::new(patient(url)).unwrap();

    let fault = get(&cache, &key()).await.unwrap_err();

    assert_eq!(fault.kind, kind, "{fault:?}");
    assert!(!fault.is_transient());
}

#[tokio::test]
async fn a_login_is_accepted() {
    let server = Server::start_with(&["--requirepass", "secret"]);
    let url = format!("redis://:secret@127.0.0.1:{}/", server.port());

    RedisCache::new(patient(url)).unwrap().ping().await.unwrap();
}

#[tokio::test]
async fn tls_with_the_servers_own_authority_keeps_the_contract() {
    install_ring();
    let server = Server::start_tls();
    let options = RedisOptions {
        ca_file: Some(server.ca_file().to_owned()),
        ..patient(server.tls_url())
    };

    contract::suite(Arc::new(RedisCache::new(options).unwrap())).await;
}

#[tokio::test]
async fn tls_with_an_unknown_authority_is_refused() {
    install_ring();
    let (server, stranger) = (Server::start_tls(), Server::start_tls());
    let options = RedisOptions {
        ca_file: Some(stranger.ca_file().to_owned()),
        ..patient(server.tls_url())
    };

    let fault = get(&RedisCache::new(options).unwrap(), &key()).await.unwrap_err();

    assert_eq!(fault.kind, FaultKind::Internal, "{fault:?}");
}

/// Done by each program's main; under nextest every test is a process, under cargo test the first one wins.
fn install_ring() {
    drop(rustls::crypto::ring::default_provider().install_default());
}
