//! How long the document of a caption takes. `cargo bench -p captions-api`
#![expect(
    clippy::expect_used,
    reason = "the texts here are valid, or there is nothing to measure"
)]

use std::time::Duration;

use captions_api::caption::CaptionDocument;
use captions_domain::{
    brief::Brief,
    caption::{Answer, Caption, CaptionId, Source},
    choice::Platform,
    engagement::Unknown,
    polish::polish,
    reply::Draft,
    request::{CaptionRequest, Description, Language},
    user::Preferences,
};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

/// An answer with so many variants.
fn answer(variants: usize) -> Answer {
    let about = "Fresh sourdough loaves on the counter of our bakery in Lisbon, from €4, until 12 May";
    let request = CaptionRequest::new(Description::new(about).expect("a description"));
    let brief = Brief::resolve(&request, &Preferences::default()).0;
    let text = "The loaves came out at six and the counter is full. Come by while they are warm. #Sourdough #Lisbon";
    Answer {
        id: Some(CaptionId(uuid::Uuid::nil())),
        caption: std::sync::Arc::new(Caption {
            variants: vec![polish(&Draft::plain(text), &brief); variants],
            platform: Platform::Instagram,
            language: Language::default(),
            tone: None,
            provider: "primary".into(),
            model: "m1".into(),
            grade: "standard".into(),
            provider_request_id: None,
            usage: None,
            created_at: time::OffsetDateTime::UNIX_EPOCH,
            rules_as_of: "2026-11-23".into(),
            warnings: Vec::new(),
            additions: Vec::new(),
        }),
        source: Source::Provider,
        attempts: 1,
        degraded: Vec::new(),
        warnings: Vec::new(),
        age: None,
        outlook: Err(Unknown::NoHistory),
        shared: false,
    }
}

/// From the answer to the bytes that are sent.
#[divan::bench(args = [1, 3])]
fn document(bencher: Bencher<'_, '_>, variants: usize) {
    let answer = answer(variants);
    bencher.bench(|| {
        let document = CaptionDocument::of_answer(black_box(&answer), "bench", Duration::from_millis(1));
        serde_json::to_vec(&document)
    });
}
