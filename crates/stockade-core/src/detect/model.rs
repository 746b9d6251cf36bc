//! A small classifier: logistic regression over hashed words, pairs of words and runs of letters of
//! a sentence, and over what its words mean. It was trained offline by `examples/detection`, which
//! also says how well it does on sources that it has not seen; its weights are bytes in `weights.bin`.

use std::sync::LazyLock;

/// How many weights there are. A feature's weight is found by its hash.
const BUCKETS: usize = 1 << 16;

/// The file's first line says what it was trained on.
static FILE: &[u8] = include_bytes!("weights.bin");

/// A classifier of sentences.
#[derive(Clone)]
pub struct Model {
    weights: Vec<i8>,
    bias: f32,
    /// What one step of a weight is worth.
    step: f32,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("bias", &self.bias).field("step", &self.step).finish()
    }
}

impl Model {
    /// The one that was trained on all there was.
    pub fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Model> =
            LazyLock::new(|| Model::read(FILE).unwrap_or_else(Model::silent));
        &SHIPPED
    }

    /// One that says nothing.
    pub fn silent() -> Self {
        Self { weights: Vec::new(), bias: 0.0, step: 0.0 }
    }

    /// One with these weights.
    pub fn new(weights: &[f32], bias: f32) -> Self {
        let most = weights.iter().fold(0.0_f32, |most, it| most.max(it.abs()));
        let step = most.max(f32::MIN_POSITIVE) / 127.0;
        #[expect(clippy::cast_possible_truncation, reason = "between -127 and 127")]
        let weights = weights.iter().map(|it| (it / step).round() as i8).collect();
        Self { weights, bias, step }
    }

    /// A line of text, the bias, the step, the weights.
    pub fn read(file: &[u8]) -> Option<Self> {
        let end = file.iter().position(|it| *it == b'\n')?;
        let (bias, rest) = file.get(end + 1..)?.split_first_chunk()?;
        let (step, rest) = rest.split_first_chunk()?;
        let weights: Vec<i8> = rest.iter().map(|it| it.cast_signed()).collect();
        let (bias, step) = (f32::from_le_bytes(*bias), f32::from_le_bytes(*step));
        (weights.len() == BUCKETS).then_some(Self { weights, bias, step })
    }

    /// What [`Self::read`] reads.
    pub fn write(&self, header: &str) -> Vec<u8> {
        let mut file = header.replace('\n', " ").into_bytes();
        file.push(b'\n');
        file.extend(self.bias.to_le_bytes());
        file.extend(self.step.to_le_bytes());
        file.extend(self.weights.iter().map(|it| it.cast_unsigned()));
        file
    }

    /// How likely a sentence is part of an attack, as log odds.
    pub fn score(&self, sentence: &[u8], meanings: u128) -> f32 {
        let mut sums = [(0_i32, 0_u16); 2];
        features(sentence, meanings, &mut |of, it| {
            let (sum, count) = match of {
                Of::Words => &mut sums[0],
                Of::Meanings => &mut sums[1],
            };
            *sum += self.weights.get(it).map_or(0, |it| i32::from(*it));
            *count += 1;
        });
        let part = |(sum, count): (i32, u16)| {
            #[expect(clippy::cast_precision_loss, reason = "at most a few hundred times 127")]
            let sum = sum as f32;
            sum * self.step / f32::from(count.max(1)).sqrt()
        };
        self.bias + sums.into_iter().map(part).sum::<f32>()
    }

    /// How many weights a model has.
    pub const BUCKETS: usize = BUCKETS;
}

/// What a feature is of. The features of each kind together count as much as the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// A word, two that follow each other, or five letters.
    Words,
    /// What words of the table mean, and each two such meanings that are together.
    Meanings,
}

/// The numbers of the weights that a sentence asks for. `meanings` is the set of the classes of its
/// words.
pub fn features(sentence: &[u8], meanings: u128, visit: &mut dyn FnMut(Of, usize)) {
    let sentence = sentence.get(..400).unwrap_or(sentence);
    let is_word = |it: &u8| it.is_ascii_alphanumeric() || *it >= 0x80;
    let mut before: u64 = 0;
    for word in sentence.split(|it| !is_word(it)).filter(|it| !it.is_empty()) {
        let word = hash(1, word);
        visit(Of::Words, bucket(word));
        if before != 0 {
            visit(Of::Words, bucket(before.rotate_left(17) ^ word));
        }
        before = word;
    }
    for letters in sentence.windows(5) {
        visit(Of::Words, bucket(hash(2, letters)));
    }
    let mut rest = meanings;
    while rest != 0 {
        let one = rest.trailing_zeros();
        rest &= rest - 1;
        visit(Of::Meanings, bucket(hash(3, &one.to_le_bytes())));
        let mut others = rest;
        while others != 0 {
            let other = others.trailing_zeros();
            others &= others - 1;
            visit(Of::Meanings, bucket(hash(4, &(one * 256 + other).to_le_bytes())));
        }
    }
}

/// FNV-1a: the features are no secret, and whoever knows them gains nothing by a collision that they
/// would not by other words.
fn hash(kind: u64, bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325 ^ kind;
    bytes.iter().fold(start, |hash, it| (hash ^ u64::from(*it)).wrapping_mul(0x100_0000_01b3))
}

fn bucket(hash: u64) -> usize {
    // The high bits depend on every byte.
    usize::try_from(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48).unwrap_or_default()
}
