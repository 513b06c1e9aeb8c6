//! Halt, step, breakpoints, registers.

use probe_rs::flashing::{FlashProgress, erase_all};
use probe_rs::{CoreStatus, HaltReason, MemoryInterface};

use crate::bench::{ArmFolders, FirmwareElf, HALT};

#[tokio::test]
async fn flashed_run_and_read_while_it_runs() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let board = bench.board("a", 1).await;
    board
        .rig(move |mut rig| {
            let start = std::time::Instant::now();
            rig.flash(&elf);
            eprintln!("flashed and read back in {:?}", start.elapsed());
            rig.reset();
            let mut console = rig.console(&elf);
            rig.expect(&mut console, "Settings:");
            // `struct heap` of firmware/heap/heap.c: `last` and `free` behind a pointer, in units
            // of 8 bytes.
            let heap = elf.symbol("heap");
            let figures = rig.word(heap + 4);
            let (last, free) = (figures & 0xFFFF, figures >> 16);
            assert!(free > 0 && free < last, "{free} of {last}");
            let ms = elf.symbol("ms.0");
            // None of this has stopped the core: it counts while it is read.
            let before = rig.word(ms);
            rig.wait_for(ms, "the uptime counter to go on", |ms| ms > before + 50);
            assert!(!rig.is_halted());
        })
        .await;
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn halt_step_and_breakpoint() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let board = bench.board("a", 1).await;
    board
        .rig(move |mut rig| {
            rig.flash(&elf);
            let main = elf.symbol("port_main");
            let mut core = rig.session.core(0).unwrap();
            let at = core.reset_and_halt(HALT).unwrap();
            let vector = core.read_word_32(4).unwrap();
            assert_eq!(at.pc, u64::from(vector & !1));
            let stack: u32 = core.read_core_reg(core.stack_pointer()).unwrap();
            assert_eq!(stack, core.read_word_32(0).unwrap());
            // A register that QEMU does not have is an error, without further effects.
            assert!(core.read_core_reg::<u32>(probe_rs::RegisterId(17)).is_err());
            let next = core.step().unwrap();
            assert!(next.pc > at.pc && next.pc <= at.pc + 4, "{:#x} {:#x}", at.pc, next.pc);

            core.set_hw_breakpoint(main).unwrap();
            core.run().unwrap();
            core.wait_for_core_halted(HALT).unwrap();
            let status = core.status().unwrap();
            assert!(matches!(status, CoreStatus::Halted(HaltReason::Breakpoint(_))), "{status:?}");
            let pc: u64 = core.read_core_reg(core.program_counter()).unwrap();
            assert_eq!(pc, main);
            // Off it again, though it is still set.
            assert!(core.step().unwrap().pc != main);
            core.clear_hw_breakpoint(main).unwrap();
            core.run().unwrap();
            assert!(!core.core_halted().unwrap());

            // A running core has no readable registers; a halted one that slept continues where it was.
            let ms = elf.symbol("ms.0");
            drop(core);
            rig.wait_for(ms, "the uptime counter", |ms| ms > 100);
            for _ in 0..20 {
                let mut core = rig.session.core(0).unwrap();
                core.halt(HALT).unwrap();
                let stopped = core.read_word_32(ms).unwrap();
                assert_eq!(core.read_word_32(ms).unwrap(), stopped);
                core.step().unwrap();
                core.run().unwrap();
                drop(core);
                rig.wait_for(ms, "the uptime counter to go on", |ms| ms > stopped);
            }
        })
        .await;
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn an_erased_chip_is_a_blank_one() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let board = bench.board("a", 1).await;
    board
        .rig(move |mut rig| {
            rig.flash(&elf);
            rig.reset();
            erase_all(&mut rig.session, &mut FlashProgress::empty(), false).unwrap();
            assert_eq!(rig.word(0), u32::MAX);
            rig.reset();
            let status = rig.session.core(0).unwrap().status().unwrap();
            assert_eq!(status, CoreStatus::LockedUp);
        })
        .await;
    let flash = std::fs::read(bench.dir.path().join("a/flash.bin")).unwrap();
    assert!(flash.len() == 0x40000 && flash.iter().all(|byte| *byte == 0xFF));
    board.serving.stop().await.unwrap();
}
