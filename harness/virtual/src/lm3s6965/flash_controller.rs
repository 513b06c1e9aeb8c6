//! The chip's flash controller, which QEMU does not emulate.
//!
//! A debugger programs a flash by a routine that it puts into the chip's memory and calls: it sets
//! the routine's arguments as a C call does and lets the core run until the routine returns onto a
//! breakpoint. Whoever runs the LM3S6965's own routine on QEMU's core gets a success and an
//! unchanged flash, because the registers that it writes are not there. So the call itself is
//! recognised, by the routine's code in memory, and done here; the core does not run.

use std::io;
use std::sync::LazyLock;

use probe_rs::config::Registry;

use super::gdb::GdbClient;
use super::qtest::Qtest;
use super::{CHIP, FLASH_SIZE, RAM};
use crate::flash_file::FlashFile;

/// The chip erases in blocks of 1 KiB, and so does the routine.
const BLOCK: u32 = 1024;
/// What a routine returns when it could not do what it was asked to.
const FAILED: u32 = 1;

/// What the routine was called for.
#[derive(Clone, Copy, Debug)]
enum Call {
    Init,
    EraseAll,
    EraseBlock,
    Program,
}

/// The chip's flash routine as probe-rs has it.
#[derive(Debug)]
struct Routine {
    code: Vec<u8>,
    entries: Vec<(u32, Call)>,
}

/// Once for all boards: probe-rs unpacks what it knows of all chips to tell one.
static ROUTINE: LazyLock<Result<Routine, String>> = LazyLock::new(Routine::find);

/// The controller and what it writes to.
#[derive(Debug)]
pub struct FlashController {
    routine: &'static Routine,
    /// Where the routine was seen last.
    start: u32,
    file: FlashFile,
}

impl FlashController {
    /// For this flash.
    pub fn new(file: FlashFile) -> io::Result<FlashController> {
        let routine = ROUTINE.as_ref().map_err(|error| io::Error::other(error.as_str()))?;
        Ok(FlashController { routine, start: 0, file })
    }

    /// Does what the core is about to do, if that is a call of the routine, up to the return.
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
        // The routine stays where it is, and each look costs.
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

    /// False where the chip would refuse.
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
        // The lowest bit of an address says that the code is Thumb code; the counter has it cleared.
        let entry = |(entry, call): (Option<u64>, Call)| Some((entry? as u32 & !1, call));
        let entries = calls.into_iter().filter_map(entry).collect();
        Ok(Routine { code: algorithm.instructions.clone(), entries })
    }
}
