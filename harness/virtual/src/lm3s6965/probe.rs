//! The virtual debug probe for probe-rs: a driver like those of real probes, so that a selector finds
//! both.
//!
//! It is a probe of the high-level kind (as an ST-Link): it reads and writes memory itself, without access
//! to the debug port's wires.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Once};
use std::time::Duration;

use probe_rs::architecture::arm::ap::CSW;
use probe_rs::architecture::arm::dp::{DpAddress, DpRegisterAddress};
use probe_rs::architecture::arm::memory::ArmMemoryInterface;
use probe_rs::architecture::arm::sequences::ArmDebugSequence;
use probe_rs::architecture::arm::{
    ArmDebugInterface, ArmError, DapAccess, DapProbe, FullyQualifiedApAddress, SwdSequence,
    SwoAccess, SwoConfig, valid_32bit_arm_address,
};
use probe_rs::plugin::{Plugin, register_plugin};
use probe_rs::probe::list::ProbeListItem;
use probe_rs::probe::{
    DebugProbe, DebugProbeError, DebugProbeInfo, DebugProbeSelector, Probe, ProbeFactory,
    WireProtocol,
};
use probe_rs::{Error, MemoryInterface};

use super::cable::{self, Cable, Handle};

/// The USB numbers that pid.codes reserves for tests.
const VENDOR: u16 = 0x1209;
const PRODUCT: u16 = 0x0001;
/// nRESET among the pins of CMSIS-DAP's DAP_SWJ_Pins.
const NRESET: u32 = 1 << 7;
/// There is no wire; a number to report, kHz.
const SPEED: u32 = 10_000;

/// Registers the virtual probes with probe-rs in this process. Other processes do not see them.
pub fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        register_plugin(Plugin { probe_drivers: &[&VirtualProbes], ..Plugin::default() });
    });
}

/// The selector of the board's probe: `VID:PID:SERIAL`.
pub fn selector(cable: &Cable) -> String {
    format!("{VENDOR:04x}:{PRODUCT:04x}:{}", cable.serial())
}

#[derive(Debug)]
struct VirtualProbes;

impl fmt::Display for VirtualProbes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Virtual probe")
    }
}

impl ProbeFactory for VirtualProbes {
    fn open(&self, selector: &DebugProbeSelector) -> Result<Box<dyn DebugProbe>, DebugProbeError> {
        let found = self.list_probes_filtered(Some(selector));
        let serial = found.into_iter().find_map(|probe| probe.info.serial_number);
        let handle = Handle::open(&serial.unwrap_or_default())?;
        Ok(Box::new(VirtualProbe { handle, speed: SPEED }))
    }

    fn list_probes(&self) -> Vec<ProbeListItem> {
        let probe = |serial| {
            DebugProbeInfo::new(
                "Virtual probe",
                VENDOR,
                PRODUCT,
                Some(serial),
                &VirtualProbes,
                None,
                false,
            )
        };
        cable::serials().into_iter().map(probe).map(ProbeListItem::accessible).collect()
    }
}

#[derive(Debug)]
struct VirtualProbe {
    handle: Handle,
    speed: u32,
}

impl VirtualProbe {
    fn reset_line(&mut self, pulled: bool) -> Result<(), DebugProbeError> {
        let done = self.handle.with_chip(|chip| chip.reset_line(pulled));
        done.map_err(|error| match error {
            ArmError::Probe(error) => error,
            other => DebugProbeError::Other(other.to_string()),
        })
    }
}

impl DebugProbe for VirtualProbe {
    fn get_name(&self) -> &str {
        "Virtual probe"
    }

    fn speed_khz(&self) -> u32 {
        self.speed
    }

    fn set_speed(&mut self, speed_khz: u32) -> Result<u32, DebugProbeError> {
        self.speed = speed_khz.min(SPEED);
        Ok(self.speed)
    }

    fn attach(&mut self) -> Result<(), DebugProbeError> {
        self.handle.attach()
    }

    fn detach(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn target_reset(&mut self) -> Result<(), DebugProbeError> {
        self.reset_line(true)?;
        self.reset_line(false)
    }

    fn target_reset_assert(&mut self) -> Result<(), DebugProbeError> {
        // Also before it is attached: the line is there.
        self.handle.attach()?;
        self.reset_line(true)
    }

    fn target_reset_deassert(&mut self) -> Result<(), DebugProbeError> {
        self.reset_line(false)
    }

    fn select_protocol(&mut self, protocol: WireProtocol) -> Result<(), DebugProbeError> {
        match protocol {
            WireProtocol::Swd => Ok(()),
            WireProtocol::Jtag => Err(DebugProbeError::UnsupportedProtocol(protocol)),
        }
    }

    fn active_protocol(&self) -> Option<WireProtocol> {
        Some(WireProtocol::Swd)
    }

    fn has_arm_interface(&self) -> bool {
        true
    }

    fn try_get_arm_debug_interface<'probe>(
        self: Box<Self>,
        _sequence: Arc<dyn ArmDebugSequence>,
    ) -> Result<Box<dyn ArmDebugInterface + 'probe>, (Box<dyn DebugProbe>, ArmError)> {
        Ok(Box::new(Port { probe: self, debug_port: None }))
    }

    fn into_probe(self: Box<Self>) -> Box<dyn DebugProbe> {
        self
    }
}

/// The probe with its debug port set up.
#[derive(Debug)]
struct Port {
    probe: Box<VirtualProbe>,
    debug_port: Option<DpAddress>,
}

impl ArmDebugInterface for Port {
    fn reinitialize(&mut self) -> Result<(), ArmError> {
        Ok(self.probe.handle.attach()?)
    }

    fn access_ports(
        &mut self,
        dp: DpAddress,
    ) -> Result<BTreeSet<FullyQualifiedApAddress>, ArmError> {
        Ok(BTreeSet::from([FullyQualifiedApAddress::v1_with_dp(dp, 0)]))
    }

    fn close(self: Box<Self>) -> Probe {
        Probe::from_specific_probe(self.probe)
    }

    fn select_debug_port(&mut self, dp: DpAddress) -> Result<(), ArmError> {
        self.debug_port = Some(dp);
        Ok(())
    }

    fn current_debug_port(&self) -> Option<DpAddress> {
        self.debug_port
    }

    fn memory_interface(
        &mut self,
        access_port: &FullyQualifiedApAddress,
    ) -> Result<Box<dyn ArmMemoryInterface + '_>, ArmError> {
        Ok(Box::new(Memory { port: self, access_port: access_port.clone() }))
    }
}

impl SwdSequence for Port {
    fn swj_sequence(&mut self, _bit_len: u8, _bits: u64) -> Result<(), DebugProbeError> {
        Err(no_wires("swj_sequence"))
    }

    fn swj_pins(&mut self, out: u32, select: u32, _wait: u32) -> Result<u32, DebugProbeError> {
        if select & NRESET != 0 {
            self.probe.reset_line(out & NRESET == 0)?;
        }
        // As they were set, the others at their idle level.
        Ok(out & select | !select & 0xFF)
    }
}

impl SwoAccess for Port {
    fn enable_swo(&mut self, _config: &SwoConfig) -> Result<(), ArmError> {
        Err(ArmError::NotImplemented("SWO"))
    }

    fn disable_swo(&mut self) -> Result<(), ArmError> {
        Err(ArmError::NotImplemented("SWO"))
    }

    fn read_swo_timeout(&mut self, _timeout: Duration) -> Result<Vec<u8>, ArmError> {
        Err(ArmError::NotImplemented("SWO"))
    }
}

impl DapAccess for Port {
    fn read_raw_dp_register(
        &mut self,
        _dp: DpAddress,
        _address: DpRegisterAddress,
    ) -> Result<u32, ArmError> {
        Err(no_wires("read_raw_dp_register").into())
    }

    fn write_raw_dp_register(
        &mut self,
        _dp: DpAddress,
        _address: DpRegisterAddress,
        _value: u32,
    ) -> Result<(), ArmError> {
        Err(no_wires("write_raw_dp_register").into())
    }

    fn read_raw_ap_register(
        &mut self,
        _ap: &FullyQualifiedApAddress,
        _address: u64,
    ) -> Result<u32, ArmError> {
        Err(no_wires("read_raw_ap_register").into())
    }

    fn write_raw_ap_register(
        &mut self,
        _ap: &FullyQualifiedApAddress,
        _address: u64,
        _value: u32,
    ) -> Result<(), ArmError> {
        Err(no_wires("write_raw_ap_register").into())
    }

    fn try_dap_probe(&self) -> Option<&dyn DapProbe> {
        None
    }

    fn try_dap_probe_mut(&mut self) -> Option<&mut dyn DapProbe> {
        None
    }
}

fn no_wires(function_name: &'static str) -> DebugProbeError {
    DebugProbeError::NotImplemented { function_name }
}

/// The chip's memory.
struct Memory<'a> {
    port: &'a mut Port,
    access_port: FullyQualifiedApAddress,
}

impl Memory<'_> {
    fn read_bytes(&mut self, address: u64, data: &mut [u8], unit: usize) -> Result<(), ArmError> {
        let address = checked(address, data.len(), unit)?;
        self.port.probe.handle.with_chip(|chip| chip.read(address, data))
    }

    fn write_bytes(&mut self, address: u64, data: &[u8], unit: usize) -> Result<(), ArmError> {
        let address = checked(address, data.len(), unit)?;
        self.port.probe.handle.with_chip(|chip| chip.write(address, data))
    }
}

/// An address that is a multiple of the unit, with room for this many bytes after it.
fn checked(address: u64, length: usize, unit: usize) -> Result<u32, ArmError> {
    let start = valid_32bit_arm_address(address)?;
    valid_32bit_arm_address(address + (length as u64).saturating_sub(1))?;
    if !address.is_multiple_of(unit as u64) {
        return Err(ArmError::alignment_error(address, unit));
    }
    Ok(start)
}

impl ArmMemoryInterface for Memory<'_> {
    fn fully_qualified_address(&self) -> FullyQualifiedApAddress {
        self.access_port.clone()
    }

    fn base_address(&mut self) -> Result<u64, ArmError> {
        // The ROM table of a Cortex-M3.
        Ok(0xE00F_F000)
    }

    fn get_arm_debug_interface(&mut self) -> Result<&mut dyn ArmDebugInterface, DebugProbeError> {
        Ok(self.port)
    }

    fn generic_status(&mut self) -> Result<CSW, ArmError> {
        // Enabled, words.
        Ok(CSW::from_raw(0x42))
    }
}

impl MemoryInterface<ArmError> for Memory<'_> {
    fn supports_native_64bit_access(&mut self) -> bool {
        false
    }

    fn supports_8bit_transfers(&self) -> Result<bool, ArmError> {
        Ok(true)
    }

    fn read_64(&mut self, address: u64, data: &mut [u64]) -> Result<(), ArmError> {
        let mut bytes = vec![0; 8 * data.len()];
        self.read_bytes(address, &mut bytes, 8)?;
        for (word, bytes) in data.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn read_32(&mut self, address: u64, data: &mut [u32]) -> Result<(), ArmError> {
        let mut bytes = vec![0; 4 * data.len()];
        self.read_bytes(address, &mut bytes, 4)?;
        for (word, bytes) in data.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn read_16(&mut self, address: u64, data: &mut [u16]) -> Result<(), ArmError> {
        let mut bytes = vec![0; 2 * data.len()];
        self.read_bytes(address, &mut bytes, 2)?;
        for (word, bytes) in data.iter_mut().zip(bytes.as_chunks().0) {
            *word = u16::from_le_bytes(*bytes);
        }
        Ok(())
    }

    fn read_8(&mut self, address: u64, data: &mut [u8]) -> Result<(), ArmError> {
        self.read_bytes(address, data, 1)
    }

    fn write_64(&mut self, address: u64, data: &[u64]) -> Result<(), ArmError> {
        let bytes: Vec<u8> = data.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write_bytes(address, &bytes, 8)
    }

    fn write_32(&mut self, address: u64, data: &[u32]) -> Result<(), ArmError> {
        let bytes: Vec<u8> = data.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write_bytes(address, &bytes, 4)
    }

    fn write_16(&mut self, address: u64, data: &[u16]) -> Result<(), ArmError> {
        let bytes: Vec<u8> = data.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.write_bytes(address, &bytes, 2)
    }

    fn write_8(&mut self, address: u64, data: &[u8]) -> Result<(), ArmError> {
        self.write_bytes(address, data, 1)
    }

    fn flush(&mut self) -> Result<(), ArmError> {
        Ok(())
    }
}
