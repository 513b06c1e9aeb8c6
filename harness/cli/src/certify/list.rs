//! `hilrig certify --list`.

use hilrig_broker::Software;
use hilrig_core::certify::matrix::CASES;

use crate::error::{Failure, print};
use crate::table;

/// Prints the matrix, and the brokers that there are.
pub fn list() -> Result<u8, Failure> {
    let cases = CASES.iter().map(|case| {
        vec![case.id.into(), case.title.into(), case.expected.to_string(), case.set_up()]
    });
    let mut text = table::table(&["case", "what", "expected", "set-up"], cases);
    text.push('\n');
    let brokers = Software::all().iter().map(|software| {
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
    text.push_str(&table::table(&["broker", "TLS library", "here"], brokers));
    print(&text)
}
