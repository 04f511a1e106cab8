//! Why a command did not do what it was asked to, and the exit code that a script sees.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use http::StatusCode;
use serde::Deserialize;
use url::Url;

/// The exit codes, as `--help` tells them. They are stable.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed: on the server (5xx), on the way, or on this machine
  2    the command line or the configuration is not valid
  3    the server cannot be reached
  4    the server refused the request (4xx)
  130  interrupted

Results go to standard output, everything else to standard error. An error is one line:
  error: no dataset \"x\" (code not_found, request 0192f3c1a2b4)";

/// Every way to fail.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The arguments do not go together, or name what is not there.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Config(#[from] kit::config::ConfigError),
    #[error("cannot reach {url}: {reason} (lakehouse up starts a platform; --url or LAKEHOUSE_URL say where one is)")]
    Unreachable { url: Url, reason: String },
    /// The server answered with a problem.
    #[error("{}", .0.sentence())]
    Answer(Box<Answer>),
    /// The connection ended before the answer did.
    #[error("the answer broke off after {bytes} bytes: {reason}")]
    BrokenOff { bytes: u64, reason: String },
    /// The connection ended before the answer began: whether the request was carried out is
    /// not known.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The server answered what this client does not understand.
    #[error("the server's answer is not understood: {0}")]
    Answered(String),
    /// Something on this machine.
    #[error("{doing}: {reason}")]
    Local { doing: String, reason: String },
    /// What the platform was doing in the background came to nothing.
    #[error("{0}")]
    Background(String),
    #[error("{0}")]
    TimedOut(String),
    /// A service of `up` is not to be kept alive.
    #[error("{0}")]
    Platform(String),
    /// Whoever read standard output has seen enough.
    #[error("standard output was closed")]
    OutputClosed,
    #[error("interrupted")]
    Interrupted,
}

/// A problem as the server told it.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    detail: String,
    code: String,
    request_id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ProblemBody {
    detail: String,
    code: String,
    request_id: String,
}

impl Answer {
    /// Whatever the body holds: a proxy in between may not know problems.
    pub(crate) fn new(status: StatusCode, request_id: Option<&str>, body: &[u8]) -> Self {
        let problem: ProblemBody = serde_json::from_slice(body).unwrap_or_default();
        let plain = String::from_utf8_lossy(&body[..body.len().min(200)]).trim().to_owned();
        let first = |texts: [String; 3]| texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
        Answer {
            status,
            detail: first([problem.detail, plain, status.to_string()]),
            code: first([problem.code, status.as_u16().to_string(), String::new()]),
            request_id: first([problem.request_id, request_id.unwrap_or_default().to_owned(), String::new()]),
        }
    }

    pub(crate) fn is(&self, status: StatusCode) -> bool {
        self.status == status
    }

    pub(crate) fn sentence(&self) -> String {
        match self.request_id.as_str() {
            "" => format!("{} (code {})", self.detail, self.code),
            id => format!("{} (code {}, request {id})", self.detail, self.code),
        }
    }
}

impl Failure {
    /// An error on this machine, with its causes.
    pub(crate) fn local(doing: impl Into<String>, error: impl Error) -> Self {
        Failure::Local { doing: doing.into(), reason: chain(&error) }
    }

    /// An error in writing results.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::OutputClosed,
            _ => Failure::local("writing the result", error),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Config(_) => 2,
            Failure::Unreachable { .. } => 3,
            Failure::Answer(answer) if answer.status.is_client_error() => 4,
            Failure::Answer(_)
            | Failure::BrokenOff { .. }
            | Failure::NoAnswer(_)
            | Failure::Answered(_)
            | Failure::Local { .. }
            | Failure::Background(_)
            | Failure::TimedOut(_)
            | Failure::Platform(_) => 1,
            // `lakehouse sql … | head` went as it should.
            Failure::OutputClosed => 0,
            Failure::Interrupted => 130,
        }
    }

    /// Says it on standard error, where there is something to say.
    #[allow(clippy::print_stderr, reason = "this is where a person is told")]
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Failure::OutputClosed) {
            eprintln!("error: {self}");
        }
        ExitCode::from(self.exit_code())
    }
}

/// `a: b: c`, down to the first cause.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own words.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        Failure::Answer(Box::new(Answer::new(status, Some("0192"), body.as_bytes())))
    }

    #[test]
    fn an_answer_is_told_in_the_servers_words() {
        let refused = answer(404, r#"{"detail":"no dataset \"x\"","code":"not_found","request_id":"77"}"#);
        assert_eq!(refused.to_string(), "no dataset \"x\" (code not_found, request 77)");
        assert_eq!(refused.exit_code(), 4);
        let failed = answer(502, "<html>bad gateway</html>");
        assert_eq!(failed.to_string(), "<html>bad gateway</html> (code 502, request 0192)");
        assert_eq!(failed.exit_code(), 1);
        assert_eq!(answer(500, "").to_string(), "500 Internal Server Error (code 500, request 0192)");
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let closed = Failure::output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(closed.exit_code(), 0);
        assert_eq!(Failure::output(io::ErrorKind::StorageFull.into()).exit_code(), 1);
    }
}
