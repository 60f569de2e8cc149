//! The steps that bring a file to the form that this version needs.

use std::{
    collections::HashMap,
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use captions_domain::fault::{Fault, FaultKind};
use sqlx::{
    ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode},
};
use tokio::time::sleep;

use super::fault::{fault, file_fault, is_busy, migration_fault};

/// The most that waiting for another process's migration may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The steps of a store of users and captions.
pub(super) fn migrator() -> Migrator {
    steps([
        (
            1,
            "users and captions",
            include_str!("../../migrations/0001_users_and_captions.sql"),
        ),
        (
            2,
            "finding captions",
            include_str!("../../migrations/0002_finding_captions.sql"),
        ),
        (3, "idempotency", include_str!("../../migrations/0003_idempotency.sql")),
        (4, "keys", include_str!("../../migrations/0004_keys.sql")),
        (5, "batches", include_str!("../../migrations/0005_batches.sql")),
        (
            7,
            "payers of batches",
            include_str!("../../migrations/0007_payers_of_batches.sql"),
        ),
        (8, "budgets", include_str!("../../migrations/0008_budgets.sql")),
        (
            9,
            "more variants, and marks that go",
            include_str!("../../migrations/0009_more_and_marks.sql"),
        ),
        (
            10,
            "captions of items",
            include_str!("../../migrations/0010_captions_of_items.sql"),
        ),
        (11, "usage", include_str!("../../migrations/0011_usage.sql")),
        (
            12,
            "room for batches",
            include_str!("../../migrations/0012_room_for_batches.sql"),
        ),
        (13, "what goes", include_str!("../../migrations/0013_what_goes.sql")),
    ])
}

/// Number, name and text of every step, oldest first. A step that was released is never changed: its checksum is kept in
/// the file.
pub(crate) fn steps<const N: usize>(steps: [(i64, &'static str, &'static str); N]) -> Migrator {
    let steps = steps.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(steps.into());
    // The version before may be started again on the file of a newer one.
    migrator.set_ignore_missing(true);
    migrator
}

/// Makes the file and takes every step that was not taken yet.
pub(super) async fn run_on_file(path: &Path, migrator: &Migrator) -> Result<(), Fault> {
    let owned = PathBuf::from(path);
    let made = tokio::task::spawn_blocking(move || make_file(&owned)).await;
    made.map_err(|stopped| Fault::because(FaultKind::Unavailable, stopped))??;
    let mut connection = connect(path).await?;
    run(&mut connection, migrator).await?;
    connection.close().await.map_err(fault)
}

/// Takes every step that was not taken yet.
pub(super) async fn run(connection: &mut SqliteConnection, migrator: &Migrator) -> Result<(), Fault> {
    // All steps are one transaction that begins as a writer: of many processes the others wait, and then find all done.
    let mut all = connection.begin_with("BEGIN IMMEDIATE").await.map_err(fault)?;
    migrator
        .run_direct(None, &mut *all, false)
        .await
        .map_err(migration_fault)?;
    all.commit().await.map_err(fault)
}

/// The names of all steps.
pub(super) fn all() -> Vec<String> {
    migrator().iter().map(name).collect()
}

/// The names of the steps that were not taken yet, oldest first.
pub(super) async fn pending(connection: &mut SqliteConnection) -> Result<Vec<String>, Fault> {
    let taken = taken(connection).await.map_err(fault)?;
    let mut pending = Vec::new();
    for step in migrator().iter() {
        match taken.get(&step.version) {
            None => pending.push(name(step)),
            Some(checksum) if *checksum != *step.checksum => {
                let changed = format!("migration {} was changed after it was applied", step.version);
                return Err(Fault::because(FaultKind::Internal, changed));
            }
            Some(_) => {}
        }
    }
    Ok(pending)
}

fn name(step: &Migration) -> String {
    format!("{} {}", step.version, step.description)
}

/// Version and checksum of the steps taken so far.
async fn taken(connection: &mut SqliteConnection) -> Result<HashMap<i64, Vec<u8>>, sqlx::Error> {
    let known = sqlx::query("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_sqlx_migrations'");
    if known.fetch_optional(&mut *connection).await?.is_none() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("SELECT version, checksum FROM _sqlx_migrations WHERE success")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Folder and file, for their owner alone; what exists is left as it is.
fn make_file(path: &Path) -> Result<(), Fault> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|error| file_fault(folder, &error))?;
    }
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    made.map_err(|error| file_fault(path, &error))?;
    Ok(())
}

/// Opens the file and turns its write-ahead log on, for good.
async fn connect(path: &Path) -> Result<SqliteConnection, Fault> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(PATIENCE)
        .journal_mode(SqliteJournalMode::Wal)
        .disable_statement_logging();
    let begun = Instant::now();
    loop {
        match options.connect().await {
            // For this one change SQLite does not wait for others by itself.
            Err(error) if is_busy(&error) && begun.elapsed() < PATIENCE => sleep(Duration::from_millis(20)).await,
            connected => return connected.map_err(fault),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_a_step() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let names = names.filter_map(|name| name.into_string().unwrap().strip_suffix(".sql").map(str::to_owned));
        let mut files: Vec<i64> = names.map(|name| name[..4].parse().unwrap()).collect();
        files.sort_unstable();

        let steps: Vec<i64> = migrator().iter().map(|step| step.version).collect();

        assert_eq!(steps, files);
    }
}
