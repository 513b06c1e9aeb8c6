//! How long a ROM loader may take.

use std::time::Duration;

/// How long the loader may take to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderDeadlines {
    /// For the first answer after a reset, over all attempts to synchronise.
    pub sync: Duration,
    /// For a register read.
    pub register: Duration,
    /// For erasing, each MiB. Flash data sheets allow 0.4 s a sector of 4 KiB; typical is 0.05 s.
    pub erase: Duration,
    /// For writing a block of 1 KiB.
    pub block: Duration,
    /// For a person to press what there are no reset lines for.
    pub by_hand: Duration,
}

impl Default for LoaderDeadlines {
    fn default() -> LoaderDeadlines {
        LoaderDeadlines {
            sync: Duration::from_millis(1500),
            register: Duration::from_secs(1),
            erase: Duration::from_secs(105),
            block: Duration::from_secs(3),
            by_hand: Duration::from_secs(45),
        }
    }
}

impl LoaderDeadlines {
    /// For erasing `size` bytes. The loader's own overhead counts as a block's.
    pub fn erasing(&self, size: u32) -> Duration {
        self.erase.mul_f64(mib(size)) + self.block
    }

    /// For the ROM's MD5 of `size` bytes: 8 s/MB, as in esptool.
    pub fn digest(&self, size: u32) -> Duration {
        Duration::from_secs_f64(8.4 * mib(size)) + self.block
    }
}

fn mib(bytes: u32) -> f64 {
    f64::from(bytes) / (1024.0 * 1024.0)
}
