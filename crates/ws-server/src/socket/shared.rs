//! The frames that wait in the queues of several connections, each of which takes memory once.

use std::sync::{Arc, Weak};

/// The number of frames that are compared with a new one: the latest messages, in a few encodings each.
const LATEST: usize = 8;

/// The number of frames that may be gone through in every turn.
const SHORT: usize = 256;

/// The frames that wait in the queues of a worker's connections and that several of them share.
#[derive(Debug, Default)]
pub(crate) struct SharedFrames {
    frames: Vec<Weak<[u8]>>,
    len: usize,
}

impl SharedFrames {
    /// Counts a frame that is about to be queued, once.
    pub(crate) fn note(&mut self, frame: &Arc<[u8]>) {
        let mut latest = self.frames.iter().rev().take(LATEST);
        if !latest.any(|noted| Weak::ptr_eq(noted, &Arc::downgrade(frame))) {
            self.frames.push(Arc::downgrade(frame));
            self.len += frame.len();
        }
    }

    /// The length of all the frames that were not forgotten, in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether it costs next to nothing to go through the frames.
    pub(crate) fn is_short(&self) -> bool {
        self.frames.len() <= SHORT
    }

    /// Forgets the frames that nobody has any more.
    pub(crate) fn forget(&mut self) {
        self.len = 0;
        self.frames.retain(|frame| {
            let frame = frame.upgrade();
            self.len += frame.as_ref().map_or(0, |frame| frame.len());
            frame.is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_counts_once_for_as_long_as_somebody_has_it() {
        let mut shared = SharedFrames::default();
        let [one, two]: [Arc<[u8]>; 2] = [vec![0; 1_000].into(), vec![0; 500].into()];
        for _ in 0..100 {
            shared.note(&one);
            shared.note(&two);
        }
        assert_eq!(shared.len(), 1_500);
        shared.forget();
        assert_eq!(shared.len(), 1_500);
        drop(one);
        shared.forget();
        assert_eq!(shared.len(), 500);
        drop(two);
        shared.forget();
        assert_eq!((shared.len(), shared.frames.len()), (0, 0));
    }
}
