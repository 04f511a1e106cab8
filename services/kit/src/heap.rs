//! The C library's heap, told how a server uses it.
//!
//! Bodies and batches of megabytes come and go on many threads. glibc would soon keep blocks of their size for
//! the next ones, which then lie between what stays: a process would look a fifth larger than what it holds.

#![allow(unsafe_code)]

/// Blocks from this size on are given back to the system when they are freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_FROM_BYTES: libc::c_int = 1 << 20;

/// Has large blocks mapped one by one; for the start of a process.
pub fn configure() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes two numbers, and locks what it changes.
    let set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, MAPPED_FROM_BYTES) == 1 };
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    if !set {
        tracing::warn!("the heap keeps its own way with large blocks");
    }
}

/// Gives pages that hold nothing back to the system. Takes milliseconds for each gigabyte, in which
/// other threads may wait for memory: for after a load of writes, not for each.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes a number, and locks what it changes.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// In KiB.
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    #[test]
    fn what_is_freed_between_what_stays_goes_back() {
        configure();
        let (mut stay, mut go) = (Vec::new(), Vec::new());
        for _ in 0..4_000 {
            stay.push(vec![1_u8; 64]);
            go.push(vec![1_u8; 16 << 10]);
        }
        let full = resident();
        drop(go);
        trim();
        // Of 62.5 MiB, whole pages.
        assert!(full - resident() > 40 << 10, "{full} KiB before, {} KiB after", resident());
        drop(stay);
    }
}
