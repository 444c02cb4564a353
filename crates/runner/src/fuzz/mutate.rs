//! Damage to files: of bytes, of numbers in text, of sizes; and of what is inside a container, which stays whole around it, as
//! otherwise its checksums and lengths would keep everything from what reads the inside.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use super::containers;

/// No input is larger: time is better spent on many.
pub const MAX_INPUT: usize = 1 << 16;
/// Numbers at which something begins or ends.
const NUMBERS: [u64; 16] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    0xffff,
    1 << 20,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];
/// Pieces of the formats that are read here.
const PIECES: [&str; 46] = [
    "0",
    "-1",
    "1e999",
    "-0.0",
    "NaN",
    "nan",
    "inf",
    "1e-320",
    "18446744073709551616",
    "9223372036854775807",
    "0.5",
    "[",
    "]",
    "{",
    "}",
    "[[",
    "\"\"",
    "''",
    "\"a\"",
    ",",
    ":",
    "=",
    "\n",
    "#",
    "\\u0000",
    "\u{feff}",
    "é",
    "null",
    "true",
    "false",
    "{nfe}",
    "[[method]]\n",
    "name = \"deis-sn\"\n",
    "grid = \"dmn-to-0.001-denoise\"\n",
    "order = 3\n",
    "\"afs\": 1,",
    "\"b\": [1e308]",
    "\"at\": 0.5,",
    "'shape': (",
    "\u{1}\u{0}\u{0}\u{0}",
    "h\u{0}",
    "q\u{0}",
    "(",
    "t.",
    "R",
    "}",
];

/// Makes inputs of inputs, the same ones from the same seed.
pub struct Mutator(ChaCha8Rng);

impl Mutator {
    /// With this seed.
    pub fn new(seed: u64) -> Self {
        Mutator(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end.max(1) as u64) as usize
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        match self.below(4) {
            0 => self.0.next_u64(),
            1 => self.below(256) as u64,
            _ => NUMBERS[self.below(NUMBERS.len())],
        }
    }

    /// One of `pool`, damaged.
    pub fn input(&mut self, pool: &[Vec<u8>]) -> Vec<u8> {
        let from = &pool[self.below(pool.len())];
        let other = &pool[self.below(pool.len())];
        let mut bytes = match self.below(8) {
            0 => self.damaged(from.clone(), other),
            _ => containers::inside(from, self, |inside, mutator| mutator.damaged(inside, other)),
        };
        bytes.truncate(MAX_INPUT);
        bytes
    }

    /// Bytes with a few kinds of damage, seldom many.
    pub fn damaged(&mut self, mut bytes: Vec<u8>, other: &[u8]) -> Vec<u8> {
        let mut again = true;
        while again {
            self.once(&mut bytes, other);
            again = self.below(2) == 0;
        }
        bytes
    }

    fn once(&mut self, bytes: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(bytes.len() + 1);
        let most = (bytes.len() - at).min(1 << self.below(12));
        let end = at + self.below(most + 1);
        match self.below(12) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.number() as u8,
            2 => {
                let (number, width) = (self.number().to_le_bytes(), 1 << self.below(4));
                bytes.iter_mut().skip(at).zip(&number[..width]).for_each(|(byte, new)| *byte = *new);
            }
            3 => {
                let (number, width) = (self.number().to_be_bytes(), 1 << self.below(4));
                bytes.iter_mut().skip(at).zip(&number[8 - width..]).for_each(|(byte, new)| *byte = *new);
            }
            4 => bytes.truncate(at),
            5 => drop(bytes.drain(at..end)),
            6 => {
                let most = 1 << self.below(10);
                let times = 1 + self.below(most).min(MAX_INPUT / (end - at).max(1));
                let again = bytes[at..end].repeat(times);
                drop(bytes.splice(at..at, again));
            }
            7 => {
                let from = self.below(other.len() + 1);
                let to = from + self.below(other.len() - from + 1);
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            8 => drop(bytes.splice(at..at, PIECES[self.below(PIECES.len())].bytes())),
            9 => {
                let from = self.below(bytes.len() + 1);
                let part = bytes[at..end].to_vec();
                drop(bytes.splice(from..from, part));
            }
            // A number in text.
            _ => {
                let is_digit = |byte: &u8| byte.is_ascii_digit();
                let Some(start) = bytes[at..].iter().position(is_digit).map(|start| at + start) else { return };
                let end = bytes[start..].iter().position(|byte| !is_digit(byte)).map_or(bytes.len(), |end| start + end);
                drop(bytes.splice(start..end, self.number().to_string().into_bytes()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn inputs_are_many_and_the_same_from_the_same_seed() {
        let pool = [b"nfe = [5, 10]\nsamples = 40\n".to_vec(), b"{\"a\": [1, 2]}".to_vec()];
        let inputs = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..500).map(|_| mutator.input(&pool)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        let distinct: HashSet<Vec<u8>> = inputs(1).into_iter().chain(inputs(2)).collect();
        assert!(distinct.len() > 800, "{}", distinct.len());
    }
}
