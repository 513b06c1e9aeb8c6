//! The firmware's images.

use std::path::{Path, PathBuf};

use hilrig_core::config::{BoardKind, Config, SettingsBy};
use hilrig_core::contract::Contract;
use hilrig_core::image::{Image, ImageFormat};
use hilrig_core::place::FileError;
use hilrig_report::input;

use super::elf::image_is_whole;
use super::{read, settings};
use crate::Error;

const BUILD: &str = "Build the firmware with `make firmware`, or correct the key.";

/// The image for a kind of board.
///
/// # Errors
/// The configuration names no image for the kind, or the image or its settings cannot be used.
pub fn image(config: &Config, contract: &Contract, kind: BoardKind) -> Result<Image, Error> {
    let files = config.firmware.get(&kind).ok_or_else(|| {
        let message = format!("there is no [firmware.{}] with an image", kind.name());
        Error::usage(FileError::whole(&config.path, message))
    })?;
    let file = &files.image;
    let bytes = read(&file.path, input::IMAGE_MOST, || file.needed(&config.path, BUILD))?;
    let build = contract.build.as_ref().map(|build| &build.in_image);
    let mut image =
        Image::parse(&file.path, bytes, kind.image_format(), build).map_err(Error::usage)?;
    image_is_whole(&image, files.elf.as_ref().map(|file| file.path.as_path()))?;
    for segment in &files.segments {
        let wrong = |found: &str| Error::usage(segment.file.wrong(&config.path, found));
        if kind.image_format() != ImageFormat::Esp8266 {
            return Err(wrong("an ELF file has its own addresses; segments are for flat images"));
        }
        let help = "It is flashed together with the image.";
        let bytes = read(&segment.file.path, input::IMAGE_MOST, || {
            segment.file.needed(&config.path, help)
        })?;
        image.add(segment.offset, bytes).map_err(|found| wrong(&found))?;
    }
    if files.settings == SettingsBy::Flash {
        let wrong = |found: String| {
            let key = format!("firmware.{}.settings = \"flash\"", kind.name());
            Error::usage(FileError::whole(&config.path, format!("{key}: {found}")))
        };
        if kind.image_format() != ImageFormat::Esp8266 {
            return Err(wrong(
                "this needs a flat image, and boards of this kind are flashed with an ELF file"
                    .into(),
            ));
        }
        let stored = contract.stored.as_ref().ok_or_else(|| {
            wrong("the contract does not describe how settings are stored ([stored])".into())
        })?;
        let (values, _) = settings(config)?;
        let (offset, slots) = stored.slots(kind, &values).map_err(wrong)?;
        image.add(offset, slots).map_err(wrong)?;
    }
    Ok(image)
}

/// Replaces the images by the heap-tracing ones, each with the ELF file next to it.
pub(super) fn use_tracing_images(config: &mut Config) {
    for files in config.firmware.values_mut() {
        if let Some(callers) = &files.callers {
            (files.image, files.elf) = (callers.clone(), None);
        }
    }
}

/// Checks that the configuration names a heap-tracing image for this kind.
pub(super) fn has_tracing_image(config: &Config, kind: BoardKind) -> Result<(), Error> {
    match config.firmware.get(&kind).and_then(|files| files.callers.as_ref()) {
        Some(_) => Ok(()),
        None => {
            let key = format!("firmware.{}.callers", kind.name());
            let message =
                format!("there is no `{key}`: it names the heap-tracing image (docs/heap.md)");
            Err(Error::usage(FileError::whole(&config.path, message)))
        }
    }
}

/// An image that the command line names.
///
/// # Errors
/// The file cannot be read, or it is no image for this kind of board.
pub fn named_image(
    path: &Path,
    contract: Option<&Contract>,
    kind: BoardKind,
) -> Result<Image, Error> {
    let bytes = read(path, input::IMAGE_MOST, || FileError::whole(path, "there is no such file"))?;
    let build = contract.and_then(|contract| contract.build.as_ref()).map(|build| &build.in_image);
    let image = Image::parse(path, bytes, kind.image_format(), build).map_err(Error::usage)?;
    image_is_whole(&image, None)?;
    Ok(image)
}

/// The virtual boards' boot ROM is there.
///
/// # Errors
/// It does not exist.
pub fn boot_rom(config: &Config) -> Result<PathBuf, Error> {
    let file = &config.virtual_.boot_rom;
    if file.path.is_file() {
        Ok(file.path.clone())
    } else {
        Err(Error::usage(file.needed(&config.path, BUILD)))
    }
}
