//! Vectors in one byte per dimension, and how near they are to a query's.
//!
//! Only directions are compared, so a stored vector needs no scale: its largest part becomes 127. What that loses is
//! far below what tells two texts apart.

/// A query's vector, of length 1.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Direction(Vec<f32>);

impl Direction {
    /// `None` for a vector without a direction: nothing is near it.
    pub(crate) fn of(values: &[f32]) -> Option<Self> {
        let length = values.iter().map(|value| value * value).sum::<f32>().sqrt();
        let points = length.is_finite() && length > 0.0;
        points.then(|| Self(values.iter().map(|value| value / length).collect()))
    }

    /// The cosine between this and a stored vector, -1 to 1; 0 for one of another length.
    pub(crate) fn cosine(&self, stored: &[u8]) -> f32 {
        if stored.len() != self.0.len() {
            return 0.0;
        }
        let (mut product, mut square) = (0.0_f32, 0_i32);
        for (own, byte) in self.0.iter().zip(stored) {
            let part = byte.cast_signed();
            product += own * f32::from(part);
            square = square.saturating_add(i32::from(part) * i32::from(part));
        }
        if square == 0 {
            return 0.0;
        }
        product / root(square)
    }
}

/// A vector as it is stored; `None` for one without a direction.
pub(crate) fn quantise(values: &[f32]) -> Option<Vec<u8>> {
    let largest = values.iter().map(|value| value.abs()).fold(0.0, f32::max);
    let points = values.iter().all(|value| value.is_finite()) && largest > 0.0;
    points.then(|| {
        let parts = values.iter().map(|value| part(value / largest));
        parts.map(i8::cast_unsigned).collect()
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a share of the largest part is -1 to 1"
)]
fn part(share: f32) -> i8 {
    (share * 127.0).round() as i8
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a ratio needs no more digits than it has"
)]
fn root(square: i32) -> f32 {
    (square as f32).sqrt()
}

#[cfg(test)]
#[path = "tests/vector.rs"]
mod tests;
