//! The tables of `llm` 0.36.

use crate::Error;
use rusqlite::Connection;

/// Migrations that the tables stand for. `m026_message_tree_view` is left to `llm`: it creates the
/// view when it opens the file.
const MIGRATIONS: &[&str] = &[
    "m001_initial",
    "m002_id_primary_key",
    "m003_chat_id_foreign_key",
    "m004_column_order",
    "m004_drop_provider",
    "m005_debug",
    "m006_new_logs_table",
    "m007_finish_logs_table",
    "m008_reply_to_id_foreign_key",
    "m008_fix_column_order_in_logs",
    "m009_delete_logs_table_if_empty",
    "m010_create_new_log_tables",
    "m011_fts_for_responses",
    "m012_attachments_tables",
    "m013_usage",
    "m014_schemas",
    "m015_fragments_tables",
    "m016_fragments_table_pks",
    "m017_tools_tables",
    "m017_tools_plugin",
    "m018_tool_instances",
    "m019_resolved_model",
    "m020_tool_results_attachments",
    "m021_tool_results_exception",
    "m022_response_reasoning",
    "m023_message_store",
    "m024_tool_instance_references",
    "m025_turn_tools_instance_backfill",
    "m027_turns_response_json",
];

/// Creates the empty tables.
pub(super) fn create(db: &Connection, now: &str) -> Result<(), Error> {
    db.execute_batch(include_str!("tables.sql"))?;
    let mut statement = db.prepare("INSERT INTO _llm_migrations VALUES(?1, ?2)")?;
    for migration in MIGRATIONS {
        statement.execute([migration, now])?;
    }
    Ok(())
}
