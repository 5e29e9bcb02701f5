//! Vectors without a model: words and parts of words, hashed into a few hundred numbers.
//!
//! Texts are near when they share words or parts of them; what they mean is not known here, so "car" is far from
//! "automobile". Case makes no difference, accents do. The same text always has the same vector, on every machine.

/// Of a vector when nothing else is said.
pub(super) const DIMENSIONS: usize = 384;

/// A whole word says more than its parts.
const WORD: f32 = 1.0;
const PART: f32 = 0.35;
/// Characters of a part.
const LENGTH: usize = 3;

/// The vector of a text, of length 1; of a text without any letter or digit it is that of the text as one word.
pub(super) fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    let folded = text.to_lowercase();
    let mut words = folded
        .split(|character: char| !character.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .peekable();
    if words.peek().is_none() {
        add(&mut vector, &folded, WORD);
    }
    for word in words {
        add_word(&mut vector, word);
    }
    normalise(&mut vector);
    vector
}

/// Scripts without spaces between words come as one long word: there, pairs of characters are what words are elsewhere.
fn add_word(vector: &mut [f32], word: &str) {
    let characters: Vec<char> = word.chars().collect();
    if characters.iter().any(|character| is_unspaced(*character)) {
        for character in &characters {
            add(vector, &character.to_string(), PART);
        }
        for pair in characters.windows(2) {
            add(vector, &String::from_iter(pair), WORD);
        }
        return;
    }
    add(vector, word, WORD);
    let marked: Vec<char> = std::iter::once('<')
        .chain(characters)
        .chain(['>'])
        .collect();
    for part in marked.windows(LENGTH) {
        add(vector, &String::from_iter(part), PART);
    }
}

/// Chinese, Japanese, Thai, Lao, Khmer, Burmese.
fn is_unspaced(character: char) -> bool {
    matches!(
        u32::from(character),
        0x0E00..=0x0EFF | 0x1000..=0x109F | 0x1780..=0x17FF | 0x3040..=0x30FF | 0x3400..=0x9FFF
            | 0xF900..=0xFAFF | 0x20000..=0x3FFFF
    )
}

/// The sign keeps features that fall on the same number from adding up.
fn add(vector: &mut [f32], feature: &str, weight: f32) {
    let hash = hash(feature.as_bytes());
    let place = usize::try_from(hash >> 1).unwrap_or(0) % vector.len().max(1);
    if let Some(number) = vector.get_mut(place) {
        *number += if hash & 1 == 0 { weight } else { -weight };
    }
}

/// FNV-1a, with the bits mixed once more, as its lowest ones are weak (the finaliser of MurmurHash3).
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

fn normalise(vector: &mut [f32]) {
    let length = vector
        .iter()
        .map(|number| number * number)
        .sum::<f32>()
        .sqrt();
    if length > 0.0 {
        for number in vector {
            *number /= length;
        }
    } else if let Some(first) = vector.first_mut() {
        // Features that cancel each other out altogether.
        *first = 1.0;
    }
}

#[cfg(test)]
mod tests;
