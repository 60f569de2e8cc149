//! What the monitor says after traffic that is known.

use captions_resilience::monitor::{Operation, Outcome, Summary};
use captions_testkit::{
    llm::{FakeLlm, Turn},
    postgres, redis,
};

use super::*;

const BRIEF: &str = "golden hour at our cafe in Lisbon";

fn with_provider(server: &FakeLlm) -> Machine {
    crate::install_crypto();
    let list = format!(
        "[{{name = 'primary', kind = 'openai', model = 'm', base_url = '{}'}}]",
        server.base_url()
    );
    Machine::new()
        .env("CAPTIONS_LLM__PROVIDERS", &list)
        .flag("api.retry_delay", "0")
}

fn totals(summary: &Summary, operations: &[&str]) -> Vec<u64> {
    operations.iter().map(|name| summary.operations[*name].total).collect()
}

#[tokio::test]
async fn what_a_request_asks_of_each_port_is_counted_and_each_call_by_itself() {
    let server = FakeLlm::start().await;
    server.reply(Turn::unavailable());
    // Its folder goes with it.
    let machine = with_provider(&server);
    let assembled = assembled(&machine).await;

    // A failed attempt and a good one; then the same again, from the cache.
    for _ in 0..2 {
        generate(&assembled, BRIEF).await.unwrap();
    }

    let summary = assembled.monitor.summary();
    assert_eq!(
        totals(
            &summary,
            &["llm.complete", "llm.stream", "captions.append", "users.write"]
        ),
        [1, 0, 1, 0]
    );
    let provider = &summary.api.providers["primary"];
    assert_eq!(
        (provider.calls.total, provider.calls.ok, provider.calls.failed),
        (2, 1, 1)
    );
    assert_eq!((summary.api.calls.total, summary.api.error_rate), (2, Some(0.5)));
    assert!(summary.api.avg_response_time.unwrap() > 0.0 && provider.tokens.output > 0);
    assert_eq!(provider.breaker.as_ref().unwrap().state, "closed");
    assert_eq!(
        (summary.cache.look_ups, summary.cache.hits, summary.cache.hit_rate),
        (2, 1, Some(0.5))
    );
    let memory = summary.cache.memory.unwrap();
    assert!(
        memory.entries >= 1 && memory.bytes > 100 && memory.limit == 67_108_864,
        "{memory:?}"
    );
    assert!(
        summary.database.queries >= 1 && summary.database.error_rate == Some(0.0),
        "{:?}",
        summary.database
    );
    assert_eq!(
        summary.database.pool.unwrap().size,
        4.max(u64::from(cpus() * 2)).min(20)
    );
    assert!(summary.process.unwrap().resident_bytes > 0);
    assert!(summary.cache.shared.is_none());
    let names: Vec<String> = assembled.monitor.breakers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["database", "api.primary"]);
}

fn cpus() -> u32 {
    u32::try_from(thread::available_parallelism().unwrap().get()).unwrap()
}

#[tokio::test]
async fn the_shared_cache_and_the_pool_of_postgres_are_counted_where_they_are() {
    let (server, shared) = (FakeLlm::start().await, redis::Server::start());
    let machine = with_provider(&server)
        .env("REDIS_URL", &shared.url())
        .env("DATABASE_URL", &postgres::fresh_database().await);
    let assembled = assembled(&machine).await;

    generate(&assembled, BRIEF).await.unwrap();

    let summary = assembled.monitor.summary();
    let shared = summary.cache.shared.unwrap();
    assert!(shared.calls.total >= 2 && shared.calls.failed == 0, "{shared:?}");
    let pool = summary.database.pool.unwrap();
    assert!(pool.idle >= 1 && pool.idle + pool.in_use <= pool.size, "{pool:?}");
    let names: Vec<String> = assembled.monitor.breakers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["database", "cache", "api.primary"]);
}

#[tokio::test]
async fn the_window_of_the_settings_is_what_recent_means() {
    let assembled = assembled(&machine().flag("monitor.window", "10")).await;
    // From here on nothing real is waited for.
    tokio::time::pause();
    let timer = assembled.monitor.begin(Operation::CaptionGeneration);
    timer.end(Outcome::Ok);

    let before = assembled.monitor.summary();
    tokio::time::advance(Duration::from_secs(12)).await;
    let after = assembled.monitor.summary();

    assert!((before.window - 10.0).abs() < 1e-9);
    assert_eq!(
        [before.recent.total, after.recent.total, after.total_operations],
        [1, 0, 1]
    );
}

#[tokio::test]
async fn a_task_that_blocks_is_noticed_only_if_the_settings_say_so() {
    for (limit, is_noticed) in [("0.05", true), ("0", false)] {
        let machine = machine().flag("monitor.stall_limit", limit);
        let assembled = assembled(&machine).await;
        assembled.watch_event_loop();
        // The detector begins once this task lets it, and is kept from its turn by a thread that does not wait but block.
        tokio::task::yield_now().await;
        thread::sleep(Duration::from_millis(300));
        // By the time of a timer that was set after its turn, it had it.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let noticed = async {
            while is_noticed && assembled.monitor.summary().event_loop.stalls == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(LIMIT, noticed).await.unwrap();

        let seen = assembled.monitor.summary().event_loop;

        assert_eq!(
            (seen.stalls > 0, seen.max_lag > 0.05),
            (is_noticed, is_noticed),
            "{seen:?}"
        );
        assembled.shutdown().await;
    }
}
