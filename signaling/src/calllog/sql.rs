//! Statements that SQLite and PostgreSQL understand alike.
//!
//! In: what is asked. Not in: tables, whose types differ (`sqlite.rs`, `postgres.rs`).
//!
//! SQLite numbers parameters with names by where they first stand, so they stand in their order. What may be NULL is cast, because
//! PostgreSQL wants to know its type.

/// Once, however often it is tried, and by whom.
pub(super) const INSERT_CALL: &str =
    "INSERT INTO calls VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING";

pub(super) const INSERT_RECIPIENT: &str = "INSERT INTO call_recipients VALUES ($1, $2, $3, $4)";

pub(super) const HISTORY: &str = "
    SELECT id, call_id, initiator_id, call_type, started_at, answered_at, ended_at, outcome, ended_by FROM calls
    WHERE (CAST($1 AS BIGINT) IS NULL OR ended_at < $1) AND (CAST($2 AS TEXT) IS NULL OR initiator_id = $2
        OR id IN (SELECT call FROM call_recipients WHERE user_id = $2))
    ORDER BY ended_at DESC, id LIMIT $3";

pub(super) const RECIPIENTS: &str =
    "SELECT user_id, answer FROM call_recipients WHERE call = $1 ORDER BY position";

pub(super) const COUNT_OF_USER: &str = "
    SELECT count(*) FROM calls WHERE initiator_id = $1 OR ended_by = $1
        OR id IN (SELECT call FROM call_recipients WHERE user_id = $1)";

/// Takes a user out.
pub(super) const ERASE_USER: [&str; 3] = [
    "DELETE FROM call_recipients WHERE user_id = $1",
    "UPDATE calls SET initiator_id = NULL WHERE initiator_id = $1",
    "UPDATE calls SET ended_by = NULL WHERE ended_by = $1",
];

/// Takes out calls that are about nobody then.
pub(super) const ERASE_NOBODYS: &str =
    "DELETE FROM calls WHERE initiator_id IS NULL AND id NOT IN (SELECT call FROM call_recipients)";

pub(super) const EXPIRE: &str = "DELETE FROM calls WHERE ended_at < $1";
