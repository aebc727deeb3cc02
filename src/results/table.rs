//! The table of one setting: who sent, carried and paid for a message, mode by mode.

use super::figure;
use super::grid::{Grid, width, wrapped};
use super::metadata::Control;
use super::row::SummaryRow;
use super::setting::Setting;
use super::summary::{counted_trials, find, mean, sender_cost, valid_trials};
use super::trial::ALL;
use crate::units::{Mode, Rate};

/// Whether text for the terminal is styled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Text alone.
    Plain,
    /// With ANSI escape sequences: headings bold, remarks dim.
    Ansi,
}

/// What a verdict is painted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// As it should be.
    Green,
    /// As it should not.
    Red,
    /// Open.
    Yellow,
    /// Neither.
    Plain,
}

impl Paint {
    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// A remark.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A verdict.
    pub fn coloured(self, colour: Colour, text: &str) -> String {
        match colour {
            Colour::Green => self.paint("32", text),
            Colour::Red => self.paint("31", text),
            Colour::Yellow => self.paint("33", text),
            Colour::Plain => text.to_owned(),
        }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// The table of a setting, its heading first, with a line end after each line.
///
/// `summary` holds the rows of this setting's conditions alone, one condition a mode. `accounted` is the part of the
/// machine's CPU time that was attributed over all of them, and `control` what waking costs a sender that sends nothing.
/// What has no room in so many `columns` goes below.
pub fn table(
    setting: &Setting,
    summary: &[SummaryRow],
    accounted: Option<f64>,
    control: Option<&Control>,
    paint: Paint,
    columns: usize,
) -> String {
    let served = setting.has_server();
    // With a server there are two more columns: headings of two lines make room for them.
    let (frames, cpus): (&[&str], &[&str]) = match served {
        true => (
            &["sender", "server", "all\nlinks", "each\nbystander"],
            &["sender", "server", "each\nreceiver", "each\nbystander"],
        ),
        false => (&["sender", "all links", "each bystander"], &["sender", "each receiver", "each bystander"]),
    };
    let mut grid = Grid::default()
        .group("", &["mode"])
        .group("frames per message", frames)
        .group("CPU µs per message [95 %]", cpus)
        .group("spent on", &["bystanders"])
        .group("", &["delivered"]);
    for &mode in &setting.modes {
        let mean = |role, metric| mean(summary, mode, role, metric);
        let cost = |role, metric| figure::cost_with_interval(find(summary, mode, role, metric));
        let cpu = |role| cost(role, "cpu_total");
        let mut row = vec![mode.to_string(), figure::amount(mean("sender", "link_tx_frames"))];
        row.extend(served.then(|| figure::amount(mean("server", "link_tx_frames"))));
        row.extend([figure::amount(mean(ALL, "link_frames")), figure::amount(mean("bystander", "link_rx_frames"))]);
        row.push(cost("sender", sender_cost(summary)));
        row.extend(served.then(|| cpu("server")));
        row.extend([
            cpu("receiver"),
            cpu("bystander"),
            figure::share(mean("bystander", "cpu_share")),
            figure::delivered(mean("receiver", "delivered")),
        ]);
        grid.row(row);
    }
    let table_width = grid.width().min(columns);
    let bold = |line: &String| paint.bold(line) + "\n";
    let mut text: String = wrapped(&setting.to_string(), columns, "", "").iter().map(bold).collect();
    text += &grid.fitted(paint, columns);
    let mut remarks = vec![remark_on_cpu(setting, summary, accounted)];
    remarks.extend(remark_on_waking(setting, summary, control));
    remarks.extend(remark_on_frames(setting));
    remarks.extend(remark_on_rate(setting, summary));
    remarks.extend(setting.modes.iter().filter_map(|&mode| remark_on_repeats(setting, summary, mode)));
    for remark in remarks {
        for line in wrapped(&remark, columns, "", "") {
            let indent = " ".repeat(table_width.saturating_sub(width(&line)));
            text += &format!("{indent}{}\n", paint.dim(&line));
        }
    }
    text
}

/// What the sender's figure leaves out: the waking of its program, which costs the same in any mode. `summary` as for
/// [`table`].
pub fn remark_on_waking(setting: &Setting, summary: &[SummaryRow], control: Option<&Control>) -> Option<String> {
    let wakes = setting.modes.iter().filter_map(|&mode| mean(summary, mode, "sender", "cpu_wake"));
    let waking = figure::range(wakes, figure::cost)?;
    let alone =
        control.filter(|control| setting.rate.per_second() == Some(control.rate)).map_or_else(String::new, |control| {
            let half = control.ci95_us.map(|(low, high)| (high - low) / 2.0);
            format!("; {} without sending anything", figure::cost_and_half(control.wake_us, half))
        });
    Some(format!(
        "sender: what sending costs; waking it for a message costs {waking} µs more, whatever the mode{alone}"
    ))
}

/// What part of the CPU time the table explains, and what the switch took, which is no PC's.
fn remark_on_cpu(setting: &Setting, summary: &[SummaryRow], accounted: Option<f64>) -> String {
    let costs = setting.modes.iter().filter_map(|&mode| mean(summary, mode, "switch", "cpu_total"));
    let switch =
        figure::range(costs, figure::cost).map_or(figure::MISSING.to_owned(), |range| format!("{range} µs/message"));
    let accounted = figure::share(accounted);
    format!(
        "{accounted} of the machine's CPU time accounted for; switch {switch} (hardware switches forward without a CPU)"
    )
}

/// Why frames per message need not be whole numbers, where they are TCP's.
pub fn remark_on_frames(setting: &Setting) -> Option<String> {
    let served: Vec<&str> = setting.modes.iter().filter(|mode| mode.has_server()).map(|mode| mode.as_str()).collect();
    let remark = "a TCP frame may hold several messages, or only an acknowledgement";
    (!served.is_empty()).then(|| format!("{}: {remark}", served.join(", ")))
}

/// The rates reached, where none was asked for or one was missed by more than 1 %. `summary` as for [`table`].
pub fn remark_on_rate(setting: &Setting, summary: &[SummaryRow]) -> Option<String> {
    let reached = |mode: &Mode| Some((*mode, mean(summary, *mode, "sender", "rate")?));
    let reached: Vec<(Mode, f64)> = setting.modes.iter().filter_map(reached).collect();
    let told = match setting.rate {
        Rate::Max => !reached.is_empty(),
        Rate::PerSecond(asked) => reached.iter().any(|(_, rate)| (rate / asked - 1.0).abs() > 0.01),
    };
    let rates: Vec<String> = reached.iter().map(|(mode, rate)| format!("{mode} {}", figure::count(*rate))).collect();
    told.then(|| format!("messages/s reached: {}", rates.join(" · ")))
}

/// How many repeats a mode's figures are from, where it is not all of them. `summary` as for [`table`].
pub fn remark_on_repeats(setting: &Setting, summary: &[SummaryRow], mode: Mode) -> Option<String> {
    let (counted, timed) = (counted_trials(summary, mode), valid_trials(summary, mode));
    // More than asked for where all of those were disturbed.
    let all = counted.max(setting.trials.into());
    let doubtful = find(summary, mode, "sender", "rate").is_some_and(|row| row.doubtful > 0);
    let doubt = if doubtful { format!("; {timed} were undisturbed, ~ is over all") } else { String::new() };
    if counted < all {
        Some(format!("{mode}: {counted} of {all} repeats could be used{doubt}"))
    } else if doubtful {
        Some(format!("{mode}: {timed} of {all} repeats were undisturbed; ~ is over all of them"))
    } else {
        (timed < all).then(|| format!("{mode}: CPU time is from the {timed} of {all} repeats that were undisturbed"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::delay::delays;
    use super::super::example::{rows, setting, snooping};
    use super::super::funnel::funnel;
    use super::*;

    #[test]
    fn all_modes_measured() {
        let text = table(&setting(), &snooping(), Some(0.96), None, Paint::Plain, usize::MAX);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "1 sender · 4 receivers · 16 bystanders · 2,000 messages/s · 64 B · 5 repeats · switch with IGMP snooping",
                "                frames per message                  CPU µs per message [95 %]                    spent on",
                "mode            sender  all links  each bystander   sender       each receiver  each bystander   bystanders   delivered",
                "unicast         4.00    8.00       0.00             14.2 ± 0.7   8.10 ± 0.40    0.00             0 %          100 %",
                "broadcast       1.00    21.00      1.00             6.30 ± 0.31  7.90 ± 0.39    5.21 ± 0.26      68 %         100 %",
                "raw-broadcast   1.00    21.00      1.00             4.40 ± 0.22  7.70 ± 0.38    4.02 ± 0.20      64 %         100 %",
                "multicast       1.00    5.00       0.00             4.70 ± 0.23  7.90 ± 0.39    0.00             0 %          100 %",
                " 96 % of the machine's CPU time accounted for; switch 7.20 to 24.6 µs/message (hardware switches forward without a CPU)",
            ]
        );
        assert!(text.lines().all(|line| width(line) <= 120));
    }

    #[test]
    fn what_was_not_measured_and_what_was_not_reached() {
        // Multicast alone has figures, without CPU time; it lost some messages and one repeat, and missed the rate.
        let mut summary: Vec<SummaryRow> = rows(
            Mode::Multicast,
            0.0,
            &[
                ("sender", "link_tx_frames", 1.0),
                ("sender", "rate", 1850.0),
                ("all", "link_frames", 4.999),
                ("bystander", "link_rx_frames", 0.0004),
                ("receiver", "delivered", 0.9993),
            ],
        );
        for row in &mut summary {
            row.n = 4;
        }
        let setting = Setting { modes: vec![Mode::Unicast, Mode::Multicast], ..setting() };
        let text = table(&setting, &summary, None, None, Paint::Plain, usize::MAX);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "1 sender · 4 receivers · 16 bystanders · 2,000 messages/s · 64 B · 5 repeats · switch with IGMP snooping",
                "            frames per message                  CPU µs per message [95 %]               spent on",
                "mode        sender  all links  each bystander   sender  each receiver  each bystander   bystanders   delivered",
                "unicast     –       –          –                –       –              –                –            –",
                "multicast   1.00    5.00       <0.01            –       –              –                –            99.93 %",
                "                 – of the machine's CPU time accounted for; switch – (hardware switches forward without a CPU)",
                "                                                                           messages/s reached: multicast 1,850",
                "                                                                         unicast: 0 of 5 repeats could be used",
                "                                                                       multicast: 4 of 5 repeats could be used",
            ]
        );
    }

    #[test]
    fn without_a_rate_the_reached_ones_are_told() {
        let setting = Setting { rate: Rate::Max, modes: vec![Mode::Multicast], ..setting() };
        let summary = rows(Mode::Multicast, 0.0, &[("sender", "rate", 412_345.6), ("sender", "link_tx_frames", 1.0)]);
        let text = table(&setting, &summary, None, None, Paint::Plain, usize::MAX);
        assert!(text.ends_with(" messages/s reached: multicast 412,346\n"), "{text}");
    }

    #[test]
    fn a_server_is_one_of_the_payers() {
        let setting = Setting { modes: vec![Mode::Multicast, Mode::Chat], ..setting() };
        let exact =
            [("sender", "link_tx_frames", 0.93), ("server", "link_tx_frames", 4.49), ("all", "link_frames", 16.69)];
        let of_each =
            [("bystander", "link_rx_frames", 0.0), ("receiver", "delivered", 1.0), ("sender", "rate", 2000.0)];
        let costs = [
            ("sender", "cpu_total", 43.5),
            ("server", "cpu_total", 158.0),
            ("receiver", "cpu_total", 17.5),
            ("bystander", "cpu_total", 0.0),
            ("bystander", "cpu_share", 0.0),
        ];
        let chat = [rows(Mode::Chat, 0.0, &[exact, of_each].concat()), rows(Mode::Chat, 0.05, &costs)].concat();
        let text = table(&setting, &[snooping(), chat].concat(), Some(0.96), None, Paint::Plain, usize::MAX);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "1 sender · 4 receivers · 16 bystanders or 15 and a server · 2,000 messages/s · 64 B · 5 repeats · switch with IGMP snooping",
                "            frames per message                 CPU µs per message [95 %]                      spent on",
                "                            all    each                              each         each",
                "mode        sender  server  links  bystander   sender       server   receiver     bystander   bystanders   delivered",
                "multicast   1.00    –       5.00   0.00        4.70 ± 0.23  –        7.90 ± 0.39  0.00        0 %          100 %",
                "chat        0.93    4.49    16.69  0.00        43.5 ± 2.1   158 ± 8  17.5 ± 0.9   0.00        0 %          100 %",
                "      96 % of the machine's CPU time accounted for; switch 7.20 µs/message (hardware switches forward without a CPU)",
                "                                             chat: a TCP frame may hold several messages, or only an acknowledgement",
            ]
        );
        assert!(text.lines().skip(1).all(|line| width(line) <= 120));
    }

    /// At any width, and no word is broken.
    #[test]
    fn what_is_printed_fits_the_terminal() {
        let (setting, rows) = (Setting { trials: 6, ..setting() }, snooping());
        let of = |columns| {
            table(&setting, &rows, Some(0.96), None, Paint::Plain, columns)
                + &delays(&setting, &rows, Paint::Plain, columns)
                + &funnel(&setting, &rows, Paint::Plain, columns)
        };
        let whole = of(usize::MAX);
        let words: Vec<&str> = whole.split_whitespace().collect();
        for columns in [40, 80, 100, 160] {
            let text = of(columns);
            assert!(text.lines().all(|line| width(line) <= columns), "{text}");
            assert!(text.split_whitespace().all(|word| words.contains(&word)), "{text}");
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
    }

    #[test]
    fn paint_changes_nothing_but_the_style() {
        let plain = table(&setting(), &snooping(), Some(0.96), None, Paint::Plain, usize::MAX);
        let painted = table(&setting(), &snooping(), Some(0.96), None, Paint::Ansi, usize::MAX);
        assert!(painted.starts_with("\x1b[1m1 sender"));
        assert_eq!(anstream::adapter::strip_str(&painted).to_string(), plain);
    }
}
