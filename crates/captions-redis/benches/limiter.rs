//! How many limits a server decides over one multiplexed connection, many callers at once. Starts a private server.
//! `cargo bench -p captions-redis`
#![expect(clippy::expect_used, reason = "without a server there is nothing to measure")]

use std::{sync::Arc, time::Duration};

use captions_domain::{
    ports::{Quota, QuotaKey},
    quota::{Amount, Plan, Take},
};
use captions_redis::{RedisCache, RedisOptions};
use captions_testkit::{
    build::context,
    redis::{Server, prefix},
};
use divan::{Bencher, counter::ItemsCount};
use futures_util::{StreamExt as _, stream};

/// Decisions of one round.
const DECISIONS: usize = 10_000;

fn main() {
    divan::main();
}

/// With so many callers at once, each with a limit of its own.
#[divan::bench(args = [1, 64, 256], sample_count = 20, sample_size = 1)]
fn decisions(bencher: Bencher<'_, '_>, callers: usize) {
    let server = Server::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let limit = Duration::from_secs(20);
    let cache = RedisCache::new(RedisOptions {
        url: server.url(),
        ca_file: None,
        connections: 1,
        connect_timeout: limit,
        read_timeout: limit,
        write_timeout: limit,
        prefix: prefix(),
        max_value_bytes: 1 << 20,
    })
    .expect("the settings of a cache");
    let quota: Arc<dyn Quota> = Arc::new(cache.quota());
    let (cx, plan) = (context(), Plan::per_minute_and_hour(1 << 20, 0, 0));
    let take = Take {
        amount: Amount::request(0),
        ..Take::default()
    };
    let keys: Vec<QuotaKey> = (0..callers)
        .map(|caller| QuotaKey::new("bench", &caller.to_string()))
        .collect();
    let all = || {
        runtime.block_on(
            stream::iter(0..DECISIONS)
                .map(|number| quota.take(&cx, &keys[number % callers], &plan, &take))
                .buffer_unordered(callers)
                .for_each(|decision| {
                    decision.expect("a decision");
                    std::future::ready(())
                }),
        );
    };
    // The server learns the script.
    all();
    bencher.counter(ItemsCount::new(DECISIONS)).bench_local(all);
}
