//! Brings a database file up to the schema of this program, once, under a lock.
//!
//! `PRAGMA user_version` counts the migrations applied. They are append-only files in `migrations/`: one that has
//! been released is never changed, a mistake is mended by the next.

use rusqlite::{Connection, TransactionBehavior};

use super::OpenError;

/// Every migration, in order; the position is its number.
pub(super) const ALL: &[&str] = &[
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_client_settings.sql"),
    include_str!("../../../migrations/0003_account.sql"),
    include_str!("../../../migrations/0004_session.sql"),
    include_str!("../../../migrations/0005_subscriber.sql"),
    include_str!("../../../migrations/0006_policy.sql"),
    include_str!("../../../migrations/0007_rotation.sql"),
    include_str!("../../../migrations/0008_one_index.sql"),
];

/// Applies those of `migrations` that the file has not seen; all of them, or none.
pub(super) fn run(connection: &mut Connection, migrations: &[&str]) -> Result<(), OpenError> {
    // Taken before the version is read: of two processes that start at once, the second finds it done.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let known = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    for migration in migrations.iter().skip(usize::try_from(found).unwrap_or(usize::MAX)) {
        transaction.execute_batch(migration)?;
    }
    if found < known {
        transaction.pragma_update(None, "user_version", known)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> u32 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn only_what_is_missing_is_applied() {
        let mut db = Connection::open_in_memory().unwrap();
        let first = "CREATE TABLE a (x INTEGER)";
        run(&mut db, &[first]).unwrap();
        // Would fail if the first ran again.
        run(&mut db, &[first, "ALTER TABLE a ADD COLUMN y INTEGER"]).unwrap();
        run(&mut db, &[first, "ALTER TABLE a ADD COLUMN y INTEGER"]).unwrap();
        db.execute("INSERT INTO a (x, y) VALUES (1, 2)", []).unwrap();
        assert_eq!(version(&db), 2);
    }

    #[test]
    fn a_failed_migration_leaves_nothing() {
        let mut db = Connection::open_in_memory().unwrap();
        assert!(
            run(&mut db, &["CREATE TABLE a (x INTEGER)", "CREATE TABLE b (y INTEGER); NONSENSE"]).is_err()
        );
        assert_eq!(version(&db), 0);
        assert!(db.execute("INSERT INTO a VALUES (1)", []).is_err());
    }

    #[test]
    fn a_newer_database_is_refused_and_left_alone() {
        let mut db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "user_version", 700).unwrap();
        assert!(matches!(run(&mut db, ALL), Err(OpenError::Newer { found: 700, .. })));
        assert_eq!(version(&db), 700);
    }
}
