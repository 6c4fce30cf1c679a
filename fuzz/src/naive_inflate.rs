//! DEFLATE (RFC 1951) bit by bit, to compare with: short rather than fast.

/// What was inflated, up to the end of what was there or to what is wrong.
#[derive(Debug)]
pub(crate) struct Inflated {
    pub(crate) bytes: Vec<u8>,
    /// Where the final blocks end: after how many compressed bytes, and how many inflated ones.
    pub(crate) final_blocks: Vec<(usize, usize)>,
    /// What follows is no DEFLATE stream.
    pub(crate) is_invalid: bool,
    /// It ends within a block.
    pub(crate) is_cut: bool,
    /// The farthest that anything referred back.
    pub(crate) max_distance: usize,
}

/// Inflates blocks, which may refer to `history`. They may end anywhere, and those that follow a final block may refer to
/// the last `window_len` bytes before them (RFC 7692 §7.2.3.5).
pub(crate) fn inflate(compressed: &[u8], history: &[u8], window_len: usize) -> Inflated {
    let mut inflater = Inflater {
        bits: Bits { bytes: compressed, position: 0 },
        bytes: history.to_vec(),
        first_in_reach: 0,
        max_distance: 0,
    };
    let mut final_blocks = Vec::new();
    let (stop, start) = loop {
        let start = inflater.bits.position;
        match inflater.block() {
            Ok(is_final) => {
                if is_final {
                    inflater.bits.align();
                    final_blocks.push((inflater.bits.position / 8, inflater.bytes.len() - history.len()));
                    inflater.first_in_reach = inflater.bytes.len().saturating_sub(window_len);
                }
            }
            Err(stop) => break (stop, start),
        }
    };
    let bytes = inflater.bytes.split_off(history.len());
    let is_invalid = stop == Stop::Invalid;
    let is_cut = !is_invalid && start < 8 * compressed.len();
    Inflated { bytes, final_blocks, is_invalid, is_cut, max_distance: inflater.max_distance }
}

/// Why it does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// There are no more bits.
    End,
    Invalid,
}

struct Inflater<'a> {
    bits: Bits<'a>,
    /// The history, and what was inflated.
    bytes: Vec<u8>,
    /// Where the bytes begin that may be referred to.
    first_in_reach: usize,
    max_distance: usize,
}

impl Inflater<'_> {
    /// RFC 1951 §3.2.3. Gives whether it was the final one.
    fn block(&mut self) -> Result<bool, Stop> {
        let is_final = self.bits.take(1)? == 1;
        match self.bits.take(2)? {
            0 => self.stored()?,
            1 => {
                let lens = [[8; 144].as_slice(), &[9; 112], &[7; 24], &[8; 8]].concat();
                self.symbols(&Code::new(&lens)?, &Code::new(&[5; 32])?)?;
            }
            2 => {
                let (literals, distances) = self.codes()?;
                self.symbols(&literals, &distances)?;
            }
            _ => return Err(Stop::Invalid),
        }
        Ok(is_final)
    }

    /// RFC 1951 §3.2.4.
    fn stored(&mut self) -> Result<(), Stop> {
        self.bits.align();
        let (len, complement) = (self.bits.take(16)?, self.bits.take(16)?);
        if len != complement ^ 0xffff {
            return Err(Stop::Invalid);
        }
        for _ in 0..len {
            let byte = self.bits.take(8)?;
            self.push(byte);
        }
        Ok(())
    }

    /// RFC 1951 §3.2.7.
    fn codes(&mut self) -> Result<(Code, Code), Stop> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let literals = self.bits.take(5)? + 257;
        let distances = self.bits.take(5)? + 1;
        let order = self.bits.take(4)? + 4;
        if literals > 286 || distances > 30 {
            return Err(Stop::Invalid);
        }
        let mut lens = [0; 19];
        for &symbol in &ORDER[..order] {
            lens[symbol] = self.bits.take(3)?;
        }
        let code = Code::new(&lens)?;
        if code.is_incomplete && code.longest > 0 {
            return Err(Stop::Invalid);
        }
        let mut lens = Vec::new();
        while lens.len() < literals + distances {
            // zlib reads a code without symbols as zeros, and finds what is wrong with it behind them.
            let symbol = if code.longest > 0 {
                code.symbol(&mut self.bits)?
            } else {
                self.bits.take(1)?;
                0
            };
            let (len, count) = match symbol {
                16 => {
                    let count = self.bits.take(2)? + 3;
                    (*lens.last().ok_or(Stop::Invalid)?, count)
                }
                17 => (0, self.bits.take(3)? + 3),
                18 => (0, self.bits.take(7)? + 11),
                len => (len, 1),
            };
            lens.extend(std::iter::repeat_n(len, count));
        }
        if lens.len() > literals + distances || lens[256] == 0 {
            return Err(Stop::Invalid);
        }
        let (literals, distances) = lens.split_at(literals);
        let (literals, distances) = (Code::new(literals)?, Code::new(distances)?);
        // Of the incomplete codes, only one with a single symbol of one bit, or with none, is legal.
        if [&literals, &distances].iter().any(|code| code.is_incomplete && code.longest > 1) {
            return Err(Stop::Invalid);
        }
        Ok((literals, distances))
    }

    /// RFC 1951 §3.2.5.
    fn symbols(&mut self, literals: &Code, distances: &Code) -> Result<(), Stop> {
        loop {
            let symbol = literals.symbol(&mut self.bits)?;
            let len = match symbol {
                0..=255 => {
                    self.push(symbol);
                    continue;
                }
                256 => return Ok(()),
                257..=264 => symbol - 254,
                265..=284 => {
                    let extra = (symbol - 261) / 4;
                    ((4 + (symbol - 265) % 4) << extra) + 3 + self.bits.take(extra)?
                }
                285 => 258,
                _ => return Err(Stop::Invalid),
            };
            let distance = match distances.symbol(&mut self.bits)? {
                symbol @ 0..=3 => symbol + 1,
                symbol @ 4..=29 => {
                    let extra = symbol / 2 - 1;
                    ((2 + symbol % 2) << extra) + 1 + self.bits.take(extra)?
                }
                _ => return Err(Stop::Invalid),
            };
            if distance > self.bytes.len() - self.first_in_reach {
                return Err(Stop::Invalid);
            }
            self.max_distance = self.max_distance.max(distance);
            for _ in 0..len {
                self.bytes.push(self.bytes[self.bytes.len() - distance]);
            }
        }
    }

    fn push(&mut self, byte: usize) {
        self.bytes.push(u8::try_from(byte).expect("eight bits"));
    }
}

/// Bits, the lowest of each byte first (RFC 1951 §3.1.1).
struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Result<usize, Stop> {
        let mut value = 0;
        for shift in 0..count {
            let byte = self.bytes.get(self.position / 8).ok_or(Stop::End)?;
            value |= usize::from(byte >> (self.position % 8) & 1) << shift;
            self.position += 1;
        }
        Ok(value)
    }

    /// Passes over what is left of a byte.
    fn align(&mut self) {
        self.position = self.position.next_multiple_of(8);
    }
}

/// A prefix code (RFC 1951 §3.2.2).
struct Code {
    /// How many symbols have this many bits.
    counts: [usize; 16],
    /// The symbols that have any, by length and then by number.
    symbols: Vec<usize>,
    longest: usize,
    is_incomplete: bool,
}

impl Code {
    /// The code in which each symbol has this many bits; 0 for none.
    fn new(lens: &[usize]) -> Result<Self, Stop> {
        let mut counts = [0; 16];
        for &len in lens.iter().filter(|len| **len > 0) {
            counts[len] += 1;
        }
        let mut free = 1;
        for count in &counts[1..] {
            free = usize::checked_sub(2 * free, *count).ok_or(Stop::Invalid)?;
        }
        let mut symbols: Vec<usize> = (0..lens.len()).filter(|&symbol| lens[symbol] > 0).collect();
        symbols.sort_by_key(|&symbol| lens[symbol]);
        let longest = lens.iter().copied().max().unwrap_or(0);
        Ok(Self { counts, symbols, longest, is_incomplete: free > 0 })
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, Stop> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for len in 1..=self.longest.max(1) {
            code = 2 * code + bits.take(1)?;
            first *= 2;
            if code < first + self.counts[len] {
                return Ok(self.symbols[index + code - first]);
            }
            index += self.counts[len];
            first += self.counts[len];
        }
        Err(Stop::Invalid)
    }
}
