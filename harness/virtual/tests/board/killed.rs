//! A board whose process is killed leaves no process.

use hilrig_virtual::{ControlSocket, VirtualReady};

use crate::bench::{BoardFolders, TestBoard, firmware};
use crate::process::ChildProcess;
use crate::victim::Victim;

const DIR: &str = "HILRIG_TEST_KILLED_DIR";

/// The process that is killed.
#[tokio::test]
#[ignore = "is run, and killed, by the test below"]
async fn victim() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let (boot_rom, _) = firmware().unwrap();
    let config = hilrig_virtual::VirtualBoardConfig {
        state_dir: dir.into(),
        mac: None,
        seed: 1,
        qemu: "qemu-system-xtensa".into(),
        boot_rom,
        gdb: false,
    };
    let board = TestBoard::start(config).await;
    eprintln!("{}", serde_json::to_string(board.serving.ready()).unwrap());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_board_that_is_dropped_leaves_no_qemu() {
    let Some((boot_rom, image)) = firmware() else { return };
    let bench = BoardFolders::new();
    let qemu = "qemu-system-xtensa".into();
    let config = hilrig_virtual::VirtualBoardConfig { boot_rom, qemu, ..bench.config("a") };
    let board = TestBoard::start(config).await;
    board.client(move |mut client| client.flash(0, &image)).await;
    board.control.reset().await.unwrap();
    let qemu = ChildProcess::open(board.control.status().await.unwrap().qemu.unwrap());
    let control = board.control.path().to_owned();
    drop(board);
    qemu.gone().await;
    assert!(!control.exists());
}

#[tokio::test]
async fn a_killed_process_leaves_no_qemu_and_the_next_one_finds_its_way() {
    let Some((_, mut flash)) = firmware() else { return };
    let bench = BoardFolders::new();
    let dir = bench.dir.path().join("a");
    std::fs::create_dir(&dir).unwrap();
    flash.resize(4 * 1024 * 1024, 0xFF);
    std::fs::write(dir.join("flash.bin"), flash).unwrap();
    let (victim, ready) = Victim::start::<VirtualReady>(DIR, &dir).await;
    let control = ControlSocket::new(&ready.control);
    let pid = control.status().await.unwrap().qemu.unwrap();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    // A variable of the rig represents a secret in its environment.
    assert!(environment.contains("PATH=") && !environment.contains(DIR), "{environment}");
    let qemu = ChildProcess::open(pid);
    victim.kill().await;
    qemu.gone().await;
    assert!(dir.join("control").exists(), "the killed process could remove its socket");
    let (boot_rom, _) = firmware().unwrap();
    let config = hilrig_virtual::VirtualBoardConfig {
        boot_rom,
        qemu: "qemu-system-xtensa".into(),
        ..bench.config("a")
    };
    let board = TestBoard::start(config).await;
    board.client(|mut client| client.expect("ESP8266 Mode:")).await;
    assert_eq!(board.serving.ready().mac, ready.mac);
    board.serving.stop().await.unwrap();
}
