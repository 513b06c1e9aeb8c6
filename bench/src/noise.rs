//! Random bytes that are the same in every run (splitmix64, as in Steele et al., "Fast splittable
//! pseudorandom number generators").

/// The generator.
pub struct Noise(u64);

impl Noise {
    /// One whose bytes the seed decides.
    pub fn new(seed: u64) -> Noise {
        Noise(seed)
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            let word = (z ^ (z >> 31)).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}
