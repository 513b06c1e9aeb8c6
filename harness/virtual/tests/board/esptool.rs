//! The vendor's own tool on a virtual board's port. Runs where it is installed, as `esptool` or
//! `esptool.py`, or named by HILRIG_ESPTOOL.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use hilrig_core::mac::Mac;

use crate::bench::{BoardFolders, TestBoard};

fn esptool() -> Option<PathBuf> {
    let named = std::env::var_os("HILRIG_ESPTOOL").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = named.or_else(|| {
        std::env::split_paths(&path)
            .flat_map(|dir| ["esptool", "esptool.py"].map(|name| dir.join(name)))
            .find(|tool| tool.is_file())
    });
    if found.is_none() {
        eprintln!("skipped: no esptool on PATH and none named by HILRIG_ESPTOOL");
    }
    found
}

async fn run(tool: &PathBuf, board: &TestBoard, arguments: &[&str]) -> Output {
    let output = tokio::process::Command::new(tool)
        .args(["--chip", "esp8266", "--before", "no-reset", "--after", "no-reset", "--port"])
        .arg(&board.serving.ready().port)
        .args(arguments)
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(Duration::from_secs(60), output).await.expect("esptool hangs").unwrap()
}

async fn passes(tool: &PathBuf, board: &TestBoard, arguments: &[&str]) -> String {
    let output = run(tool, board, &[&["--no-stub"], arguments].concat()).await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The vendor's stub loader is code for a CPU that is not there; the tool has to fail, not hang.
#[tokio::test]
async fn a_stub_is_refused_at_once() {
    let Some(tool) = esptool() else { return };
    let bench = BoardFolders::new();
    let board = bench.blank("a").await;
    assert!(!run(&tool, &board, &["chip-id"]).await.status.success());
    passes(&tool, &board, &["chip-id"]).await;
    board.serving.stop().await.unwrap();
}

#[tokio::test]
async fn tells_the_chip_and_flashes_it() {
    let Some(tool) = esptool() else { return };
    let bench = BoardFolders::new();
    let mut config = bench.config("a");
    config.mac = Some(Mac([0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03]));
    let board = TestBoard::start(config).await;
    let mac = passes(&tool, &board, &["read-mac"]).await;
    assert!(mac.contains("24:0a:c4:01:02:03"), "{mac}");
    assert!(mac.contains("ESP8266EX") && mac.contains("26MHz"), "{mac}");
    let id = passes(&tool, &board, &["chip-id"]).await;
    assert!(id.contains("0x00010203"), "{id}");
    let flash = passes(&tool, &board, &["flash-id"]).await;
    assert!(flash.contains("Device: 4016") && flash.contains("4MB"), "{flash}");

    let image: Vec<u8> = (0..70_000u32).map(|at| ((at * 7) >> 2) as u8).collect();
    let file = bench.dir.path().join("image.bin");
    std::fs::write(&file, &image).unwrap();
    let file = file.to_str().unwrap();
    // Twice at different offsets, so that the erase fault matters; over old data, too.
    for offset in ["0x10000", "0x3000", "0x3000"] {
        passes(&tool, &board, &["write-flash", offset, file]).await;
    }
    let flash = board.flash();
    assert!(flash[0x3000..][..image.len()] == image);
    board.serving.stop().await.unwrap();
}
