use rstest::rstest;

use super::*;

#[rstest]
#[case::statement_timeout("57014", FaultKind::Timeout)]
#[case::admin_shutdown("57P01", FaultKind::Unavailable)]
#[case::starting_up("57P03", FaultKind::Unavailable)]
#[case::connection_failure("08006", FaultKind::Unavailable)]
#[case::too_many_connections("53300", FaultKind::Unavailable)]
#[case::disk_full("53100", FaultKind::Unavailable)]
#[case::serialization_failure("40001", FaultKind::Unavailable)]
#[case::deadlock("40P01", FaultKind::Unavailable)]
#[case::read_only("25006", FaultKind::Unavailable)]
#[case::wrong_password("28P01", FaultKind::Internal)]
#[case::no_such_database("3D000", FaultKind::Internal)]
#[case::no_such_table("42P01", FaultKind::Internal)]
#[case::none("", FaultKind::Internal)]
fn a_code_of_the_server_has_its_kind(#[case] code: &str, #[case] kind: FaultKind) {
    assert_eq!(kind_of_code(code), kind);
}

#[rstest]
#[case::broken_pipe(Error::Io(std::io::ErrorKind::BrokenPipe.into()), FaultKind::Unavailable)]
#[case::nonsense(Error::Protocol("what?".into()), FaultKind::Corrupt)]
#[case::undecodable(Error::Decode("what?".into()), FaultKind::Corrupt)]
#[case::missing_column(Error::ColumnNotFound("id".into()), FaultKind::Corrupt)]
#[case::bad_settings(Error::Configuration("what?".into()), FaultKind::Internal)]
#[case::no_tls(Error::Tls("what?".into()), FaultKind::Internal)]
fn an_error_of_the_driver_has_its_kind(#[case] error: Error, #[case] kind: FaultKind) {
    assert!(!spares_connection(&error));
    assert_eq!(fault(error).kind, kind);
}

#[test]
fn a_migration_that_cannot_reach_the_server_may_be_tried_again() {
    let cut = || Error::Io(std::io::ErrorKind::ConnectionReset.into());

    assert!(migration_fault(MigrateError::Execute(cut())).is_transient());
    assert!(migration_fault(MigrateError::ExecuteMigration(cut(), 1)).is_transient());
    assert!(!migration_fault(MigrateError::VersionMismatch(1)).is_transient());
}
