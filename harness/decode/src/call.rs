//! Calls of the processors that boards have: the instruction before the address that one returns
//! to.

use object::Architecture;

/// How a chip calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// The ESP8266: CALL0 and CALLX0.
    Call0,
    /// The ESP32, S2 and S3: CALL4 to CALL12 as well. The two highest bits of what they return to are
    /// the size of the caller's window.
    Windowed,
    /// The ESP32-C and -H chips.
    Riscv,
    /// A Cortex-M: what it returns to has a mark in the lowest bit.
    Thumb,
}

type Code<'a> = &'a dyn Fn(u64) -> Option<&'a [u8]>;

impl Calls {
    /// Those of a chip whose code is where `sections` begin.
    pub fn of(
        architecture: Architecture,
        mut sections: impl Iterator<Item = u64>,
    ) -> Option<Calls> {
        match architecture {
            // The ESP8266 has no code of its own below its RAM for instructions, nor above the first
            // megabyte of flash.
            Architecture::Xtensa => {
                let esp32 = |at: u64| (0x4002_0000..0x4010_0000).contains(&at) || at >= 0x4030_0000;
                Some(if sections.any(esp32) { Calls::Windowed } else { Calls::Call0 })
            }
            Architecture::Riscv32 => Some(Calls::Riscv),
            Architecture::Arm => Some(Calls::Thumb),
            _ => None,
        }
    }

    /// The bytes of the call that returns to `address`, if one does. `code` has the bytes at an
    /// address, and `callable` is whether a function can be there: it weeds out most of the bytes
    /// that only look like a call.
    pub fn before(
        self,
        address: u32,
        code: Code<'_>,
        callable: &dyn Fn(u64) -> bool,
    ) -> Option<u32> {
        let after = match self {
            Calls::Thumb if address & 1 == 0 => return None,
            Calls::Thumb => u64::from(address & !1),
            _ => u64::from(address),
        };
        let bytes = |length: u64| {
            let at = after.checked_sub(length)?;
            Some((at, code(at).filter(|bytes| bytes.len() as u64 >= length)?))
        };
        let half = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
        let found = |length: u64, is: &dyn Fn(u64, &[u8]) -> bool| {
            bytes(length).is_some_and(|(at, bytes)| is(at, bytes))
        };
        match self {
            Calls::Call0 | Calls::Windowed => {
                let windows = if self == Calls::Windowed { 4 } else { 1 };
                found(3, &|at, bytes| xtensa(at, [bytes[0], bytes[1], bytes[2]], windows, callable))
                    .then_some(3)
            }
            Calls::Riscv if after % 2 != 0 => None,
            Calls::Riscv => {
                if found(4, &|at, bytes| {
                    riscv(
                        at,
                        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                        callable,
                    )
                }) {
                    return Some(4);
                }
                // C.JALR, and C.JAL, which 32-bit chips have.
                let short = |_: u64, bytes: &[u8]| {
                    let word = half(bytes);
                    (word & 0xf07f == 0x9002 && word & 0x0f80 != 0) || word & 0xe003 == 0x2001
                };
                found(2, &short).then_some(2)
            }
            Calls::Thumb => {
                let long = |_: u64, bytes: &[u8]| {
                    let (first, second) = (half(bytes), half(&bytes[2..]));
                    first & 0xf800 == 0xf000 && second & 0xd000 == 0xd000
                };
                if found(4, &long) {
                    return Some(4);
                }
                found(2, &|_, bytes| half(bytes) & 0xff87 == 0x4780).then_some(2)
            }
        }
    }
}

/// CALLn or CALLXn, for as many of 0, 4, 8 and 12 as the chip has.
fn xtensa(
    at: u64,
    [first, second, third]: [u8; 3],
    windows: u8,
    callable: &dyn Fn(u64) -> bool,
) -> bool {
    let window = (first >> 4) & 3;
    if window >= windows {
        return false;
    }
    let by_register = first & 0xcf == 0xc0 && second & 0xf0 == 0 && third == 0;
    if by_register || first & 0x0f != 0x05 {
        return by_register;
    }
    let offset = i64::from(i32::from_le_bytes([0, first, second, third]) >> 14);
    let base = i64::try_from(at & !3).unwrap_or_default();
    u64::try_from(base + 4 + (offset << 2)).is_ok_and(callable)
}

/// JAL or JALR that keeps where it returns to in RA or T0.
fn riscv(at: u64, word: u32, callable: &dyn Fn(u64) -> bool) -> bool {
    let keeps = matches!((word >> 7) & 31, 1 | 5);
    if !keeps {
        return false;
    }
    match word & 0x7f {
        0x67 => word & 0x7000 == 0,
        0x6f => {
            let sign = (word as i32 >> 31) << 20;
            let offset = sign
                | (word & 0x000f_f000) as i32
                | ((word >> 9) & 0x800) as i32
                | ((word >> 20) & 0x7fe) as i32;
            let base = i64::try_from(at).unwrap_or_default();
            u64::try_from(base + i64::from(offset)).is_ok_and(callable)
        }
        _ => false,
    }
}

/// Whether the instruction at the beginning of `code` may read (or write) memory; none where that is
/// not known.
pub fn accesses(calls: Calls, code: &[u8], write: bool) -> Option<bool> {
    let (&first, &second) = (code.first()?, code.get(1)?);
    match calls {
        Calls::Call0 | Calls::Windowed => Some(match (first & 0x0f, second >> 4) {
            // L8UI, L16UI, L32I, L16SI, L32AI; S8I, S16I, S32I, S32C1I, S32RI.
            (2, 0..=2 | 9 | 11) => !write,
            (2, 4..=6 | 15) => write,
            (2, 14) => true,
            // L32R, L32I.N, S32I.N; LSI and SSI of floats, L32E and S32E.
            (1 | 8, _) => !write,
            (9, _) => write,
            (3, 0 | 8) => !write,
            (3, 4 | 12) => write,
            (0, _) if code.get(2).is_some_and(|third| third & 0x0f == 9) => true,
            _ => false,
        }),
        Calls::Riscv => {
            let half = u16::from_le_bytes([first, second]);
            Some(match (half & 3, half >> 13) {
                // LOAD, LOAD-FP; STORE, STORE-FP; AMO.
                (3, _) => match half & 0x7f {
                    0x03 | 0x07 => !write,
                    0x23 | 0x27 => write,
                    0x2f => true,
                    _ => false,
                },
                (0, 1..=3) | (2, 1..=3) => !write,
                (0, 5..=7) | (2, 5..=7) => write,
                (0, 4) => true,
                _ => false,
            })
        }
        Calls::Thumb => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0x4200_0000;

    fn before(calls: Calls, code: &[u8], after: u32) -> Option<u32> {
        let at = |address: u64| {
            let offset = usize::try_from(address.checked_sub(BASE)?).ok()?;
            code.get(offset..).filter(|bytes| !bytes.is_empty())
        };
        let all = |target: u64| (BASE..BASE + 0x100).contains(&target);
        calls.before(u32::try_from(BASE).unwrap() + after, &at, &all)
    }

    #[test]
    fn calls_of_risc_v_are_known_in_both_lengths() {
        // JAL ra, +16; JALR ra, 0(a0); C.JALR a0; C.JAL; ADDI.
        let code =
            [0xef, 0x00, 0x00, 0x01, 0xe7, 0x00, 0x05, 0x00, 0x02, 0x95, 0x21, 0x28, 0x13, 0x05];
        let found: Vec<_> =
            (0..16).filter_map(|at| Some((at, before(Calls::Riscv, &code, at)?))).collect();
        assert_eq!(found, [(4, 4), (8, 4), (10, 2), (12, 2)]);
        // A JAL that leads nowhere, and one that keeps nothing.
        assert_eq!(before(Calls::Riscv, &[0xef, 0x00, 0x00, 0x41], 4), None);
        assert_eq!(before(Calls::Riscv, &[0x6f, 0x00, 0x00, 0x01], 4), None);
    }

    #[test]
    fn calls_of_the_esp32_have_windows() {
        // CALL8 +4, CALLX8 a2.
        let code = [0x65, 0x00, 0x00, 0xe0, 0x02, 0x00];
        assert_eq!(before(Calls::Windowed, &code, 3), Some(3));
        assert_eq!(before(Calls::Windowed, &code, 6), Some(3));
        assert_eq!(before(Calls::Call0, &code, 3), None);
        assert_eq!(before(Calls::Call0, &code, 6), None);
    }

    #[test]
    fn calls_of_a_cortex_m_return_to_a_marked_address() {
        // BL, BLX r3.
        let code = [0x00, 0xf0, 0x00, 0xf8, 0x98, 0x47];
        assert_eq!(
            (before(Calls::Thumb, &code, 5), before(Calls::Thumb, &code, 4)),
            (Some(4), None)
        );
        assert_eq!(before(Calls::Thumb, &code, 7), Some(2));
    }

    #[test]
    fn a_store_is_no_load() {
        for (calls, load, store) in [
            // L32I and S32I; L32I.N and S32I.N.
            (Calls::Call0, &[0x32, 0x22, 0x00][..], &[0x32, 0x62, 0x00][..]),
            (Calls::Windowed, &[0x38, 0x02], &[0x39, 0x02]),
            // LW and SW; C.LW and C.SW.
            (Calls::Riscv, &[0x03, 0x25, 0x05, 0x00], &[0x23, 0x20, 0xa5, 0x00]),
            (Calls::Riscv, &[0x08, 0x41], &[0x08, 0xc1]),
        ] {
            for (code, is_store) in [(load, false), (store, true)] {
                assert_eq!(accesses(calls, code, is_store), Some(true), "{calls:?} {code:x?}");
                assert_eq!(accesses(calls, code, !is_store), Some(false), "{calls:?} {code:x?}");
            }
        }
        assert_eq!(accesses(Calls::Riscv, &[0x13, 0x05, 0x05, 0x00], true), Some(false));
        assert_eq!(accesses(Calls::Thumb, &[0x00, 0x68], false), None);
    }
}
