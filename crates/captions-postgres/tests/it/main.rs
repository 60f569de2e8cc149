//! The store against real Postgres servers of its own.
#![expect(clippy::unwrap_used, reason = "tests")]

mod contract;
mod limits;
mod migrations;
mod outages;
mod plans;
mod relay;
mod silence;

use std::{sync::Arc, time::Duration};

use captions_domain::{
    fault::{FaultKind, StoreError},
    ports::{Expect, UserStore},
};
use captions_postgres::{PgOptions, PgStore, PoolSnapshot};
use captions_testkit::{build, postgres::fresh_database};

/// Limits that no healthy call of a test meets, even on a busy machine.
fn options(url: &str) -> PgOptions {
    PgOptions {
        url: url.to_owned(),
        pool_size: 4,
        connect_timeout: Duration::from_secs(20),
        acquire_timeout: Duration::from_secs(20),
        statement_timeout: Duration::from_secs(20),
        idle_timeout: Duration::from_mins(10),
        max_lifetime: Duration::from_mins(30),
        pooling: true,
    }
}

/// A store with its tables, on a database of its own.
async fn store_with(change: impl FnOnce(&mut PgOptions)) -> (Arc<PgStore>, String) {
    let url = fresh_database().await;
    PgStore::new(options(&url)).unwrap().migrate().await.unwrap();
    let mut options = options(&url);
    change(&mut options);
    (Arc::new(PgStore::new(options).unwrap()), url)
}

/// One call that succeeds if the store works: nobody is there.
async fn look_up(store: &PgStore) -> Result<(), StoreError> {
    store
        .read(&build::context(), &build::user_id("nobody"))
        .await
        .map(|user| assert_eq!(user, None))
}

/// One call that has to wait for whoever holds a lock on the table of users.
async fn create(store: &PgStore) -> Result<u64, StoreError> {
    store
        .write(&build::context(), &build::user_full("ann"), Expect::Absent)
        .await
}

/// The most connections, those that wait for work, and those at work.
fn shape(store: &PgStore) -> (usize, usize, usize) {
    let pool = store.pool();
    (pool.limit, pool.idle, pool.in_use)
}

#[track_caller]
fn kind<T>(result: Result<T, StoreError>) -> FaultKind {
    match result {
        Err(StoreError::Fault(fault)) => fault.kind,
        Err(refused) => unreachable!("no fault but {refused}"),
        Ok(_) => unreachable!("no fault but success"),
    }
}
