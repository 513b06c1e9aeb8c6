//! Reading what the configuration names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hilrig_boards::identity::discover::discover;
use hilrig_boards::identity::wanted as identity;
use hilrig_broker::Login;
use hilrig_core::config::{BoardConfig, BoardKind, Config, Floors, SettingsBy};
use hilrig_core::contract::Contract;
use hilrig_core::image::{Image, ImageFormat};
use hilrig_core::place::FileError;
use hilrig_core::text::{self, Secrets};

use hilrig_report::input;

use crate::bench;
use crate::elf;
use crate::error::Failure;

const BUILD: &str = "Build the firmware with `make firmware`, or mend the key.";

/// The configuration.
pub fn config(path: &Path) -> Result<Config, Failure> {
    let text = input::read_text(path, input::TEXT_MOST).map_err(|error| {
        Failure::usage(format!(
            "reading the configuration {}: {error}. `hilrig init` writes one; --config names another",
            path.display()
        ))
    })?;
    let config = Config::parse(path, &text).map_err(Failure::usage)?;
    for board in &config.boards {
        named_by_what_stays(&config, board)?;
    }
    Ok(config)
}

/// Refuses a port whose name depends on the order of plugging: tomorrow it is another board's.
fn named_by_what_stays(config: &Config, board: &BoardConfig) -> Result<(), Failure> {
    let path = bench::port_id(board).and_then(|id| id.path.as_ref());
    let Some(path) = path.filter(|path| identity::is_passing(path)) else { return Ok(()) };
    // What cannot be looked up now is left to `hilrig boards`, which says why.
    let found = discover().unwrap_or_default();
    let port = found.iter().find(|port| port.port == *path);
    let instead = match port.and_then(|port| identity::stable_key(port, &found)) {
        Some(key) => format!("On it now is {key}: write that instead"),
        None => {
            "Write `usb_serial`, `position` or `mac` instead (`hilrig boards` lists them)".into()
        }
    };
    let message = format!(
        "board `{}`: {} is whatever was plugged in first, and another board after the next plugging. {instead}",
        board.name,
        path.display()
    );
    Err(Failure::usage(FileError::at_line(&config.path, board.line, message)))
}

/// The firmware's contract.
pub fn contract(config: &Config) -> Result<Contract, Failure> {
    let path = &config.contract.path;
    let text = read(path, input::TEXT_MOST, || {
        config.contract.needed(&config.path, "It says what the firmware says and answers.")
    })?;
    let text = String::from_utf8(text)
        .map_err(|_| Failure::usage(format!("{}: it is no UTF-8 text", path.display())))?;
    Contract::parse(path, &text).map_err(Failure::usage)
}

/// The image for a kind of board.
pub fn image(config: &Config, contract: &Contract, kind: BoardKind) -> Result<Image, Failure> {
    let files = config.firmware.get(&kind).ok_or_else(|| {
        let message = format!("there is no [firmware.{}] with an image", kind.name());
        Failure::usage(FileError::whole(&config.path, message))
    })?;
    let file = &files.image;
    let bytes = read(&file.path, input::IMAGE_MOST, || file.needed(&config.path, BUILD))?;
    let build = contract.build.as_ref().map(|build| &build.in_image);
    let mut image =
        Image::parse(&file.path, bytes, kind.image_format(), build).map_err(Failure::usage)?;
    elf::image_is_whole(&image, files.elf.as_ref().map(|file| file.path.as_path()))?;
    for segment in &files.segments {
        let wrong = |found: &str| Failure::usage(segment.file.wrong(&config.path, found));
        if kind.image_format() != ImageFormat::Esp8266 {
            return Err(wrong(
                "an ELF file says itself what goes where; segments are for flat images",
            ));
        }
        let help = "It is written beside the image.";
        let bytes = read(&segment.file.path, input::IMAGE_MOST, || {
            segment.file.needed(&config.path, help)
        })?;
        image.add(segment.offset, bytes).map_err(|found| wrong(&found))?;
    }
    if files.settings == SettingsBy::Flash {
        let wrong = |found: String| {
            let key = format!("firmware.{}.settings = \"flash\"", kind.name());
            Failure::usage(FileError::whole(&config.path, format!("{key}: {found}")))
        };
        if kind.image_format() != ImageFormat::Esp8266 {
            return Err(wrong(
                "this needs a flat image; boards of this kind take an ELF file".into(),
            ));
        }
        let stored = contract
            .stored
            .as_ref()
            .ok_or_else(|| wrong("the contract does not say how settings are stored".into()))?;
        let (values, _) = settings(config)?;
        let (offset, slots) = stored.slots(kind, &values).map_err(wrong)?;
        image.add(offset, slots).map_err(wrong)?;
    }
    Ok(image)
}

/// Takes the images that keep who holds the heap in place of the others, each with the ELF beside it.
pub fn take_callers_images(config: &mut Config) {
    for files in config.firmware.values_mut() {
        if let Some(callers) = &files.callers {
            (files.image, files.elf) = (callers.clone(), None);
        }
    }
}

/// There is an image for the kind that keeps who holds the heap.
pub fn keeps_callers(config: &Config, kind: BoardKind) -> Result<(), Failure> {
    match config.firmware.get(&kind).and_then(|files| files.callers.as_ref()) {
        Some(_) => Ok(()),
        None => {
            let key = format!("firmware.{}.callers", kind.name());
            let message = format!(
                "there is no `{key}`: it names the image that keeps who holds the heap (docs/heap.md)"
            );
            Err(Failure::usage(FileError::whole(&config.path, message)))
        }
    }
}

/// An image that the command line names.
pub fn named_image(
    path: &Path,
    contract: Option<&Contract>,
    kind: BoardKind,
) -> Result<Image, Failure> {
    let bytes = read(path, input::IMAGE_MOST, || FileError::whole(path, "there is no such file"))?;
    let build = contract.and_then(|contract| contract.build.as_ref()).map(|build| &build.in_image);
    let image = Image::parse(path, bytes, kind.image_format(), build).map_err(Failure::usage)?;
    elf::image_is_whole(&image, None)?;
    Ok(image)
}

/// The virtual boards' boot ROM is there.
pub fn boot_rom(config: &Config) -> Result<PathBuf, Failure> {
    let file = &config.virtual_.boot_rom;
    if file.path.is_file() {
        Ok(file.path.clone())
    } else {
        Err(Failure::usage(file.needed(&config.path, BUILD)))
    }
}

/// The configured form fields with the secrets read from the environment, and the secrets' values.
pub fn settings(config: &Config) -> Result<(BTreeMap<String, String>, Vec<String>), Failure> {
    let mut settings = config.settings.clone();
    let mut values = Vec::new();
    for (field, variable) in &config.secrets {
        let value = secret(config, &format!("firmware.secrets.{field}"), variable)?;
        values.push(value.clone());
        settings.insert(field.clone(), value);
    }
    Ok((settings, values))
}

/// The passwords of the boards' power lines.
pub fn power_passwords(config: &Config, boards: &[BoardConfig]) -> Result<Vec<String>, Failure> {
    let named = boards.iter().filter_map(|board| board.power.as_ref()?.password_env.as_ref());
    let values: Vec<String> = named
        .map(|variable| secret(config, "board.power.password_env", variable))
        .collect::<Result<_, Failure>>()?;
    for board in boards {
        let user = board.power.as_ref().and_then(|power| power.user.as_deref());
        for (user, value) in user.into_iter().flat_map(|user| values.iter().map(move |v| (user, v)))
        {
            text::hide(&Secrets::default().and_login(user, value));
        }
    }
    Ok(values)
}

fn secret(config: &Config, key: &str, variable: &str) -> Result<String, Failure> {
    let value = std::env::var(variable).map_err(|_| {
        let message = format!(
            "{key}: the environment has no variable {variable} (or it is no text). Set it, for it holds the secret"
        );
        Failure::usage(FileError::whole(&config.path, message))
    })?;
    text::hide(&Secrets::new([value.clone()]));
    Ok(value)
}

/// The heap floors of each kind of board that has an image.
pub fn floors(config: &Config) -> BTreeMap<BoardKind, Floors> {
    config.firmware.keys().map(|kind| (*kind, config.floors_of(*kind))).collect()
}

/// The values that must be shown nowhere, and are hidden from now on.
pub fn secrets(values: Vec<String>, broker: &Login) -> Secrets {
    let secrets = Secrets::new(values).and_login(&broker.user, &broker.password);
    text::hide(&secrets);
    secrets
}

fn read(path: &Path, most: u64, missing: impl FnOnce() -> FileError) -> Result<Vec<u8>, Failure> {
    input::read(path, most).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::usage(missing()),
        _ => Failure::usage(format!("reading {}: {error}", path.display())),
    })
}
