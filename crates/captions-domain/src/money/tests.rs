use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn prices(input: &str, output: &str) -> Prices {
    Prices {
        input: input.parse().unwrap(),
        output: output.parse().unwrap(),
        currency: "USD".parse().unwrap(),
    }
}

#[rstest]
#[case("0", 0, "0.00")]
#[case("25", 25_000_000, "25.00")]
#[case("25.5", 25_500_000, "25.50")]
#[case("0.000001", 1, "0.000001")]
#[case("0.15", 150_000, "0.15")]
#[case("1000000000", 1_000_000_000_000_000, "1000000000.00")]
fn an_amount_is_read_and_written_exactly(#[case] text: &str, #[case] micros: u64, #[case] written: &str) {
    let money: Money = text.parse().unwrap();

    assert_eq!(money.micros(), micros);
    assert_eq!(money.to_string(), written);
}

#[rstest]
fn what_is_no_amount_is_refused(
    #[values(
        "",
        ".",
        "1.",
        ".5",
        "-1",
        "+1",
        "1e3",
        "1,5",
        " 1",
        "0.0000001",
        "1000000000.000001",
        "99999999999999999999",
        "٣",
        "NaN"
    )]
    text: &str,
) {
    assert!(text.parse::<Money>().is_err(), "{text}");
}

#[rstest]
#[case::exact("0.15", "0.60", 1_000_000, 1_000_000, 750_000)]
#[case::part_of_a_millionth_counts_as_one("0.15", "0.60", 1, 0, 1)]
#[case::rounded_once_and_not_per_part("0.5", "0.5", 1, 1, 1)]
#[case::usual("0.15", "0.60", 1200, 350, 390)]
#[case::nothing("0.15", "0.60", 0, 0, 0)]
#[case::free("0", "0", 5000, 5000, 0)]
#[case::absurd("1000000000", "1000000000", u64::MAX, u64::MAX, u64::MAX)]
fn tokens_cost_what_the_prices_say(
    #[case] input: &str,
    #[case] output: &str,
    #[case] input_tokens: u64,
    #[case] output_tokens: u64,
    #[case] micros: u64,
) {
    let cost = prices(input, output).cost(input_tokens, output_tokens);

    assert_eq!(cost.amount.micros(), micros);
}

#[test]
fn costs_of_two_currencies_are_not_added() {
    let dollar = prices("1", "1").cost(7, 0);
    let euro = Cost {
        currency: "EUR".parse().unwrap(),
        ..dollar
    };

    assert_eq!(dollar.and(dollar).map(|cost| cost.amount.micros()), Some(14));
    assert_eq!(dollar.and(euro), None);
}

#[test]
fn in_documents_a_cost_is_text_that_loses_nothing() {
    let cost = prices("0.15", "0.60").cost(1200, 387);

    let written = serde_json::to_value(cost).unwrap();

    assert_eq!(written, serde_json::json!({"amount": "0.000413", "currency": "USD"}));
    assert_eq!(serde_json::from_value::<Cost>(written).unwrap(), cost);
    for wrong in ["usd", "US", "DOLLAR", ""] {
        assert!(wrong.parse::<Currency>().is_err());
    }
}

proptest! {
    #[test]
    fn every_amount_comes_back(micros in 0..=Money::MAX.micros()) {
        let money = Money::from_micros(micros);
        prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
    }

    /// Rounded up, never by a whole millionth, and never cheaper for more.
    #[test]
    fn a_cost_is_never_too_low(input in 0_u64..1_000_000_000, output in 0_u64..1_000_000_000, a in 0_u64..10_000_000, b in 0_u64..10_000_000) {
        let prices = Prices { input: Money::from_micros(input), output: Money::from_micros(output), currency: "USD".parse().unwrap() };
        let exact = u128::from(a) * u128::from(input) + u128::from(b) * u128::from(output);
        let micros = u128::from(prices.cost(a, b).amount.micros());
        prop_assert!(micros * 1_000_000 >= exact && micros * 1_000_000 < exact + 1_000_000);
        prop_assert!(prices.cost(a + 1, b).amount >= prices.cost(a, b).amount);
    }
}
