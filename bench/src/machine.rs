//! The machine, so far as the figures depend on it.

use std::fs;

/// Processor, cores, memory and system in one line.
pub(crate) fn facts(threads: usize) -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = field(&cpuinfo, "model name").unwrap_or("unknown processor");
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib: u64 = field(&meminfo, "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    let os = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let os = os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"');
    format!("{cpu}, {threads} cores, {:.0} GiB of memory, {os}", kib as f64 / f64::from(1 << 20))
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_field_is_what_follows_the_colon() {
        assert_eq!(super::field("MemTotal:  7 kB\nMemFree: 1 kB", "MemTotal"), Some("7 kB"));
        assert_eq!(super::field("", "MemTotal"), None);
    }
}
