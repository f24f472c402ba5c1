//! Bytes in a ring. Knows where they begin. Has no idea what they say.

use std::collections::VecDeque;

/// A queue of bytes that keeps its memory.
#[derive(Debug, Clone, Default)]
pub(super) struct ByteQueue {
    bytes: VecDeque<u8>,
}

impl ByteQueue {
    /// How many bytes are queued.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Copies the bytes from position `at` on into `out`; says whether there were enough.
    pub(super) fn copy(&self, at: usize, out: &mut [u8]) -> bool {
        let (one, two) = self.bytes.as_slices();
        let Some(end) = at.checked_add(out.len()) else {
            return false;
        };
        if end > self.bytes.len() {
            return false;
        }
        if let Some(part) = one.get(at..end) {
            out.copy_from_slice(part);
        } else if let Some(at) = at.checked_sub(one.len()) {
            out.copy_from_slice(&two[at..end - one.len()]);
        } else {
            let (front, back) = out.split_at_mut(one.len() - at);
            front.copy_from_slice(&one[at..]);
            back.copy_from_slice(&two[..back.len()]);
        }
        true
    }

    /// Forgets bytes at the front.
    pub(super) fn skip(&mut self, len: usize) {
        self.bytes.drain(..len.min(self.bytes.len()));
    }

    /// Bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_queue_agrees_with_a_plain_vector(
            steps in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 0_usize..50), 0..60),
            at in 0_usize..20,
        ) {
            let mut queue = ByteQueue::default();
            let mut plain = Vec::new();
            for (bytes, skip) in steps {
                queue.push(&bytes);
                plain.extend_from_slice(&bytes);
                let skip = skip.min(plain.len());
                queue.skip(skip);
                plain.drain(..skip);
                prop_assert_eq!(queue.len(), plain.len());
                for len in [0, 1, 7, plain.len()] {
                    let mut out = vec![0; len];
                    let expected = plain.get(at..at + len);
                    prop_assert_eq!(queue.copy(at, &mut out), expected.is_some());
                    if let Some(expected) = expected {
                        prop_assert_eq!(&out[..], expected);
                    }
                }
            }
        }
    }
}
