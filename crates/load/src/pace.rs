//! When the next thing is due: at fixed points in time (open loop), or when the last one is done (closed loop).
//!
//! Timers of the runtime have steps of a millisecond, which is much of what is measured. So the points in time come from
//! a thread that sleeps as exactly as the kernel can, and waits for nobody.

use std::io;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

/// The points in time at which one sender sends.
#[derive(Debug)]
pub(crate) enum Pace {
    /// As soon as nothing is under way, until then.
    Closed(Instant),
    /// When told, until nobody tells any more.
    Open(UnboundedReceiver<Instant>),
}

/// The paces of so many senders, which send `rate` a second together, in turn. `None`: closed loop.
pub(crate) fn paces(
    start: Instant,
    end: Instant,
    rate: Option<f64>,
    senders: usize,
) -> io::Result<Vec<Pace>> {
    let Some(rate) = rate else {
        return Ok((0..senders).map(|_| Pace::Closed(end)).collect());
    };
    let (told, paces) = (0..senders)
        .map(|_| {
            let (told, dues) = unbounded_channel();
            (told, Pace::Open(dues))
        })
        .unzip();
    let beat = Beat {
        start,
        end,
        period: Duration::from_secs_f64(1.0 / rate),
        told,
    };
    thread::Builder::new()
        .name("pace".to_owned())
        .spawn(move || beat.run())?;
    Ok(paces)
}

impl Pace {
    /// Whether sends wait for nothing but the time.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// Waits until something is due and says since when; `None` when the time is up. Safe to drop while it waits.
    pub(crate) async fn due(&mut self) -> Option<Instant> {
        match self {
            Self::Closed(end) => Some(Instant::now()).filter(|now| *now < *end),
            Self::Open(dues) => dues.recv().await,
        }
    }
}

/// Tells senders in turn.
struct Beat {
    start: Instant,
    end: Instant,
    period: Duration,
    told: Vec<UnboundedSender<Instant>>,
}

impl Beat {
    fn run(self) {
        for turn in 0_u32.. {
            let due = self.start + self.period.mul_f64(f64::from(turn));
            if due >= self.end {
                return;
            }
            if let Some(wait) = due.checked_duration_since(Instant::now()) {
                thread::sleep(wait);
            }
            let sender = usize::try_from(turn).unwrap_or(0) % self.told.len();
            // Whoever broke off sends no more; the others do.
            let _ = self.told[sender].send(due);
            if sender == 0 && self.told.iter().all(UnboundedSender::is_closed) {
                return;
            }
        }
    }
}
