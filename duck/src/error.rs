//! What DuckDB says went wrong.

use libduckdb_sys as ffi;

/// A result of this crate.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// An error of DuckDB: its kind and its message, as it wrote it.
///
/// The message may name files and settings: not for strangers' eyes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind of error.
    pub kind: ErrorKind,
    /// With DuckDB's prefix: `Binder Error: …`.
    pub message: String,
}

macro_rules! kinds {
    ($($variant:ident $constant:ident $prefix:literal,)*) => {
        /// DuckDB's own exception types.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $(#[doc = concat!("`", $prefix, " Error`")] $variant,)*
            /// None that this crate knows.
            Unknown,
        }

        impl ErrorKind {
            pub(crate) fn of_code(code: ffi::duckdb_error_type) -> Self {
                match code { $(ffi::$constant => ErrorKind::$variant,)* _ => ErrorKind::Unknown }
            }

            /// Where the C API gives the message alone, its prefix tells the type.
            fn of_message(message: &str) -> Self {
                let Some((prefix, _)) = message.split_once(" Error: ") else { return ErrorKind::Unknown };
                match prefix { $($prefix => ErrorKind::$variant,)* _ => ErrorKind::Unknown }
            }
        }
    };
}

kinds! {
    Invalid duckdb_error_type_DUCKDB_ERROR_INVALID "Invalid",
    OutOfRange duckdb_error_type_DUCKDB_ERROR_OUT_OF_RANGE "Out of Range",
    Conversion duckdb_error_type_DUCKDB_ERROR_CONVERSION "Conversion",
    UnknownType duckdb_error_type_DUCKDB_ERROR_UNKNOWN_TYPE "Unknown Type",
    Decimal duckdb_error_type_DUCKDB_ERROR_DECIMAL "Decimal",
    MismatchType duckdb_error_type_DUCKDB_ERROR_MISMATCH_TYPE "Mismatch Type",
    DivideByZero duckdb_error_type_DUCKDB_ERROR_DIVIDE_BY_ZERO "Divide by Zero",
    ObjectSize duckdb_error_type_DUCKDB_ERROR_OBJECT_SIZE "Object Size",
    InvalidType duckdb_error_type_DUCKDB_ERROR_INVALID_TYPE "Invalid type",
    Serialization duckdb_error_type_DUCKDB_ERROR_SERIALIZATION "Serialization",
    Transaction duckdb_error_type_DUCKDB_ERROR_TRANSACTION "TransactionContext",
    NotImplemented duckdb_error_type_DUCKDB_ERROR_NOT_IMPLEMENTED "Not implemented",
    Expression duckdb_error_type_DUCKDB_ERROR_EXPRESSION "Expression",
    Catalog duckdb_error_type_DUCKDB_ERROR_CATALOG "Catalog",
    Parser duckdb_error_type_DUCKDB_ERROR_PARSER "Parser",
    Planner duckdb_error_type_DUCKDB_ERROR_PLANNER "Planner",
    Scheduler duckdb_error_type_DUCKDB_ERROR_SCHEDULER "Scheduler",
    Executor duckdb_error_type_DUCKDB_ERROR_EXECUTOR "Executor",
    Constraint duckdb_error_type_DUCKDB_ERROR_CONSTRAINT "Constraint",
    Index duckdb_error_type_DUCKDB_ERROR_INDEX "Index",
    Stat duckdb_error_type_DUCKDB_ERROR_STAT "Stat",
    Connection duckdb_error_type_DUCKDB_ERROR_CONNECTION "Connection",
    Syntax duckdb_error_type_DUCKDB_ERROR_SYNTAX "Syntax",
    Settings duckdb_error_type_DUCKDB_ERROR_SETTINGS "Settings",
    Binder duckdb_error_type_DUCKDB_ERROR_BINDER "Binder",
    Network duckdb_error_type_DUCKDB_ERROR_NETWORK "Network",
    Optimizer duckdb_error_type_DUCKDB_ERROR_OPTIMIZER "Optimizer",
    NullPointer duckdb_error_type_DUCKDB_ERROR_NULL_POINTER "NullPointer",
    Io duckdb_error_type_DUCKDB_ERROR_IO "IO",
    Interrupt duckdb_error_type_DUCKDB_ERROR_INTERRUPT "INTERRUPT",
    Fatal duckdb_error_type_DUCKDB_ERROR_FATAL "FATAL",
    Internal duckdb_error_type_DUCKDB_ERROR_INTERNAL "INTERNAL",
    InvalidInput duckdb_error_type_DUCKDB_ERROR_INVALID_INPUT "Invalid Input",
    OutOfMemory duckdb_error_type_DUCKDB_ERROR_OUT_OF_MEMORY "Out of Memory",
    Permission duckdb_error_type_DUCKDB_ERROR_PERMISSION "Permission",
    ParameterNotResolved duckdb_error_type_DUCKDB_ERROR_PARAMETER_NOT_RESOLVED "Parameter Not Resolved",
    ParameterNotAllowed duckdb_error_type_DUCKDB_ERROR_PARAMETER_NOT_ALLOWED "Parameter Not Allowed",
    Dependency duckdb_error_type_DUCKDB_ERROR_DEPENDENCY "Dependency",
    Http duckdb_error_type_DUCKDB_ERROR_HTTP "HTTP",
    MissingExtension duckdb_error_type_DUCKDB_ERROR_MISSING_EXTENSION "Missing Extension",
    Autoload duckdb_error_type_DUCKDB_ERROR_AUTOLOAD "Extension Autoloading",
    Sequence duckdb_error_type_DUCKDB_ERROR_SEQUENCE "Sequence",
    InvalidConfiguration duckdb_error_type_DUCKDB_INVALID_CONFIGURATION "Invalid Configuration",
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into() }
    }

    /// From a message of which the C API does not give the type.
    pub(crate) fn of_message(message: String) -> Self {
        Error { kind: ErrorKind::of_message(&message), message }
    }

    /// Whether the statement was stopped by an [`crate::Interrupter`].
    pub fn is_interrupt(&self) -> bool {
        self.kind == ErrorKind::Interrupt
    }

    /// Whether there was no room where DuckDB writes: the system's words are all that it tells of it.
    pub fn is_disk_full(&self) -> bool {
        let words = ["No space left on device", "Disk quota exceeded"];
        self.kind == ErrorKind::Io && words.iter().any(|words| self.message.contains(words))
    }

    /// The message without DuckDB's prefix.
    pub fn bare_message(&self) -> &str {
        match self.message.split_once(" Error: ") {
            Some((_, rest)) if self.kind != ErrorKind::Unknown => rest,
            _ => &self.message,
        }
    }
}
