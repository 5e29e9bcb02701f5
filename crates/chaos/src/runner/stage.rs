//! Where a scenario plays: the system, its servers, the load, and the clock by which things go wrong.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use confab_testkit::Auditor;
use confab_testkit::checker::Violation;
use confab_testkit::checker::bounds::{Tolerance, Vitals, grown, left_behind};
use confab_testkit::openai::OpenAi;
use tokio::time::{Instant, sleep, sleep_until};

use super::Options;
use super::evidence::Evidence;
use super::measures::Measures;
use crate::load::Running;
use crate::supervisor::Servers;
use crate::topology::{Layout, Part, Topology};
use crate::vitals;

/// How long front ends listen after they have heard everything, for what should not come any more.
const LISTEN_ON: Duration = Duration::from_millis(500);

/// Sockets that gateways may count besides those of front ends: of readers who have just gone, and of the last round, whose ends
/// gateways hear of by a ping at the latest.
const SOCKETS_MORE: u64 = 16;

/// When things go wrong and when they are mended.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// When everybody was connected.
    pub began: Instant,
    /// A quarter of the time later.
    pub fault: Instant,
    /// When six tenths of it are over.
    pub heal: Instant,
    /// When nothing new is said any more.
    pub end: Instant,
}

impl Timing {
    fn new(length: Duration) -> Self {
        let began = Instant::now();
        Self {
            began,
            fault: began + length.mul_f64(0.25),
            heal: began + length.mul_f64(0.6),
            end: began + length,
        }
    }
}

/// What a scenario has in its hands.
pub struct Stage {
    /// The processes of Confab and the wires between them.
    pub topology: Topology,
    /// The servers; none when Confab needs none.
    pub servers: Option<Servers>,
    /// The people at their sockets.
    pub load: Running,
    /// The provider of the model that is asked: answers take 40 words, a word in 20 ms, unless it is told otherwise.
    pub provider: OpenAi,
    /// Chance, from the seed of the run.
    pub rng: fastrand::Rng,
    /// When what happens.
    pub timing: Timing,
    /// When it was mended, on the clock of the history.
    pub(super) healed_at: Duration,
    pub(super) wrong: Vec<String>,
    pub(super) measured: BTreeMap<String, f64>,
    notes: Vec<(Duration, String)>,
    /// What each process had before anything went wrong, by its name.
    before: BTreeMap<String, Vitals>,
    /// What processes kept of what they had grown by.
    pub(super) grown: Vec<Violation>,
    clock: std::time::Instant,
    length: Duration,
}

impl Stage {
    pub(super) fn new(
        topology: Topology,
        servers: Option<Servers>,
        load: Running,
        provider: OpenAi,
        options: &Options,
    ) -> Self {
        Self {
            clock: load.history.began(),
            topology,
            servers,
            load,
            provider,
            rng: fastrand::Rng::with_seed(options.seed),
            timing: Timing::new(options.length),
            healed_at: Duration::ZERO,
            wrong: Vec::new(),
            measured: BTreeMap::new(),
            notes: Vec::new(),
            before: BTreeMap::new(),
            grown: Vec::new(),
            length: options.length,
        }
    }

    /// The servers.
    ///
    /// # Panics
    /// When Confab needs none.
    pub fn servers(&mut self) -> &mut Servers {
        self.servers.as_mut().expect("this layout has servers")
    }

    /// How long the scenario lasts.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.length
    }

    /// The time since the history began, as its lines have it.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// A time on the clock of the history.
    #[must_use]
    pub fn at(&self, time: Instant) -> Duration {
        self.now().saturating_sub(time.elapsed())
    }

    /// Kills a process, as a crash does.
    pub fn kill(&mut self, part: Part) {
        self.note(&format!("kill {part}"));
        self.topology.process_mut(part).kill();
    }

    /// Starts a process that was ended, where it was.
    pub async fn start(&mut self, part: Part) {
        self.topology.process_mut(part).start().await;
        self.note(&format!("started {part}"));
    }

    /// Ends a process by SIGTERM, and says how long it took and whether it said that all was well.
    pub async fn stop(&mut self, part: Part) -> (Duration, bool) {
        self.note(&format!("stop {part}"));
        let (took, well) = self.topology.process_mut(part).stop().await;
        self.note(&format!("stopped {part} in {took:?}, well: {well}"));
        (took, well)
    }

    /// Stops a process in the middle of what it does.
    pub fn freeze(&mut self, part: Part) {
        self.note(&format!("freeze {part}"));
        self.topology.process(part).freeze();
    }

    /// Lets it go on.
    pub fn thaw(&mut self, part: Part) {
        self.note(&format!("thaw {part}"));
        self.topology.process(part).thaw();
    }

    /// Lets time pass.
    pub async fn pause(&self, time: Duration) {
        sleep(time).await;
    }

    /// How much time there is for the fault.
    #[must_use]
    pub fn left_until_heal(&self) -> Duration {
        self.timing.heal.saturating_duration_since(Instant::now())
    }

    /// Waits until it is to be mended.
    pub async fn until_heal(&self) {
        sleep_until(self.timing.heal).await;
    }

    pub(super) async fn until_fault(&mut self) {
        sleep_until(self.timing.fault).await;
        self.before = self.look().await;
    }

    /// What each process has that runs.
    async fn look(&self) -> BTreeMap<String, Vitals> {
        let mut found = BTreeMap::new();
        for (_, process) in self.topology.processes() {
            let Some(pid) = process.id() else { continue };
            if let Some(vitals) = vitals::look(pid, Some(process.metrics())).await {
                found.insert(process.name().to_owned(), vitals);
            }
        }
        found
    }

    /// Compares what each process has with what it had.
    async fn compare(&mut self) {
        let tolerance = Tolerance::default();
        let mut most: u64 = 0;
        let mut sockets = 0;
        for (name, after) in self.look().await {
            sockets += after.sockets;
            if let Some(before) = self.before.get(&name) {
                most = most.max(after.resident.saturating_sub(before.resident));
                self.grown.extend(grown(&name, before, &after, &tolerance));
            }
        }
        let held = self.load.conductor.tally().connected;
        let left = left_behind(sockets, held as u64, SOCKETS_MORE);
        self.grown.extend(left);
        #[expect(clippy::cast_precision_loss, reason = "a number to look at")]
        self.measured("kept_mib", most as f64 / 1_048_576.0);
    }

    pub(super) async fn until_end(&self) {
        sleep_until(self.timing.end).await;
    }

    pub(super) fn healed(&mut self) {
        self.note("healed");
        self.healed_at = self.now();
    }

    /// Writes down what was done, and when.
    pub fn note(&mut self, what: &str) {
        self.notes.push((self.now(), what.to_owned()));
    }

    /// Says that something is not as the scenario wants it: the run is red.
    pub fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    /// Says that something is not as the scenario wants it, unless it is.
    pub fn expect(&mut self, holds: bool, what: impl Into<String>) {
        if !holds {
            self.wrong(what);
        }
    }

    /// Adds a number to the row of the run.
    pub fn measured(&mut self, name: &str, value: f64) {
        self.measured.insert(name.to_owned(), value);
    }

    /// Lets everything come to rest, ends it, and gathers what is known of it.
    pub(super) async fn rest(&mut self, longest: Duration) -> Evidence {
        let resting = self.now();
        self.note("rest");
        let unsettled = self.load.settle(longest).await;
        self.wrong.extend(unsettled);
        sleep(LISTEN_ON).await;
        self.compare().await;
        let outcome = self.load.end().await;
        self.note("everybody is gone");
        let (auditor, running) = match self.topology.layout() {
            Layout::Split => (self.topology.auditor(), None),
            Layout::One => {
                let unwell = self.topology.stop().await;
                self.unwell(unwell);
                let (auditor, running) = Auditor::here(&self.topology.settings_of_one()).await;
                (auditor, Some(running))
            }
        };
        let threads = self.load.threads.clone();
        let story = self.load.history.story();
        let (fault, healed) = (self.at(self.timing.fault), self.healed_at);
        let measures = Measures::of(&story, fault, healed, resting);
        let evidence =
            Evidence::gather(&auditor, story, outcome, &threads, measures, resting).await;
        if let Some(running) = running {
            running.stop().await;
        }
        let unwell = self.topology.stop().await;
        self.unwell(unwell);
        evidence
    }

    fn unwell(&mut self, names: Vec<String>) {
        for name in names {
            self.wrong(format!("{name} did not end in order"));
        }
    }

    /// Writes the history and what was done, a line of JSON each.
    pub(super) fn write(&self, evidence: &Evidence) {
        let folder = self.topology.folder();
        let lines = evidence.story.events.iter();
        let lines = lines.map(|event| serde_json::to_string(event).expect("a line of JSON"));
        write_lines(&folder.join("history.jsonl"), lines);
        let notes = self.notes.iter();
        let notes = notes.map(|(at, what)| format!("{:9.3} {what}", at.as_secs_f64()));
        write_lines(&folder.join("notes.txt"), notes);
    }
}

fn write_lines(path: &Path, lines: impl Iterator<Item = String>) {
    let file = std::fs::File::create(path).expect("a file for what happened");
    let mut file = BufWriter::new(file);
    for line in lines {
        writeln!(file, "{line}").expect("what happened is written");
    }
    file.flush().expect("what happened is written");
}
