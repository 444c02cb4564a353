//! What the machine takes from its bytes.

use super::{Machine, NAME, Result};

impl<'a> Machine<'a> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let Some(taken) = rest.get(..length) else {
            return Err(self.fault(format!("{length} bytes are announced, and the file has {} more", rest.len())));
        };
        self.at += length;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn take_u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn length_u64(&mut self) -> Result<usize> {
        let length = self.take_u64()?;
        usize::try_from(length).map_err(|_| self.fault(format!("{length} bytes are announced")))
    }

    /// A line that names something.
    pub(super) fn name(&mut self) -> Result<&'a str> {
        let line = self.line()?;
        self.short(line)
    }

    pub(super) fn short(&self, name: &'a str) -> Result<&'a str> {
        if name.len() > NAME {
            return Err(self.fault(format!("a name of {} bytes; expected at most {NAME}", name.len())));
        }
        Ok(name)
    }

    /// Up to the end of a line, without it.
    pub(super) fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return Err(self.fault("a line without an end"));
        };
        let line = self.take(length)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| self.fault("a line that is no text"))
    }
}
