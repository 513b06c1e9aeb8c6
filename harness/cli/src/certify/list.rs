//! `hilrig certify --list`.

use hilrig_broker::BrokerDescription;
use hilrig_core::certify::matrix::CASES;

use hilrig_report::text_table;

use crate::error::{Failure, print};

/// Prints the matrix, and the brokers that there are.
pub fn list() -> Result<u8, Failure> {
    let cases = CASES.iter().map(|case| {
        vec![case.id.into(), case.title.into(), case.expected.to_string(), case.set_up()]
    });
    let mut text = text_table(&["case", "what", "expected", "set-up"], cases);
    text.push('\n');
    let brokers = BrokerDescription::all().iter().map(|software| {
        let here = match software.find() {
            Ok(_) => "installed".into(),
            Err(_) => match software.image() {
                Some(image) => {
                    format!("not installed: {}, or the image {image}", software.install_with())
                }
                None => format!("not installed: {}", software.install_with()),
            },
        };
        vec![software.name.clone(), software.tls_library().into(), here]
    });
    text.push_str(&text_table(&["broker", "TLS library", "here"], brokers));
    print(&text)
}
