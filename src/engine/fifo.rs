//! A queue that can be handed out bit by bit, as it was at one moment, while it goes on.
//!
//! What stands in it never changes, so a walk only has to know where it is; what leaves before its turn is put aside.

use std::collections::VecDeque;

/// What came, in the order of its coming; the oldest leaves first.
#[derive(Debug)]
pub(super) struct Fifo<T> {
    items: VecDeque<T>,
    walk: Option<Box<Walk<T>>>,
}

#[derive(Debug)]
struct Walk<T> {
    /// Number of the next piece.
    piece: u64,
    /// Left before their turn: these come next.
    aside: VecDeque<T>,
    /// Then so many others, from a place in the queue on.
    left: usize,
    from: usize,
}

impl<T> Default for Fifo<T> {
    fn default() -> Fifo<T> {
        Fifo { items: VecDeque::new(), walk: None }
    }
}

impl<T: Copy> Fifo<T> {
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = T> {
        self.items.iter().copied()
    }

    pub fn oldest(&self) -> Option<T> {
        self.items.front().copied()
    }

    pub fn push(&mut self, item: T) {
        self.items.push_back(item);
    }

    /// Takes back what was pushed last, and after a walk began if one is going on.
    pub fn take_back(&mut self) -> Option<T> {
        debug_assert!(self.walk.as_ref().is_none_or(|walk| walk.from + walk.left < self.items.len()));
        self.items.pop_back()
    }

    /// Takes out the oldest.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        if let Some(walk) = &mut self.walk {
            if walk.from > 0 {
                walk.from -= 1;
            } else if walk.left > 0 {
                walk.left -= 1;
                walk.aside.push_back(item);
            }
        }
        Some(item)
    }

    /// Begins to hand out the queue as it is now. A walk that was going on ends.
    pub fn begin_walk(&mut self) {
        let (left, aside) = (self.items.len(), VecDeque::new());
        self.walk = Some(Box::new(Walk { piece: 0, aside, left, from: 0 }));
    }

    /// The next piece of `size` items, with its number; only the last is shorter. `None` when that was all, or when no
    /// walk is going on.
    pub fn walk(&mut self, size: usize) -> Option<(u64, Vec<T>)> {
        let walk = self.walk.as_mut()?;
        let mut piece: Vec<T> = walk.aside.drain(..walk.aside.len().min(size)).collect();
        let more = (size - piece.len()).min(walk.left);
        piece.extend(self.items.range(walk.from..walk.from + more));
        (walk.from, walk.left, walk.piece) = (walk.from + more, walk.left - more, walk.piece + 1);
        let number = walk.piece - 1;
        if piece.is_empty() {
            self.walk = None;
            return None;
        }
        Some((number, piece))
    }

    /// Ends a walk before its end.
    pub fn stop_walk(&mut self) {
        self.walk = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What a walk hands out is what was when it began, in order and whole pieces, whatever happens meanwhile.
        #[test]
        fn a_walk_hands_out_what_was(
            before in 0u32..60,
            meanwhile in proptest::collection::vec((0u8..4, 1usize..8), 0..80),
            size in 1usize..9,
        ) {
            let mut queue = Fifo::default();
            let mut next = before;
            (0..before).for_each(|item| queue.push(item));
            queue.begin_walk();
            let mut walked = Vec::new();
            let mut since = 0;
            for (what, times) in meanwhile {
                for _ in 0..times {
                    match what {
                        0 => drop(queue.pop()),
                        1 if since > 0 && queue.len() > since => {
                            since -= 1;
                            prop_assert!(queue.take_back().is_some());
                        }
                        2 => walked.extend(queue.walk(size)),
                        _ => {
                            queue.push(next);
                            (next, since) = (next + 1, since + 1);
                        }
                    }
                }
            }
            walked.extend(std::iter::from_fn(|| queue.walk(size)));
            let expected: Vec<(u64, Vec<u32>)> = (0..before)
                .collect::<Vec<_>>()
                .chunks(size)
                .enumerate()
                .map(|(number, piece)| (number as u64, piece.to_vec()))
                .collect();
            prop_assert_eq!(walked, expected);
        }
    }
}
