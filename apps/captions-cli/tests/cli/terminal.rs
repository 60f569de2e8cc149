use captions_testkit::llm::{FakeLlm, Turn};

use crate::support::Home;

const POST: &str = "golden hour at our Lisbon cafe";
const WRITTEN: &str = "Golden hour at our Lisbon cafe, and the light stays for one more coffee.";

fn home(server: &FakeLlm) -> Home {
    Home::new().with_provider(&server.base_url())
}

#[tokio::test]
async fn a_terminal_sees_the_draft_and_then_the_checked_text() {
    let server = FakeLlm::start().await;
    server.always(Turn::text(WRITTEN));

    let run = home(&server)
        .at_a_terminal(&["generate", POST, "--color", "never"])
        .await
        .ended_with(0);

    assert!(server.last().streamed());
    let draft = run.stderr.find("Golden hour").unwrap();
    let erased = run
        .stderr
        .find("\r\x1b[J")
        .or_else(|| run.stderr.find("A\x1b[J"))
        .unwrap();
    assert!(draft < erased, "{run:?}");
    assert!(
        run.stdout.starts_with("Golden hour") && run.stdout.contains('#'),
        "{run:?}"
    );
}

#[tokio::test]
async fn a_withdrawn_draft_is_erased_and_announced() {
    let server = FakeLlm::start().await;
    server.always(Turn::text(WRITTEN).cut_after(3));

    let run = home(&server)
        .at_a_terminal(&["generate", POST, "--color", "never"])
        .await
        .ended_with(0);

    assert!(run.stderr.contains("the text so far is withdrawn ("), "{run:?}");
    assert!(run.stderr.contains("template_fallback"), "{run:?}");
    assert!(!run.stdout.is_empty());
}

#[tokio::test]
async fn a_pipe_gets_no_draft() {
    let server = FakeLlm::start().await;
    let home = home(&server);

    home.call(&["generate", POST]).await.ended_with(0);
    assert!(!server.last().streamed());

    let run = home.call(&["generate", POST, "--stream"]).await.ended_with(0);
    assert!(server.last().streamed());
    assert!(!run.stdout.contains('\x1b') && !run.stderr.contains('\x1b'), "{run:?}");
}

#[tokio::test]
async fn json_and_no_stream_and_quiet_wait_for_the_whole() {
    let server = FakeLlm::start().await;
    let home = home(&server);

    for flag in ["--json", "--no-stream", "--quiet"] {
        home.at_a_terminal(&["generate", POST, flag]).await.ended_with(0);
        assert!(!server.last().streamed(), "{flag}");
    }
}

#[tokio::test]
async fn several_captions_are_written_by_one_call_unless_a_stream_is_asked_for() {
    let server = FakeLlm::start().await;
    let home = home(&server);

    home.at_a_terminal(&["generate", POST, "--variants", "2"])
        .await
        .ended_with(0);
    assert_eq!(server.count(), 1);
    assert!(!server.last().streamed());

    home.at_a_terminal(&["generate", POST, "--variants", "2", "--stream"])
        .await;
    assert!(server.requests()[1].streamed());
}

#[tokio::test]
async fn colour_is_for_terminals_that_want_it() {
    let home = Home::new();
    let coloured = |stderr: &str| stderr.contains("\x1b[32m") || stderr.contains("\x1b[31m");
    let args = ["generate", POST, "--no-stream"];

    assert!(coloured(&home.at_a_terminal(&args).await.stderr));
    assert!(!coloured(&home.call(&args).await.stderr));
    assert!(coloured(
        &home.call(&[&args[..], &["--color", "always"]].concat()).await.stderr
    ));
    assert!(!coloured(
        &home
            .at_a_terminal(&[&args[..], &["--color", "never"]].concat())
            .await
            .stderr
    ));
    let plain = home.with("NO_COLOR", "1");
    assert!(!coloured(&plain.at_a_terminal(&args).await.stderr));
}
