//! What a query may do: reading, and nothing else.

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Pragmas that only tell something. Without a value, or with the name of a table or index.
const PRAGMAS: &[&str] = &[
    "collation_list",
    "compile_options",
    "database_list",
    "foreign_key_list",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "module_list",
    "pragma_list",
    "table_info",
    "table_list",
    "table_xinfo",
];

/// Pragmas that tell something without a value and would set it with one.
const PRAGMAS_WITHOUT_VALUE: &[&str] = &[
    "application_id",
    "data_version",
    "encoding",
    "freelist_count",
    "integrity_check",
    "page_count",
    "page_size",
    "quick_check",
    "schema_version",
    "user_version",
];

/// Functions that do more than compute.
const FUNCTIONS: &[&str] = &["fts3_tokenizer", "load_extension"];

/// Decides about one step of a statement while it is prepared.
pub(super) fn authorize(context: AuthContext<'_>) -> Authorization {
    let is_allowed = match context.action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => {
            !FUNCTIONS.iter().any(|refused| refused.eq_ignore_ascii_case(function_name))
        }
        AuthAction::Pragma { pragma_name, pragma_value } => {
            let is_in =
                |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(pragma_name));
            is_in(PRAGMAS) || (pragma_value.is_none() && is_in(PRAGMAS_WITHOUT_VALUE))
        }
        _ => false,
    };
    if is_allowed { Authorization::Allow } else { Authorization::Deny }
}
