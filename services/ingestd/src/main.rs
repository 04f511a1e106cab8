//! ingestd as a process of its own.

fn main() -> std::process::ExitCode {
    kit::entry::run::<ingestd::Config, _, _>(ingestd::serve)
}
