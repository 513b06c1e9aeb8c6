//! `[certify.require]`.

use super::{Resolver, written};
use crate::certify::{Figure, Requirement};
use crate::place::{FileError, line_of};

impl Resolver<'_> {
    /// Every name that is wrong is reported at once: the error is at the line of the first.
    pub(super) fn require(&self, raw: &written::Require) -> Result<Vec<Requirement>, FileError> {
        let (mut all, mut wrong) = (Vec::new(), Vec::new());
        for name in &raw.cases {
            match Requirement::parse(name.get_ref()) {
                Ok(one @ Requirement::Cases { .. }) => all.push(one),
                Ok(Requirement::Figure(figure)) => wrong.push((
                    name.span(),
                    format!(
                        "`{}` is no case; write it as the key `{}`",
                        name.get_ref(),
                        figure.name()
                    ),
                )),
                Err(found) => wrong.push((name.span(), found)),
            }
        }
        if let Some((first, _)) = wrong.first() {
            let lines = wrong.iter().map(|(span, found)| {
                format!("\n    line {}: {found}", line_of(self.text, span.start))
            });
            let message = match &wrong[..] {
                [(_, found)] => format!("`certify.require.cases`: {found}"),
                _ => format!("`certify.require.cases`:{}", lines.collect::<String>()),
            };
            return Err(self.wrong(first.clone(), message));
        }
        let figures = [
            raw.heap.map(|bytes| Figure::Heap(bytes.0)),
            raw.handshake_seconds.map(|time| Figure::HandshakeSeconds(time.0)),
            raw.handshake_bytes.map(|bytes| Figure::HandshakeBytes(bytes.0)),
        ];
        all.extend(figures.into_iter().flatten().map(Requirement::Figure));
        Ok(all)
    }
}
