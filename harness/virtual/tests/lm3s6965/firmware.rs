//! Real firmware on boards.

use probe_rs::{CoreStatus, MemoryInterface};

use crate::bench::{Bench, Elf, HALT, page};

#[tokio::test]
async fn a_power_cut_boots_what_was_flashed() {
    let bench = Bench::new();
    let Some(elf) = Elf::built() else { return };
    let board = bench.board("a", 1).await;
    // A blank chip has nothing to run.
    board
        .rig(|mut rig| {
            let mut core = rig.session.core(0).unwrap();
            assert_eq!(core.status().unwrap(), CoreStatus::LockedUp);
            core.reset().unwrap();
            assert_eq!(core.status().unwrap(), CoreStatus::LockedUp);
            core.halt(HALT).unwrap();
            assert!(core.core_halted().unwrap());
            assert_eq!(core.read_word_32(0x3FFFC).unwrap(), u32::MAX);
        })
        .await;
    board.rig(move |mut rig| rig.flash(&elf)).await;
    board.control.power_off().await.unwrap();
    assert!(crate::bench::get(board.serving.ready().http).await.is_err());
    board.control.power_on().await.unwrap();
    let html = page(&board).await;
    assert!(html.contains("<form"), "{html}");
    board.serving.stop().await.unwrap();
}
