//! Human-readable description of a case's set-up: its differences from the default.

use super::{Case, Clock, Front, HandshakeAt, Identity, Line, Suites, Trust, Versions};
use crate::units::Span;

impl Case {
    /// The differences from the default set-up, or that there are none.
    pub fn set_up(&self) -> String {
        let broker = &self.broker;
        let board = &self.board;
        let mut words: Vec<String> = Vec::new();
        if broker.versions == Versions::Only13 {
            words.push("broker with TLS 1.3 alone".into());
        }
        if broker.identity != Identity::Rsa2048 {
            words.push(format!("broker shows {}", broker.identity.words()));
        }
        words.extend(broker.second.map(|second| format!("and {}", second.words())));
        if broker.client_certificate {
            words.push("broker wants a client certificate".into());
        }
        words.extend(broker.front.map(|front| {
            String::from(match front {
                Front::Plain => "the rig's TLS server (rustls) before the broker",
                Front::SniRequired => "the rig's TLS server before the broker wants SNI",
                Front::AlpnRequired => "the rig's TLS server before the broker wants ALPN",
            })
        }));
        if board.suites != Suites::All {
            words.push(format!("board offers the suites `{}`", board.suites.name()));
        }
        if board.record < 16384 {
            words.push(format!("board takes records of {} B", board.record));
        }
        words.extend(match board.trust {
            Trust::Root => None,
            Trust::FirstIntermediate => Some("board trusts the first intermediate".into()),
            Trust::Pin => Some("board pins the certificate".into()),
            Trust::PinOfUsual => Some("board pins the usual certificate".into()),
            Trust::WrongPin => Some("board pins no certificate that there is".into()),
        });
        for (set, text) in [
            (board.alpn, "board offers the protocol mqtt"),
            (board.certificate, "board has a client certificate"),
            (board.resume, "board offers to resume"),
        ] {
            words.extend(set.then(|| text.into()));
        }
        words.extend(match self.clock {
            Clock::Now => None,
            Clock::At1970 => Some("clock at 1970".into()),
            Clock::BeforeValid => Some("clock a day before the certificate is valid".into()),
            Clock::AfterValid => Some("clock a day after the certificate's last".into()),
        });
        words.extend(match self.line {
            Line::Clean => None,
            Line::Delay(by) => Some(format!("line {} slower each way", Span(by))),
            Line::ByteByByte => Some("line carries one byte at a time to the board".into()),
            Line::CutAfter(at) => Some(format!("line breaks behind {}", at.words())),
            Line::ResetAfter(at) => Some(format!("line is reset behind {}", at.words())),
        });
        match words.is_empty() {
            true => "the usual".into(),
            false => words.join(", "),
        }
    }
}

impl Identity {
    /// Human-readable text.
    pub fn words(self) -> &'static str {
        match self {
            Identity::Rsa2048 => "RSA-2048",
            Identity::Ecdsa256 => "EC P-256",
            Identity::Rsa4096 => "RSA-4096 from leaf to root",
            Identity::RsaSha1 => "RSA-2048 signed over SHA-1",
            Identity::LongChain => "RSA-2048 under three long intermediates",
            Identity::DeepEc => "EC under five intermediates",
            Identity::OtherCa => "a certificate from another CA",
            Identity::OtherName => "a certificate for another name",
            Identity::Intermediate => "RSA-2048 under the first intermediate",
            Identity::RotatedIntermediate => "RSA-2048 under a new intermediate",
            Identity::Renewed => "RSA-2048, issued anew",
        }
    }
}

impl HandshakeAt {
    /// The name of the message (RFC 5246, 7.4).
    pub fn words(self) -> &'static str {
        match self {
            HandshakeAt::ClientHello => "ClientHello",
            HandshakeAt::ServerHello => "ServerHello",
            HandshakeAt::Certificate => "the broker's Certificate",
            HandshakeAt::ServerHelloDone => "ServerHelloDone",
            HandshakeAt::ClientKeyExchange => "ClientKeyExchange",
            HandshakeAt::ClientFinished => "the board's Finished",
            HandshakeAt::ServerFinished => "the broker's Finished",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_usual_is_told() {
        let words = |id: &str| Case::named(id).unwrap().set_up();
        assert_eq!(words("mfln-asked"), "the usual");
        assert_eq!(words("control"), "board offers the suites `aead`");
        assert_eq!(words("slow-line"), "line 500 ms slower each way");
    }
}
