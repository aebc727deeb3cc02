//! What is seen while a loop runs: notes and progress on standard error, interval objects on standard output.

use std::cell::Cell;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::unistd::{getpgrp, tcgetpgrp};
use serde::Serialize;
use serde_json::{Map, Value};

use super::paragraph::{columns_of, fitted};
use super::running;
use super::summary::rate_text;
use crate::escaped;

/// Between two looks at a running loop.
const TICK: Duration = Duration::from_millis(100);
/// Between two interval objects.
const INTERVAL: Duration = Duration::from_secs(1);
/// Steps of the progress bar.
const STEPS: u64 = 1_000;

/// The terminal, or what stands in its place.
pub(crate) struct Screen {
    bar: ProgressBar,
    json: bool,
    /// At the last look.
    foreground: Cell<bool>,
}

/// Whether the terminal on standard error is this program's to draw on: in the background (`recv &`) it is somebody else's,
/// and there are lines alone.
pub(crate) fn in_foreground() -> bool {
    tcgetpgrp(io::stderr()).is_ok_and(|group| group == getpgrp())
}

/// Where progress is drawn.
pub(crate) fn target(in_foreground: bool) -> ProgressDrawTarget {
    if in_foreground { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

impl Screen {
    /// With `json`, standard output carries objects only. Where there are limits, progress is how near they are.
    pub(crate) fn new(json: bool, limits: Limits) -> Self {
        let template = if limits.any() { "{bar:20} {percent:>3} % · {wide_msg}" } else { "{spinner} {wide_msg}" };
        // Without a terminal on standard error the bar stays hidden.
        let bar = ProgressBar::with_draw_target(Some(STEPS), target(in_foreground()));
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Screen { bar, json, foreground: Cell::new(in_foreground()) }
    }

    /// The same without any progress, for a job that prints lines of its own.
    pub(crate) fn without_progress(json: bool) -> Self {
        Screen { bar: ProgressBar::hidden(), json, foreground: Cell::new(false) }
    }

    /// A line for the person, on standard error. One who is gone is no failure.
    pub(crate) fn note(&self, text: &str) {
        self.notes().note(text);
    }

    /// What writes such lines, for another thread.
    pub(crate) fn notes(&self) -> Notes {
        Notes { bar: self.bar.clone() }
    }

    /// News for everybody: a line for the person, and with `--json` an object of this `event`.
    pub(crate) fn tell(&self, now: Duration, event: &'static str, news: &impl Serialize, text: &str) {
        self.note(text);
        // A standard output that is gone is met again with the next interval, and the result.
        let _ = self.event(&News { event, time_s: now.as_secs_f64(), news });
    }

    /// Notes of what is doubtful, each marked as that.
    pub(crate) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.note(&format!("warning: {warning}"));
        }
    }

    /// Runs `job` on a thread of its own and looks at it ten times a second until it ends: redraws the progress line
    /// and prints interval objects of the totals, which have these `names`. Sets `stop` when they cannot be written;
    /// the error is met again, and told, when the [`result`](Self::result) is printed.
    pub(crate) fn watch<T: Send, const N: usize>(
        &self,
        job: impl FnOnce() -> T + Send,
        stop: &AtomicBool,
        limits: Limits,
        names: [&'static str; N],
        mut look: impl FnMut(Duration) -> Look<N>,
    ) -> T {
        let mut intervals = Intervals::new(names);
        let mut rate = String::new();
        beside(job, |now| {
            let seen = look(now);
            if let Some(interval) = intervals.next(now, seen.totals) {
                rate = format!(" · {}/s", rate_text(interval.rate));
                if self.event(&interval).is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            if self.foreground.replace(in_foreground()) != self.foreground.get() {
                self.bar.set_draw_target(target(self.foreground.get()));
            }
            self.bar.set_position((limits.reached(now, seen.counted) * STEPS as f64) as u64);
            self.bar.set_message(escaped::lines(&(seen.text + &rate)).into_owned());
            self.bar.tick();
        })
    }

    /// Whether standard output carries objects only.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    /// A line of the result on standard output, which is not for objects.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        self.bar.suspend(|| io::stdout().write_all(format!("{text}\n").as_bytes()))
    }

    /// An object on standard output, with `--json`.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub(crate) fn event(&self, event: &impl Serialize) -> io::Result<()> {
        if !self.json {
            return Ok(());
        }
        self.bar.suspend(|| {
            let line = serde_json::to_string(event)? + "\n";
            io::stdout().write_all(escaped::json(&line).as_bytes())
        })
    }

    /// Takes the progress line away and prints the result: `text`, or with `--json` the object.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub(crate) fn result(&self, text: &str, event: &impl Serialize) -> io::Result<()> {
        self.bar.finish_and_clear();
        if self.json {
            self.event(event)
        } else {
            io::stdout().write_all(fitted(&escaped::lines(text), columns_of(io::stdout())).as_bytes())
        }
    }
}

/// What happened, and when.
#[derive(Serialize)]
struct News<'a, T> {
    event: &'static str,
    /// In s since the start.
    time_s: f64,
    #[serde(flatten)]
    news: &'a T,
}

/// Writes lines for the person beside the progress.
pub(crate) struct Notes {
    bar: ProgressBar,
}

impl Notes {
    /// See [`Screen::note`].
    pub(crate) fn note(&self, text: &str) {
        let write = || running::note(text);
        // Where no progress is drawn, nobody who draws it has to wait while this is written.
        if self.bar.is_hidden() { write() } else { self.bar.suspend(write) }
    }
}

/// One look at a running loop.
pub(crate) struct Look<const N: usize> {
    /// Its running totals; the rate shown is that of the first.
    pub totals: [u64; N],
    /// What counts towards the limit.
    pub counted: u64,
    /// The progress line, but for the rate, which is that of the last whole interval.
    pub text: String,
}

/// What ends a loop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// So many messages.
    pub count: Option<u64>,
    /// So much time.
    pub duration: Option<Duration>,
}

impl Limits {
    /// Whether there is any.
    pub(crate) fn any(self) -> bool {
        self.count.is_some() || self.duration.is_some()
    }

    /// How near the nearer one is, 0 to 1.
    fn reached(self, now: Duration, counted: u64) -> f64 {
        let by_count = self.count.map_or(0.0, |count| counted as f64 / count as f64);
        let by_time = self.duration.map_or(0.0, |duration| now.as_secs_f64() / duration.as_secs_f64());
        by_count.max(by_time).min(1.0)
    }
}

/// Runs `job` on a thread of its own, and `tick` beside it ten times a second with the time since the start.
fn beside<T: Send>(job: impl FnOnce() -> T + Send, mut tick: impl FnMut(Duration)) -> T {
    thread::scope(|scope| {
        let start = Instant::now();
        // Dropped when the job ends, in whatever way: that is the sign.
        let (running, ended) = mpsc::channel::<()>();
        let worker = scope.spawn(move || {
            let _running = running;
            job()
        });
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            tick(start.elapsed());
        }
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Turns running totals into what each interval brought.
struct Intervals<const N: usize> {
    names: [&'static str; N],
    totals: [u64; N],
    end: Duration,
}

/// What one interval brought.
#[derive(Debug, Serialize)]
struct Interval {
    event: &'static str,
    /// Its end, in s since the start.
    time_s: f64,
    /// Its length, in s.
    interval_s: f64,
    /// Growth of each total (a loss can shrink: a late message was not lost).
    #[serde(flatten)]
    growth: Map<String, Value>,
    /// Growth of the first total per second.
    #[serde(skip)]
    rate: f64,
}

impl<const N: usize> Intervals<N> {
    /// Totals by these names, all 0 at the start.
    fn new(names: [&'static str; N]) -> Self {
        Intervals { names, totals: [0; N], end: Duration::ZERO }
    }

    /// The interval that ends `now`, if it is time.
    fn next(&mut self, now: Duration, totals: [u64; N]) -> Option<Interval> {
        let length = now.saturating_sub(self.end);
        if length < INTERVAL {
            return None;
        }
        let growth: [i64; N] = std::array::from_fn(|i| totals[i].wrapping_sub(self.totals[i]) as i64);
        (self.totals, self.end) = (totals, now);
        Some(Interval {
            event: "interval",
            time_s: now.as_secs_f64(),
            interval_s: length.as_secs_f64(),
            growth: self.names.iter().zip(growth).map(|(name, growth)| ((*name).to_owned(), growth.into())).collect(),
            rate: growth.first().map_or(0.0, |growth| *growth as f64 / length.as_secs_f64()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_waited_for() {
        assert_eq!(beside(|| 42, |_| {}), 42);
        let (go, wait) = mpsc::channel();
        let mut ticks = 0;
        let answer = beside(
            move || wait.recv(),
            |_| {
                ticks += 1;
                let _ = go.send(ticks);
            },
        );
        assert_eq!(answer, Ok(1));
    }

    #[test]
    fn the_nearer_limit_is_the_progress() {
        let limits = Limits { count: Some(100), duration: Some(Duration::from_secs(10)) };
        assert_eq!(limits.reached(Duration::from_secs(5), 10), 0.5);
        assert_eq!(limits.reached(Duration::from_secs(1), 20), 0.2);
        assert_eq!(limits.reached(Duration::from_secs(11), 20), 1.0);
        assert_eq!(Limits { count: None, duration: None }.reached(Duration::from_secs(11), 20), 0.0);
    }

    #[test]
    fn intervals_show_growth() {
        let mut intervals = Intervals::new(["messages_received", "messages_lost"]);
        assert!(intervals.next(Duration::from_millis(900), [5, 5]).is_none());
        let first = serde_json::to_value(intervals.next(Duration::from_millis(1000), [10, 7]).unwrap()).unwrap();
        assert_eq!(first["event"], "interval");
        assert_eq!((&first["messages_received"], &first["messages_lost"]), (&10.into(), &7.into()));
        let second = intervals.next(Duration::from_millis(3000), [30, 4]).unwrap();
        assert_eq!(second.rate, 10.0);
        let second = serde_json::to_value(second).unwrap();
        assert_eq!((&second["interval_s"], &second["messages_lost"]), (&2.0.into(), &(-3).into()));
    }
}
