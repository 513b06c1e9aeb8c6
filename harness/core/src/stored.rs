//! The layout of a firmware's settings in its flash, by which they can be written as data, without joining
//! an access point. It is the contract's `[stored]`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;

use crate::config::BoardKind;
use crate::image::SECTOR;

/// Bytes of the header.
const HEADER: usize = 32;
/// Slots, a sector each.
const SLOTS: usize = 2;

/// The layout.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    magic: u32,
    layout: u16,
    length: u16,
    offset: BTreeMap<BoardKind, u32>,
    fields: BTreeMap<String, Field>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Field {
    at: usize,
    size: usize,
    kind: Kind,
    #[serde(default)]
    default: String,
    /// The words of a choice, each stored as its index in this list.
    #[serde(default)]
    of: Vec<String>,
}

/// The encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// UTF-8, followed by a NUL.
    Text,
    /// Unsigned, of 1, 2 or 4 bytes.
    Number,
    /// IPv4; empty is 0.0.0.0.
    Address,
    /// `on`, or empty.
    Box,
    /// One of some words, in one byte; empty is the first.
    Choice,
    /// Two hex digits a byte; empty is zeros.
    Hex,
}

impl Stored {
    /// Checks that the fields are inside the settings and their defaults can be stored. An error names the
    /// field.
    pub fn check(&self) -> Result<(), String> {
        if HEADER + usize::from(self.length) > SECTOR as usize {
            return Err(format!("{} bytes of settings do not fit a slot", self.length));
        }
        self.settings(&BTreeMap::new()).map(|_| ())
    }

    /// Flash offset and contents of the slots with `values` (by the form's field names).
    ///
    /// # Errors
    /// In words, without any value: there may be secrets among them.
    pub fn slots(
        &self,
        kind: BoardKind,
        values: &BTreeMap<String, String>,
    ) -> Result<(u32, Vec<u8>), String> {
        let offset = self.offset.get(&kind).ok_or_else(|| {
            format!(
                "the contract's [stored.offset] has none for boards of the kind {}",
                kind.name()
            )
        })?;
        let settings = self.settings(values)?;
        let mut slots = Vec::with_capacity(SLOTS * SECTOR as usize);
        slots.extend(self.magic.to_le_bytes());
        slots.extend(self.layout.to_le_bytes());
        slots.extend(self.length.to_le_bytes());
        // The sequence number of the first save.
        slots.extend(1u32.to_le_bytes());
        slots.resize(HEADER - 4, 0);
        let crc = crc32(crc32(0, &slots), &settings);
        slots.extend(crc.to_le_bytes());
        slots.extend(settings);
        // The second slot is erased: an older one there would have priority.
        slots.resize(SLOTS * SECTOR as usize, 0xFF);
        Ok((*offset, slots))
    }

    fn settings(&self, values: &BTreeMap<String, String>) -> Result<Vec<u8>, String> {
        if let Some(unknown) = values.keys().find(|name| !self.fields.contains_key(*name)) {
            return Err(format!("the contract's [stored.fields] has no `{unknown}`"));
        }
        let mut bytes = vec![0; self.length.into()];
        for (name, field) in &self.fields {
            let value = values.get(name).unwrap_or(&field.default);
            let place =
                field.at.checked_add(field.size).and_then(|end| bytes.get_mut(field.at..end));
            let Some(place) = place else {
                return Err(format!("`{name}` is not inside the settings"));
            };
            field.put(value, place).map_err(|why| format!("`{name}`: {why}"))?;
        }
        Ok(bytes)
    }
}

impl Field {
    fn put(&self, value: &str, place: &mut [u8]) -> Result<(), String> {
        let bytes = match self.kind {
            Kind::Text if value.contains('\0') => return Err("a NUL in a text".into()),
            Kind::Text if value.len() >= place.len() => {
                return Err(format!("longer than {} bytes", place.len().saturating_sub(1)));
            }
            Kind::Text => value.as_bytes().to_vec(),
            Kind::Box if place.len() == 1 => match value {
                "on" => vec![1],
                "" | "off" => vec![0],
                _ => return Err("not `on` or `off`".into()),
            },
            Kind::Address if place.len() == 4 && value.is_empty() => vec![0; 4],
            Kind::Address if place.len() == 4 => {
                let address: Ipv4Addr = value.parse().map_err(|_| "not an IPv4 address")?;
                address.octets().to_vec()
            }
            Kind::Number if matches!(place.len(), 1 | 2 | 4) => {
                let value = if value.is_empty() { "0" } else { value };
                let number: u32 = value.parse().map_err(|_| "not a number")?;
                let bytes = number.to_le_bytes();
                if bytes[place.len()..].iter().any(|byte| *byte != 0) {
                    return Err(format!("a number that does not fit into {} bytes", place.len()));
                }
                bytes[..place.len()].to_vec()
            }
            Kind::Choice if place.len() == 1 => {
                let at = self.of.iter().position(|word| word == value);
                let at = at.or((value.is_empty() && !self.of.is_empty()).then_some(0));
                let at = at.ok_or_else(|| format!("not one of {}", self.of.join(", ")))?;
                vec![u8::try_from(at).map_err(|_| "more choices than fit into a byte")?]
            }
            Kind::Hex if value.is_empty() => Vec::new(),
            Kind::Hex => hex(value)
                .filter(|bytes| bytes.len() == place.len())
                .ok_or_else(|| format!("not {} hex digits", 2 * place.len()))?,
            _ => return Err(format!("{} bytes for a value of this kind", place.len())),
        };
        place[..bytes.len()].copy_from_slice(&bytes);
        Ok(())
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect();
    digits
        .map(|digits| digits.chunks(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect())
}

/// CRC-32 (IEEE 802.3). Start with 0, feed on with the result.
fn crc32(crc: u32, bytes: &[u8]) -> u32 {
    let step = |crc: u32| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
    !bytes.iter().fold(!crc, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        let stored: Stored = toml::from_str(
            "magic = 0x47524c48\nlayout = 1\nlength = 20\n[offset]\nvirtual = 0x3E0000\n[fields]\n\
             port = { at = 0, size = 2, kind = \"number\", default = \"9705\" }\n\
             ip = { at = 2, size = 4, kind = \"address\" }\n\
             tls = { at = 6, size = 1, kind = \"box\" }\n\
             ssid = { at = 8, size = 8, kind = \"text\" }\n\
             suites = { at = 16, size = 1, kind = \"choice\", of = [\"all\", \"few\"] }\n\
             pin = { at = 17, size = 3, kind = \"hex\" }\n",
        )
        .unwrap();
        stored.check().unwrap();
        stored
    }

    fn values(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn settings_stand_where_the_contract_says() {
        let mut set = values(&[("ip", "10.0.0.9"), ("tls", "on"), ("ssid", "bench")]);
        set.extend(values(&[("suites", "few"), ("pin", "00aBfe")]));
        let (offset, slots) = stored().slots(BoardKind::Virtual, &set).unwrap();
        assert_eq!((offset, slots.len()), (0x3E_0000, 8192));
        assert_eq!(slots[..16], *b"HLRG\x01\0\x14\0\x01\0\0\0\0\0\0\0");
        assert_eq!(slots[32..52], *b"\xe9\x25\x0a\0\0\x09\x01\0bench\0\0\0\x01\x00\xab\xfe");
        let crc = crc32(crc32(0, &slots[..28]), &slots[32..52]);
        assert_eq!(slots[28..32], crc.to_le_bytes());
        assert!(slots[52..].iter().all(|byte| *byte == 0xFF));
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(crc32(crc32(0, b"1234"), b"56789"), 0xCBF4_3926);
    }

    #[test]
    fn what_cannot_be_stored_is_told_by_its_name_and_never_by_its_value() {
        let refused = |name: &str, value: &str| {
            let error = stored().slots(BoardKind::Virtual, &values(&[(name, value)])).unwrap_err();
            assert!(error.contains(&format!("`{name}`")), "{error}");
            assert!(value.is_empty() || !error.contains(value), "{error}");
        };
        refused("ssid", "too-long");
        refused("ssid", "nul\0");
        refused("port", "70000");
        refused("port", "-17");
        refused("tls", "maybe");
        refused("ip", "10.0.0.256");
        refused("unknown", "");
        refused("suites", "most");
        refused("pin", "00");
        refused("pin", "00112g");
        refused("pin", "0011223");
        let error = stored().slots(BoardKind::Esp32, &values(&[])).unwrap_err();
        assert!(error.contains("esp32"), "{error}");
    }
}
