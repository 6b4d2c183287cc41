//! The order in which images are seen, and the small changes made to them while training.

use super::random::SplitMix64;
use std::ops::Range;

/// Separates this use of a seed from the split and from augmentation.
const STREAM: u64 = 0x4241_5443_4800_0001;
/// Separates augmentation's use of a seed from the two others.
const AUGMENT_STREAM: u64 = 0x4155_474d_5400_0001;

/// In what order the images of a pass come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As listed.
    Listed,
    /// Shuffled (Fisher-Yates with splitmix64, keyed by seed and epoch), so epoch 7 can be had without the six before.
    Shuffled {
        /// The seed of the run.
        seed: u64,
        /// Which pass over the data this is, from 0.
        epoch: u64,
    },
}

/// What happens to a last batch that is not full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It comes, smaller.
    Keep,
    /// It is left out, as training does; but a pass that would then be empty keeps it.
    Drop,
}

/// One pass over some images, a batch at a time: an iterator of the indices of each batch.
#[derive(Clone, Debug)]
pub struct Batches {
    order: Vec<u32>,
    size: usize,
    next: usize,
}

impl Batches {
    /// A pass over `indices` in batches of `size` (at least 1).
    pub fn new(indices: &[u32], size: usize, order: Order, last: Last) -> Self {
        let size = size.max(1);
        let mut listed = indices.to_vec();
        if let Order::Shuffled { seed, epoch } = order {
            SplitMix64::keyed(&[STREAM, seed, epoch]).shuffle(&mut listed);
        }
        if last == Last::Drop && listed.len() >= size {
            listed.truncate(listed.len() - listed.len() % size);
        }
        Self { order: listed, size, next: 0 }
    }

    /// How many batches the whole pass has.
    pub fn count(&self) -> usize {
        self.order.len().div_ceil(self.size)
    }

    /// How many batches have been given out.
    pub fn position(&self) -> usize {
        self.next
    }

    /// Goes on at batch `position`, as a resumed run does.
    pub fn seek(&mut self, position: usize) {
        self.next = position.min(self.count());
    }
}

impl Iterator for Batches {
    type Item = Vec<u32>;

    fn next(&mut self) -> Option<Vec<u32>> {
        let batch: Vec<u32> = self.order.chunks(self.size).nth(self.next)?.to_vec();
        self.next += 1;
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count() - self.next;
        (left, Some(left))
    }
}

/// Random shifts, mirror images and holes: the picture is padded with black, a window of its own size is cut from it,
/// half of the windows are mirrored left to right, and a square of each is set to zero (cutout; DeVries and Taylor
/// 2017). What an image gets depends only on seed, epoch and image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Augment {
    /// Pixels of black on every side.
    pub padding: u32,
    /// Whether to mirror half of the images.
    pub flip: bool,
    /// Side of the square that is set to zero; what of it lies outside of the window is lost.
    pub cutout: u32,
    /// The seed of the run.
    pub seed: u64,
    /// Which pass over the data this is, from 0.
    pub epoch: u64,
}

impl Augment {
    /// What CIFAR training usually does: padding 4 and mirroring.
    pub fn new(seed: u64, epoch: u64) -> Self {
        Self { padding: 4, flip: true, cutout: 0, seed, epoch }
    }

    /// The change for one image.
    pub(super) fn draw(&self, image: u32, rows: usize, columns: usize) -> Shift {
        let mut random = SplitMix64::keyed(&[AUGMENT_STREAM, self.seed, self.epoch, u64::from(image)]);
        let places = 2 * u64::from(self.padding) + 1;
        let mut offset = || random.below(places) as isize - self.padding as isize;
        let (down, right) = (offset(), offset());
        let mirror = self.flip && random.below(2) == 1;
        // Drawn last, so that the window of an image does not depend on whether it gets a hole.
        let hole = (self.cutout > 0).then(|| {
            let mut span = |length: usize| {
                let middle = random.below(length as u64) as usize;
                let half = self.cutout as usize / 2;
                middle.saturating_sub(half)..(middle + self.cutout as usize - half).min(length)
            };
            [span(rows), span(columns)]
        });
        Shift { down, right, mirror, hole }
    }
}

/// The window starts `down` rows below and `right` columns right of the picture's corner, then is mirrored or not, and
/// rows and columns of the hole are set to zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shift {
    pub down: isize,
    pub right: isize,
    pub mirror: bool,
    pub hole: Option<[Range<usize>; 2]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHUFFLED: Order = Order::Shuffled { seed: 5, epoch: 0 };

    #[test]
    fn a_pass_sees_every_image_once_in_another_order_each_epoch() {
        let indices: Vec<u32> = (100..110).collect();
        let pass =
            |epoch| Batches::new(&indices, 4, Order::Shuffled { seed: 5, epoch }, Last::Keep).collect::<Vec<_>>();
        assert_eq!(pass(0).iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
        let mut seen: Vec<u32> = pass(0).concat();
        assert_ne!(seen, indices);
        seen.sort_unstable();
        assert_eq!(seen, indices);
        assert_eq!(pass(3), pass(3));
        assert_ne!(pass(0), pass(1));
    }

    #[test]
    fn the_short_last_batch_is_kept_or_dropped_but_a_pass_is_never_empty() {
        let indices: Vec<u32> = (0..10).collect();
        assert_eq!(Batches::new(&indices, 4, SHUFFLED, Last::Drop).count(), 2);
        assert_eq!(Batches::new(&indices, 4, SHUFFLED, Last::Keep).count(), 3);
        assert_eq!(Batches::new(&indices, 32, SHUFFLED, Last::Drop).collect::<Vec<_>>().concat().len(), 10);
        assert_eq!(Batches::new(&indices, 0, Order::Listed, Last::Keep).next(), Some(vec![0]));
        assert_eq!(Batches::new(&[], 4, SHUFFLED, Last::Keep).next(), None);
    }

    #[test]
    fn a_resumed_pass_goes_on_where_it_stopped() {
        let indices: Vec<u32> = (0..23).collect();
        let whole: Vec<_> = Batches::new(&indices, 5, SHUFFLED, Last::Keep).collect();
        let mut resumed = Batches::new(&indices, 5, SHUFFLED, Last::Keep);
        resumed.seek(3);
        assert_eq!(resumed.size_hint(), (2, Some(2)));
        assert_eq!(resumed.collect::<Vec<_>>(), whole[3..]);
    }

    #[test]
    fn shifts_stay_within_the_padding_and_use_all_of_it() {
        let drawn: Vec<Shift> = (0..2000).map(|image| Augment::new(1, 0).draw(image, 32, 32)).collect();
        for value in -4..=4 {
            assert!(drawn.iter().any(|shift| shift.down == value) && drawn.iter().any(|shift| shift.right == value));
        }
        assert!(drawn.iter().all(|shift| shift.down.abs() <= 4 && shift.right.abs() <= 4));
        let mirrored = drawn.iter().filter(|shift| shift.mirror).count();
        assert!((900..1100).contains(&mirrored), "{mirrored}");
        assert_ne!(drawn, (0..2000).map(|image| Augment::new(1, 1).draw(image, 32, 32)).collect::<Vec<_>>());
    }
}
