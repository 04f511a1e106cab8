//! How far something that takes its time has come, on standard error.

use std::io::{self, IsTerminal as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where nobody watches a bar: what is quick stays quiet, what is slow is seen to go on.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Bytes that are sent, with rate and time left; hidden unless standard error is a terminal.
pub(crate) fn of_bytes(length: Option<u64>) -> ProgressBar {
    match length {
        Some(length) => styled(
            ProgressBar::new(length),
            "{wide_bar} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec} ETA {eta}",
        ),
        None => styled(ProgressBar::no_length(), "{spinner} {binary_bytes} {binary_bytes_per_sec} {elapsed}"),
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    bar.set_draw_target(ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        // The templates are constants; a bar in the default style is no failure.
        Err(_) => bar,
    }
}

/// Work that the platform does in the background, as it tells of it: a bar in a terminal, elsewhere a line now
/// and then. Gone when dropped.
pub(crate) struct Work {
    what: String,
    unit: &'static str,
    bar: ProgressBar,
    next_line: Instant,
    said: String,
}

impl Work {
    /// `what` is its name, `unit` what is counted, as in `rows`.
    pub(crate) fn new(what: &str, unit: &'static str) -> Self {
        let bar = styled(ProgressBar::no_length(), "{spinner} {msg} {elapsed}");
        bar.set_message(what.to_owned());
        Work { what: what.to_owned(), unit, bar, next_line: Instant::now() + LINE_EVERY, said: String::new() }
    }

    /// `total` is `None` until it is known.
    pub(crate) fn show(&mut self, done: u64, total: Option<u64>) {
        let Some(total) = total else { return self.bar.tick() };
        if self.bar.length().is_none() {
            let template =
                format!("{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {} {{per_sec}} ETA {{eta}}", self.unit);
            self.bar = styled(std::mem::replace(&mut self.bar, ProgressBar::hidden()), &template);
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
        if self.bar.is_hidden() && Instant::now() >= self.next_line {
            self.next_line = Instant::now() + LINE_EVERY;
            self.say(format!("{done} of {total} {}", self.unit));
        }
    }

    /// One line, once.
    #[allow(clippy::print_stderr, reason = "not a result")]
    pub(crate) fn say(&mut self, text: String) {
        if text != self.said {
            self.bar.suspend(|| eprintln!("{}: {text}", self.what));
            self.said = text;
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
