//! Budgets over a real store, with a provider that has prices.

use captions_domain::{
    budget::{Balance, Payer, Spent, Step},
    caption::{Degraded, Source},
    engine::GenerateError,
    fault::{LlmError, Unpaid},
};
use captions_testkit::llm::FakeLlm;

use super::*;

/// Millionths for a token of the prompt and of the answer.
fn machine_with(server: &FakeLlm, budget: &str) -> Machine {
    crate::install_crypto();
    let entry = format!(
        "[{{name = 'p0', kind = 'openai', model = 'm', base_url = '{}', price_input = 1, price_output = 2}}]",
        server.base_url()
    );
    Machine::new()
        .env("CAPTIONS_LLM__PROVIDERS", &entry)
        .flag("budgets.limit", budget)
        .flag("budgets.period", "day")
}

/// As soon as nothing is reserved any more: settling is background work.
async fn settled(assembled: &Assembled, payer: &Payer) -> Balance {
    let look = async {
        loop {
            let cx = context(assembled);
            if let Ok(Spent::Stands(balance)) = assembled.keys.spend(&cx, &payer.spend(cx.now, Step::Look)).await
                && balance.reserved.micros() == 0
            {
                return balance;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, look).await.unwrap()
}

#[tokio::test]
async fn what_is_asked_is_paid_once_and_what_is_remembered_is_free() {
    let server = FakeLlm::start().await;
    let machine = machine_with(&server, "1");
    let assembled = assembled(&machine).await;
    let payer = context(&assembled).payers[0].clone();

    let first = generate(&assembled, "golden hour at our cafe").await.unwrap();
    let cost = first.caption.usage.unwrap().cost.unwrap().amount;
    assert_eq!(settled(&assembled, &payer).await.spent, cost);

    let second = generate(&assembled, "golden hour at our cafe").await.unwrap();
    assert_eq!((second.source, server.count()), (Source::Cache, 1));
    assert_eq!(settled(&assembled, &payer).await.spent, cost);
}

#[tokio::test]
async fn beyond_the_budget_nobody_is_called_and_no_template_stands_in() {
    let server = FakeLlm::start().await;
    let machine = machine_with(&server, "0.000001");
    let assembled = assembled(&machine).await;
    let payer = context(&assembled).payers[0].clone();

    let refused = generate(&assembled, "golden hour at our cafe").await;

    assert!(
        matches!(
            refused,
            Err(GenerateError::Provider {
                error: LlmError::Unpaid(Unpaid::OverBudget { .. }),
                attempts: 0
            })
        ),
        "{refused:?}"
    );
    assert_eq!(server.count(), 0);
    assert_eq!(settled(&assembled, &payer).await, Balance::default());
}

#[tokio::test]
async fn of_many_at_once_no_more_is_spent_than_there_is() {
    let server = FakeLlm::start().await;
    let machine = machine_with(&server, "0.05").flag("api.max_attempts", "1");
    let assembled = Arc::new(assembled(&machine).await);
    let payer = context(&assembled).payers[0].clone();

    let asking: Vec<_> = (0..60)
        .map(|number| {
            let assembled = Arc::clone(&assembled);
            tokio::spawn(async move { generate(&assembled, &format!("cafe number {number} in Lisbon")).await })
        })
        .collect();
    let (mut costs, mut refused) = (0, 0);
    for one in asking {
        match one.await.unwrap() {
            Ok(answer) => costs += answer.caption.usage.unwrap().cost.unwrap().amount.micros(),
            Err(error) => {
                assert!(
                    matches!(
                        error,
                        GenerateError::Provider {
                            error: LlmError::Unpaid(_),
                            ..
                        }
                    ),
                    "{error:?}"
                );
                refused += 1;
            }
        }
    }

    let balance = settled(&assembled, &payer).await;
    assert!(
        balance.spent.micros() >= costs && balance.spent <= payer.budget.limit,
        "{balance:?} {costs}"
    );
    assert!(refused > 0 && costs > 0, "{refused} {costs}");
}

#[tokio::test]
async fn without_a_budget_nobody_pays() {
    let server = FakeLlm::start().await;
    let machine = machine_with(&server, "0");
    let assembled = assembled(&machine).await;

    assert!(context(&assembled).payers.is_empty());
    generate(&assembled, "golden hour at our cafe").await.unwrap();
}

/// Whose store is gone gets what costs nothing, is told so, and is called nobody for.
#[tokio::test]
async fn what_cannot_be_counted_is_written_by_who_costs_nothing() {
    let server = FakeLlm::start().await;
    let machine = machine_with(&server, "1");
    let assembled = assembled(&machine).await;
    std::fs::remove_dir_all(machine.path("home")).unwrap();

    let answer = generate(&assembled, "golden hour at our cafe").await.unwrap();

    assert_eq!((answer.source, server.count()), (Source::Template, 0));
    assert!(answer.degraded.contains(&Degraded::TemplateFallback));
}
