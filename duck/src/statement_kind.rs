//! What a statement is, by DuckDB's own classification.

use libduckdb_sys as ffi;

macro_rules! kinds {
    ($($variant:ident $constant:ident,)*) => {
        /// DuckDB's statement types.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the names are DuckDB's and say it")]
        pub enum StatementKind {
            $($variant,)*
            Other,
        }

        impl StatementKind {
            pub(crate) fn of_code(code: ffi::duckdb_statement_type) -> Self {
                match code { $(ffi::$constant => StatementKind::$variant,)* _ => StatementKind::Other }
            }
        }
    };
}

kinds! {
    Invalid duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INVALID,
    Select duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SELECT,
    Insert duckdb_statement_type_DUCKDB_STATEMENT_TYPE_INSERT,
    Update duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE,
    Explain duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXPLAIN,
    Delete duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DELETE,
    Prepare duckdb_statement_type_DUCKDB_STATEMENT_TYPE_PREPARE,
    Create duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE,
    Execute duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXECUTE,
    Alter duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ALTER,
    Transaction duckdb_statement_type_DUCKDB_STATEMENT_TYPE_TRANSACTION,
    Copy duckdb_statement_type_DUCKDB_STATEMENT_TYPE_COPY,
    Analyze duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ANALYZE,
    VariableSet duckdb_statement_type_DUCKDB_STATEMENT_TYPE_VARIABLE_SET,
    CreateFunction duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CREATE_FUNC,
    Drop duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DROP,
    Export duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXPORT,
    Pragma duckdb_statement_type_DUCKDB_STATEMENT_TYPE_PRAGMA,
    Vacuum duckdb_statement_type_DUCKDB_STATEMENT_TYPE_VACUUM,
    Call duckdb_statement_type_DUCKDB_STATEMENT_TYPE_CALL,
    Set duckdb_statement_type_DUCKDB_STATEMENT_TYPE_SET,
    Load duckdb_statement_type_DUCKDB_STATEMENT_TYPE_LOAD,
    Relation duckdb_statement_type_DUCKDB_STATEMENT_TYPE_RELATION,
    Extension duckdb_statement_type_DUCKDB_STATEMENT_TYPE_EXTENSION,
    LogicalPlan duckdb_statement_type_DUCKDB_STATEMENT_TYPE_LOGICAL_PLAN,
    Attach duckdb_statement_type_DUCKDB_STATEMENT_TYPE_ATTACH,
    Detach duckdb_statement_type_DUCKDB_STATEMENT_TYPE_DETACH,
    Multi duckdb_statement_type_DUCKDB_STATEMENT_TYPE_MULTI,
    CopyDatabase duckdb_statement_type_DUCKDB_STATEMENT_TYPE_COPY_DATABASE,
    UpdateExtensions duckdb_statement_type_DUCKDB_STATEMENT_TYPE_UPDATE_EXTENSIONS,
    MergeInto duckdb_statement_type_DUCKDB_STATEMENT_TYPE_MERGE_INTO,
}
