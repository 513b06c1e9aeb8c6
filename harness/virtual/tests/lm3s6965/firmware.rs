//! Real firmware on boards.

use std::time::Duration;

use hilrig_virtual::lm3s6965::ArmReady;
use probe_rs::{CoreStatus, MemoryInterface};

use crate::bench::{ArmFolders, Debugger, FirmwareElf, HALT, TestArmBoard};
use crate::http::{get, page};

#[tokio::test]
async fn a_power_cut_boots_what_was_flashed() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    // A comma means something to QEMU.
    let board = bench.board("a, b", 1).await;
    let http = board.serving.ready().http;
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
    assert!(get(http, "/config").await.is_err());
    board.control.power_on().await.unwrap();
    page(http).await;
    board.serving.stop().await.unwrap();
    // The next start is the same board.
    let board = bench.board("a, b", 2).await;
    page(board.serving.ready().http).await;
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn settings_outlive_reset_and_power_cut() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let board = bench.board("a", 1).await;
    let http = board.serving.ready().http;
    board
        .rig(move |mut rig| {
            rig.flash(&elf);
            rig.reset();
        })
        .await;
    page(http).await;
    get(http, "/config?mqtt_ci=kept-through-it&save=save").await.unwrap();
    board.rig(|mut rig| rig.reset()).await;
    assert!(page(http).await.contains("kept-through-it"));
    board.control.power_off().await.unwrap();
    board.control.power_on().await.unwrap();
    assert!(page(http).await.contains("kept-through-it"));
    board.control.reset().await.unwrap();
    assert!(page(http).await.contains("kept-through-it"));
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn a_pulled_cable_stops_the_network_and_nothing_else() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let board = bench.board("a", 1).await;
    let http = board.serving.ready().http;
    let image = elf.clone();
    board
        .rig(move |mut rig| {
            rig.flash(&image);
            rig.reset();
        })
        .await;
    page(http).await;
    board.control.link_down().await.unwrap();
    assert!(!board.control.status().await.unwrap().link);
    let request = tokio::spawn(async move { get(http, "/config").await });
    // The board runs on without it.
    board
        .rig(move |mut rig| {
            let ms = elf.symbol("ms.0");
            let now = rig.word(ms);
            rig.wait_for(ms, "the uptime counter to go on", |ms| ms > now + 100);
        })
        .await;
    // No event shows that no answer comes. On a board with its cable one comes in 10 ms.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!request.is_finished(), "{:?}", request.await);
    board.control.link_up().await.unwrap();
    page(http).await;
    request.abort();
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn sixteen_boards_at_once() {
    let bench = ArmFolders::new();
    let Some(elf) = FirmwareElf::built() else { return };
    let mut boards = Vec::new();
    for number in 0..16 {
        boards.push(bench.board(&number.to_string(), number).await);
    }
    let ready: Vec<ArmReady> = boards.iter().map(|board| board.serving.ready().clone()).collect();
    for tell in [|ready: &ArmReady| ready.probe.clone(), |ready: &ArmReady| ready.mac.to_string()] {
        let told: std::collections::BTreeSet<String> = ready.iter().map(tell).collect();
        assert_eq!(told.len(), 16, "{told:?}");
    }
    let rigs = ready.into_iter().map(|ready| {
        let elf = elf.clone();
        tokio::task::spawn_blocking(move || {
            let mut rig = Debugger::attach(&ready);
            rig.flash(&elf);
            rig.reset();
            // Its own chip: the MAC address that the firmware reads, in USER0.
            let [a, b, c, ..] = ready.mac.0;
            assert_eq!(rig.word(0x400F_E1E0), u32::from_le_bytes([a, b, c, 0]));
            let mut console = rig.console(&elf);
            rig.expect(&mut console, "Settings:");
        })
    });
    for rig in rigs.collect::<Vec<_>>() {
        rig.await.unwrap();
    }
    for board in boards {
        page(board.serving.ready().http).await;
        board.serving.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_port_that_qemu_cannot_have_is_changed_at_start_and_told_later() {
    let bench = ArmFolders::new();
    let mut config = bench.config("a", 3);
    // QEMU when another process takes a port just before it: first its argument, then the port in the
    // file.
    let taken = bench.dir.path().join("taken");
    config.qemu = bench.dir.path().join("qemu");
    let script = format!(
        "#!/bin/sh\nall=\"$*\"\nport=${{all#*tcp:127.0.0.1:}}\nport=${{port%%-*}}\n\
         test -e {0} || echo $port >{0}\n\
         if test $port = $(cat {0}); then\necho 'Could not set up host forwarding rule' >&2\n\
         exit 1\nfi\nexec qemu-system-arm \"$@\"\n",
        taken.display()
    );
    std::fs::write(&config.qemu, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&config.qemu, mode).unwrap();
    let board = TestArmBoard::start(config).await;
    let http = board.serving.ready().http;
    assert_ne!(std::fs::read_to_string(&taken).unwrap().trim(), http.port().to_string());
    board.control.power_off().await.unwrap();
    std::fs::write(&taken, http.port().to_string()).unwrap();
    let error = board.control.power_on().await.unwrap_err().to_string();
    assert!(error.contains(&http.to_string()), "{error}");
    std::fs::write(&taken, "0").unwrap();
    board.control.power_on().await.unwrap();
    board.serving.stop().await.unwrap();
}
