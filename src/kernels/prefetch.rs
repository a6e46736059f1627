//! Software prefetch: the one `unsafe` of the crate.
//!
//! A prefetch is a hint: it reads nothing and faults on no address, so the call is sound for any
//! pointer, and a test of the index would cost more than a useless prefetch. The compiler has no safe form of it. Without it two_hop takes 1.7 times as long, since
//! each adjacency list is a fresh cache miss that the hardware cannot foresee.

/// Asks for the cache line that holds `slice[index]`, or would if the slice went on.
#[inline(always)]
#[allow(unsafe_code)]
pub fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(all(feature = "prefetch", target_arch = "x86_64"))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch has no effect but on caches, whatever the address; `wrapping_add`
        // makes no promise that the pointer is inside the slice.
        unsafe { _mm_prefetch(slice.as_ptr().wrapping_add(index).cast::<i8>(), _MM_HINT_T0) }
    }
    #[cfg(not(all(feature = "prefetch", target_arch = "x86_64")))]
    let _ = (slice, index);
}
