//! What is seen while a loop runs: notes and progress on standard error, interval objects on standard output.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::{Map, Value};

/// Between two looks at a running loop.
const TICK: Duration = Duration::from_millis(100);
/// Between two interval objects.
const INTERVAL: Duration = Duration::from_secs(1);
/// Steps of the progress bar.
const STEPS: u64 = 1_000;

/// Runs `job` on a thread of its own, and `tick` beside it ten times a second with the time since the start.
pub(crate) fn beside<T: Send>(job: impl FnOnce() -> T + Send, mut tick: impl FnMut(Duration)) -> T {
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

/// The terminal, or what stands in its place.
pub(crate) struct Screen {
    bar: ProgressBar,
    json: bool,
}

impl Screen {
    /// With `json`, standard output carries objects only. `bounded`: the end is known, so show how far it is.
    pub(crate) fn new(json: bool, bounded: bool) -> Self {
        let template = if bounded { "{bar:30} {percent:>3} % · {msg}" } else { "{spinner} {msg}" };
        // Without a terminal on standard error the bar stays hidden.
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
        Screen { bar, json }
    }

    /// A line for the person, on standard error. One who is gone is no failure.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }

    /// Notes of what is doubtful, each marked as that.
    pub(crate) fn warn(&self, warnings: &[String]) {
        for warning in warnings {
            self.note(&format!("warning: {warning}"));
        }
    }

    /// Redraws the progress line; `fraction` is 0 to 1.
    pub(crate) fn progress(&self, fraction: f64, text: String) {
        self.bar.set_position((fraction * STEPS as f64) as u64);
        self.bar.set_message(text);
        self.bar.tick();
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
            let mut line = serde_json::to_vec(event)?;
            line.push(b'\n');
            io::stdout().write_all(&line)
        })
    }

    /// Takes the progress line away and prints the result: `text`, or with `--json` the object.
    ///
    /// # Errors
    /// As [`event`](Self::event).
    pub(crate) fn result(&self, text: &str, event: &impl Serialize) -> io::Result<()> {
        self.bar.finish_and_clear();
        if self.json { self.event(event) } else { io::stdout().write_all(text.as_bytes()) }
    }
}

/// Turns running totals into what each interval brought.
pub(crate) struct Intervals<const N: usize> {
    names: [&'static str; N],
    totals: [u64; N],
    end: Duration,
}

/// What one interval brought.
#[derive(Debug, Serialize)]
pub(crate) struct Interval {
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
    pub rate: f64,
}

impl<const N: usize> Intervals<N> {
    /// Totals by these names, all 0 at the start.
    pub(crate) fn new(names: [&'static str; N]) -> Self {
        Intervals { names, totals: [0; N], end: Duration::ZERO }
    }

    /// The interval that ends `now`, if it is time.
    pub(crate) fn next(&mut self, now: Duration, totals: [u64; N]) -> Option<Interval> {
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
