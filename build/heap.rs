//! What becomes of freed memory.

/// Keeps freed memory for the next tensor, however large. Otherwise nearly every one is fetched from the system anew and cleared by
/// it, which takes a third of stage `embed` (119 s instead of 80, two cores). For work that lasts minutes; what the device does is
/// measured without. Whether the C library took all numbers; false, and nothing is changed, where it is another than glibc.
pub fn keep() -> bool {
    #[cfg(target_env = "gnu")]
    {
        /// Bytes at the end of the heap that are kept though they are free.
        const KEPT: i32 = 1 << 30;
        /// Bytes that are taken beyond what is needed: as much as one of a thread's heaps holds, so that none goes back once it is
        /// empty.
        const PAD: i32 = 64 << 20;
        [(libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, KEPT), (libc::M_TOP_PAD, PAD)].into_iter().all(
            |(number, value)| {
                // SAFETY: it only sets a number, under the allocator's own lock.
                #[allow(unsafe_code)]
                let taken = unsafe { libc::mallopt(number, value) };
                taken == 1
            },
        )
    }
    #[cfg(not(target_env = "gnu"))]
    false
}
