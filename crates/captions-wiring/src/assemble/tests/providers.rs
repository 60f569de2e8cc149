use captions_domain::{
    caption::Source,
    engine::Event,
    request::{CaptionText, Language},
    rewrite::{Operation, RewriteRequest},
};
use captions_resilience::breaker::Breaker;
use captions_testkit::llm::{FakeLlm, Turn};
use futures_util::StreamExt as _;

use super::*;

const BRIEF: &str = "golden hour at our cafe in Lisbon";

/// A machine whose providers are these servers, in this order, named `p0`, `p1` and so on.
fn machine_with(servers: &[&FakeLlm]) -> Machine {
    crate::install_crypto();
    let entry = |(index, server): (usize, &&FakeLlm)| {
        format!(
            "{{name = 'p{index}', kind = 'openai', model = 'm', base_url = '{}'}}",
            server.base_url()
        )
    };
    let entries: Vec<String> = servers.iter().enumerate().map(entry).collect();
    Machine::new()
        .env("CAPTIONS_LLM__PROVIDERS", &format!("[{}]", entries.join(", ")))
        .flag("api.retry_delay", "0")
}

#[tokio::test]
async fn the_first_provider_writes() {
    let (first, second) = (FakeLlm::start().await, FakeLlm::start().await);
    let assembled = assembled(&machine_with(&[&first, &second])).await;

    let answer = generate(&assembled, BRIEF).await.unwrap();

    assert_eq!(
        (answer.source, answer.caption.provider.as_str()),
        (Source::Provider, "p0")
    );
    assert_eq!((first.count(), second.count()), (1, 0));
}

#[tokio::test]
async fn the_next_provider_writes_when_the_first_is_down_within_the_attempts_of_the_request() {
    let (first, second) = (FakeLlm::start().await, FakeLlm::start().await);
    first.always(Turn::unavailable());
    let assembled = assembled(&machine_with(&[&first, &second])).await;

    let answer = generate(&assembled, BRIEF).await.unwrap();

    assert_eq!(answer.caption.provider, "p1");
    assert_eq!((first.count(), second.count(), answer.attempts), (2, 1, 3));
}

#[tokio::test]
async fn two_entries_for_the_same_host_and_model_share_a_breaker() {
    let (first, second) = (FakeLlm::start().await, FakeLlm::start().await);
    let assembled = assembled(&machine_with(&[&first, &first, &second])).await;

    assembled.monitor.with_breaker("api.p1", Breaker::force_open).unwrap();
    let answer = generate(&assembled, BRIEF).await.unwrap();

    assert_eq!(answer.caption.provider, "p2");
    assert_eq!((first.count(), second.count()), (0, 1));
}

#[tokio::test]
async fn the_attempts_of_the_settings_are_the_most_that_are_made() {
    let server = FakeLlm::start().await;
    server.always(Turn::unavailable());
    let assembled = assembled(&machine_with(&[&server]).flag("api.max_attempts", "2")).await;

    generate(&assembled, BRIEF).await.unwrap();

    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn the_template_answers_below_the_chain_only_if_the_settings_allow_it() {
    let server = FakeLlm::start().await;
    server.always(Turn::unavailable());
    let with = assembled(&machine_with(&[&server])).await;
    let without = assembled(&machine_with(&[&server]).flag("fallback.template", "false")).await;

    assert_eq!(generate(&with, BRIEF).await.unwrap().source, Source::Template);
    assert!(generate(&without, BRIEF).await.is_err());
}

#[tokio::test]
async fn a_stale_caption_is_served_only_if_the_settings_allow_it() {
    for (stale, expected) in [("true", Source::Stale), ("false", Source::Template)] {
        let server = FakeLlm::start().await;
        server.reply(Turn::fitting()).always(Turn::unavailable());
        let machine = machine_with(&[&server])
            .flag("cache.caption", "1")
            .flag("fallback.stale", stale);
        let assembled = assembled(&machine).await;
        generate(&assembled, BRIEF).await.unwrap();

        let late = async {
            loop {
                let answer = generate(&assembled, BRIEF).await.unwrap();
                if answer.source != Source::Cache {
                    return answer.source;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };

        assert_eq!(timeout(LIMIT, late).await.unwrap(), expected);
    }
}

#[tokio::test]
async fn a_provider_that_keeps_failing_is_left_alone_if_its_breaker_is_on() {
    for (enabled, calls) in [("true", 2), ("false", 6)] {
        let server = FakeLlm::start().await;
        server.always(Turn::unavailable());
        let machine = machine_with(&[&server])
            .flag("api.max_attempts", "1")
            .flag("api.breaker.failure_threshold", "2")
            .flag("api.breaker.enabled", enabled);
        let assembled = assembled(&machine).await;

        for _ in 0..6 {
            assert_eq!(generate(&assembled, BRIEF).await.unwrap().source, Source::Template);
        }

        // The first probe is due after half a second at most; a slow machine may get as far as one.
        let made = server.count();
        assert!(
            (calls..=calls + 1).contains(&made),
            "{made} calls with the breaker {enabled}"
        );
        let status = until(&assembled, "p0", enabled == "false").await;
        assert_eq!(status.breaker.is_some(), enabled == "true");
    }
}

#[tokio::test]
async fn an_attempt_ends_after_the_time_of_the_settings() {
    let server = FakeLlm::start().await;
    server.always(Turn::silence());
    let machine = machine_with(&[&server])
        .env("API_TIMEOUT", "0.2")
        .flag("api.max_attempts", "1");
    let assembled = assembled(&machine).await;

    let began = Instant::now();
    let answer = generate(&assembled, BRIEF).await.unwrap();

    assert_eq!(answer.source, Source::Template);
    assert!(began.elapsed() >= Duration::from_millis(200) && began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn without_a_model_the_first_that_the_provider_lists_is_used() {
    let server = FakeLlm::start().await;
    server.lists(&["alpha", "beta"]);
    crate::install_crypto();
    let machine = Machine::new().env("OPENAI_BASE_URL", &server.base_url());
    let assembled = assembled(&machine).await;

    let answer = generate(&assembled, BRIEF).await.unwrap();

    assert_eq!(
        (answer.caption.model.as_str(), server.last().model()),
        ("alpha", "alpha")
    );
    assert_eq!(answer.caption.provider, "openai");
}

#[tokio::test]
async fn a_provider_without_models_needs_one_in_the_settings() {
    let server = FakeLlm::start().await;
    server.lists(&[]);
    crate::install_crypto();

    let error = refused(&Machine::new().env("OPENAI_BASE_URL", &server.base_url())).await;

    assert!(error.contains("`openai`") && error.contains("name one"), "{error}");
}

#[tokio::test]
async fn a_provider_that_is_away_needs_a_model_in_the_settings() {
    let server = FakeLlm::start().await;
    let url = server.base_url();
    drop(server);
    crate::install_crypto();
    let machine = Machine::new().env("OPENAI_BASE_URL", &url);

    let error = refused(&machine).await;

    assert!(
        error.contains("`openai`") && error.contains("cannot be read"),
        "{error}"
    );
    assembled(&machine.env("OPENAI_MODEL", "m")).await;
}

#[tokio::test]
async fn with_nothing_set_the_local_model_writes_as_soon_as_its_file_is_there() {
    let machine = Machine::new().flag("fallback.template", "false");
    let assembled = assembled(&machine).await;

    assert_eq!(assembled.engine.llm.describe().provider, "local-smollm2");
    assert!(generate(&assembled, BRIEF).await.is_err());
    let status = until(&assembled, "local-smollm2", false).await;
    assert!(status.why.unwrap().contains("captions model pull"));
}

#[tokio::test]
async fn the_local_model_stands_below_the_chain_if_the_settings_say_so() {
    let server = FakeLlm::start().await;
    let rungs = |assembled: &Assembled| {
        assembled
            .engine
            .rungs
            .iter()
            .map(|rung| rung.source)
            .collect::<Vec<_>>()
    };

    let with = assembled(&machine_with(&[&server]).flag("fallback.local", "true")).await;
    let without = assembled(&machine_with(&[&server])).await;

    assert_eq!(rungs(&with), [Source::Local, Source::Template]);
    assert_eq!(rungs(&without), [Source::Template]);
}

#[tokio::test]
async fn a_provider_is_spoken_to_by_its_profile_and_sent_its_headers() {
    crate::install_crypto();
    let server = FakeLlm::start().await;
    let listed = format!(
        "[{{name = 'a', kind = 'openai', model = 'm', base_url = '{}', profile = 'openai', headers = {{X-Team = 'bread'}}}}]",
        server.base_url()
    );
    let assembled = assembled(&Machine::new().env("CAPTIONS_LLM__PROVIDERS", &listed)).await;

    generate(&assembled, BRIEF).await.unwrap();

    let request = server.last();
    assert_eq!(request.headers["x-team"], "bread");
    assert!(request.body.get("max_completion_tokens").is_some());
}

#[tokio::test]
async fn the_local_model_is_loaded_before_the_first_caption_if_its_file_is_there() {
    crate::install_crypto();
    let file = captions_testkit::model::path();
    for (machine, expected) in [
        (
            Machine::new().flag("local.model_path", &file.display().to_string()),
            "local model loaded",
        ),
        (Machine::new(), ""),
    ] {
        let assembled = assembled(&machine).await;
        let log = crate::machine::Page::default();
        let guard = log.listen();

        assembled.warm();
        let told = async {
            while !log.text().contains(expected) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(LIMIT, told).await.unwrap();

        drop(guard);
        assert!(
            log.text().contains(expected) && log.text().is_empty() == expected.is_empty(),
            "{}",
            log.text()
        );
    }
}

#[tokio::test]
async fn a_second_call_goes_beside_a_silent_one_only_if_the_settings_ask_for_it() {
    for (hedge, calls, deadline) in [("0.05", 2, "25"), ("0", 1, "2")] {
        let server = FakeLlm::start().await;
        server.reply(Turn::silence()).always(Turn::fitting());
        let machine = machine_with(&[&server]).flag("api.hedge", hedge);
        // A retry would come too late.
        let machine = machine.flag("api.timeout", "30").flag("engine.deadline", deadline);
        let assembled = assembled(&machine).await;

        let answer = generate(&assembled, BRIEF).await.unwrap();

        assert_eq!(
            (server.count(), answer.attempts),
            (calls, u32::try_from(calls).unwrap())
        );
        assert_eq!(answer.source == Source::Provider, calls == 2);
    }
}

/// Prices are per million tokens, so with these a token costs one millionth, or two.
const PRICED: &str = "price_input = 1, price_output = 2";

fn machine_with_prices(server: &FakeLlm, prices: &str) -> Machine {
    crate::install_crypto();
    let entry = format!(
        "[{{name = 'p0', kind = 'openai', model = 'm', base_url = '{}', {prices}}}]",
        server.base_url()
    );
    Machine::new().env("CAPTIONS_LLM__PROVIDERS", &entry)
}

#[tokio::test]
async fn an_answer_tells_what_it_cost_if_the_settings_have_the_prices() {
    let server = FakeLlm::start().await;
    let machine = machine_with_prices(&server, PRICED).flag("budgets.currency", "EUR");
    let assembled = assembled(&machine).await;

    let usage = generate(&assembled, BRIEF).await.unwrap().caption.usage.unwrap();

    let cost = usage.cost.unwrap();
    assert_eq!(cost.amount.micros(), usage.input_tokens + 2 * usage.output_tokens);
    assert_eq!(cost.currency.to_string(), "EUR");
}

#[tokio::test]
async fn without_prices_no_cost_is_told() {
    let server = FakeLlm::start().await;
    let assembled = assembled(&machine_with(&[&server])).await;

    let usage = generate(&assembled, BRIEF).await.unwrap().caption.usage.unwrap();

    assert!(usage.input_tokens > 0 && usage.cost.is_none());
}

#[tokio::test]
async fn a_stream_and_a_rewrite_tell_what_they_cost() {
    let server = FakeLlm::start().await;
    let assembled = assembled(&machine_with_prices(&server, PRICED)).await;
    let request = CaptionRequest::new(build::description(BRIEF));

    let engine = Arc::clone(&assembled.engine);
    let events: Vec<_> = engine.generate_stream(context(&assembled), request).collect().await;

    let Some(Ok(Event::Completed(answer))) = events.last() else {
        panic!("no end")
    };
    let usage = answer.caption.usage.unwrap();
    assert_eq!(
        usage.cost.unwrap().amount.micros(),
        usage.input_tokens + 2 * usage.output_tokens
    );

    server.reply(Turn::text(
        "El pan salió a las seis y el mostrador está lleno. Fue una mañana como cualquier otra.",
    ));
    let text = "The bread came out at six and the counter is full. It was a morning like any other.";
    let spanish = Operation::Translate(Language::new("es").unwrap());
    let request = RewriteRequest::new(CaptionText::new(text).unwrap(), spanish);
    let usage = assembled.engine.rewrite(&context(&assembled), &request).await;
    let usage = usage.unwrap().usage.unwrap();
    assert_eq!(
        usage.cost.unwrap().amount.micros(),
        usage.input_tokens + 2 * usage.output_tokens
    );
}
