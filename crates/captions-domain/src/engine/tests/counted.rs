//! What requests put down on their tab.

use futures_util::{StreamExt, stream};

use super::{hostile::record, *};
use crate::{
    caption::Usage,
    more::MoreRequest,
    request::CaptionText,
    rewrite::{Operation, RewriteRequest},
    usage::{Amounts, Row, Tab, Tally},
};

fn on_a_tab() -> (Context, Arc<Tally>) {
    let tally = Arc::new(Tally::up_to(10));
    let tab = Tab {
        tally: Some(Arc::clone(&tally)),
        ..Tab::default()
    };
    (Context { tab, ..context() }, tally)
}

/// The one row that there is: user, provider (empty: none), sums.
fn one(tally: &Tally) -> (String, String, Amounts) {
    let rows = tally.take(10);
    let [Row { place, amounts, .. }] = rows.as_slice() else {
        panic!("{rows:?}")
    };
    let user = place.user.as_ref().map_or("", UserId::as_str).to_owned();
    (user, place.provider.clone().unwrap_or_default(), *amounts)
}

fn written(captions: u64) -> Amounts {
    Amounts {
        requests: 1,
        captions,
        ..Amounts::default()
    }
}

#[tokio::test]
async fn a_caption_counts_for_its_user_when_it_is_written_and_when_it_is_found() {
    let cache: Arc<FakeAnswers> = Arc::default();
    let (cx, tally) = on_a_tab();
    let engine = healthy(&cache, writing(CAPTION, 1));

    engine.generate(&cx, &of_user("ann")).await.unwrap();
    assert_eq!(one(&tally), ("ann".into(), "primary".into(), written(1)));

    engine.generate(&cx, &of_user("ann")).await.unwrap();
    let found = Amounts {
        requests: 1,
        cache_hits: 1,
        saved_tokens: 12,
        ..Amounts::default()
    };
    assert_eq!(one(&tally), ("ann".into(), "primary".into(), found));
}

#[tokio::test]
async fn what_was_being_written_for_somebody_else_counts_as_found() {
    let cache = FakeAnswers::sharing();
    let (cx, tally) = on_a_tab();
    let engine = healthy(&cache, writing(CAPTION, 1));
    engine.generate(&context(), &request()).await.unwrap();

    engine.generate(&cx, &request()).await.unwrap();

    let (user, _, sums) = one(&tally);
    assert_eq!(
        (user.as_str(), sums.captions, sums.cache_hits, sums.saved_tokens),
        ("", 0, 1, 12)
    );
}

#[tokio::test]
async fn a_request_without_a_caption_counts_as_one_of_nobody_s() {
    let (cx, tally) = on_a_tab();
    let engine = healthy(&Arc::default(), failing(down));

    engine.generate(&cx, &of_user("ann")).await.unwrap_err();

    assert_eq!(one(&tally), ("ann".into(), String::new(), written(0)));
}

#[tokio::test]
async fn one_that_names_what_there_is_not_asks_nobody_and_counts_nothing() {
    let (cx, tally) = on_a_tab();
    let asked = CaptionRequest {
        provider: Some(ProviderName::new("nobody").unwrap()),
        ..request()
    };

    healthy(&Arc::default(), writing(CAPTION, 0))
        .generate(&cx, &asked)
        .await
        .unwrap_err();

    assert_eq!(tally.waiting(), 0);
}

#[tokio::test]
async fn a_stream_counts_once_and_one_that_is_left_too() {
    let (cx, tally) = on_a_tab();
    let mut llm = provider("primary");
    llm.expect_stream().returning(|_, _| {
        let chunks = [Ok(Chunk::Text(CAPTION.to_owned())), Ok(Chunk::End(credit()))];
        Ok(Box::pin(stream::iter(chunks)))
    });
    let engine = Arc::new(healthy(&Arc::default(), llm));

    let mut events = Arc::clone(&engine).generate_stream(cx.clone(), of_user("ann"));
    while events.next().await.is_some() {}
    drop(events);
    assert_eq!(one(&tally), ("ann".into(), "primary".into(), written(1)));

    let other = CaptionRequest {
        cache: CacheUse::Bypass,
        ..of_user("ann")
    };
    let mut events = engine.generate_stream(cx, other);
    events.next().await;
    drop(events);
    assert_eq!(one(&tally), ("ann".into(), String::new(), written(0)));
}

#[tokio::test]
async fn changes_and_more_variants_count_too() {
    let (cx, tally) = on_a_tab();
    let mut change = RewriteRequest::new(
        CaptionText::new("The loaves came out at six.").unwrap(),
        Operation::Translate(Language::new("es").unwrap()),
    );
    change.user = Some(UserId::new("ann").unwrap());
    let mut llm = provider("primary");
    llm.expect_complete().returning(|_, _| {
        Ok(Completion {
            text: "Los panes salieron a las seis.".to_owned(),
            credit: credit(),
        })
    });
    healthy(&Arc::default(), llm).rewrite(&cx, &change).await.unwrap();
    assert_eq!(one(&tally), ("ann".into(), "primary".into(), written(1)));

    let mut stored = record(CAPTION);
    stored.user = None;
    stored.wishes = Some(crate::more::Wishes::from(&request()));
    let mut captions = keeping();
    captions.expect_amend().returning(|_, _, _, _| Ok(Some(2)));
    let other = "Six in the morning, and the oven door is already open.";
    let engine = engine(knowing(&[]), captions, &Arc::default(), writing(other, 1));
    let asked = MoreRequest {
        count: Variants::ONE,
        ..MoreRequest::default()
    };
    engine.more(&cx, &stored, &asked, false).await.unwrap();
    assert_eq!(one(&tally), (String::new(), "primary".into(), written(1)));
}

#[tokio::test]
async fn the_price_of_what_is_found_is_what_it_has_cost() {
    let (cx, tally) = on_a_tab();
    let mut llm = provider("primary");
    llm.expect_complete().times(1).returning(|_, _| {
        let mut done = completion(&[CAPTION]);
        done.credit.usage = Some(Usage {
            cost: Some(crate::money::Cost {
                amount: "0.25".parse().unwrap(),
                currency: "EUR".parse().unwrap(),
            }),
            ..credit().usage.unwrap()
        });
        Ok(done)
    });
    let engine = healthy(&Arc::default(), llm);
    engine.generate(&context(), &request()).await.unwrap();

    engine.generate(&cx, &request()).await.unwrap();

    assert_eq!(one(&tally).2.saved_cost.to_string(), "0.25");
}
