//! Masks secrets in a stream of bytes, also where one stands across two chunks.

use hilrig_core::text::Secrets;
use memchr::memmem::Finder;

/// Puts a `*` in the place of each byte of a secret. The length stays, so that offsets do.
#[derive(Debug)]
pub(crate) struct Mask {
    secrets: Vec<Finder<'static>>,
    /// The end of the stream so far, where it could be a secret's beginning.
    held: Vec<u8>,
    /// So many bytes of `held`, from its front, belong to a secret that ended in it.
    held_masked: usize,
    /// Held bytes and chunk in one piece; only used where something is held or found.
    joined: Vec<u8>,
    /// What is masked in the piece at hand.
    found: Vec<(usize, usize)>,
}

impl Mask {
    pub fn new(secrets: &Secrets) -> Mask {
        Mask {
            secrets: secrets.values().map(|value| Finder::new(value).into_owned()).collect(),
            held: Vec::new(),
            held_masked: 0,
            joined: Vec::new(),
            found: Vec::new(),
        }
    }

    /// Takes a chunk and gives the masked bytes that can be shown by now. Nothing is copied where
    /// no secret is near.
    pub fn feed<'a>(&'a mut self, chunk: &'a [u8]) -> &'a [u8] {
        if self.secrets.is_empty() {
            return chunk;
        }
        if self.held.is_empty() {
            find(&self.secrets, chunk, &mut self.found);
            let shown = chunk.len() - longest_beginning(&self.secrets, chunk);
            self.held.extend_from_slice(&chunk[shown..]);
            self.held_masked = masked_from(&self.found, shown);
            if self.found.is_empty() {
                return &chunk[..shown];
            }
            self.joined.clear();
            self.joined.extend_from_slice(&chunk[..shown]);
        } else {
            self.joined.clear();
            self.joined.append(&mut self.held);
            self.joined.extend_from_slice(chunk);
            find(&self.secrets, &self.joined, &mut self.found);
            let shown = self.joined.len() - longest_beginning(&self.secrets, &self.joined);
            self.held.extend_from_slice(&self.joined[shown..]);
            let before = self.held_masked;
            self.held_masked = masked_from(&self.found, shown).max(before.saturating_sub(shown));
            self.found.push((0, before));
            self.joined.truncate(shown);
        }
        for (from, to) in &self.found {
            let to = (*to).min(self.joined.len());
            if let Some(secret) = self.joined.get_mut(*from..to) {
                secret.fill(b'*');
            }
        }
        &self.joined
    }

    /// What is still held at the stream's end: masked whole, because the rest of the secret may be
    /// what the board did not get to say.
    pub fn finish(&mut self) -> usize {
        self.held_masked = 0;
        std::mem::take(&mut self.held).len()
    }
}

/// Every occurrence of every secret, also those that overlap.
fn find(secrets: &[Finder<'static>], text: &[u8], found: &mut Vec<(usize, usize)>) {
    found.clear();
    for secret in secrets {
        let mut from = 0;
        while let Some(at) = secret.find(&text[from..]) {
            let (start, end) = (from + at, from + at + secret.needle().len());
            match found.last_mut() {
                // A flood of one letter has an occurrence at each byte.
                Some(last) if (last.0..=last.1).contains(&start) => last.1 = last.1.max(end),
                _ => found.push((start, end)),
            }
            from = start + 1;
        }
    }
}

/// The length of the longest end of `text` that a secret begins with, but is not all of it.
fn longest_beginning(secrets: &[Finder<'static>], text: &[u8]) -> usize {
    let of = |secret: &Finder<'static>| {
        let needle = secret.needle();
        let most = (needle.len() - 1).min(text.len());
        (1..=most).rev().find(|n| text.ends_with(&needle[..*n])).unwrap_or(0)
    };
    secrets.iter().map(of).max().unwrap_or(0)
}

/// How far secrets reach past `shown`. What reaches past it without a gap begins before it, or is
/// found again with the next chunk.
fn masked_from(found: &[(usize, usize)], shown: usize) -> usize {
    let past = found.iter().filter(|(from, _)| *from < shown).map(|(_, to)| *to);
    past.max().unwrap_or(0).saturating_sub(shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(secrets: &[&str], chunks: &[&[u8]]) -> Vec<u8> {
        let secrets = Secrets::new(secrets.iter().map(|s| (*s).to_owned()));
        let mut mask = Mask::new(&secrets);
        let mut out = Vec::new();
        for chunk in chunks {
            out.extend_from_slice(mask.feed(chunk));
        }
        let held = mask.finish();
        out.extend(std::iter::repeat_n(b'*', held));
        out
    }

    #[test]
    fn a_secret_across_chunks_is_masked_and_its_length_stays() {
        let out = mask(&["hunter2"], &[b"psk hun", b"te", b"r2\r\nhunter3"]);
        assert_eq!(out, b"psk *******\r\nhunter3");
    }

    #[test]
    fn what_stands_there_is_shown_at_once() {
        let mut mask = Mask::new(&Secrets::new(["hunter2".into()]));
        assert_eq!(mask.feed(b"prompt> "), b"prompt> ");
        assert_eq!(mask.feed(b"hunter2> h"), b"*******> ");
        assert_eq!(mask.feed(b"i"), b"hi");
    }

    #[test]
    fn a_secret_that_ends_in_the_beginning_of_another_is_masked() {
        assert_eq!(mask(&["abc", "bcd"], &[b"xab", b"c", b"x"]), b"x***x");
        assert_eq!(mask(&["abc", "bcd"], &[b"xab", b"c", b"dx"]), b"x****x");
        assert_eq!(mask(&["ab", "abab"], &[b"ab", b"-ab", b"ab"]), b"**-****");
        assert_eq!(mask(&["bb"], &[b"bb", b"", b"c"]), b"**c");
    }

    #[test]
    fn a_beginning_at_the_very_end_is_not_shown() {
        assert_eq!(mask(&["hunter2"], &[b"psk hunter"]), b"psk ******");
    }

    /// What the mask must come to, with no chunks and no wit.
    fn plainly(secrets: &[String], text: &[u8]) -> Vec<u8> {
        let mut out = text.to_vec();
        for secret in secrets.iter().filter(|s| !s.is_empty()) {
            let secret = secret.as_bytes();
            for at in 0..text.len() {
                if text[at..].starts_with(secret) {
                    out[at..at + secret.len()].fill(b'*');
                }
            }
        }
        let held = (1..=text.len()).rev().find(|n| {
            let end = &text[text.len() - n..];
            secrets.iter().any(|s| s.len() > *n && s.as_bytes().starts_with(end))
        });
        let length = out.len();
        out[length - held.unwrap_or(0)..].fill(b'*');
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        // Two letters only, so that secrets repeat, overlap and contain one another.
        #[test]
        fn however_the_stream_is_cut_the_same_bytes_are_masked(
            secrets in prop::collection::vec("[ab]{0,5}", 0..4),
            chunks in prop::collection::vec("[abc]{0,9}", 0..8),
        ) {
            let names: Vec<&str> = secrets.iter().map(String::as_str).collect();
            let views: Vec<&[u8]> = chunks.iter().map(|c| c.as_bytes()).collect();
            prop_assert_eq!(mask(&names, &views), plainly(&secrets, chunks.concat().as_bytes()));
        }
    }
}
