//! Masks secrets in a stream of bytes, also where one is split over two chunks.

use crate::secrets::Secrets;

/// Replaces each byte of a secret by `*`. Length and line ends stay, and so do offsets and line numbers.
#[derive(Debug, Default)]
pub struct Mask {
    secrets: Secrets,
    /// The end of the stream so far, where that may be the beginning of a secret.
    held: Vec<u8>,
    /// This many bytes at the front of `held` belong to a secret that ended there.
    held_masked: usize,
    /// Held bytes and chunk in one piece; only used where something is held or found.
    joined: Vec<u8>,
    /// What is masked in the current piece.
    found: Vec<(usize, usize)>,
}

impl Mask {
    /// At the beginning of a stream.
    pub fn new(secrets: Secrets) -> Mask {
        Mask { secrets, ..Mask::default() }
    }

    /// Takes a chunk and returns the masked bytes that are ready. Nothing is copied where there is no
    /// secret.
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

    /// The held bytes at the stream's end: masked completely, because the board may not have sent the rest of
    /// the secret.
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

/// The end of secrets that continue after `shown`. Later ones are found again with the next chunk.
fn masked_from(found: &[(usize, usize)], shown: usize) -> usize {
    let past = found.iter().filter(|(from, _)| *from < shown).map(|(_, to)| *to);
    past.max().unwrap_or(0).saturating_sub(shown)
}

#[cfg(test)]
mod tests;
