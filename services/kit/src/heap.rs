//! The C library's heap, told how a server uses it.
//!
//! Bodies and batches of megabytes come and go on many threads. glibc would soon keep blocks of their size for
//! the next ones, which then lie between what stays: a process would look a fifth larger than what it holds.

#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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

/// What a huge page has; shorter blocks do not fill one.
#[cfg(target_os = "linux")]
const HUGE_PAGE_BYTES: usize = 2 << 20;

thread_local! {
    static WANTS_HUGE_PAGES: Cell<bool> = const { Cell::new(false) };
}

/// Has the blocks that `work` allocates on this thread lie in huge pages, if they are large and the system has
/// such pages: for what stays, is filled at once and read over and over, as a model's weights. The processor
/// looks ahead within a page only.
pub fn with_huge_pages<T>(work: impl FnOnce() -> T) -> T {
    /// However `work` ends.
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            WANTS_HUGE_PAGES.set(self.0);
        }
    }
    let _before = Before(WANTS_HUGE_PAGES.replace(true));
    work()
}

/// The system's allocator, with [`with_huge_pages`].
struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: the system's allocator does it all; what its blocks are made of is no part of the contract.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { System.alloc(layout) };
        advise(block, layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { System.alloc_zeroed(layout) };
        advise(block, layout.size());
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        let block = unsafe { System.realloc(block, layout, bytes) };
        advise(block, bytes);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

/// For a block that nothing was written to yet.
#[inline]
fn advise(block: *mut u8, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= HUGE_PAGE_BYTES && !block.is_null() && WANTS_HUGE_PAGES.try_with(Cell::get).unwrap_or(false) {
        const PAGE_BYTES: usize = 4096;
        let skipped = block.align_offset(PAGE_BYTES);
        let whole = (bytes - skipped) / PAGE_BYTES * PAGE_BYTES;
        // SAFETY: whole pages within the block; advice changes nothing of what is in them, and where it is not taken
        // there are other pages.
        unsafe {
            libc::madvise(block.add(skipped).cast(), whole, libc::MADV_HUGEPAGE);
        }
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

    /// KiB in huge pages of the mapping that has an address.
    fn huge(address: usize) -> usize {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut here = false;
        for line in maps.lines() {
            if let Some((range, _)) = line.split_once(' ').filter(|(range, _)| range.contains('-')) {
                let (start, end) = range.split_once('-').unwrap();
                let hex = |text| usize::from_str_radix(text, 16).unwrap();
                here = (hex(start)..hex(end)).contains(&address);
            } else if let Some(kib) = line.strip_prefix("AnonHugePages:").filter(|_| here) {
                return kib.trim().trim_end_matches(" kB").parse().unwrap();
            }
        }
        panic!("no mapping has it");
    }

    #[test]
    fn what_is_wanted_in_huge_pages_lies_there_and_nothing_else() {
        configure();
        let has_them = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
        let (plain, wide) = (vec![1_u8; 64 << 20], with_huge_pages(|| vec![1_u8; 64 << 20]));
        let after = vec![1_u8; 64 << 20];
        // A block's first page is not its own, as its size stands there.
        let huge = |bytes: &[u8]| huge(bytes[bytes.len() / 2..].as_ptr().addr());
        if has_them.contains("[madvise]") {
            assert_eq!([huge(&plain), huge(&after)], [0, 0]);
            assert!(huge(&wide) > 32 << 10, "{} KiB", huge(&wide));
        }
    }
}
