//! The loader against a bare client and against any bytes.

use std::io;

use proptest::prelude::*;

use super::*;

const MAC: Mac = Mac([0x18, 0xFE, 0x34, 0xA2, 0x66, 0x29]);

/// A flash in memory.
impl Nor for Vec<u8> {
    fn erase(&mut self, sectors: Range<u32>) -> io::Result<()> {
        self[(sectors.start * SECTOR) as usize..(sectors.end * SECTOR) as usize].fill(0xFF);
        Ok(())
    }

    fn program(&mut self, address: u32, data: &[u8]) -> io::Result<()> {
        let address = address as usize;
        for (old, new) in self[address..address + data.len()].iter_mut().zip(data) {
            *old &= new;
        }
        Ok(())
    }

    fn read(&self, address: u32, data: &mut [u8]) -> io::Result<()> {
        let address = address as usize;
        data.copy_from_slice(&self[address..address + data.len()]);
        Ok(())
    }
}

struct Bench {
    loader: RomLoader,
    flash: Vec<u8>,
    left: Option<Left>,
}

impl Bench {
    fn new() -> Bench {
        Bench { loader: RomLoader::new(MAC), flash: vec![0; FLASH_SIZE as usize], left: None }
    }

    /// Replies as (command, value, status, error).
    fn feed(&mut self, bytes: &[u8]) -> Vec<(u8, u32, u8, u8)> {
        let mut out = Vec::new();
        let left = self.loader.feed(bytes, &mut self.flash, || 115_200, &mut out);
        self.left = self.left.or(left);
        let mut replies = Vec::new();
        slip::FrameDecoder::default().feed(&out, |frame| {
            let frame = frame.unwrap();
            assert_eq!((frame.len(), &frame[..1], &frame[2..4]), (10, &[1][..], &[2, 0][..]));
            let value = u32::from_le_bytes(frame[4..8].try_into().unwrap());
            replies.push((frame[1], value, frame[8], frame[9]));
            ControlFlow::<()>::Continue(())
        });
        replies
    }

    fn ask(&mut self, command: u8, data: &[u8], checksum: u8) -> (u32, u8) {
        let mut bytes = Vec::new();
        slip::encode(&request(command, data, checksum), &mut bytes);
        match self.feed(&bytes)[..] {
            [(echoed, value, status, error)] => {
                assert_eq!((echoed, status), (command, u8::from(error != 0)));
                (value, error)
            }
            ref other => panic!("{other:?}"),
        }
    }

    fn begin(&mut self, words: [u32; 4]) -> u8 {
        self.ask(FLASH_BEGIN, &bytes(&words), 0).1
    }

    fn data(&mut self, sequence: u32, block: &[u8]) -> u8 {
        let mut data = bytes(&[block.len() as u32, sequence, 0, 0]);
        data.extend_from_slice(block);
        self.ask(FLASH_DATA, &data, checksum(block)).1
    }

    fn reg(&mut self, address: u32) -> u32 {
        let (value, error) = self.ask(READ_REG, &bytes(&[address]), 0);
        assert_eq!(error, 0);
        value
    }

    fn set(&mut self, address: u32, value: u32) {
        assert_eq!(self.ask(WRITE_REG, &bytes(&[address, value, u32::MAX, 0]), 0), (0, 0));
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn checksum(block: &[u8]) -> u8 {
    block.iter().fold(0xEF, |sum, byte| sum ^ byte)
}

fn request(command: u8, data: &[u8], checksum: u8) -> Vec<u8> {
    let [low, high] = (data.len() as u16).to_le_bytes();
    let mut frame = vec![0, command, low, high, checksum, 0, 0, 0];
    frame.extend_from_slice(data);
    frame
}

#[test]
fn sync_is_answered_eight_times_and_tells_the_crystal() {
    let mut bench = Bench::new();
    let mut sync = Vec::new();
    slip::encode(&request(SYNC, &SYNC_PATTERN, 0), &mut sync);
    assert_eq!(bench.feed(&sync), [(SYNC, SYNC_VALUE, 0, 0); 8]);
    let crystal = bench.reg(0x6000_0014) * 115_200 / 2;
    assert!((25_900_000..26_100_000).contains(&crystal), "{crystal}");
    assert_eq!(bench.reg(0x4000_1000), 0xFFF0_C101);
}

/// As `esptool` reads it.
fn mac_of(mut reg: impl FnMut(u32) -> u32) -> [u8; 6] {
    let [m0, m1, m3] = [0x3FF0_0050, 0x3FF0_0054, 0x3FF0_005C].map(&mut reg);
    let [_, a, b, c] = m3.to_be_bytes();
    let [_, short, d, e] = m1.to_be_bytes();
    let oui = match (m3, short) {
        (0, 0) => [0x18, 0xFE, 0x34],
        (0, 1) => [0xAC, 0xD0, 0x74],
        (0, _) => panic!("unknown prefix"),
        _ => [a, b, c],
    };
    [oui[0], oui[1], oui[2], d, e, (m0 >> 24) as u8]
}

proptest! {
    #[test]
    fn the_fuses_tell_any_mac(mut mac: [u8; 6], vendor in 0..3) {
        match vendor {
            0 => mac[..3].copy_from_slice(&[0x18, 0xFE, 0x34]),
            1 => mac[..3].copy_from_slice(&[0xAC, 0xD0, 0x74]),
            _ => mac[2] |= 1,
        }
        let chip = ChipRegisters::new(Mac(mac));
        prop_assert_eq!(mac_of(|address| chip.read(address)), mac);
    }

    #[test]
    fn the_known_way_around_the_erase_fault_erases_what_was_wanted(
        start in 0u32..900, wanted in 1u32..120,
    ) {
        // esptool's get_erase_size.
        let head = wanted.min(16 - start % 16);
        let asked = if wanted < 2 * head { wanted.div_ceil(2) } else { wanted - head };
        let erased = rom_erases(start, asked);
        let odd = u32::from(wanted < 2 * head && wanted % 2 == 1);
        prop_assert_eq!(erased, start..start + wanted + odd);
    }

    #[test]
    fn any_frames_stay_inside_flash_and_memory(
        frames in prop::collection::vec(
            (0u8..12, prop::array::uniform4(word()), prop::collection::vec(any::<u8>(), 0..64)),
            0..30,
        ),
        cut in 1usize..64,
    ) {
        let mut stream = Vec::new();
        for (command, words, block) in &frames {
            // In half of the cases the words of a DATA command fit its block.
            let mut words = *words;
            if words[3] % 2 == 0 {
                (words[0], words[1]) = (block.len() as u32, words[1] % 2);
            }
            let mut data = bytes(&words);
            data.extend_from_slice(block);
            slip::encode(&request(*command, &data, checksum(block)), &mut stream);
            slip::encode(&request(*command, &bytes(&words), 0), &mut stream);
        }
        let mut loader = RomLoader::new(MAC);
        let mut out = Vec::new();
        for chunk in stream.chunks(cut) {
            loader.feed(chunk, &mut Bounds, || 0, &mut out);
        }
    }

    #[test]
    fn any_bytes_at_all(
        mut noise in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        // More bytes of frames.
        for byte in &mut noise {
            *byte = match *byte {
                0x40..0x60 => slip::END,
                0x60..0x80 => 0,
                0x80..0xA0 => *byte % 12,
                other => other,
            };
        }
        let mut out = Vec::new();
        RomLoader::new(MAC).feed(&noise, &mut Bounds, || 0, &mut out);
        prop_assert!(out.len() <= noise.len() * 20, "{} for {}", out.len(), noise.len());
    }
}

/// Words near the bounds of flash and memory, and any others.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        0u32..0x2000,
        (FLASH_SIZE - 0x2000)..(FLASH_SIZE + 2),
        0x3FFE_7FF0u32..0x3FFE_8010,
        0x400F_FFF0u32..0x4010_0010,
        0x4010_FFF0u32..0x4011_0010,
        0x6000_0200u32..0x6000_0280,
        any::<u32>(),
    ]
}

/// A flash that only checks the ranges.
struct Bounds;

impl Nor for Bounds {
    fn erase(&mut self, sectors: Range<u32>) -> io::Result<()> {
        assert!(sectors.start <= sectors.end && sectors.end <= FLASH_SIZE / SECTOR);
        Ok(())
    }

    fn program(&mut self, address: u32, data: &[u8]) -> io::Result<()> {
        assert!(address as usize + data.len() <= FLASH_SIZE as usize);
        Ok(())
    }

    fn read(&self, address: u32, data: &mut [u8]) -> io::Result<()> {
        assert!(address as usize + data.len() <= FLASH_SIZE as usize);
        Ok(())
    }
}

#[test]
fn flash_is_erased_then_written_and_bits_only_clear() {
    let mut bench = Bench::new();
    assert_eq!(bench.begin([SECTOR, 2, 0x400, 0]), 0);
    // A request for one sector at an aligned start: the fault makes it two.
    assert!(bench.flash[..0x2000].iter().all(|byte| *byte == 0xFF));
    assert_eq!(bench.flash[0x2000], 0);
    assert_eq!(bench.data(0, &[0xF0; 0x400]), 0);
    assert_eq!(bench.data(1, &[0x0F; 0x400]), 0);
    assert_eq!(bench.data(2, &[0; 0x400]), Refusal::FailedToAct as u8, "none was announced");
    assert_eq!((bench.flash[0x3FF], bench.flash[0x400]), (0xF0, 0x0F));
    assert_eq!(bench.begin([0, 1, 0x400, 0]), 0);
    assert_eq!(bench.data(0, &[0x3C; 0x400]), 0);
    assert_eq!(bench.flash[0], 0x30);
}

#[test]
fn what_cannot_be_is_refused_with_the_roms_codes() {
    let mut bench = Bench::new();
    let (invalid, failed, sum) = (0x05, 0x06, 0x07);
    assert_eq!(bench.data(0, &[0; 4]), failed, "DATA before BEGIN");
    assert_eq!(bench.begin([0, 1, 0x401, 0]), invalid, "block too large");
    assert_eq!(bench.begin([0, 1, 0x400, FLASH_SIZE]), failed, "behind the flash");
    assert_eq!(bench.begin([SECTOR, 2, 0x400, FLASH_SIZE - 0x400]), failed, "over its end");
    assert_eq!(bench.begin([u32::MAX, u32::MAX, 0x400, u32::MAX]), failed);
    assert_eq!(bench.begin([SECTOR, 1, 0x400, FLASH_SIZE - SECTOR]), 0);
    assert_eq!(bench.data(1, &[0; 0x400]), failed, "out of order");
    assert_eq!(bench.data(0, &[0; 0x404]), invalid, "longer than announced");
    let mut data = bytes(&[4, 0, 0, 0]);
    data.extend_from_slice(&[1; 4]);
    assert_eq!(bench.ask(FLASH_DATA, &data, checksum(&[1; 4]) ^ 1).1, sum);
    assert_eq!(bench.ask(FLASH_DATA, &data[..19], checksum(&[1; 3])).1, invalid, "cut short");
    assert_eq!(bench.ask(0x13, &[0; 16], 0).1, invalid, "no MD5 in this ROM");
    assert_eq!(bench.ask(SYNC, &[0; 36], 0).1, invalid);
    assert_eq!(bench.ask(READ_REG, &bytes(&[0x4000_1001]), 0).1, invalid);
    assert_eq!(bench.left, None);
}

#[test]
fn a_wrong_length_field_is_refused_and_noise_is_ignored() {
    let mut bench = Bench::new();
    let mut frame = request(READ_REG, &bytes(&[0]), 0);
    frame[2] = 3;
    let mut stream = b"noise\xff".to_vec();
    slip::encode(&frame, &mut stream);
    slip::encode(&[1, READ_REG, 0, 0, 0, 0, 0, 0], &mut stream);
    slip::encode(&[0, READ_REG, 0], &mut stream);
    assert_eq!(bench.feed(&stream), [(READ_REG, 0, 1, 5)]);
}

#[test]
fn memory_is_kept_but_not_run() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(MEM_BEGIN, &bytes(&[8, 1, 0x1800, 0x4010_0000]), 0).1, 0);
    let mut data = bytes(&[8, 0, 0, 0]);
    data.extend_from_slice(b"abcdefgh");
    assert_eq!(bench.ask(MEM_DATA, &data, checksum(b"abcdefgh")).1, 0);
    assert_eq!(bench.reg(0x4010_0004), u32::from_le_bytes(*b"efgh"));
    assert_eq!(bench.ask(MEM_END, &bytes(&[0, 0x4010_0000]), 0).1, 6);
    assert_eq!(bench.ask(MEM_END, &bytes(&[1, 0]), 0).1, 0);
    assert_eq!(bench.ask(MEM_BEGIN, &bytes(&[8, 1, 0x1800, 0x4020_0000]), 0).1, 6, "flash");
    bench.set(0x3FFE_8000, 0x1234_5678);
    assert_eq!(bench.reg(0x3FFE_8000), 0x1234_5678);
    assert_eq!(bench.reg(0x3FFF_FFFC), 0);
}

#[test]
fn the_flash_tells_its_id_and_content_over_its_controller() {
    let mut bench = Bench::new();
    bench.flash[0x100..0x104].copy_from_slice(b"data");
    let mut spi = |command: u32, address: u32, bits: u32| {
        bench.set(0x6000_0220, (bits - 1) << 8);
        bench.set(0x6000_021C, 1 << 31 | 1 << 28 | 1 << 30);
        bench.set(0x6000_0224, 7 << 28 | command);
        bench.set(0x6000_0204, address << 8);
        bench.set(0x6000_0200, 1 << 18);
        assert_eq!(bench.reg(0x6000_0200), 0, "done");
        bench.reg(0x6000_0240)
    };
    assert_eq!(spi(0x9F, 0, 24), 0x16_40EF);
    assert_eq!(spi(0x03, 0x100, 32), u32::from_le_bytes(*b"data"));
    assert_eq!(spi(0x03, 0xFF_FFFF, 32), u32::MAX, "behind the end");
    assert_eq!(spi(0x5A, 0, 32), 0x5044_4653);
}

#[test]
fn flash_end_leaves_and_drops_what_follows() {
    for (word, left) in [(0, Left::Reset), (1, Left::Run)] {
        let mut bench = Bench::new();
        let mut stream = Vec::new();
        slip::encode(&request(FLASH_END, &bytes(&[word]), 0), &mut stream);
        slip::encode(&request(READ_REG, &bytes(&[0]), 0), &mut stream);
        assert_eq!(bench.feed(&stream), [(FLASH_END, 0, 0, 0)]);
        assert_eq!(bench.left, Some(left));
    }
}
