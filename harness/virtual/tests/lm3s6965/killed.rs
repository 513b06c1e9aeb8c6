//! A board whose process is killed leaves no process.

use hilrig_virtual::ControlSocket;
use hilrig_virtual::lm3s6965::{ArmBoardConfig, ArmReady};

use crate::bench::{ArmFolders, TestArmBoard};
use crate::process::ChildProcess;
use crate::victim::Victim;

const DIR: &str = "HILRIG_TEST_KILLED_ARM_DIR";

/// The process that is killed.
#[tokio::test]
#[ignore = "is run, and killed, by the test below"]
async fn victim() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let qemu = "qemu-system-arm".into();
    let config = ArmBoardConfig { state_dir: dir.into(), mac: None, seed: 1, qemu };
    let board = TestArmBoard::start(config).await;
    eprintln!("{}", serde_json::to_string(board.serving.ready()).unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_board_that_is_dropped_leaves_no_qemu_and_no_probe() {
    let bench = ArmFolders::new();
    let board = bench.board("a", 1).await;
    let qemu = ChildProcess::open(board.control.status().await.unwrap().qemu.unwrap());
    let (control, probe) = (board.control.path().to_owned(), board.serving.ready().probe.clone());
    drop(board);
    qemu.gone().await;
    assert!(!control.exists());
    let selector: probe_rs::probe::DebugProbeSelector = probe.parse().unwrap();
    assert!(probe_rs::probe::list::Lister::new().list(Some(&selector)).is_empty());
}

#[tokio::test]
async fn a_killed_process_leaves_no_qemu_and_the_next_one_finds_its_way() {
    let bench = ArmFolders::new();
    let dir = bench.dir.path().join("a");
    let (victim, ready) = Victim::start::<ArmReady>(DIR, &dir).await;
    let control = ControlSocket::new(&ready.control);
    let qemu = ChildProcess::open(control.status().await.unwrap().qemu.unwrap());
    victim.kill().await;
    qemu.gone().await;
    let board = bench.board("a", 2).await;
    assert_eq!(
        (board.serving.ready().mac, &board.serving.ready().probe),
        (ready.mac, &ready.probe)
    );
    board.serving.stop().await.unwrap();
}
