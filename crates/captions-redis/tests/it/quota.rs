//! Limits of rate on a real server: their contract, many processes, what is left behind, a server that comes and goes.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use captions_domain::{
    fault::FaultKind,
    ports::{Quota, QuotaKey},
    quota::{Amount, Correction, Plan, Take, Unit, Window},
};
use captions_redis::{RedisCache, RedisOptions, RedisQuota};
use captions_testkit::{
    build::context,
    contract::quota::{self as contract, key},
    redis::{Server, shared},
};
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::{options, patient, raw};

fn quota(options: RedisOptions) -> RedisQuota {
    RedisCache::new(options).unwrap().quota()
}

fn one() -> Take {
    Take {
        amount: Amount::request(0),
        ..Take::default()
    }
}

/// Nothing comes back from it during a test.
fn a_month(limit: u64) -> Plan {
    Plan::new([Window::new(Unit::Requests, limit, Duration::from_hours(24 * 30))])
}

#[tokio::test]
async fn limits_keep_the_contract() {
    contract::suite(Arc::new(quota(patient(shared().url())))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_get_the_limit_and_not_one_more() {
    contract::many_at_once_share_one_limit(Arc::new(quota(patient(shared().url())))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_count_who_is_there_to_the_last_one() {
    let options = patient(shared().url());
    let processes: Vec<Arc<dyn Quota>> = (0..3)
        .map(|_| Arc::new(quota(options.clone())) as Arc<dyn Quota>)
        .collect();
    contract::many_at_once_are_there_together(&processes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_share_one_limit_to_the_last_request() {
    let options = patient(shared().url());
    let processes: Vec<_> = (0..3).map(|_| Arc::new(quota(options.clone()))).collect();
    let (key, plan) = (key(), a_month(200));
    let calls = (0..600).map(|number| {
        let (process, key, plan) = (Arc::clone(&processes[number % 3]), key.clone(), plan.clone());
        tokio::spawn(async move { process.take(&context(), &key, &plan, &one()).await.unwrap().is_taken })
    });

    let taken = join_all(calls)
        .await
        .into_iter()
        .filter(|taken| *taken.as_ref().unwrap())
        .count();

    assert_eq!(taken, 200);
}

#[tokio::test]
async fn two_prefixes_do_not_share() {
    let (one_side, other) = (quota(patient(shared().url())), quota(patient(shared().url())));
    let (key, plan) = (key(), a_month(1));

    assert!(one_side.take(&context(), &key, &plan, &one()).await.unwrap().is_taken);
    assert!(other.take(&context(), &key, &plan, &one()).await.unwrap().is_taken);
}

#[tokio::test]
async fn a_meter_has_one_key_that_goes_when_it_is_full() {
    let server = Server::start();
    let (quota, mut raw) = (quota(patient(server.url())), raw(&server).await);
    let key = QuotaKey::new("test", "a caller");
    let plan = Plan::per_minute_and_hour(60, 1000, 500);
    let take = Take {
        amount: Amount::request(400),
        ..Take::default()
    };
    quota.take(&context(), &key, &plan, &take).await.unwrap();

    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut raw).await.unwrap();
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert!(keys[0].contains(&format!("{{{key}}}")), "{keys:?}");
    assert!(!keys[0].contains("caller"), "{keys:?}");
    let left: i64 = redis::cmd("PTTL").arg(&keys[0]).query_async(&mut raw).await.unwrap();
    // 400 of 500 tokens come back in 48 s.
    assert!((1..=48_001).contains(&left), "{left} ms");

    let all = Take {
        correction: Correction::of(Amount::request(400), Amount::default()),
        ..Take::default()
    };
    quota.take(&context(), &key, &plan, &all).await.unwrap();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut raw).await.unwrap();
    assert_eq!(keys, Vec::<String>::new());
}

#[tokio::test]
async fn a_refusal_writes_nothing() {
    let server = Server::start();
    let (quota, mut raw) = (quota(patient(server.url())), raw(&server).await);
    let (key, plan) = (key(), a_month(1));
    quota.take(&context(), &key, &plan, &one()).await.unwrap();
    let stored: String = redis::cmd("KEYS")
        .arg("*")
        .query_async::<Vec<String>>(&mut raw)
        .await
        .unwrap()
        .remove(0);
    let read = async |raw: &mut redis::aio::MultiplexedConnection| -> String {
        redis::cmd("GET").arg(&stored).query_async(raw).await.unwrap()
    };
    let before = read(&mut raw).await;

    assert!(!quota.take(&context(), &key, &plan, &one()).await.unwrap().is_taken);

    assert_eq!(read(&mut raw).await, before);
}

#[tokio::test]
async fn something_else_in_its_place_is_told_and_not_believed() {
    let server = Server::start();
    let (quota, mut raw) = (quota(patient(server.url())), raw(&server).await);
    let (key, plan) = (key(), a_month(1));
    quota.take(&context(), &key, &plan, &one()).await.unwrap();
    let stored: String = redis::cmd("KEYS")
        .arg("*")
        .query_async::<Vec<String>>(&mut raw)
        .await
        .unwrap()
        .remove(0);
    let _: () = redis::cmd("DEL").arg(&stored).query_async(&mut raw).await.unwrap();
    let _: () = redis::cmd("LPUSH")
        .arg(&stored)
        .arg("x")
        .query_async(&mut raw)
        .await
        .unwrap();

    let fault = quota.take(&context(), &key, &plan, &one()).await.unwrap_err();

    assert_eq!(fault.kind, FaultKind::Corrupt, "{fault:?}");
}

#[tokio::test]
async fn a_server_that_is_gone_is_told_at_once_and_one_that_forgot_the_script_is_taught_it() {
    let mut server = Server::start();
    let quota = quota(options(server.url()));
    let (key, plan) = (key(), a_month(5));
    while quota.take(&context(), &key, &plan, &one()).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }

    server.kill();
    let mut faults = 0;
    while faults < 3 {
        let fault = quota.take(&context(), &key, &plan, &one()).await.unwrap_err();
        assert!(
            matches!(fault.kind, FaultKind::Unavailable | FaultKind::Timeout),
            "{fault:?}"
        );
        faults += 1;
    }

    server.restart();
    let begun = Instant::now();
    while let Err(fault) = quota.take(&context(), &key, &plan, &one()).await {
        assert!(begun.elapsed() < Duration::from_secs(20), "still {fault:?}");
        sleep(Duration::from_millis(20)).await;
    }
    let _: () = redis::cmd("SCRIPT")
        .arg("FLUSH")
        .query_async(&mut raw(&server).await)
        .await
        .unwrap();
    let begun = Instant::now();
    while let Err(fault) = quota.take(&context(), &key, &plan, &one()).await {
        assert_ne!(fault.kind, FaultKind::Internal, "{fault:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "still {fault:?}");
    }
}
