//! Random numbers that depend on a seed and a name only.

/// Numbers from 0 up to 1: SplitMix64 (Steele, Lea, Flood 2014) from the seed and the FNV-1a hash of the name.
pub(super) fn draws(name: &str, seed: u64, count: usize) -> Vec<f64> {
    let hash = |h: u64, b: u8| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3);
    let mut x = seed ^ name.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    let mut next = || {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = x;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        (z >> 11) as f64 * 2f64.powi(-53)
    };
    (0..count).map(|_| next()).collect()
}
