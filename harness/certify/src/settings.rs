//! The board settings of a case, built from the fields of the contract.

use hilrig_core::certify::case::Behaviour;
use hilrig_core::certify::{Act, BoardTls, Case, Clock, Trust as GoesBy};
use hilrig_core::contract::Contract;

use super::bench::Trust;
use hilrig::time_server::ServedTime;

/// A day, seconds.
const DAY: i64 = 86_400;

/// The settings of a board for a case.
#[derive(Debug)]
pub struct BoardSetup {
    /// Form fields with their values; an empty value means none.
    pub fields: Vec<(String, String)>,
    /// The CA, DER.
    pub ca: Vec<u8>,
    /// The client certificate with its key, PEM.
    pub certificate: Option<String>,
    /// The time that its time server serves.
    pub time: ServedTime,
}

/// The settings of the board for a case, or why the case cannot be run.
pub fn board_setup(contract: &Contract, case: &Case, trust: &Trust) -> Result<BoardSetup, String> {
    let board = &case.board;
    let names = &contract.settings;
    let pin = pin(board, trust)?;
    let hex = pin.iter().flatten().map(|byte| format!("{byte:02x}")).collect::<String>();
    let alpn = if board.alpn { "mqtt" } else { "" };
    // An unchecked checkbox is omitted.
    let on = |set: bool| set.then(|| names.on.clone());
    let will = case.act == Act::Mqtt(Behaviour::Will);
    let usual = BoardTls::USUAL;
    let all = [
        (
            "tls_record",
            &names.tls_record,
            Some(board.record.to_string()),
            board.record != usual.record,
        ),
        (
            "tls_suites",
            &names.tls_suites,
            Some(board.suites.name().into()),
            board.suites != usual.suites,
        ),
        ("tls_alpn", &names.tls_alpn, Some(alpn.into()), board.alpn),
        ("tls_pin", &names.tls_pin, Some(hex), pin.is_some()),
        ("tls_resume", &names.tls_resume, on(board.resume), board.resume),
        ("will", &names.will, on(will), will),
    ];
    let mut fields = Vec::new();
    for (key, name, value, needed) in all {
        match name {
            Some(name) => fields.extend(value.map(|value| (name.clone(), value))),
            None if needed => return Err(lacks(&format!("settings.{key}"))),
            None => {}
        }
    }
    if contract.http.ca.is_none() {
        return Err(lacks("http.ca"));
    }
    let certificate = match board.certificate || trust.always_client_certificate {
        false => None,
        true if contract.http.certificate.is_none() => return Err(lacks("http.certificate")),
        true => {
            Some(trust.client_certificate.clone().ok_or("there is no client certificate for it")?)
        }
    };
    let ca = match board.trust {
        GoesBy::FirstIntermediate => {
            trust.first_intermediate.clone().ok_or("the broker's intermediate is not known")?
        }
        _ => trust.root.clone(),
    };
    Ok(BoardSetup { fields, ca, certificate, time: time(case.clock, contract, trust)? })
}

fn lacks(key: &str) -> String {
    format!("the firmware has no such setting (contract: {key})")
}

fn pin(board: &BoardTls, trust: &Trust) -> Result<Option<[u8; 32]>, String> {
    let known = |pin: Option<[u8; 32]>| {
        pin.map(Some).ok_or_else(|| "the certificate to pin is not known".to_owned())
    };
    match board.trust {
        GoesBy::Root | GoesBy::FirstIntermediate => Ok(None),
        GoesBy::Pin => known(trust.pin),
        GoesBy::PinOfUsual => known(trust.pin_of_usual),
        GoesBy::WrongPin => Ok(Some(Trust::NO_PIN)),
    }
}

fn time(clock: Clock, contract: &Contract, trust: &Trust) -> Result<ServedTime, String> {
    if clock == Clock::Now {
        return Ok(ServedTime::Now);
    }
    if contract.settings.time_server.is_none() || contract.settings.time_port.is_none() {
        return Err(lacks("settings.time_server and time_port"));
    }
    let validity = trust.validity.ok_or("the dates of the broker's certificate are not known");
    Ok(ServedTime::At(match clock {
        Clock::Now | Clock::At1970 => 0,
        Clock::BeforeValid => validity?.0 - DAY,
        Clock::AfterValid => validity?.1 + DAY,
    }))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn contract(without: &str) -> Contract {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/contract.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with(without))
            .flat_map(|l| [l, "\n"])
            .collect();
        Contract::parse(&path, &text).unwrap()
    }

    fn trust() -> Trust {
        Trust {
            root: b"root".into(),
            pin: Some([0xab; 32]),
            validity: Some((1_000_000, 2_000_000)),
            ..Trust::default()
        }
    }

    fn of(id: &str, without: &str) -> Result<BoardSetup, String> {
        board_setup(&contract(without), Case::named(id).unwrap(), &trust())
    }

    #[test]
    fn a_case_sets_what_it_is_about_and_the_usual_beside_it() {
        let setup = of("leaf-pinned", "none").unwrap();
        let value = |name: &str| {
            setup.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
        };
        assert_eq!(value("tls_pn"), Some("ab".repeat(32).as_str()));
        assert_eq!((value("tls_mfl"), value("tls_rs")), (Some("16384"), None));
        assert_eq!(of("expired", "none").unwrap().time, ServedTime::At(2_086_400));
    }

    #[test]
    fn what_a_firmware_has_not_is_named() {
        assert!(of("leaf-pinned", "tls_pin").unwrap_err().contains("settings.tls_pin"));
        assert!(of("control", "tls_pin").is_ok());
        assert!(of("leaf-renewed", "none").unwrap_err().contains("not known"));
    }
}
