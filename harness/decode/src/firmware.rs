//! From an address to function, file and line, by the ELF of the firmware.

use std::sync::Arc;

use addr2line::Context;
use gimli::{EndianArcSlice, RunTimeEndian};
use hilrig_core::text;
use object::{
    Object as _, ObjectKind, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind,
};
use thiserror::Error;

use crate::build::BuildIdentity;
use crate::call::Calls;
use crate::finding::Role;

type Reader = EndianArcSlice<RunTimeEndian>;

/// The furthest after a symbol of a chip's ROM that still counts as inside its function: ROM
/// symbols come from a linker script, without sizes.
const ROM_REACH: u64 = 0x200;

/// The ROM of the ESP8266 and the ESP32.
const ROM: std::ops::Range<u64> = 0x4000_0000..0x4007_0000;

/// Inlined calls at one address that are reported.
const MOST_INLINED: usize = 16;

/// An ELF cannot be used.
#[derive(Debug, Error)]
pub enum FirmwareError {
    /// It is none.
    #[error(
        "this is no ELF file ({0}): give the one that the linker wrote, not the image that is flashed"
    )]
    NoElf(object::Error),
    /// It holds no code.
    #[error("this ELF has no code: give the one that the linker wrote (.elf), not an object file")]
    NoCode,
}

/// A place in the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePlace {
    /// Function, demangled.
    pub function: Option<String>,
    /// Source file, as the compiler got it.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

/// The firmware that a board ran.
pub struct Firmware {
    context: Option<Context<Reader>>,
    code: Vec<Code>,
    functions: Vec<Function>,
    calls: Option<Calls>,
    /// Its build, as far as the file has it.
    pub(crate) identity: BuildIdentity,
}

struct Code {
    start: u64,
    bytes: Vec<u8>,
}

struct Function {
    start: u64,
    end: u64,
    name: String,
}

impl Firmware {
    /// Reads an ELF. Debug information that is missing or broken costs files and lines only:
    /// functions come from the symbol table then.
    ///
    /// # Errors
    /// It is no ELF, or holds no code.
    pub fn read(elf: &[u8]) -> Result<Firmware, FirmwareError> {
        Firmware::read_with_build(elf, None)
    }

    /// The same. `in_image` finds the build ids in the file (group 1), where the firmware's contract has such a
    /// pattern; without it, that is the bundled firmware's `HILRIG_BUILD=0123456789abcdef`.
    ///
    /// # Errors
    /// It is no ELF, or holds no code.
    pub fn read_with_build(
        elf: &[u8],
        in_image: Option<&regex::bytes::Regex>,
    ) -> Result<Firmware, FirmwareError> {
        let file = object::File::parse(elf).map_err(FirmwareError::NoElf)?;
        let mut code: Vec<Code> = file
            .sections()
            .filter(|section| section.kind() == SectionKind::Text)
            // A Cortex-M's code begins at 0; in an object file all of it does.
            .filter(|section| section.address() != 0 || file.kind() == ObjectKind::Executable)
            .filter_map(|section| {
                Some(Code { start: section.address(), bytes: section.data().ok()?.to_vec() })
            })
            .collect();
        if code.is_empty() {
            return Err(FirmwareError::NoCode);
        }
        code.sort_by_key(|code| code.start);
        let functions = functions(&file, &code);
        let calls = Calls::of(file.architecture(), code.iter().map(|code| code.start));
        let identity = BuildIdentity::of(elf, in_image);
        Ok(Firmware { context: context(&file), code, functions, calls, identity })
    }

    /// Whether the file names its build.
    pub fn names_build(&self) -> bool {
        !self.identity.builds.is_empty()
    }

    /// Whether there is debug information, so that files and lines are known.
    pub fn has_lines(&self) -> bool {
        self.context.is_some()
    }

    /// Whether `address` is inside the code of this firmware.
    pub fn holds(&self, address: u32) -> bool {
        self.code_at(u64::from(address)).is_some()
    }

    fn code_at(&self, address: u64) -> Option<&[u8]> {
        self.code.iter().find_map(|code| {
            let at = usize::try_from(address.checked_sub(code.start)?).ok()?;
            code.bytes.get(at..).filter(|bytes| !bytes.is_empty())
        })
    }

    /// Whether a call is directly before `address`, so that it is what a call returns to.
    pub fn follows_call(&self, address: u32) -> bool {
        self.call_before(address).is_some()
    }

    /// The bytes of the call in front of `address`, if there is one.
    fn call_before(&self, address: u32) -> Option<u32> {
        let code = |at: u64| self.code_at(at);
        self.calls.as_ref()?.before(address, &code, &|target| {
            ROM.contains(&target) || self.code_at(target).is_some()
        })
    }

    /// The bytes at `address`, which is in the code of this firmware.
    pub(crate) fn instruction(&self, address: u32) -> Option<&[u8]> {
        self.code_at(u64::from(address))
    }

    /// How this chip calls, where that is known.
    pub(crate) fn calls(&self) -> Option<Calls> {
        self.calls
    }

    /// Whether `address` is inside a function that the symbol table names.
    pub(crate) fn in_function(&self, address: u32) -> bool {
        self.symbol(u64::from(address)).is_some()
    }

    /// Whether this chip's calls can be distinguished from other code.
    pub fn knows_calls(&self) -> bool {
        self.calls.is_some()
    }

    /// The places of an address: the innermost first, then the functions that it was inlined into.
    /// Empty if the ELF has nothing about it.
    pub fn places(&self, address: u32, role: Role) -> Vec<SourcePlace> {
        // What a call returns to is after it, and may be another line or even another function.
        let before = if role.is_return() { self.call_before(address).unwrap_or(0) } else { 0 };
        let address = u64::from(self.plain(address).saturating_sub(before));
        let mut places = self.debug_places(address);
        let symbol = || self.symbol(address).map(str::to_owned);
        match places.last_mut() {
            Some(outer) => outer.function = outer.function.take().or_else(symbol),
            None => places.extend(
                symbol().map(|name| SourcePlace { function: Some(name), ..SourcePlace::default() }),
            ),
        }
        places
    }

    /// The places of the call that returns to an address, as [`Firmware::places`] has them.
    pub fn call_places(&self, return_to: u32) -> Vec<SourcePlace> {
        // The byte before is one of the call's, however
        // long that is.
        self.places(self.plain(return_to).saturating_sub(1), Role::Epc1)
    }

    /// An address without the mark that a Cortex-M's has in its lowest bit.
    fn plain(&self, address: u32) -> u32 {
        if self.calls == Some(Calls::Thumb) { address & !1 } else { address }
    }

    fn debug_places(&self, address: u64) -> Vec<SourcePlace> {
        let Some(context) = &self.context else { return Vec::new() };
        let mut places = Vec::new();
        let Ok(mut frames) = context.find_frames(address).skip_all_loads() else { return places };
        while let Ok(Some(frame)) = frames.next() {
            if places.len() == MOST_INLINED {
                break;
            }
            let name = frame
                .function
                .and_then(|name| Some(text::printable(name.demangle().ok()?.as_bytes())));
            let location = frame.location;
            let file = location.as_ref().and_then(|at| at.file);
            places.push(SourcePlace {
                function: name,
                file: file.map(|file| text::printable(file.as_bytes())),
                line: location.and_then(|at| at.line),
            });
        }
        places.retain(|place| *place != SourcePlace::default());
        places
    }

    fn symbol(&self, address: u64) -> Option<&str> {
        let after = self.functions.partition_point(|function| function.start <= address);
        let function = self.functions[..after].last()?;
        (address < function.end).then_some(&function.name)
    }
}

fn context(file: &object::File<'_>) -> Option<Context<Reader>> {
    let endian = match file.is_little_endian() {
        true => RunTimeEndian::Little,
        false => RunTimeEndian::Big,
    };
    let dwarf = gimli::Dwarf::load(|id| -> Result<Reader, gimli::Error> {
        let data = file.section_by_name(id.name()).and_then(|section| {
            // A compressed section would be read as what it is not.
            let compressed = section.compressed_file_range().ok()?;
            (compressed.format == object::CompressionFormat::None).then_some(())?;
            section.data().ok()
        });
        Ok(EndianArcSlice::new(Arc::from(data.unwrap_or_default()), endian))
    })
    .ok()?;
    let has_units = dwarf.units().next().is_ok_and(|unit| unit.is_some());
    if has_units { Context::from_dwarf(dwarf).ok() } else { None }
}

fn functions(file: &object::File<'_>, code: &[Code]) -> Vec<Function> {
    let end_of = |start: u64| {
        code.iter()
            .map(|code| (code.start, code.start + code.bytes.len() as u64))
            .find(|(from, to)| (*from..*to).contains(&start))
            .map(|(_, to)| to)
            .or_else(|| ROM.contains(&start).then_some(start + ROM_REACH))
    };
    let mut found: Vec<(u64, u64, &str)> = file
        .symbols()
        .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown))
        .filter(|symbol| symbol.is_definition() || ROM.contains(&symbol.address()))
        .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)))
        .filter(|(_, _, name)| !name.is_empty() && !name.starts_with(['.', '$']))
        .collect();
    // Of two names for one place, the one with a size is the function.
    found.sort_by_key(|(start, size, _)| (*start, std::cmp::Reverse(*size)));
    found.dedup_by_key(|(start, _, _)| *start);
    let starts: Vec<u64> = found.iter().map(|(start, _, _)| *start).collect();
    found
        .iter()
        .enumerate()
        .filter_map(|(at, &(start, size, name))| {
            let most = end_of(start)?;
            let end = match size {
                0 => starts.get(at + 1).map_or(most, |next| most.min(*next)),
                size => most.min(start.saturating_add(size)),
            };
            Some(Function { start, end, name: text::printable(demangled(name).as_bytes()) })
        })
        .collect()
}

fn demangled(name: &str) -> String {
    addr2line::demangle_auto(name.into(), None).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_elf::{BEHIND_CALL, BEHIND_CALLX, LENGTH, LOOP, MEMSET, TEXT, elf};
    use proptest::prelude::*;

    fn place(function: &str, file: Option<&str>, line: Option<u32>) -> Vec<SourcePlace> {
        vec![SourcePlace { function: Some(function.into()), file: file.map(Into::into), line }]
    }

    #[test]
    fn debug_information_gives_function_file_and_line() {
        let firmware = Firmware::read(&elf(true)).unwrap();
        assert!(firmware.has_lines() && firmware.knows_calls());
        let net = Some("/src/net.cpp");
        assert_eq!(firmware.places(LOOP, Role::Epc1), place("Net::loop()", net, Some(10)));
        assert_eq!(firmware.places(BEHIND_CALL, Role::Epc1), place("Net::loop()", net, Some(13)));
        // What a call returns to: the line is the one of the call.
        for role in [Role::Stack, Role::FailedAlloc] {
            assert_eq!(firmware.places(BEHIND_CALL, role), place("Net::loop()", net, Some(12)));
        }
        assert_eq!(firmware.call_places(BEHIND_CALL), place("Net::loop()", net, Some(12)));
        assert_eq!(firmware.call_places(0), []);
        // No call is before this one.
        assert_eq!(
            firmware.places(LOOP + 4, Role::FailedAlloc),
            place("Net::loop()", net, Some(12))
        );
        assert_eq!(firmware.places(TEXT + 4, Role::Epc1), place("crash", None, None));
        assert_eq!(firmware.places(TEXT - 4, Role::Epc1), []);
        assert_eq!(firmware.places(0, Role::Stack), []);
    }

    #[test]
    fn the_symbol_table_gives_functions_where_there_is_no_more() {
        let firmware = Firmware::read(&elf(false)).unwrap();
        assert!(!firmware.has_lines());
        assert_eq!(firmware.places(TEXT, Role::Epc1), place("crash", None, None));
        assert_eq!(firmware.places(LOOP + 9, Role::Epc1), place("Net::loop()", None, None));
        assert_eq!(firmware.places(MEMSET + 0x22, Role::Epc1), place("memset", None, None));
        assert_eq!(firmware.places(MEMSET + 0x1000, Role::Epc1), []);
    }

    #[test]
    fn what_a_call_returns_to_is_distinguished_from_other_addresses_of_code() {
        let firmware = Firmware::read(&elf(false)).unwrap();
        let found: Vec<u32> =
            (TEXT - 8..TEXT + LENGTH + 8).filter(|at| firmware.follows_call(*at)).collect();
        assert_eq!(found, [BEHIND_CALL, BEHIND_CALLX]);
        assert!(firmware.holds(TEXT) && !firmware.holds(TEXT + LENGTH) && !firmware.holds(0));
    }

    #[test]
    fn what_is_no_elf_is_refused_with_what_to_give() {
        for bytes in [&b""[..], b"\xe9\x03\x02\x40", b"\x7fELF\x01\x01\x01"] {
            let error = Firmware::read(bytes).err().expect("refused").to_string();
            assert!(error.contains("the linker wrote"), "{error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn a_broken_elf_does_no_harm(
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
            cut in any::<prop::sample::Index>(),
            whole in any::<bool>(),
        ) {
            let mut bytes = elf(true);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if !whole {
                bytes.truncate(cut.index(bytes.len()));
            }
            if let Ok(firmware) = Firmware::read(&bytes) {
                for address in [0, TEXT, LOOP, BEHIND_CALL, MEMSET, u32::MAX] {
                    firmware.places(address, Role::Stack);
                    firmware.follows_call(address);
                }
            }
        }
    }
}
