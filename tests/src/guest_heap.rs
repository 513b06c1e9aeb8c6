//! The heap of a virtual board, counted by somebody else: at every call of the firmware's allocator the
//! CPU is stopped, and the blocks are walked in the guest's memory, by the layout that firmware/heap/heap.c
//! describes. None of the firmware's own counters is looked at.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use object::{Object as _, ObjectSymbol as _};

use crate::gdb::Gdb;

/// Bytes of a unit, in which blocks are counted.
const UNIT: u64 = 8;
/// Bytes of a block that its owner does not get.
const HEADER: u64 = 4;
/// Marks a free block, in the first half-word of its header; the others are the next block's number.
const FREE: u16 = 0x8000;
/// How often it is looked whether a QEMU was started.
const AGAIN: Duration = Duration::from_millis(2);

/// The heap at one moment, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// All free blocks together, with their headers.
    pub free: u64,
    /// The largest free block.
    pub largest: u64,
    /// How broken up the free heap is, percent.
    pub fragmentation: u64,
}

impl Blocks {
    /// Walks the blocks from the first to the last; an error where they are no list.
    pub fn walk(heap: &[u8]) -> Result<Blocks, String> {
        let last = heap.len() as u64 / UNIT - 1;
        let half = |at: usize| u16::from_le_bytes([heap[at], heap[at + 1]]);
        let (mut free, mut largest, mut squares) = (0, 0, 0);
        let mut block = 0u64;
        while block != last {
            let header = block as usize * UNIT as usize;
            let next = u64::from(half(header) & !FREE);
            if next <= block || next > last || u64::from(half(next as usize * 8 + 2)) != block {
                return Err(format!("block {block} of {last} has {next} as the next"));
            }
            if half(header) & FREE != 0 {
                let units = next - block;
                free += units;
                largest = largest.max(units);
                squares += units * units;
            }
            block = next;
        }
        // umm_malloc's, with its rounding: the root and the division are cut.
        let whole = (squares as f64).sqrt().floor() as u64;
        let fragmentation = (whole * 100).checked_div(free).map_or(0, |whole| 100 - whole);
        let largest = (largest * UNIT).saturating_sub(HEADER);
        Ok(Blocks { free: free * UNIT, largest, fragmentation })
    }
}

/// What there was when the firmware asked for its own figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Of that moment.
    pub now: Blocks,
    /// The lowest free heap since the heap was made, bytes.
    pub lowest_ever: u64,
    /// The lowest since the firmware began to count again, which it does at each of its phases, bytes.
    pub lowest: u64,
}

/// From one start of the firmware to the next: its moments.
pub type Start = Vec<Moment>;

/// Counts until it is stopped.
pub struct Counting {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Vec<Start>>>,
}

/// Where things are in the firmware.
struct Symbols {
    heap: u32,
    length: usize,
    init: u32,
    changes: [u32; 3],
    figures: u32,
    mark: u32,
}

impl Counting {
    /// Begins to count the heap of the board whose debugger socket this is; `elf` is what runs there.
    pub fn start(socket: PathBuf, elf: &Path) -> Counting {
        let symbols = Symbols::of(elf);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut starts = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                // There is no QEMU while the board is flashed.
                match Gdb::connect(&socket) {
                    Ok(gdb) => count(gdb, &symbols, &mut starts)?,
                    Err(_) => std::thread::sleep(AGAIN),
                }
            }
            Ok(starts)
        });
        Counting { stop, thread }
    }

    /// What was counted, start by start. The board's QEMU must have ended.
    pub fn ended(self) -> Vec<Start> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the counting does not panic").expect("QEMU answers")
    }
}

impl Symbols {
    fn of(elf: &Path) -> Symbols {
        let bytes = std::fs::read(elf).expect("the ELF is there");
        let file = object::File::parse(&*bytes).expect("it is an ELF file");
        let at = |name: &str| {
            let mut found = file.symbols().filter(|symbol| symbol.name() == Ok(name));
            let symbol = found.next().unwrap_or_else(|| panic!("no {name} in {}", elf.display()));
            u32::try_from(symbol.address()).expect("addresses of 32 bits")
        };
        let heap = at("_heap_start");
        Symbols {
            heap,
            length: (at("_heap_end") - heap) as usize,
            init: at("heap_init"),
            changes: ["heap_alloc", "heap_calloc", "heap_free"].map(at),
            figures: at("heap_figures"),
            mark: at("heap_mark"),
        }
    }
}

/// Counts while this QEMU runs.
fn count(mut gdb: Gdb, symbols: &Symbols, starts: &mut Vec<Start>) -> io::Result<()> {
    match follow(&mut gdb, symbols, starts) {
        // Its power was cut.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::ConnectionReset
            ) =>
        {
            Ok(())
        }
        done => done,
    }
}

fn follow(gdb: &mut Gdb, symbols: &Symbols, starts: &mut Vec<Start>) -> io::Result<()> {
    let Symbols { heap, length, init, changes, figures, mark } = *symbols;
    for address in changes.into_iter().chain([init, figures, mark]) {
        gdb.break_at(address)?;
    }
    let (mut lowest_ever, mut lowest) = (u64::MAX, u64::MAX);
    loop {
        gdb.run()?;
        let at = gdb.at()?;
        if at == init {
            // What is there belongs to the start before.
            (lowest_ever, lowest) = (u64::MAX, u64::MAX);
            starts.push(Vec::new());
            continue;
        }
        // What the call before left: between two calls nothing changes.
        let now = Blocks::walk(&gdb.memory(heap, length)?).map_err(io::Error::other)?;
        lowest_ever = lowest_ever.min(now.free);
        lowest = lowest.min(now.free);
        if at == figures {
            starts.last_mut().expect("heap_init comes first").push(Moment {
                now,
                lowest_ever,
                lowest,
            });
        } else if at == mark {
            lowest = now.free;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units 0 to 9: the head, three used, two free, one used, two free, the end.
    #[test]
    fn free_blocks_are_counted_and_a_list_that_is_none_is_reported() {
        let mut heap = vec![0u8; 80];
        let mut unit = |at: usize, next: u16, previous: u16| {
            heap[at * 8..][..2].copy_from_slice(&next.to_le_bytes());
            heap[at * 8 + 2..][..2].copy_from_slice(&previous.to_le_bytes());
        };
        unit(0, 1, 0);
        unit(1, 4, 0);
        unit(4, 6 | FREE, 1);
        unit(6, 7, 4);
        unit(7, 9 | FREE, 6);
        unit(9, 0, 7);
        // 100 - floor(sqrt(2 * 4)) * 100 / 4
        let expected = Blocks { free: 32, largest: 12, fragmentation: 50 };
        assert_eq!(Blocks::walk(&heap), Ok(expected));
        heap[8] = 3;
        assert!(Blocks::walk(&heap).unwrap_err().starts_with("block 1 of 9 has 3"));
    }
}
