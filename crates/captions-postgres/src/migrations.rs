//! The steps that bring a database to the form that this version needs.

use std::{collections::HashMap, time::Duration};

use captions_domain::fault::{Fault, FaultKind};
use sqlx::{
    Row as _, SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgConnection},
};
use tokio::time::timeout;

use crate::{
    fault::{fault, migration_fault},
    pool::Pool,
};

/// The most that waiting for another replica's migration and our own may take together.
const LIMIT: Duration = Duration::from_mins(15);

/// Every step, oldest first. A step that was released is never changed: its checksum is kept in the database.
fn migrator() -> Migrator {
    let steps = [
        (
            1,
            "users and captions",
            include_str!("../migrations/0001_users_and_captions.sql"),
        ),
        (
            2,
            "finding captions",
            include_str!("../migrations/0002_finding_captions.sql"),
        ),
        (3, "idempotency", include_str!("../migrations/0003_idempotency.sql")),
        (4, "keys", include_str!("../migrations/0004_keys.sql")),
        (5, "batches", include_str!("../migrations/0005_batches.sql")),
        (
            7,
            "payers of batches",
            include_str!("../migrations/0007_payers_of_batches.sql"),
        ),
        (8, "budgets", include_str!("../migrations/0008_budgets.sql")),
        (
            9,
            "more variants, and marks that go",
            include_str!("../migrations/0009_more_and_marks.sql"),
        ),
        (
            10,
            "captions of items",
            include_str!("../migrations/0010_captions_of_items.sql"),
        ),
        (11, "usage", include_str!("../migrations/0011_usage.sql")),
        (
            12,
            "room for batches",
            include_str!("../migrations/0012_room_for_batches.sql"),
        ),
        (13, "what goes", include_str!("../migrations/0013_what_goes.sql")),
    ];
    let steps = steps.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(steps.into());
    // A replica of the version before may start while the new version is being rolled out, or rolled back.
    migrator.set_ignore_missing(true);
    migrator
}

/// Takes every step that was not taken yet. Replicas that do it at once wait for each other at a lock of the database.
pub(crate) async fn run(pool: &Pool, unlimited: &PgConnectOptions) -> Result<(), Fault> {
    let work = async {
        let (mut connection, _slot) = pool.apart(unlimited).await?;
        // The lock ends with the connection, which is never used for anything else. By way of `run` the future could not be
        // sent to another thread.
        migrator()
            .run_direct(None, &mut connection, false)
            .await
            .map_err(migration_fault)
    };
    timeout(LIMIT, work)
        .await
        .map_err(|waited| Fault::because(FaultKind::Timeout, waited))?
}

/// The names of the steps that were not taken yet, oldest first.
pub(crate) async fn pending(pool: &Pool, unlimited: &PgConnectOptions) -> Result<Vec<String>, Fault> {
    let work = async {
        let (mut connection, _slot) = pool.apart(unlimited).await?;
        let taken = taken(&mut connection).await.map_err(fault)?;
        let mut pending = Vec::new();
        for step in migrator().iter() {
            match taken.get(&step.version) {
                None => pending.push(format!("{} {}", step.version, step.description)),
                Some(checksum) if *checksum != *step.checksum => {
                    let changed = format!("migration {} was changed after it was applied", step.version);
                    return Err(Fault::because(FaultKind::Internal, changed));
                }
                Some(_) => {}
            }
        }
        Ok(pending)
    };
    timeout(LIMIT, work)
        .await
        .map_err(|waited| Fault::because(FaultKind::Timeout, waited))?
}

/// Version and checksum of the steps taken so far.
async fn taken(connection: &mut PgConnection) -> Result<HashMap<i64, Vec<u8>>, sqlx::Error> {
    let is_known = sqlx::query("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if !is_known.try_get::<bool, _>(0)? {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query("SELECT version, checksum FROM _sqlx_migrations WHERE success")
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
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
