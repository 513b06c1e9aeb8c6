//! `hilrig flash`.

use std::io::IsTerminal as _;
use std::time::Duration;

use hilrig::attach::{self, Rates};
use hilrig::load;
use hilrig_core::board::Board;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args;
use crate::error::{Failure, note, print};
use crate::signals;

/// Writes an image to a board and starts it.
pub async fn flash(args: args::Flash) -> Result<u8, Failure> {
    let rates = Rates { loader: args.baud, ..Rates::default() };
    let (mut board, kind) = attach::named(&args.config.config, &args.which.name(), rates)?;
    let image = match &args.image {
        Some(path) => load::named_image(path, None, kind)?,
        None => {
            let config = load::config(&args.config.config)?;
            let contract = load::contract(&config)?;
            if args.which.board.is_none() {
                return Err(Failure::usage(
                    "name the image: a board named by --port has none in the configuration",
                ));
            }
            load::image(&config, &contract, kind)?
        }
    };
    board.set_notes(Box::new(note));
    let stop = signals::stop_request()?;
    let done = tokio::select! {
        done = write(&mut *board, &image) => done,
        why = stop.requested() => Err(Failure::rig(format!("{why}; only a part of the image is on the board: flash it again"))),
    };
    board.release().await;
    let (bytes, time) = done?;
    let rate = bytes as f64 / 1024.0 / time.as_secs_f64().max(1e-9);
    print(&format!(
        "flashed {bytes} B in {:.2} s ({rate:.0} KiB/s), SHA-256 {}\n",
        time.as_secs_f64(),
        &image.sha256[..16]
    ))
}

async fn write(
    board: &mut dyn Board,
    image: &hilrig_core::image::Image,
) -> Result<(u64, Duration), Failure> {
    board.lock("flashing", Duration::ZERO).await.map_err(Failure::rig)?;
    let bar = match std::io::stderr().is_terminal() {
        true => ProgressBar::new(image.bytes.len() as u64),
        false => ProgressBar::hidden(),
    };
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes}");
    bar.set_style(style.map_err(Failure::internal)?);
    let progress = bar.clone();
    let told = Box::new(move |written, total| {
        progress.set_length(total);
        progress.set_position(written);
    });
    let flashed = board.flash(image, true, told).await.map_err(Failure::rig)?;
    bar.finish_and_clear();
    // Without reset wiring the image is on the board all the same.
    if let Err(fault) = board.reset().await {
        print(&format!("the image is written, but not started: {fault}\n"))?;
    }
    Ok((flashed.bytes, flashed.time))
}
