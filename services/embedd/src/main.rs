//! embedd as a process of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    kit::entry::run(embedd::serve)
}
