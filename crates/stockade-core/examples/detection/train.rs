//! Logistic regression by stochastic descent. Which sentence of an attack is the attack is not
//! known: it is the one that the model of the last round likes best (multiple-instance learning).
//! Everything is in a fixed order with a fixed seed, so the same corpora make the same weights.

use stockade_core::detect::{self, model::Model, model::Of};

use crate::corpus::Row;

const ROUNDS: usize = 30;
const RATE: f32 = 0.6;
const DECAY: f32 = 1e-4;

struct Example {
    /// The features of each of its sentences, and how much each counts.
    sentences: Vec<Vec<(usize, f32)>>,
    is_attack: bool,
}

/// A model of these rows.
pub(crate) fn model<'r>(rows: impl Iterator<Item = &'r Row>) -> Model {
    let examples: Vec<Example> = rows.filter(|it| it.is_fair()).map(Example::of).collect();
    let attacks = examples.iter().filter(|it| it.is_attack).count();
    let attacks = u16::try_from(attacks).unwrap_or(u16::MAX);
    let others = u16::try_from(examples.len()).unwrap_or(u16::MAX).saturating_sub(attacks);
    let weight = f32::from(others) / f32::from(attacks.max(1));
    let mut weights = vec![0.0_f32; Model::BUCKETS];
    let mut bias = 0.0_f32;
    let mut order: Vec<usize> = (0..examples.len()).collect();
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for round in 0..ROUNDS {
        shuffle(&mut order, &mut random);
        let rate = RATE / (1.0 + f32::from(u16::try_from(round).unwrap_or(0)) * 0.2);
        for example in order.iter().filter_map(|it| examples.get(*it)) {
            let best = example
                .sentences
                .iter()
                .max_by(|a, b| logit(&weights, bias, a).total_cmp(&logit(&weights, bias, b)));
            let chosen: Vec<&Vec<(usize, f32)>> = if example.is_attack && round > 0 {
                best.into_iter().collect()
            } else {
                example.sentences.iter().collect()
            };
            for features in chosen {
                let expected = f32::from(u8::from(example.is_attack));
                let p = 1.0 / (1.0 + (-logit(&weights, bias, features)).exp());
                let importance = if example.is_attack { weight.clamp(0.5, 4.0) } else { 1.0 };
                let step = rate * (expected - p) * importance;
                for (feature, share) in features {
                    if let Some(weight) = weights.get_mut(*feature) {
                        *weight += step * share - rate * DECAY * *weight;
                    }
                }
                bias += step * 0.05;
            }
        }
    }
    Model::new(&weights, bias)
}

impl Example {
    fn of(row: &Row) -> Self {
        let mut sentences = Vec::new();
        row.each(&mut |said| sentences.extend(detect::features(said).iter().map(|it| shares(it))));
        Self { sentences, is_attack: row.is_attack }
    }
}

/// As [`Model::score`] has it.
fn shares(features: &[(Of, usize)]) -> Vec<(usize, f32)> {
    let share = |of: Of| 1.0 / root(features.iter().filter(|(it, _)| *it == of).count());
    let (words, meanings) = (share(Of::Words), share(Of::Meanings));
    let share = |of: Of| if of == Of::Words { words } else { meanings };
    features.iter().map(|(of, it)| (*it, share(*of))).collect()
}

fn logit(weights: &[f32], bias: f32, features: &[(usize, f32)]) -> f32 {
    let parts = features.iter().filter_map(|(it, share)| Some(weights.get(*it)? * share));
    bias + parts.sum::<f32>()
}

fn root(count: usize) -> f32 {
    f32::from(u16::try_from(count.max(1)).unwrap_or(u16::MAX)).sqrt()
}

fn shuffle(order: &mut [usize], random: &mut u64) {
    for last in (1..order.len()).rev() {
        // Xorshift: a generator that does not change with a library's version.
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        let bound = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
        order.swap(last, usize::try_from(*random % bound).unwrap_or(0));
    }
}
