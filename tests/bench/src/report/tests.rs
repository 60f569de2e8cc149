use super::*;

/// A round of 100 requests, all asking the provider, that took this long together.
fn round(seconds: u64) -> Round {
    Round {
        measured: Measured {
            latencies: (1..=100).map(|n| Duration::from_millis(n * seconds)).collect(),
            sent: 100,
            elapsed: Duration::from_secs(seconds),
            ..Measured::default()
        },
        provider_calls: 100,
    }
}

fn row(what: &'static str, floor: Option<usize>, seconds: [u64; 3]) -> Row {
    Row {
        what,
        floor,
        asks_provider: true,
        rounds: seconds.map(round).into(),
    }
}

#[test]
fn a_row_shows_its_ratios_to_its_floor_and_its_own_figures() {
    let rows = [row("least", None, [1, 1, 1]), row("service", Some(0), [2, 4, 2])];

    let table = table(&rows);

    let lines: Vec<_> = table.lines().skip(2).collect();
    assert_eq!(
        lines,
        [
            "| 1 | least | - | - | - | - | 100 | 50.000 | 99.000 | 100.0 | 300 |",
            "| 2 | service | 1 | 0.50 (0.25-0.50) | 2.40 | +16667 | 38 | 120.000 | 388.000 | 400.0 | 300 |",
        ]
    );
}

#[test]
fn a_failed_row_has_no_figures_and_none_is_compared_with_it() {
    let mut rows = [row("least", None, [1, 1, 1]), row("service", Some(0), [2, 2, 2])];
    rows[0].rounds[1].measured.failed = 1;
    rows[0].rounds[1].measured.first_failure = Some("500, not 200".to_owned());

    let table = table(&rows);

    let lines: Vec<_> = table.lines().skip(2).collect();
    assert_eq!(lines[0], "| 1 | least | - | FAILED | - | - | - | - | - | - | - |");
    assert!(lines[1].contains("| its floor FAILED | - | - | 50 |"), "{table}");
    assert_eq!(lines[2], "FAILED: row 1 (least): 1 of 100 failed: 500, not 200");
}

#[test]
fn a_row_that_took_another_path_than_the_one_to_be_measured_has_failed() {
    let mut asked = row("new", None, [1, 1, 1]);
    asked.rounds[2].provider_calls = 101;
    let mut cached = row("cached", None, [1, 1, 1]);
    cached.asks_provider = false;
    let silent = Row {
        rounds: vec![Round::default()],
        ..row("silent", None, [1, 1, 1])
    };

    assert_eq!(
        asked.trouble().as_deref(),
        Some("the provider was asked 101 times instead of 100")
    );
    assert_eq!(
        cached.trouble().as_deref(),
        Some("the provider was asked 100 times instead of 0")
    );
    assert_eq!(
        silent.trouble().as_deref(),
        Some("no request was answered within the time")
    );
}
