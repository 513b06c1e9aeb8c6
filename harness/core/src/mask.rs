//! Masks secrets in a stream of bytes, also where one is split over two chunks.

use crate::secrets::Secrets;

/// Puts a `*` in the place of each byte of a secret. Length and line ends stay, so that offsets and line
/// numbers do.
#[derive(Debug, Default)]
pub struct Mask {
    secrets: Secrets,
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
    /// At the beginning of a stream.
    pub fn new(secrets: Secrets) -> Mask {
        Mask { secrets, ..Mask::default() }
    }

    /// Takes a chunk and gives the masked bytes that can be shown by now. Nothing is copied where
    /// no secret is near.
    pub fn feed<'a>(&'a mut self, chunk: &'a [u8]) -> &'a [u8] {
        if self.secrets.is_empty() {
            return chunk;
        }
        self.found.clear();
        if self.held.is_empty() {
            let part = self.secrets.find(chunk, &mut self.found);
            let shown = part.map_or(chunk.len(), |part| part.at);
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
            let part = self.secrets.find(&self.joined, &mut self.found);
            let shown = part.map_or(self.joined.len(), |part| part.at);
            self.held.extend_from_slice(&self.joined[shown..]);
            let before = self.held_masked;
            self.held_masked = masked_from(&self.found, shown).max(before.saturating_sub(shown));
            self.found.push((0, before));
            self.joined.truncate(shown);
        }
        for (from, to) in &self.found {
            let to = (*to).min(self.joined.len());
            if let Some(secret) = self.joined.get_mut(*from..to) {
                fill(secret);
            }
        }
        &self.joined
    }

    /// What is still held at the stream's end: masked whole, because the rest of the secret may be
    /// what the board did not get to send.
    pub fn finish(&mut self) -> Vec<u8> {
        self.held_masked = 0;
        let mut held = std::mem::take(&mut self.held);
        fill(&mut held);
        held
    }
}

fn fill(secret: &mut [u8]) {
    secret.iter_mut().filter(|byte| !matches!(byte, b'\r' | b'\n')).for_each(|byte| *byte = b'*');
}

/// How far secrets reach past `shown`. What reaches past it without a gap begins before it, or is
/// found again with the next chunk.
fn masked_from(found: &[(usize, usize)], shown: usize) -> usize {
    let past = found.iter().filter(|(from, _)| *from < shown).map(|(_, to)| *to);
    past.max().unwrap_or(0).saturating_sub(shown)
}

#[cfg(test)]
mod tests;
