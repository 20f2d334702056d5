//! One block of zeroed memory that Rust and the kernel write in turn.
//!
//! A `Vec` would not do: every mutable slice taken from it ends the validity of pointers handed to the kernel before, which
//! would then have to be renewed for each slot and call.
#![allow(unsafe_code)]

use std::{
    alloc::{self, Layout},
    ops::Range,
    ptr::NonNull,
    slice,
};

const PLAIN_ALIGNMENT: usize = 8;

pub(crate) struct Memory {
    base: NonNull<u8>,
    layout: Layout,
}

impl Memory {
    /// Allocates `bytes` zeroes; large blocks are untouched pages until written.
    ///
    /// Of plain alignment: for a larger one, the system's allocator would write the zeroes itself and so touch every page.
    ///
    /// # Panics
    /// When `bytes` is zero or above `isize::MAX`: a mistake of the caller's at start.
    pub(crate) fn new(bytes: usize) -> Self {
        assert!(bytes > 0, "an arena needs at least one slot");
        let Ok(layout) = Layout::from_size_align(bytes, PLAIN_ALIGNMENT) else {
            alloc::handle_alloc_error(Layout::new::<u8>())
        };
        // SAFETY: the layout's size is not zero.
        let base = unsafe { alloc::alloc_zeroed(layout) };
        let Some(base) = NonNull::new(base) else {
            alloc::handle_alloc_error(layout)
        };
        Self { base, layout }
    }

    /// Where the block begins, valid until it is dropped. Who writes through it holds the block mutably meanwhile.
    #[cfg(target_os = "linux")]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    #[inline]
    pub(crate) fn slice(&self, range: Range<usize>) -> Option<&[u8]> {
        let length = self.checked_length(&range)?;
        // SAFETY: the range lies in the block, whose bytes were all written at allocation; the block is borrowed shared for
        // as long as the slice lives, so neither `slice_mut` nor the kernel can write it.
        Some(unsafe { slice::from_raw_parts(self.base.as_ptr().add(range.start), length) })
    }

    #[inline]
    pub(crate) fn slice_mut(&mut self, range: Range<usize>) -> Option<&mut [u8]> {
        let length = self.checked_length(&range)?;
        // SAFETY: as in `slice`; the block is borrowed mutably for as long as the slice lives, so it is the only one.
        Some(unsafe { slice::from_raw_parts_mut(self.base.as_ptr().add(range.start), length) })
    }

    #[inline]
    fn checked_length(&self, range: &Range<usize>) -> Option<usize> {
        (range.end <= self.layout.size())
            .then(|| range.end.checked_sub(range.start))
            .flatten()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and no borrow is left.
        unsafe { alloc::dealloc(self.base.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;

    #[test]
    fn slices_outside_the_block_do_not_exist() {
        let mut memory = Memory::new(10);
        assert_eq!(memory.slice(2..10).map(<[u8]>::len), Some(8));
        assert!(memory.slice(2..11).is_none() && memory.slice_mut(11..12).is_none());
        #[expect(clippy::reversed_empty_ranges, reason = "the point of the test")]
        let reversed = 5..4;
        assert!(memory.slice(reversed).is_none());
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut memory = Memory::new(4);
        memory.slice_mut(1..3).unwrap().copy_from_slice(&[7, 8]);
        assert_eq!(memory.slice(0..4), Some(&[0, 7, 8, 0][..]));
    }
}
