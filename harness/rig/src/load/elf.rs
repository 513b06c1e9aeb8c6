//! The ELF file of a firmware, for the functions and lines of a crash.

use std::path::{Path, PathBuf};

use hilrig_core::config::{BoardKind, Config};
use hilrig_core::contract::Contract;
use hilrig_core::image::{self, Image};
use hilrig_core::sections::Section;
use hilrig_decode::Firmware;
use hilrig_report::input;

use crate::{Elf, Error};

const HELP: &str = "It is the file that the linker wrote for this image; without it crashes are reported without functions and lines.";

/// Reads an ELF that the command line names.
///
/// # Errors
/// The file cannot be read, or it is no ELF file with debug information.
pub fn firmware(path: &Path) -> Result<Firmware, Error> {
    firmware_by(path, None)
}

/// The same. `in_image` finds its build by the contract.
///
/// # Errors
/// As [`firmware`].
pub fn firmware_by(path: &Path, in_image: Option<&regex::bytes::Regex>) -> Result<Firmware, Error> {
    let bytes = read(path).map_err(Error::usage)?;
    Firmware::read_with_build(&bytes, in_image)
        .map_err(|error| Error::usage(format!("{}: {error}", path.display())))
}

/// What is known of an image's ELF file.
#[derive(Default)]
pub struct OfImage {
    /// The file, where there is one.
    pub elf: Option<Elf>,
    /// Its sections.
    pub sections: Vec<Section>,
    /// Why there is none, if the user should know.
    pub why: Option<String>,
}

/// The ELF that belongs to `image`: the one that the configuration names, else the one next to it with
/// the same stem, or the image where that is one itself.
///
/// # Errors
/// The configuration names one that is not there, is none or is of another build.
pub fn of_image(
    config: &Config,
    contract: &Contract,
    kind: BoardKind,
    image: &Image,
) -> Result<OfImage, Error> {
    let build = Build::of(contract, image);
    let named = config.firmware.get(&kind).and_then(|files| files.elf.as_ref());
    let path = match named {
        Some(file) => file.path.clone(),
        None => beside(&image.path),
    };
    if named.is_none() && !path.is_file() {
        return Ok(OfImage::default());
    }
    let checked = match (named, read(&path)) {
        (Some(file), Err(_)) if !path.exists() => {
            return Err(Error::usage(file.needed(&config.path, HELP)));
        }
        (_, read) => read.and_then(|bytes| {
            build.check(&path, &bytes)?;
            hilrig_decode::sections(&bytes).map_err(|error| format!("{}: {error}", path.display()))
        }),
    };
    match (checked, named) {
        (Ok(sections), _) => Ok(OfImage { elf: Some(lazily(path, build)), sections, why: None }),
        (Err(why), Some(_)) => {
            Err(Error::usage(format!("`firmware.{}.elf`: {why}. {HELP}", kind.name())))
        }
        (Err(why), None) => {
            let why = format!("crashes are reported without functions and lines: {why}");
            Ok(OfImage { why: Some(why), ..OfImage::default() })
        }
    }
}

/// The ELF of what a kind of board is flashed with, for commands that only read its log: the board may run
/// another build.
///
/// # Errors
/// The configuration names one that cannot be read.
pub fn of_kind(config: &Config, kind: BoardKind) -> Result<Option<Firmware>, Error> {
    let Some(files) = config.firmware.get(&kind) else { return Ok(None) };
    match &files.elf {
        Some(file) if !file.path.exists() => Err(Error::usage(file.needed(&config.path, HELP))),
        Some(file) => firmware(&file.path).map(Some),
        None => Ok(firmware(&beside(&files.image.path)).ok()),
    }
}

/// Refuses a flat image that is shorter than its ELF file. Without an ELF file there is nothing to compare.
///
/// # Errors
/// The image was cut.
pub(super) fn image_is_whole(image: &Image, elf: Option<&Path>) -> Result<(), Error> {
    let elf = elf.map_or_else(|| beside(&image.path), Path::to_owned);
    let Ok(bytes) = input::read(&elf, input::IMAGE_MOST) else { return Ok(()) };
    match image.is_cut_by(&bytes) {
        Some(found) => Err(Error::usage(format!("{}: {found}", image.path.display()))),
        None => Ok(()),
    }
}

fn beside(image: &Path) -> PathBuf {
    image.with_extension("elf")
}

/// Read at the first crash, to save memory. By then it may have been built again.
fn lazily(path: PathBuf, build: Build) -> Elf {
    Elf::new(move || {
        let bytes = read(&path)?;
        build.check(&path, &bytes)?;
        Firmware::read(&bytes).map_err(|error| format!("{}: {error}", path.display()))
    })
}

/// Checks that an ELF and an image are of the same build.
struct Build {
    pattern: Option<regex::bytes::Regex>,
    id: Option<String>,
}

impl Build {
    fn of(contract: &Contract, image: &Image) -> Build {
        let pattern = contract.build.as_ref().map(|build| build.in_image.clone());
        Build { pattern, id: image.build.clone() }
    }

    fn check(&self, path: &Path, bytes: &[u8]) -> Result<(), String> {
        if !bytes.starts_with(b"\x7fELF") {
            return Err(format!("{} is no ELF file", path.display()));
        }
        if let Some(found) = image::elf_is_cut(bytes) {
            return Err(format!("{}: {found}", path.display()));
        }
        let (Some(pattern), Some(id)) = (&self.pattern, &self.id) else { return Ok(()) };
        let mut ids = pattern.captures_iter(bytes).filter_map(|found| found.get(1)).peekable();
        let other = ids.peek().map(|id| hilrig_core::text::printable(id.as_bytes()));
        match ids.any(|found| found.as_bytes() == id.as_bytes()) {
            true => Ok(()),
            false => Err(format!(
                "{} is of build {}, and the image is of build {id}",
                path.display(),
                other.as_deref().unwrap_or("unknown")
            )),
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    input::read(path, input::IMAGE_MOST)
        .map_err(|error| format!("reading the ELF {}: {error}", path.display()))
}
