//! Why a Cortex-M core does not run, from its fault registers (ARMv7-M Architecture Reference
//! Manual, B3.2: CFSR, HFSR, MMFAR, BFAR; ARMv6-M and ARMv8-M have a part of them).

use std::fmt::Write as _;

/// Configurable Fault Status Register: MemManage, BusFault and UsageFault in one word.
pub const CFSR: u64 = 0xE000_ED28;
/// HardFault Status Register.
pub const HFSR: u64 = 0xE000_ED2C;
/// MemManage Fault Address Register.
pub const MMFAR: u64 = 0xE000_ED34;
/// BusFault Address Register.
pub const BFAR: u64 = 0xE000_ED38;

const MMARVALID: u32 = 1 << 7;
const BFARVALID: u32 = 1 << 15;

/// Bits of CFSR with their meaning.
const CAUSES: [(u32, &str); 18] = [
    (1 << 0, "code in a region without execution"),
    (1 << 1, "an access that the MPU forbids"),
    (1 << 3, "the MPU forbids the stack of a returning exception"),
    (1 << 4, "the MPU forbids the stack of an exception: it overflowed"),
    (1 << 5, "the MPU forbids the stack of the floating-point unit"),
    (1 << 8, "code cannot be fetched"),
    (1 << 9, "an access that no memory answers"),
    (1 << 10, "a write that no memory answers, some instructions before"),
    (1 << 11, "no memory under the stack of a returning exception"),
    (1 << 12, "no memory under the stack of an exception: it overflowed"),
    (1 << 13, "no memory under the stack of the floating-point unit"),
    (1 << 16, "an undefined instruction"),
    (1 << 17, "a jump to an address without the Thumb bit"),
    (1 << 18, "an invalid return from an exception"),
    (1 << 19, "a coprocessor that is not there or off"),
    (1 << 20, "a stack pointer below its limit"),
    (1 << 24, "an unaligned access"),
    (1 << 25, "a division by zero"),
];

/// What a debug probe reads from a core that does not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultRegisters {
    /// See [`CFSR`].
    pub cfsr: u32,
    /// See [`HFSR`].
    pub hfsr: u32,
    /// See [`MMFAR`].
    pub mmfar: u32,
    /// See [`BFAR`].
    pub bfar: u32,
    /// Program counter.
    pub pc: u32,
    /// Link register.
    pub lr: u32,
    /// Program counter and link register before the exception, where they could be read from its
    /// stack frame.
    pub before: Option<(u32, u32)>,
}

impl FaultRegisters {
    /// In words: the causes, the address that was used, where the program was.
    pub fn words(&self) -> String {
        let mut words = String::new();
        let mut causes: Vec<&str> = CAUSES
            .iter()
            .filter(|(bit, _)| self.cfsr & bit != 0)
            .map(|(_, cause)| *cause)
            .collect();
        if self.hfsr & 1 << 1 != 0 {
            causes.push("no exception vector can be read");
        }
        if causes.is_empty() && self.hfsr & 1 << 31 != 0 {
            causes.push("a breakpoint instruction without a debugger");
        }
        if !causes.is_empty() {
            let _ = write!(words, "{}, ", causes.join(", "));
        }
        // An imprecise fault leaves no address.
        if self.cfsr & MMARVALID != 0 {
            let _ = write!(words, "at 0x{:08x}, ", self.mmfar);
        } else if self.cfsr & BFARVALID != 0 {
            let _ = write!(words, "at 0x{:08x}, ", self.bfar);
        }
        let _ = write!(words, "pc=0x{:08x} lr=0x{:08x}", self.pc, self.lr);
        if let Some((pc, lr)) = self.before {
            let _ = write!(words, ", came from pc=0x{pc:08x} lr=0x{lr:08x}");
        }
        if (self.cfsr, self.hfsr) != (0, 0) {
            let _ = write!(words, " (CFSR=0x{:08x} HFSR=0x{:08x})", self.cfsr, self.hfsr);
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_to_the_flash_is_told_with_its_address_and_its_place() {
        let fault = FaultRegisters {
            cfsr: 0x82,
            hfsr: 0x4000_0000,
            mmfar: 8,
            pc: 0x0000_0700,
            lr: 0xFFFF_FFFD,
            before: Some((0x6B8, 0x305F)),
            ..FaultRegisters::default()
        };
        assert_eq!(
            fault.words(),
            "an access that the MPU forbids, at 0x00000008, pc=0x00000700 lr=0xfffffffd, \
             came from pc=0x000006b8 lr=0x0000305f (CFSR=0x00000082 HFSR=0x40000000)"
        );
    }

    #[test]
    fn without_a_fault_it_is_the_place_alone() {
        let halted = FaultRegisters { pc: 0x1000, lr: 0x2001, ..FaultRegisters::default() };
        assert_eq!(halted.words(), "pc=0x00001000 lr=0x00002001");
    }

    #[test]
    fn an_address_is_told_only_where_the_chip_says_that_it_is_one() {
        let fault = FaultRegisters { cfsr: 1 << 10, bfar: 0xDEAD, ..FaultRegisters::default() };
        assert!(!fault.words().contains("dead"), "{}", fault.words());
    }
}
