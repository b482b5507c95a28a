//! Polls the probes and keeps the newest snapshot, with the daily light integral where the light is measured.
//!
//! One thread a probe, so that a probe that hangs holds up nobody: its readings age into `NoData::Stale` while the
//! others stay live. A probe that panics is reported as not answering and asked again at the next turn.

use super::Probe;
use crate::climate::{LightDay, NoData, Quantity, Reading, Snapshot};
use std::{
    mem::discriminant,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

/// Name of the polling threads. A panic hook that ends the program must let a panic on a thread of this name pass: it
/// is caught.
pub const THREAD_NAME: &str = "probe";

/// How long dropping waits for a probe that is just being read, before leaving its thread to itself.
const PATIENCE: Duration = Duration::from_millis(500);

/// The running poll loops. Dropping it stops them.
pub struct Poller {
    snapshot: Arc<Mutex<Snapshot>>,
    light: Arc<Mutex<LightDay>>,
    clock: fn() -> Duration,
    stale_after: Duration,
    threads: Vec<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Poller {
    /// Reads each of `probes` now and then every `interval`. A good reading is shown as live until it is `stale_after` old,
    /// also when later ones were missed.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start(probes: Vec<Box<dyn Probe>>, interval: Duration, stale_after: Duration) -> std::io::Result<Self> {
        Self::start_by(uptime, probes, interval, stale_after)
    }

    /// As [`start`](Self::start), with the light summed up by `clock`: time since a fixed moment, never set back. Tests
    /// live a day in a second.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn start_by(
        clock: fn() -> Duration,
        probes: Vec<Box<dyn Probe>>,
        interval: Duration,
        stale_after: Duration,
    ) -> std::io::Result<Self> {
        let snapshot = Arc::new(Mutex::new(Snapshot::default()));
        let light = Arc::new(Mutex::new(LightDay::default()));
        // A probe that knows the sum knows better: a recorded day's clock is not ours.
        let summed = !probes.iter().any(|probe| probe.quantities().contains(&Quantity::Dli));
        for probe in &probes {
            for quantity in probe.quantities() {
                lock(&snapshot).set(quantity, Err(not_read_yet()));
            }
        }
        let threads = probes
            .into_iter()
            .map(|mut probe| {
                let (stop, stopped) = mpsc::channel::<()>();
                let (snapshot, light) = (Arc::clone(&snapshot), Arc::clone(&light));
                let summed = summed && probe.quantities().contains(&Quantity::LightPpfd);
                let thread = std::thread::Builder::new().name(THREAD_NAME.into()).spawn(move || {
                    loop {
                        poll(probe.as_mut(), &snapshot);
                        if let Some(ppfd) = lock(&snapshot).value(Quantity::LightPpfd).filter(|_| summed) {
                            lock(&light).add(clock(), ppfd);
                        }
                        // Ends at once when the poller is dropped.
                        if stopped.recv_timeout(interval) != Err(mpsc::RecvTimeoutError::Timeout) {
                            break;
                        }
                    }
                })?;
                Ok((stop, thread))
            })
            .collect::<std::io::Result<_>>()?;
        Ok(Self { snapshot, light, clock, stale_after, threads })
    }

    /// What is known now. Never waits for a probe.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = lock(&self.snapshot).clone();
        snapshot.settle(SystemTime::now(), self.stale_after);
        // After `settle`: a light probe that has just gone silent does not undo the day behind it.
        let sum = lock(&self.light).sum((self.clock)());
        if let (Some(value), Some(at)) = (sum, snapshot.last_good(Quantity::LightPpfd)) {
            snapshot.set(Quantity::Dli, Ok(Reading { value, at }));
        }
        snapshot
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        let (stops, threads): (Vec<_>, Vec<_>) = self.threads.drain(..).unzip();
        drop(stops);
        let give_up = Instant::now() + PATIENCE;
        for thread in threads {
            while !thread.is_finished() && Instant::now() < give_up {
                std::thread::sleep(Duration::from_millis(5));
            }
            if thread.is_finished() {
                // A panic was already caught inside; there is nothing to learn from the result.
                let _ = thread.join();
            } else {
                log::warn!("a probe does not answer; its thread ends with the program");
            }
        }
    }
}

/// Reads `probe` once into `snapshot`, which is not locked meanwhile. A panic of the probe, or a quantity that it left
/// out, becomes [`NoData::NotAnswering`].
pub fn poll(probe: &mut dyn Probe, snapshot: &Mutex<Snapshot>) {
    // A probe half-way through a panic may give odd readings afterwards, but those are checked like any others.
    let answers = catch_unwind(AssertUnwindSafe(|| probe.read())).unwrap_or_default();
    let at = SystemTime::now();
    for quantity in probe.quantities() {
        let answer = answers.iter().rev().find(|(of, _)| *of == quantity).map(|(_, answer)| answer.clone());
        let answer = answer.unwrap_or_else(|| Err(NoData::NotAnswering("the driver failed".into())));
        let mut snapshot = lock(snapshot);
        let before = snapshot.get(quantity).clone();
        snapshot.set(quantity, answer.map(|value| Reading { value, at }));
        // Only the change: a probe that is unplugged for a week must not fill the log.
        match (before, snapshot.get(quantity)) {
            (Ok(_), Ok(_)) => {}
            (Err(_), Ok(_)) => log::info!("{}: {} answers", probe.name(), quantity.name()),
            (Err(before), Err(now)) if before != not_read_yet() && discriminant(&before) == discriminant(now) => {}
            (_, Err(now)) => log::warn!("{}: no {}: {now:?}", probe.name(), quantity.name()),
        }
    }
}

/// The state of a quantity from the start until its probe is first read.
fn not_read_yet() -> NoData {
    NoData::NotAnswering("not read yet".into())
}

/// Time since the program started to poll. Not the time of day: a Pi has no clock of its own, and the network sets it hours
/// or years ahead when it comes.
fn uptime() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    BEGAN.elapsed()
}

/// Snapshot and light are whole after every change, so a lock poisoned by a panic elsewhere is still good.
fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
