use rstest::rstest;

use super::*;

#[test]
fn a_printed_option_shows_the_place_and_no_secret() {
    let options = PgOptions {
        url: "postgres://ann:s3cret@db.example:5433/captions?password=s3cret&sslmode=require".into(),
        pool_size: 4,
        connect_timeout: Duration::from_secs(2),
        acquire_timeout: Duration::from_secs(1),
        statement_timeout: Duration::from_secs(3),
        idle_timeout: Duration::from_mins(10),
        max_lifetime: Duration::from_mins(30),
        pooling: true,
    };

    let printed = format!("{options:?}");

    assert!(printed.contains("postgres://db.example:5433/captions"), "{printed}");
    assert!(!printed.contains("s3cret") && !printed.contains("ann"), "{printed}");
}

#[rstest]
#[case::no_url("db.example")]
#[case::another_scheme("mysql://ann:s3cret@db.example/captions")]
#[case::bad_port("postgres://ann:s3cret@db.example:port/captions")]
#[case::bad_mode("postgres://ann:s3cret@db.example/captions?sslmode=perhaps")]
#[case::unknown_parameter("postgres://db.example/captions?pasword=s3cret")]
fn a_bad_url_is_refused_without_repeating_it(#[case] url: &str) {
    let fault = connect_options(url).unwrap_err();

    assert_eq!(fault.kind, FaultKind::Internal);
    let said = format!("{fault:?}");
    assert!(said.contains("the database URL") && !said.contains("s3cret"), "{said}");
}

#[rstest]
#[case("postgres://ann@db.example/captions?sslmode=require&statement-cache-capacity=0")]
#[case("postgresql:///captions?host=/run/postgresql")]
#[case("postgres://db.example/captions?options[search_path]=mine")]
fn a_good_url_is_accepted(#[case] url: &str) {
    connect_options(url).unwrap();
}

#[test]
fn the_application_names_itself_unless_the_url_does() {
    let name = |url| connect_options(url).unwrap().get_application_name().map(str::to_owned);

    assert_eq!(name("postgres://h/d").as_deref(), Some("captions"));
    assert_eq!(name("postgres://h/d?application_name=mine").as_deref(), Some("mine"));
}
