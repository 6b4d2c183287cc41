//! The one source of chance in data handling: splitmix64, the same numbers on every platform.

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The splitmix64 generator (Steele, Lea and Flood, OOPSLA 2014): a counter that steps by `9e3779b97f4a7c15` and a
/// mixer. Nothing in it depends on the platform, so a seed gives the same split, order and pictures everywhere.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

/// The mixer of splitmix64: every bit of the result depends on every bit of `z`.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl SplitMix64 {
    /// A generator that starts at `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator for one place in a run, such as (seed, epoch, image): each key is mixed in, in order, so
    /// neighbouring keys give unrelated streams and none has to be drawn before another.
    pub fn keyed(keys: &[u64]) -> Self {
        let state =
            keys.iter().fold(0, |state: u64, key| mix(state.wrapping_add(GAMMA) ^ mix(key.wrapping_add(GAMMA))));
        Self { state }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A number from 0 to `bound - 1`, all equally likely; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire's method: the low half of the product tells whether this draw falls in the uneven rest.
        let rest = bound.wrapping_neg().checked_rem(bound).unwrap_or(0);
        loop {
            let product = u128::from(self.next_u64()) * u128::from(bound);
            if product as u64 >= rest {
                return (product >> 64) as u64;
            }
        }
    }

    /// A number in [0, 1) with 24 bits, exact in `f32`.
    pub fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / 16_777_216.0
    }

    /// A number in [low, high).
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Puts the items in random order (Fisher-Yates from the back).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_numbers() {
        let mut random = SplitMix64::new(1_234_567);
        let drawn: Vec<u64> = (0..3).map(|_| random.next_u64()).collect();
        assert_eq!(drawn, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn below_reaches_every_number_and_no_other() {
        let mut random = SplitMix64::new(3);
        let mut seen = [0_u32; 7];
        (0..7000).for_each(|_| seen[random.below(7) as usize] += 1);
        assert!(seen.iter().all(|&count| (850..1150).contains(&count)), "{seen:?}");
        assert_eq!((random.below(0), random.below(1)), (0, 0));
    }

    #[test]
    fn keys_separate_streams() {
        let first = |keys: &[u64]| SplitMix64::keyed(keys).next_u64();
        let all = [first(&[0, 1]), first(&[1, 0]), first(&[1]), first(&[0, 1, 0]), first(&[])];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one), "{all:?}");
        }
    }
}
