//! What was measured, printed and written down.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

/// What a figure has to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            // NaN meets nothing.
            Target::AtLeast(bound) => value >= bound,
            Target::AtMost(bound) => value <= bound,
        }
    }
}

/// What came of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no target.
    None,
    Met,
    Missed,
    /// There is no figure.
    Failed,
}

impl Verdict {
    fn of(met: bool) -> Self {
        if met { Verdict::Met } else { Verdict::Missed }
    }

    fn as_str(self) -> &'static str {
        match self {
            Verdict::None => "–",
            Verdict::Met => "met",
            Verdict::Missed => "**missed**",
            Verdict::Failed => "**FAILED**",
        }
    }
}

/// One line of a table.
#[derive(Debug)]
pub(crate) struct Line {
    cells: [String; 5],
    verdict: Verdict,
}

impl Line {
    /// Two figures and their ratio, which has a target.
    pub(crate) fn ratio(what: &str, ours: String, peer: String, ratio: f64, target: Target) -> Self {
        let wanted = match target {
            Target::AtLeast(bound) => format!("≥ {bound:.2} ×"),
            Target::AtMost(bound) => format!("≤ {bound:.2} ×"),
        };
        Self::of(what, ours, peer, format!("{ratio:.3} ×"), wanted, Verdict::of(target.is_met_by(ratio)))
    }

    /// A figure with a target of its own, in `unit`.
    pub(crate) fn absolute(what: &str, value: f64, unit: &str, target: Target) -> Self {
        let wanted = match target {
            Target::AtLeast(bound) => format!("≥ {bound} {unit}"),
            Target::AtMost(bound) => format!("≤ {bound} {unit}"),
        };
        let wanted = wanted.trim_end().to_owned();
        Self::of(what, number(value, unit), "–".into(), "–".into(), wanted, Verdict::of(target.is_met_by(value)))
    }

    /// A figure near one, of which the digits behind the nines count.
    pub(crate) fn exact(what: &str, value: f64, target: Target) -> Self {
        let (Target::AtLeast(bound) | Target::AtMost(bound)) = target;
        let wanted = if matches!(target, Target::AtLeast(_)) { format!("≥ {bound}") } else { format!("≤ {bound}") };
        Self::of(what, format!("{value:.9}"), "–".into(), "–".into(), wanted, Verdict::of(target.is_met_by(value)))
    }

    /// Something that holds or does not.
    pub(crate) fn holds(what: &str, holds: bool, found: String) -> Self {
        let found = one_cell(&found);
        Self::of(what, found, "–".into(), "–".into(), "holds".into(), Verdict::of(holds))
    }

    /// A figure to read with the others.
    pub(crate) fn figure(what: &str, ours: String, peer: String, ratio: Option<f64>) -> Self {
        let ratio = ratio.map_or("–".into(), |ratio| format!("{ratio:.3} ×"));
        Self::of(what, ours, peer, ratio, "–".into(), Verdict::None)
    }

    /// A measurement that did not come to a figure.
    pub(crate) fn failed(what: &str, error: &anyhow::Error) -> Self {
        let error = one_cell(&format!("{error:#}"));
        Self::of(what, error, "–".into(), "–".into(), "–".into(), Verdict::Failed)
    }

    fn of(what: &str, ours: String, peer: String, ratio: String, target: String, verdict: Verdict) -> Self {
        Line { cells: [what.to_owned(), ours, peer, ratio, target], verdict }
    }

    fn text(&self) -> String {
        format!("{} | {}", self.cells.join(" | "), self.verdict.as_str())
    }
}

/// Text that does not break the table.
fn one_cell(text: &str) -> String {
    text.replace(['|', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A value with so many digits as say something.
pub(crate) fn number(value: f64, unit: &str) -> String {
    let digits = match value.abs() {
        small if small < 1.0 => 3,
        few if few < 10.0 => 2,
        some if some < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// One row of the table: its measurements.
#[derive(Debug)]
pub(crate) struct Section {
    name: &'static str,
    title: String,
    how: String,
    lines: Vec<Line>,
}

impl Section {
    pub(crate) fn new(name: &'static str, title: impl Into<String>, how: impl Into<String>) -> Self {
        Section { name, title: title.into(), how: how.into(), lines: Vec::new() }
    }

    /// Adds what was measured; prints it at once, since a run takes minutes.
    #[allow(clippy::print_stdout, reason = "it talks to a person")]
    pub(crate) fn add(&mut self, line: Line) {
        println!("{:8} | {}", self.name, line.text());
        self.lines.push(line);
    }

    /// Adds what was measured, or that it failed.
    pub(crate) fn record(&mut self, what: &str, measured: Result<Vec<Line>>) {
        match measured {
            Ok(lines) => lines.into_iter().for_each(|line| self.add(line)),
            Err(error) => self.add(Line::failed(what, &error)),
        }
    }

    /// How many of its lines came to this.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.lines.iter().filter(|line| line.verdict == verdict).count()
    }

    fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.how);
        text.push_str("| what | lakehouse | peer | ratio | target | |\n|---|---|---|---|---|---|\n");
        for line in &self.lines {
            let _ = writeln!(text, "| {} |", line.text());
        }
        text
    }
}

/// Replaces the measured sections of the document and keeps the others.
pub(crate) fn write(file: &Path, head: &str, names: &[&'static str], sections: &[Section]) -> Result<()> {
    let old = fs::read_to_string(file).unwrap_or_default();
    let mut text = head.to_owned();
    for name in names {
        let (begin, end) = (format!("<!-- bench {name} -->\n"), format!("<!-- end {name} -->\n"));
        let new = sections.iter().find(|section| section.name == *name).map(Section::markdown);
        let kept = || Some(old.split_once(&begin)?.1.split_once(&end)?.0.to_owned());
        if let Some(section) = new.or_else(kept) {
            let _ = write!(text, "\n{begin}{section}{end}");
        }
    }
    fs::write(file, text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(name: &'static str, line: Line) -> Section {
        Section { name, title: name.to_uppercase(), how: "So.".into(), lines: vec![line] }
    }

    #[test]
    fn a_run_replaces_its_own_sections_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("B.md");
        let first = section("one", Line::absolute("a", 2.0, "s", Target::AtMost(1.0)));
        let second = section("two", Line::failed("b", &anyhow::anyhow!("no | way")));
        write(&file, "# Head\n", &["one", "two"], &[first, second]).unwrap();
        let again = section("one", Line::absolute("a", 0.5, "s", Target::AtMost(1.0)));
        write(&file, "# Head\n", &["one", "two"], &[again]).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("| a | 0.500 s | – | – | ≤ 1 s | met |"), "{text}");
        assert!(text.contains("| b | no way | – | – | – | **FAILED** |"), "{text}");
        assert!(!text.contains("missed"), "{text}");
    }

    #[test]
    fn what_is_no_number_meets_no_target() {
        assert!(!Target::AtLeast(1.0).is_met_by(f64::NAN) && !Target::AtMost(1.0).is_met_by(f64::NAN));
        assert!(Target::AtMost(1.0).is_met_by(1.0) && !Target::AtLeast(1.0).is_met_by(0.99));
    }
}
