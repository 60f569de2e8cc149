//! The arguments of `captions key`.

use captions_domain::{budget::Period, money::Money};
use clap::{Args, Subcommand};
use time::{Date, Duration, OffsetDateTime, Time, format_description::well_known::Rfc3339, macros::format_description};

use super::{HELP, Output};

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Create an API key and print it, this once
    #[command(help_template = HELP)]
    Create(CreateArgs),
    /// List the keys of a tenant, newest first
    #[command(help_template = HELP, before_help = "\
Examples:
  captions key list
  captions key list --tenant acme --json")]
    List {
        #[command(flatten)]
        tenant: Tenant,
        /// How many: 1 to 100
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
        limit: u32,
        /// Only older ones, by the next_cursor of the page before
        #[arg(long, value_name = "CURSOR")]
        before: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show a key, without its secret
    #[command(help_template = HELP, before_help = "\
Examples:
  captions key show 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 --json")]
    Show {
        /// The key's id, as captions key list shows it
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        output: Output,
    },
    /// Change the money that a key may spend, with all keys of its family
    #[command(help_template = HELP, before_help = "\
Examples:
  captions key budget 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 25.00
  captions key budget 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 2.50 --period day
  captions key budget 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 none")]
    Budget {
        /// The key's id, as captions key list shows it
        #[arg(value_name = "ID")]
        id: String,
        /// As in 25.00, in budgets.currency; none: no budget of its own
        #[arg(value_name = "AMOUNT", value_parser = amount)]
        amount: Money,
        /// The period of the calendar, in UTC: day or month [default: as it is, and month of a new budget]
        #[arg(long, value_name = "PERIOD")]
        period: Option<Period>,
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        output: Output,
    },
    /// Revoke a key for good
    #[command(help_template = HELP, before_help = "\
Examples:
  captions key revoke 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21")]
    Revoke {
        /// The key's id, as captions key list shows it
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        output: Output,
    },
    /// Replace a key by a new one with the same rights and print that; the old one goes on for a time of grace
    #[command(help_template = HELP, before_help = "\
Examples:
  captions key rotate 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21
  captions key rotate 0193b0c4-7d5e-7cc1-a2f3-1b9e6f0a4d21 --grace 0")]
    Rotate {
        /// The key's id, as captions key list shows it
        #[arg(value_name = "ID")]
        id: String,
        /// How long the old one goes on: 0, or as in 30m, 12h, 7d; at most 30d
        #[arg(long, value_name = "TIME", default_value = "24h", value_parser = grace)]
        grace: Duration,
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        output: Output,
    },
}

#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  captions key create
  captions key create --name ci --scopes read --expires 90d
  captions key create --tenant acme --requests-per-minute 60 --concurrent-requests 4 --json")]
pub(crate) struct CreateArgs {
    /// What to call it
    #[arg(long, value_name = "NAME", default_value = "key")]
    pub(crate) name: String,
    /// What it may be used for, separated by commas: read, write, admin; none contains another
    #[arg(long, value_name = "SCOPES", value_delimiter = ',', default_values = ["read", "write"])]
    pub(crate) scopes: Vec<String>,
    /// When it ends: never, as in 12h or 90d from now, a date, or a time as in 2027-01-31T12:00:00Z
    #[arg(long, value_name = "WHEN", default_value = "never", value_parser = end)]
    pub(crate) expires: End,
    #[command(flatten)]
    pub(crate) tenant: Tenant,
    #[command(flatten)]
    pub(crate) limits: Limits,
    #[command(flatten)]
    pub(crate) output: Output,
}

/// Instead of those of the settings, counted for this key and its successors alone.
#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of its own (0: none; left out: those of [limits] in the settings)")]
pub(crate) struct Limits {
    /// Requests a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=10_000_000))]
    pub(crate) requests_per_minute: Option<u64>,
    /// Requests an hour
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    pub(crate) requests_per_hour: Option<u64>,
    /// Tokens of language models a minute
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    pub(crate) tokens_per_minute: Option<u64>,
    /// Requests that are being answered at the same moment
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=65_536))]
    pub(crate) concurrent_requests: Option<u64>,
    /// Money for calls of providers in each period, as in 25.00, in budgets.currency
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) budget: Option<Money>,
    /// The period of the budget, in UTC
    #[arg(long, value_name = "PERIOD", default_value = "month", requires = "budget")]
    pub(crate) budget_period: Period,
}

/// Whose keys.
#[derive(Debug, Args)]
pub(crate) struct Tenant {
    /// Whose data it opens [default: local, the tenant of this command line; at a server that of the caller's key]
    #[arg(long, value_name = "TENANT")]
    pub(crate) tenant: Option<String>,
}

/// When a key ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Never,
    In(Duration),
    At(OffsetDateTime),
}

fn end(text: &str) -> Result<End, String> {
    if text == "never" {
        return Ok(End::Never);
    }
    if let Some(span) = span(text).filter(|span| span.is_positive()) {
        return Ok(End::In(span));
    }
    let day = Date::parse(text, format_description!("[year]-[month]-[day]"));
    let at = day
        .map(|day| day.with_time(Time::MIDNIGHT).assume_utc())
        .or_else(|_| OffsetDateTime::parse(text, &Rfc3339));
    at.map(End::At)
        .map_err(|_| "write never, 90d, 2027-01-31 or 2027-01-31T12:00:00Z".to_owned())
}

fn amount(text: &str) -> Result<Money, String> {
    match text {
        "none" => Ok(Money::ZERO),
        amount => amount
            .parse()
            .map_err(|invalid: captions_domain::request::Invalid| invalid.to_string()),
    }
}

fn grace(text: &str) -> Result<Duration, String> {
    let longest = captions_domain::keys::LONGEST_GRACE;
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    span(text)
        .filter(|span| *span <= longest)
        .ok_or_else(|| format!("write 0, 30m, 12h or 7d; at most {}d", longest.whole_days()))
}

/// A whole number and s, m, h or d.
fn span(text: &str) -> Option<Duration> {
    let unit = text.chars().next_back()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let number: u32 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    i64::from(number).checked_mul(seconds).map(Duration::seconds)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use time::macros::datetime;

    use super::*;

    #[rstest]
    #[case("never", Some(End::Never))]
    #[case("90d", Some(End::In(Duration::days(90))))]
    #[case("12h", Some(End::In(Duration::hours(12))))]
    #[case("2027-01-31", Some(End::At(datetime!(2027-01-31 00:00 UTC))))]
    #[case("2027-01-31T12:00:00+01:00", Some(End::At(datetime!(2027-01-31 11:00 UTC))))]
    #[case("0d", None)]
    #[case("d", None)]
    #[case("soon", None)]
    #[case("-1d", None)]
    #[case("1é", None)]
    fn an_end_is_a_word_a_span_or_a_time(#[case] text: &str, #[case] expected: Option<End>) {
        assert_eq!(end(text).ok(), expected);
    }

    #[rstest]
    #[case("0", Some(Duration::ZERO))]
    #[case("30m", Some(Duration::minutes(30)))]
    #[case("30d", Some(Duration::days(30)))]
    #[case("31d", None)]
    #[case("1", None)]
    fn a_grace_is_a_span_of_at_most_thirty_days(#[case] text: &str, #[case] expected: Option<Duration>) {
        assert_eq!(grace(text).ok(), expected);
    }
}
