//! DuckDB's errors, fit for the client: its own words where the client can do something about it,
//! without where objects lie.

use duck::ErrorKind;

use crate::engine::{Stop, StopReason};
use crate::error::Error;

/// Longest message that is passed on.
const MESSAGE_BYTES_MAX: usize = 4_096;

/// Whose fault it is, and what to say.
pub(super) fn statement_error(error: duck::Error, root: &str, stop: &Stop) -> Error {
    if error.is_interrupt() {
        return stopped(stop);
    }
    if error.is_disk_full() {
        // A statement writes nothing but to the temp folder.
        return Error::NoSpace;
    }
    match error.kind {
        ErrorKind::OutOfRange
        | ErrorKind::Conversion
        | ErrorKind::UnknownType
        | ErrorKind::Decimal
        | ErrorKind::MismatchType
        | ErrorKind::DivideByZero
        | ErrorKind::ObjectSize
        | ErrorKind::InvalidType
        | ErrorKind::NotImplemented
        | ErrorKind::Expression
        | ErrorKind::Catalog
        | ErrorKind::Parser
        | ErrorKind::Syntax
        | ErrorKind::Binder
        | ErrorKind::Planner
        | ErrorKind::Executor
        | ErrorKind::Constraint
        | ErrorKind::InvalidInput
        | ErrorKind::Invalid
        | ErrorKind::ParameterNotResolved
        | ErrorKind::ParameterNotAllowed
        | ErrorKind::Sequence
        | ErrorKind::Settings => Error::Statement { message: scrubbed(&error.message, root) },
        // What the lock-down stopped, where the gate should have.
        ErrorKind::Permission | ErrorKind::MissingExtension | ErrorKind::Autoload => {
            Error::Refused("the statement reaches for what is not allowed here".into())
        }
        ErrorKind::OutOfMemory => Error::OutOfMemory,
        kind => Error::Engine { kind, message: error.message },
    }
}

/// Why a statement that was stopped was stopped.
pub(super) fn stopped(stop: &Stop) -> Error {
    match stop.reason() {
        // The executor, which knows how long that was, says so.
        Some(StopReason::Timeout) => Error::Timeout(std::time::Duration::ZERO),
        Some(StopReason::Abandoned) | None => Error::Cancelled,
    }
}

/// A message without paths and URLs: words that name the datasets' folder, any absolute path of
/// more than one part, and any URL.
pub(super) fn scrubbed(message: &str, root: &str) -> String {
    let mut clean = String::with_capacity(message.len().min(MESSAGE_BYTES_MAX));
    let mut rest = message;
    while let Some(start) = find_place(rest, root) {
        clean.push_str(&rest[..start]);
        clean.push('…');
        let end = rest[start..].find(['"', '\'', ' ', '\n', ',', ')', ']']).map_or(rest.len(), |end| start + end);
        rest = &rest[end..];
    }
    clean.push_str(rest);
    let mut end = clean.len().min(MESSAGE_BYTES_MAX);
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    clean.truncate(end);
    clean
}

fn find_place(text: &str, root: &str) -> Option<usize> {
    let schemes = ["s3://", "http://", "https://", "file://"];
    let starts = schemes.iter().copied().chain(std::iter::once(root)).filter(|start| start.len() > 1);
    starts.filter_map(|start| text.find(start)).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_temp_folder_is_no_fault_of_the_datasets() {
        use kit::{Code, Problem};

        let folder = tempfile::tempdir().unwrap();
        // Whatever is written to one of DuckDB's temporary files meets a full disk.
        for size in ["DEFAULT", "S32K", "S64K", "S96K", "S128K", "S160K", "S192K", "S224K"] {
            for number in 0..4 {
                let name = format!("duckdb_temp_storage_{size}-{number}.tmp");
                std::os::unix::fs::symlink("/dev/full", folder.path().join(name)).unwrap();
            }
        }
        // Not locked, as a locked one opens no link that leads elsewhere.
        let folder = folder.path().to_str().unwrap();
        let settings = [("memory_limit", "100MB"), ("temp_directory", folder), ("threads", "2")];
        let connection = duck::Database::open_in_memory(&settings).unwrap().connect().unwrap();
        let sql = "SELECT sum(length(s)) FROM (SELECT hash(range) AS h, repeat('x', 50) || range AS s \
                   FROM range(3000000) ORDER BY h OFFSET 1)";
        let told = connection.execute_batch(sql).unwrap_err();
        assert!(told.message.contains(folder), "it was the temp folder: {told}");
        let problem = Problem::from(statement_error(told, "/data/datasets/", &Stop::default()));
        assert_eq!((problem.code, problem.code.http_status().as_u16()), (Code::InsufficientStorage, 507));
        assert!(problem.detail.contains("temp_dir") && !problem.detail.contains('/'), "{problem}");
    }

    #[test]
    fn messages_lose_where_objects_lie_and_keep_the_rest() {
        let root = "/var/lib/lake/datasets/";
        for (message, clean) in [
            ("Binder Error: no column \"x\"", "Binder Error: no column \"x\""),
            ("IO Error: \"/var/lib/lake/datasets/a/b.parquet\" is torn", "IO Error: \"…\" is torn"),
            ("at s3://bucket/key, and http://host/x", "at …, and …"),
            ("10 / 2 and a/b", "10 / 2 and a/b"),
        ] {
            assert_eq!(scrubbed(message, root), clean);
        }
        assert!(scrubbed(&"ä".repeat(5_000), root).len() <= MESSAGE_BYTES_MAX);
    }
}
