//! The vendor's own tool on a virtual board's port. Runs where it is installed, as `esptool` or
//! `esptool.py`, or named by HILRIG_ESPTOOL.

use std::path::PathBuf;

use hilrig_core::mac::Mac;

use crate::bench::{Bench, Board};

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

async fn run(tool: &PathBuf, board: &Board, arguments: &[&str]) -> String {
    let output = tokio::process::Command::new(tool)
        .args(["--chip", "esp8266", "--no-stub", "--before", "no-reset", "--after", "no-reset"])
        .arg("--port")
        .arg(&board.serving.ready().port)
        .args(arguments)
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), output);
    let output = output.await.expect("esptool hangs").unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

#[tokio::test]
async fn tells_the_chip_and_flashes_it() {
    let Some(tool) = esptool() else { return };
    let bench = Bench::new();
    let mut config = bench.config("a");
    config.mac = Some(Mac([0x24, 0x0A, 0xC4, 0x01, 0x02, 0x03]));
    let board = Board::start(config).await;
    let mac = run(&tool, &board, &["read-mac"]).await;
    assert!(mac.contains("24:0a:c4:01:02:03"), "{mac}");
    assert!(mac.contains("ESP8266EX") && mac.contains("26MHz"), "{mac}");
    let id = run(&tool, &board, &["chip-id"]).await;
    assert!(id.contains("0x00010203"), "{id}");
    let flash = run(&tool, &board, &["flash-id"]).await;
    assert!(flash.contains("Device: 4016") && flash.contains("4MB"), "{flash}");

    let image: Vec<u8> = (0..70_000u32).map(|at| ((at * 7) >> 2) as u8).collect();
    let file = bench.dir.path().join("image.bin");
    std::fs::write(&file, &image).unwrap();
    let file = file.to_str().unwrap();
    // Twice at different offsets, so that the erase fault matters; over old data, too.
    for offset in ["0x10000", "0x3000", "0x3000"] {
        run(&tool, &board, &["write-flash", offset, file]).await;
    }
    let flash = board.flash();
    assert!(flash[0x3000..][..image.len()] == image);
    board.serving.stop().await.unwrap();
}
