//! Memory that the allocator keeps.

#![allow(unsafe_code)]

/// Gives free memory back to the system: pages in the middle of the heap, too, which the allocator keeps by itself. Takes some
/// milliseconds for each 100 MiB, in which nothing can be allocated.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes no pointer; the allocator locks itself.
    unsafe {
        libc::malloc_trim(0);
    }
}
