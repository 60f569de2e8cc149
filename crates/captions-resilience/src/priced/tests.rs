use captions_domain::{
    caption::Usage,
    ports::{Grade, MockLlmProvider},
};
use futures_util::stream;
use rstest::rstest;

use super::*;
use crate::samples::{prompt, relaxed};

/// Answers with so many tokens of the prompt and of the answer.
fn provider(tokens: Option<(u64, u64)>) -> MockLlmProvider {
    let credit = Credit {
        provider: "p".to_owned(),
        model: "m".to_owned(),
        grade: Grade::Standard,
        first_choice: true,
        usage: tokens.map(|(input_tokens, output_tokens)| Usage {
            input_tokens,
            output_tokens,
            cost: None,
        }),
        provider_request_id: None,
    };
    let completion = Completion {
        text: "text".to_owned(),
        credit: credit.clone(),
    };
    let mut provider = MockLlmProvider::new();
    provider.expect_complete().returning(move |_, _| Ok(completion.clone()));
    provider.expect_stream().returning(move |_, _| {
        let chunks = [Ok(Chunk::Text("text".to_owned())), Ok(Chunk::End(credit.clone()))];
        Ok(stream::iter(chunks).boxed())
    });
    provider
}

#[rstest]
#[case::both_told(Some((1200, 387)), ("0.15", "0.60"), Some("0.000413"))]
#[case::nothing_told(None, ("0.15", "0.60"), None)]
#[case::no_tokens_of_the_answer_told(Some((1200, 0)), ("0.15", "0.60"), None)]
#[case::no_tokens_of_the_prompt_told(Some((0, 387)), ("0.15", "0.60"), None)]
#[case::free_whatever_was_told(Some((0, 0)), ("0", "0"), Some("0.00"))]
#[tokio::test]
async fn an_answer_tells_its_cost_and_what_was_not_told_is_not_guessed(
    #[case] tokens: Option<(u64, u64)>,
    #[case] (input, output): (&str, &str),
    #[case] expected: Option<&str>,
    #[values(true, false)] streamed: bool,
) {
    let prices = Prices {
        input: input.parse().unwrap(),
        output: output.parse().unwrap(),
        currency: "USD".parse().unwrap(),
    };
    let priced = Priced::new(Arc::new(provider(tokens)), prices);

    let credit = if streamed {
        let chunks: Vec<_> = priced.stream(&relaxed(), &prompt()).await.unwrap().collect().await;
        let Some(Ok(Chunk::End(credit))) = chunks.last() else {
            panic!("no end")
        };
        credit.clone()
    } else {
        priced.complete(&relaxed(), &prompt()).await.unwrap().credit
    };

    let cost = credit.usage.and_then(|usage| usage.cost);
    assert_eq!(cost.map(|cost| cost.amount.to_string()).as_deref(), expected);
}
