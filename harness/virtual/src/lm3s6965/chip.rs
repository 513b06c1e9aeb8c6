//! The chip as a debug port sees it: memory, and the core's debug registers. QEMU does not have those; here
//! they are emulated with its gdbstub.
//!
//! Registers and bits are those of the ARMv7-M Architecture Reference Manual (DDI 0403), chapter C1.

use std::io;
use std::ops::Range;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::flash_controller::FlashController;
use super::gdb::{GdbClient, StopReason};
use super::qtest::Qtest;
use super::{ANSWER, FLASH_SIZE, RAM};
use crate::flash_file::FlashFile;

/// Application Interrupt and Reset Control Register.
const AIRCR: u32 = 0xE000_ED0C;
/// The key that a write to it needs in its upper half.
const AIRCR_KEY: u32 = 0x05FA;
const SYSRESETREQ: u32 = 1 << 2;
/// Debug Fault Status Register: why the core halted.
const DFSR: u32 = 0xE000_ED30;
const DFSR_HALTED: u32 = 1 << 0;
const DFSR_BKPT: u32 = 1 << 1;
const DFSR_VCATCH: u32 = 1 << 3;
/// Debug Halting Control and Status Register.
const DHCSR: u32 = 0xE000_EDF0;
/// The key that a write to it needs in its upper half.
const DHCSR_KEY: u32 = 0xA05F;
const C_DEBUGEN: u32 = 1 << 0;
const C_HALT: u32 = 1 << 1;
const C_STEP: u32 = 1 << 2;
const C_BITS: u32 = 0x2F;
const S_REGRDY: u32 = 1 << 16;
const S_HALT: u32 = 1 << 17;
const S_LOCKUP: u32 = 1 << 19;
const S_RETIRE_ST: u32 = 1 << 24;
const S_RESET_ST: u32 = 1 << 25;
/// Debug Core Register Selector and Data Registers.
const DCRSR: u32 = 0xE000_EDF4;
const DCRDR: u32 = 0xE000_EDF8;
const DCRSR_WRITE: u32 = 1 << 16;
/// Debug Exception and Monitor Control Register.
const DEMCR: u32 = 0xE000_EDFC;
const VC_CORERESET: u32 = 1 << 0;
/// Flash Patch and Breakpoint unit: control, and a register for each of the six breakpoints that
/// the LM3S6965 has for code.
const FP_CTRL: u32 = 0xE000_2000;
const FP_CTRL_KEY: u32 = 1 << 1;
const FP_COMP: Range<u32> = 0xE000_2008..0xE000_2020;
/// Six for code, two for literals, revision 1 of the unit.
const FP_CTRL_FIXED: u32 = 0x260;
/// Two of the vectors.
const RESET: u32 = 0x4;
const HARD_FAULT: u32 = 0xC;
/// Where the registers of the core are; each is read and written on its own.
const PRIVATE: Range<u32> = 0xE000_0000..0xE010_0000;

/// The longest wait for a step of a core that may sleep. If it is too short, a core that is awake misses
/// the step, and nothing else.
const NAP: Duration = Duration::from_millis(2);

/// The program counter of a core in lockup.
const LOCKUP: u32 = 0xFFFF_FFFE;

/// The state of the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Core {
    Halted,
    Running,
    /// It has no code to run. QEMU would end itself, so it stays stopped.
    LockedUp,
}

/// A debugger's settings, which a chip keeps in lockup.
#[derive(Clone, Copy, Debug)]
pub struct Debug {
    /// C_ bits of DHCSR.
    control: u32,
    demcr: u32,
}

/// A chip under power.
#[derive(Debug)]
pub struct ArmChip {
    gdb: GdbClient,
    qtest: Qtest,
    flash: FlashController,
    core: Core,
    /// C_ bits of DHCSR.
    control: u32,
    was_reset: bool,
    in_reset: bool,
    dfsr: u32,
    dcrdr: u32,
    demcr: u32,
    breakpoints_on: bool,
    comparators: [u32; 6],
    /// Breakpoints that are set in QEMU.
    set: Vec<u32>,
}

impl ArmChip {
    /// A chip that was just powered on, QEMU with `-S`: runs from its flash. Or a chip in lockup, whose QEMU
    /// ended, and its memory with it.
    pub fn power_on(
        gdb: UnixStream,
        qtest: UnixStream,
        flash: FlashFile,
        locked_up: Option<Debug>,
    ) -> io::Result<ArmChip> {
        let mut chip = ArmChip {
            gdb: GdbClient::new(gdb)?,
            qtest: Qtest::new(qtest)?,
            flash: FlashController::new(flash)?,
            core: Core::Halted,
            control: 0,
            was_reset: true,
            in_reset: false,
            dfsr: 0,
            dcrdr: 0,
            demcr: 0,
            breakpoints_on: false,
            comparators: [0; 6],
            set: Vec::new(),
        };
        match locked_up {
            Some(Debug { control, demcr }) => {
                (chip.control, chip.demcr) = (control & !C_HALT, demcr);
                chip.gdb.set_register(15, LOCKUP)?;
                chip.go()?;
            }
            None => chip.start()?,
        }
        Ok(chip)
    }

    /// A debugger's settings.
    pub fn debug(&self) -> Debug {
        Debug { control: self.control, demcr: self.demcr }
    }

    /// Reads bytes, as one access where it is a word.
    pub fn read(&mut self, address: u32, data: &mut [u8]) -> io::Result<()> {
        if PRIVATE.contains(&address) || (data.len() == 4 && address.is_multiple_of(4)) {
            let mut at = address & !3;
            let mut skip = (address - at) as usize;
            let mut left = data;
            while !left.is_empty() {
                let word = self.read_word(at)?.to_le_bytes();
                let got = (4 - skip).min(left.len());
                left[..got].copy_from_slice(&word[skip..skip + got]);
                left = &mut left[got..];
                (at, skip) = (at.wrapping_add(4), 0);
            }
            return Ok(());
        }
        self.qtest.read(address, data)
    }

    /// Writes bytes, as one access where it is a word. The flash is not written.
    pub fn write(&mut self, address: u32, data: &[u8]) -> io::Result<()> {
        let (words, rest) = data.as_chunks::<4>();
        let aligned = address.is_multiple_of(4) && rest.is_empty();
        if aligned && (PRIVATE.contains(&address) || words.len() == 1) {
            for (number, word) in words.iter().enumerate() {
                self.write_word(address + 4 * number as u32, u32::from_le_bytes(*word))?;
            }
            return Ok(());
        }
        self.qtest.write(address, data)
    }

    /// The reset line is asserted, or released.
    pub fn reset_line(&mut self, pulled: bool) -> io::Result<()> {
        if pulled {
            self.gdb.stop()?;
            self.core = Core::Halted;
        } else if self.in_reset {
            self.reset()?;
        }
        self.in_reset = pulled;
        Ok(())
    }

    fn read_word(&mut self, address: u32) -> io::Result<u32> {
        Ok(match address {
            DHCSR => self.dhcsr()?,
            DFSR => {
                self.look()?;
                self.dfsr
            }
            DCRSR => 0,
            DCRDR => self.dcrdr,
            DEMCR => self.demcr,
            FP_CTRL => FP_CTRL_FIXED | u32::from(self.breakpoints_on),
            _ if FP_COMP.contains(&address) => self.comparators[comparator(address)],
            _ => self.qtest.read_word(address)?,
        })
    }

    fn write_word(&mut self, address: u32, value: u32) -> io::Result<()> {
        match address {
            DHCSR if value >> 16 == DHCSR_KEY => self.control(value & C_BITS),
            DHCSR => Ok(()),
            DFSR => {
                self.look()?;
                self.dfsr &= !value;
                Ok(())
            }
            DCRSR => self.move_register(value),
            DCRDR => {
                self.dcrdr = value;
                Ok(())
            }
            DEMCR => {
                self.demcr = value;
                Ok(())
            }
            AIRCR if value >> 16 == AIRCR_KEY && value & SYSRESETREQ != 0 => self.reset(),
            FP_CTRL if value & FP_CTRL_KEY != 0 => {
                self.breakpoints_on = value & 1 != 0;
                self.set_breakpoints()
            }
            FP_CTRL => Ok(()),
            _ if FP_COMP.contains(&address) => {
                self.comparators[comparator(address)] = value;
                self.set_breakpoints()
            }
            _ => self.qtest.write_word(address, value),
        }
    }

    fn dhcsr(&mut self) -> io::Result<u32> {
        self.look()?;
        let state = match self.core {
            Core::Halted => S_HALT | S_REGRDY,
            Core::Running => S_RETIRE_ST,
            Core::LockedUp => S_LOCKUP,
        };
        let reset = if std::mem::take(&mut self.was_reset) { S_RESET_ST } else { 0 };
        Ok(self.control | state | reset)
    }

    /// A write to DHCSR.
    fn control(&mut self, bits: u32) -> io::Result<()> {
        self.look()?;
        self.control = bits;
        if bits & C_DEBUGEN == 0 {
            // Without debugging the core is not halted.
            return self.go();
        }
        match (self.core, bits & C_HALT != 0) {
            (Core::Running | Core::LockedUp, true) => {
                let stop = self.gdb.stop()?;
                self.halted(stop.unwrap_or(StopReason::Asked));
                Ok(())
            }
            (Core::Halted, false) if bits & C_STEP != 0 => self.step(),
            (Core::Halted, false) => self.go(),
            _ => Ok(()),
        }
    }

    /// Notices a core that has stopped by itself.
    fn look(&mut self) -> io::Result<()> {
        if let Some(stop) = self.gdb.poll()? {
            self.halted(stop);
        }
        Ok(())
    }

    fn halted(&mut self, stop: StopReason) {
        self.core = Core::Halted;
        self.control |= C_HALT;
        self.dfsr |= match stop {
            StopReason::Asked => DFSR_HALTED,
            StopReason::Trap => DFSR_BKPT,
        };
    }

    fn step(&mut self) -> io::Result<()> {
        if self.at_bkpt()? {
            self.halted(StopReason::Trap);
        } else if self.flash.serve(&mut self.gdb, &mut self.qtest)? {
            self.halted(StopReason::Asked);
        } else if self.has_code()? {
            let patience = if self.may_sleep()? { NAP } else { ANSWER };
            self.gdb.step(patience)?;
            self.halted(StopReason::Asked);
        } else {
            self.core = Core::LockedUp;
        }
        Ok(())
    }

    /// Leaves the halt.
    fn go(&mut self) -> io::Result<()> {
        if self.core != Core::Halted || self.in_reset {
            return Ok(());
        }
        if self.control & C_DEBUGEN != 0
            && (self.at_bkpt()? || self.flash.serve(&mut self.gdb, &mut self.qtest)?)
        {
            self.halted(StopReason::Trap);
        } else if self.has_code()? {
            self.gdb.run()?;
            self.core = Core::Running;
        } else {
            self.core = Core::LockedUp;
        }
        Ok(())
    }

    /// Whether the core is after an instruction in which it sleeps (WFI, WFE): a halt wakes a real core, but
    /// not QEMU's.
    fn may_sleep(&mut self) -> io::Result<bool> {
        let pc = self.gdb.register(15)?;
        let mut instruction = [0; 2];
        self.qtest.read(pc.saturating_sub(2) & !1, &mut instruction)?;
        Ok(instruction[1] == 0xBF && matches!(instruction[0], 0x20 | 0x30))
    }

    /// A BKPT instruction halts a core with a debugger; in QEMU it is an exception.
    fn at_bkpt(&mut self) -> io::Result<bool> {
        let pc = self.gdb.register(15)?;
        let mut instruction = [0; 2];
        self.qtest.read(pc & !1, &mut instruction)?;
        Ok(instruction[1] == 0xBE)
    }

    /// Whether there is code for the core at its next addresses. With a blank flash there is none: neither at
    /// its start nor at its fault handler.
    fn has_code(&mut self) -> io::Result<bool> {
        let pc = self.gdb.register(15)?;
        let bkpt = self.at_bkpt()?;
        if RAM.contains(&pc) && !bkpt {
            return Ok(true);
        }
        // A BKPT without a debugger is a fault.
        let vector = self.qtest.read_word(if bkpt { HARD_FAULT } else { RESET })?;
        let is_code = |address: u32| address < FLASH_SIZE || RAM.contains(&address);
        Ok(is_code(pc) && is_code(vector) && vector & 1 != 0)
    }

    fn reset(&mut self) -> io::Result<()> {
        self.gdb.stop()?;
        self.gdb.reset()?;
        self.start()
    }

    /// After a reset: runs, unless a debugger stops it there.
    fn start(&mut self) -> io::Result<()> {
        self.was_reset = true;
        self.core = Core::Halted;
        if self.control & C_DEBUGEN != 0 && self.demcr & VC_CORERESET != 0 {
            self.control |= C_HALT;
            self.dfsr |= DFSR_VCATCH;
            return Ok(());
        }
        self.control &= !C_HALT;
        self.in_reset = false;
        self.go()
    }

    /// A write to DCRSR: moves a register of the core into DCRDR, or the other way.
    fn move_register(&mut self, selector: u32) -> io::Result<()> {
        // QEMU's numbers: those of gdb's feature org.gnu.gdb.arm.m-profile.
        let number = match selector & 0x7F {
            number @ 0..=15 => number,
            // xPSR.
            16 => 25,
            other => {
                let found = format!("QEMU's gdbstub does not have the core's register {other}");
                return Err(io::Error::new(io::ErrorKind::Unsupported, found));
            }
        };
        if self.core != Core::Halted {
            return Ok(());
        }
        if selector & DCRSR_WRITE == 0 {
            self.dcrdr = self.gdb.register(number)?;
            return Ok(());
        }
        self.gdb.set_register(number, self.dcrdr)
    }

    /// Sets QEMU's breakpoints by the unit's registers.
    fn set_breakpoints(&mut self) -> io::Result<()> {
        let on = self.breakpoints_on;
        let mut wanted: Vec<u32> =
            self.comparators.iter().filter(|_| on).flat_map(|word| addresses(*word)).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted == self.set {
            return Ok(());
        }
        self.look()?;
        let ran = self.gdb.running();
        if ran && let Some(StopReason::Trap) = self.gdb.stop()? {
            self.halted(StopReason::Trap);
        }
        for address in std::mem::take(&mut self.set) {
            self.gdb.clear_breakpoint(address)?;
        }
        for address in wanted {
            self.gdb.set_breakpoint(address)?;
            self.set.push(address);
        }
        if self.core == Core::Running {
            self.gdb.run()?;
        }
        Ok(())
    }
}

fn comparator(address: u32) -> usize {
    ((address - FP_COMP.start) / 4) as usize
}

/// Where a comparator stops the core: at the lower half of the word, the upper, or both.
fn addresses(comparator: u32) -> impl Iterator<Item = u32> {
    let word = comparator & 0x1FFF_FFFC;
    let halves: &[u32] = match (comparator & 1, comparator >> 30) {
        (1, 1) => &[0],
        (1, 2) => &[2],
        (1, 3) => &[0, 2],
        _ => &[],
    };
    halves.iter().map(move |half| word + half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparator_names_the_halves_of_its_word() {
        let at = |word| addresses(word).collect::<Vec<_>>();
        assert_eq!(at(0x4000_1235), [0x1234]);
        assert_eq!(at(0x8000_1235), [0x1236]);
        assert_eq!(at(0xC000_1235), [0x1234, 0x1236]);
        assert!(at(0x4000_1234).is_empty());
    }
}
