//! The chip's flash controller, which QEMU does not emulate.
//!
//! A debugger programs a flash by a routine that it writes to the chip's memory and calls: it sets the
//! routine's arguments as a C call does and lets the core run until the routine returns to a breakpoint.
//! The LM3S6965's own routine on QEMU's core returns success with an unchanged flash, because QEMU lacks
//! the registers that it writes. So this recognises the call, by the routine's code in memory, and carries
//! it out; the core does not run.

use std::io;
use std::sync::LazyLock;

use probe_rs::config::Registry;

use super::gdb::GdbClient;
use super::qtest::Qtest;
use super::{CHIP, FLASH_SIZE, RAM};
use crate::flash_file::FlashFile;

/// The chip erases in blocks of 1 KiB, and so does the routine.
const BLOCK: u32 = 1024;
/// What a routine returns on failure.
const FAILED: u32 = 1;

/// The function of the routine that is called.
#[derive(Clone, Copy, Debug)]
enum Call {
    Init,
    EraseAll,
    EraseBlock,
    Program,
}

/// The chip's flash routine, from probe-rs.
#[derive(Debug)]
struct Routine {
    code: Vec<u8>,
    entries: Vec<(u32, Call)>,
}

/// Once for all boards: probe-rs unpacks its data of all chips for one.
static ROUTINE: LazyLock<Result<Routine, String>> = LazyLock::new(Routine::find);

/// The controller and its flash.
#[derive(Debug)]
pub struct FlashController {
    routine: &'static Routine,
    /// Where the routine was found last.
    start: u32,
    file: FlashFile,
}

impl FlashController {
    /// For this flash.
    pub fn new(file: FlashFile) -> io::Result<FlashController> {
        let routine = ROUTINE.as_ref().map_err(|error| io::Error::other(error.as_str()))?;
        Ok(FlashController { routine, start: 0, file })
    }

    /// Carries out the core's next call, if that is one of the routine, up to the return.
    pub fn serve(&mut self, gdb: &mut GdbClient, qtest: &mut Qtest) -> io::Result<bool> {
        let pc = gdb.register(15)?;
        if !RAM.contains(&pc) {
            return Ok(false);
        }
        let Some(call) = self.recognise(pc, qtest)? else { return Ok(false) };
        let arguments = [gdb.register(0)?, gdb.register(1)?, gdb.register(2)?];
        let done = self.call(call, arguments, gdb, qtest)?;
        gdb.set_register(0, if done { 0 } else { FAILED })?;
        let back = gdb.register(14)?;
        gdb.set_register(15, back & !1)?;
        Ok(true)
    }

    fn recognise(&mut self, pc: u32, qtest: &mut Qtest) -> io::Result<Option<Call>> {
        let mut there = vec![0; self.routine.code.len()];
        let mut starts = self.routine.entries.clone();
        starts.iter_mut().for_each(|(entry, _)| *entry = pc.wrapping_sub(*entry));
        starts.retain(|(start, _)| RAM.contains(start));
        // The routine stays where it is, and each search takes time.
        starts.sort_by_key(|(start, _)| *start != self.start);
        for (start, call) in starts {
            qtest.read(start, &mut there)?;
            if there == self.routine.code {
                self.start = start;
                return Ok(Some(call));
            }
        }
        Ok(None)
    }

    /// False where the chip refuses.
    fn call(
        &mut self,
        call: Call,
        [address, size, from]: [u32; 3],
        gdb: &mut GdbClient,
        qtest: &mut Qtest,
    ) -> io::Result<bool> {
        let end = |size: u32| address.checked_add(size).filter(|end| *end <= FLASH_SIZE);
        match call {
            Call::Init => {}
            Call::EraseAll => self.erase(0, FLASH_SIZE, gdb)?,
            Call::EraseBlock if address.is_multiple_of(BLOCK) && end(BLOCK).is_some() => {
                self.erase(address, BLOCK, gdb)?;
            }
            Call::Program if end(size).is_some() => {
                let (mut new, mut old) = (vec![0; size as usize], vec![0; size as usize]);
                qtest.read(from, &mut new)?;
                qtest.read(address, &mut old)?;
                // Programming only clears bits.
                new.iter_mut().zip(&old).for_each(|(new, old)| *new &= old);
                gdb.write(address, &new)?;
                self.file.write(address, &new)?;
            }
            Call::EraseBlock | Call::Program => return Ok(false),
        }
        Ok(true)
    }

    fn erase(&mut self, address: u32, size: u32, gdb: &mut GdbClient) -> io::Result<()> {
        let erased = vec![0xFF; size as usize];
        gdb.write(address, &erased)?;
        self.file.write(address, &erased)
    }
}

impl Routine {
    fn find() -> Result<Routine, String> {
        let target = Registry::from_builtin_families().get_target_by_name(CHIP);
        let target = target.map_err(|error| error.to_string())?;
        let [algorithm] = target.flash_algorithms.as_slice() else {
            return Err(format!("probe-rs has no single flash routine for {CHIP}"));
        };
        let calls = [
            (algorithm.pc_init, Call::Init),
            (algorithm.pc_uninit, Call::Init),
            (algorithm.pc_erase_all, Call::EraseAll),
            (Some(algorithm.pc_erase_sector), Call::EraseBlock),
            (Some(algorithm.pc_program_page), Call::Program),
        ];
        // The lowest bit of an address marks Thumb code; the program counter has it cleared.
        let entry = |(entry, call): (Option<u64>, Call)| Some((entry? as u32 & !1, call));
        let entries = calls.into_iter().filter_map(entry).collect();
        Ok(Routine { code: algorithm.instructions.clone(), entries })
    }
}
