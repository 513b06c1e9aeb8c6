//! Reads through bytes that may be anything.

#[derive(Clone, Copy)]
pub struct Scan<'a>(pub &'a [u8]);

impl<'a> Scan<'a> {
    /// Passes over `text`, if it is here.
    pub fn skip(&mut self, text: &str) -> bool {
        match self.0.strip_prefix(text.as_bytes()) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    /// Passes over blanks.
    pub fn blanks(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// After the first `text`.
    pub fn find(&self, text: &str) -> Option<Scan<'a>> {
        let at = memchr::memmem::find(self.0, text.as_bytes())?;
        Some(Scan(&self.0[at + text.len()..]))
    }

    fn number(&mut self, radix: u32) -> Option<u32> {
        let end = self.0.iter().position(|b| !char::from(*b).is_digit(radix));
        let (digits, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
    }

    /// A decimal number.
    pub fn decimal(&mut self) -> Option<u32> {
        self.number(10)
    }

    /// A decimal number of one byte.
    pub fn small(&mut self) -> Option<u8> {
        self.decimal()?.try_into().ok()
    }

    /// A hexadecimal number without its `0x`.
    pub fn hex(&mut self) -> Option<u32> {
        self.number(16)
    }

    /// A name of letters, digits and `_`, and what follows it.
    pub fn name(&mut self) -> Option<String> {
        let named = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let end = self.0.iter().position(|b| !named(b)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        (!name.is_empty() && name.len() <= 64).then(|| String::from_utf8_lossy(name).into_owned())
    }
}
