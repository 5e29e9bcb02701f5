//! Failpoints that act now and then, and with the same seed at the same times: the how-manieth visit it happens at is fixed
//! beforehand. Which message makes that visit is up to the machine.

use std::fmt::Write;

use fastrand::Rng;

#[cfg(test)]
mod tests;

/// Visits that are fixed. What comes later is decided when it does: no scenario comes that far.
const VISITS: u32 = 2_000;

/// What `FAILPOINTS` says for a point that does something at a share of its visits, 0 to 1.
#[must_use]
pub fn sometimes(point: &str, share: f64, action: &str, rng: &mut Rng) -> String {
    let mut said = format!("{point}=");
    let mut acts = rng.f64() < share;
    let mut visits: u32 = 1;
    for _ in 1..VISITS {
        let next = rng.f64() < share;
        if next == acts {
            visits += 1;
            continue;
        }
        add(&mut said, visits, if acts { action } else { "off" });
        (acts, visits) = (next, 1);
    }
    add(&mut said, visits, if acts { action } else { "off" });
    let _ = write!(said, "{}%{action}", share * 100.0);
    said
}

fn add(said: &mut String, visits: u32, action: &str) {
    let _ = write!(said, "{visits}*{action}->");
}
