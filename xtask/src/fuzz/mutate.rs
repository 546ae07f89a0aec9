//! Sound files, changed in the ways in which files lie.

/// Inputs are cut to this length, so that a million of them take minutes.
const LEN_MAX: usize = 64 << 10;

/// Random numbers that are the same everywhere (Steele, Lea and Flood 2014: SplitMix64).
pub struct Random(u64);

impl Random {
    /// Those that belong to an input.
    pub fn new(target: &str, number: u64) -> Random {
        let salt = target.bytes().fold(0u64, |sum, b| sum.wrapping_mul(31).wrapping_add(b.into()));
        Random(
            number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32_D192_ED03),
        )
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if that is 0.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap_or(0)
    }
}

/// Makes inputs.
pub struct Mutator {
    pub seeds: Vec<Vec<u8>>,
    /// Words of the format.
    pub words: &'static [&'static str],
}

/// Numbers at which code goes wrong.
const ODD: [u64; 14] = [
    0,
    1,
    2,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    u64::MAX,
];

impl Mutator {
    /// One of the seeds with one to eight changes.
    pub fn input(&self, random: &mut Random) -> Vec<u8> {
        let mut input = self.seeds[random.below(self.seeds.len())].clone();
        for _ in 0..1 + random.below(8) {
            self.change(&mut input, random);
            input.truncate(LEN_MAX);
        }
        input
    }

    /// The same, but half of the time with one of the newest seeds: they reach what is new.
    pub fn input_of_late(&self, random: &mut Random) -> Vec<u8> {
        let (n, late) = (self.seeds.len(), self.seeds.len().min(64));
        let seed = match random.below(2) {
            0 => random.below(n),
            _ => n - late + random.below(late),
        };
        let mut input = self.seeds[seed].clone();
        for _ in 0..1 + random.below(8) {
            self.change(&mut input, random);
            input.truncate(LEN_MAX);
        }
        input
    }

    fn change(&self, input: &mut Vec<u8>, random: &mut Random) {
        let at = random.below(input.len());
        let len = 1 + random.below(32);
        let end = (at + len).min(input.len());
        match random.below(11) {
            0 | 1 if !input.is_empty() => input[at] ^= 1 << random.below(8),
            2 if !input.is_empty() => input[at] = random.next() as u8,
            3 => {
                let size = [1, 2, 4, 8][random.below(4)];
                let number = ODD[random.below(ODD.len())].wrapping_add(random.below(3) as u64);
                let end = (at + size).min(input.len());
                input[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
            }
            4 => {
                input.drain(at..end);
            }
            5 => {
                let run = input[at..end].to_vec();
                for _ in 0..1 + random.below(40) {
                    input.splice(at..at, run.iter().copied());
                }
            }
            6 => {
                let run = input[at..end].to_vec();
                let to = random.below(input.len() + 1);
                input.splice(to..to, run);
            }
            7 => input.truncate(at),
            8 => {
                let other = &self.seeds[random.below(self.seeds.len())];
                let from = random.below(other.len());
                let run = &other[from..(from + 4 * len).min(other.len())];
                input.splice(at..at, run.iter().copied());
            }
            _ if self.words.is_empty() => input.extend((0..len).map(|_| random.next() as u8)),
            _ => {
                let word = self.words[random.below(self.words.len())];
                input.splice(at..at, word.bytes());
            }
        }
    }
}
