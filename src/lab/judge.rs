//! Claims and predictions held against the rows of a run.
//!
//! What a claim compares is compared round by round ([`paired`]): a round that lacks one side is left out and counted in
//! the remark, and where no round has all that is compared, the claim stays undecided.
//!
//! The 95 % of each interval is its own, not adjusted to the number of claims (after Holm, say): a claim is to be judged
//! alike in whatever company a lab puts it, and its figure to show the interval that decided it. So of twenty claims that
//! are just at their bounds one is expected to come out wrong by chance, of those well inside far fewer; below the
//! verdicts it is said.

use super::claim::{Claim, Comparison, Figure, Question, Test};
use super::comparison;
use super::line::{Beside, Points, no_round};
use super::statement;
use super::verdict::{Finding, Outcome, Range, Verdict};
use super::words::{self, Findings};
use crate::lan::Nic;
use crate::results::factor::Factor;
use crate::results::figure::Scale;
use crate::results::metric::Metric;
use crate::results::paired::{self, Effect, Ratio};
use crate::results::row::{ClaimRow, HostRow, PredictionRow};
use crate::results::stats::{self, Estimate};
use crate::results::summary::{TrialValues, Trials, trial_values};
use crate::results::trial::Who;
use crate::run::{Condition, Limit, MeasurePlan};
use crate::units::Role;

/// The rows of `claims.csv`: each claim judged by the rows of a run of the plan. `limits` are what the machine did not
/// let be measured.
pub fn judge(claims: &[Claim], plan: &MeasurePlan, rows: &[HostRow], limits: &[Limit]) -> Vec<ClaimRow> {
    let evidence = Evidence::of(plan, rows, limits);
    (1..).zip(claims).map(|(number, claim)| evidence.judge(number, claim)).collect()
}

/// What was measured of what a question asks, and its unit; `None` where it was not.
pub fn measured(question: &Question, plan: &MeasurePlan, rows: &[HostRow]) -> Option<(Estimate, &'static str)> {
    let condition = plan.conditions.iter().find(|condition| question.select.matches(condition))?;
    let Figure { metric, role } = &question.figure;
    let TrialValues { values, unit, .. } = trial_values(rows, &condition.name, role, metric)?;
    Some((Estimate::of(&values)?, unit))
}

/// The row of `predictions.csv` for question number `number`, counted from 1; `guess` is in the unit of the metric.
pub fn prediction(
    number: u32,
    question: &Question,
    guess: Option<f64>,
    plan: &MeasurePlan,
    rows: &[HostRow],
) -> PredictionRow {
    let estimate = measured(question, plan, rows).map(|(estimate, _)| estimate);
    let interval = estimate.and_then(|estimate| estimate.ci95);
    PredictionRow {
        question: number,
        ask: question.ask.clone(),
        unit: Metric::named(&question.figure.metric).map_or("", |metric| metric.unit).to_owned(),
        guess,
        measured: estimate.map(|estimate| estimate.mean),
        ci95_low: interval.map(|(low, _)| low),
        ci95_high: interval.map(|(_, high)| high),
    }
}

/// The rows of a run, by the conditions of its plan.
struct Evidence<'a> {
    conditions: &'a [Condition],
    /// By condition.
    rows: Vec<Vec<&'a HostRow>>,
    /// By condition.
    trials: Vec<Trials<'a>>,
    limits: &'a [Limit],
}

impl<'a> Evidence<'a> {
    fn of(plan: &'a MeasurePlan, rows: &'a [HostRow], limits: &'a [Limit]) -> Evidence<'a> {
        let of = |condition: &Condition| rows.iter().filter(|row| row.condition == condition.name).collect();
        let rows: Vec<Vec<&HostRow>> = plan.conditions.iter().map(of).collect();
        let trials = rows.iter().map(|rows| Trials::of(rows.iter().copied())).collect();
        Evidence { conditions: &plan.conditions, rows, trials, limits }
    }

    fn judge(&self, number: u32, claim: &Claim) -> ClaimRow {
        let matches = |index: &usize| claim.select.matches(&self.conditions[*index]);
        let selected: Vec<usize> = (0..self.conditions.len()).filter(matches).collect();
        let findings = match claim.test {
            Test::GrowsWith(factor, _) | Test::FlatIn(factor, _) => {
                let series = comparison::series(self.conditions, &selected, factor);
                let finding = |line: &Vec<usize>| (&self.conditions[line[0]], self.along(claim, line, factor));
                Findings { all: series.lines.iter().map(finding).collect(), swept: series.swept }
            }
            Test::AtMost(_) | Test::AtLeast(_) | Test::About(..) => {
                let finding = |&index: &usize| (&self.conditions[index], self.within(claim, index));
                Findings { all: selected.iter().map(finding).collect(), swept: Vec::<Factor>::new() }
            }
        };
        let verdict = Verdict::of(findings.all.iter().map(|(_, finding)| &finding.outcome));
        let remark = if findings.all.is_empty() {
            "no condition of this run is meant by it".to_owned()
        } else {
            findings.remark(verdict)
        };
        ClaimRow {
            claim: number,
            statement: claim.statement.clone(),
            says: claim.says.clone(),
            judged: words::judged(claim),
            expect: claim.expect.as_str().to_owned(),
            verdict: verdict.as_str().to_owned(),
            as_expected: verdict.is_as_expected(claim.expect),
            figures: findings.figures(verdict),
            remark,
            lecture: statement::sentences(&claim.statement),
            more_trials: findings.more_trials(verdict),
        }
    }

    /// What one condition says of a claim about a bound.
    fn within(&self, claim: &Claim, index: usize) -> Finding {
        let finding = || {
            let condition = &self.conditions[index];
            let unknown = |why: &str| Outcome::Unknown(why.to_owned());
            let range = match &claim.test {
                Test::AtMost(bound) => bound.of(condition).map(Range::at_most),
                Test::AtLeast(bound) => bound.of(condition).map(Range::at_least),
                Test::About(bound, tolerance) => bound.of(condition).map(|bound| Range::about(bound, *tolerance)),
                Test::GrowsWith(..) | Test::FlatIn(..) => Err("it is judged along a line"),
            };
            let range = range.map_err(unknown)?;
            let Some(against) = &claim.against else {
                return amount(claim, &range, &self.values(&claim.figure, index)?);
            };
            let other = comparison::counterpart(self.conditions, index, &claim.select, &against.select);
            let other = other.map_err(Outcome::Unknown)?;
            let (values, others) = (self.values(&claim.figure, index)?, self.values(&claim.other_figure(), other)?);
            let whose = |amount: &str| words::of_counterpart(&against.select, &self.conditions[other], amount);
            compared(claim, against.by, &range, &[&values, &others], &whose)
        };
        finding().unwrap_or_else(Finding::without_figure)
    }

    /// What the conditions on a line say of a claim about the line.
    fn along(&self, claim: &Claim, line: &[usize], factor: Factor) -> Finding {
        let finding = || {
            let points = self.points(&claim.figure, line, factor)?;
            match claim.test {
                Test::FlatIn(..) if claim.against.is_some() => {
                    Err(Outcome::Unknown("what is flat is a figure, not a comparison".to_owned()))
                }
                Test::FlatIn(_, tolerance) => points.stay(tolerance),
                Test::GrowsWith(_, growth) => {
                    let Some(against) = &claim.against else {
                        return points.grow(growth, None, words::unit_of(claim));
                    };
                    let other = |&index: &usize| {
                        comparison::counterpart(self.conditions, index, &claim.select, &against.select)
                    };
                    let other_line = line.iter().map(other).collect::<Result<Vec<usize>, String>>();
                    let other_line = other_line.map_err(Outcome::Unknown)?;
                    let others = self.points(&claim.other_figure(), &other_line, factor)?;
                    let other = &self.conditions[other_line[0]];
                    let whose = |amount: &str| words::of_counterpart(&against.select, other, amount);
                    let beside = Beside { points: &others, by: against.by, whose: &whose };
                    points.grow(growth, Some(&beside), words::unit_of(claim))
                }
                Test::AtMost(_) | Test::AtLeast(_) | Test::About(..) => Err(not_measured()),
            }
        };
        finding().unwrap_or_else(Finding::without_figure)
    }

    /// What the line through these conditions is drawn by, or why there is none.
    fn points(&self, figure: &Figure, line: &[usize], factor: Factor) -> Result<Points, Outcome> {
        if !comparison::varies(self.conditions, line, factor) {
            return Err(Outcome::Unknown(format!("a line needs at least two values of {factor}")));
        }
        let unit = Metric::named(&figure.metric).map_or("", |metric| metric.unit);
        let mut points = Points::over(factor, unit);
        for &index in line {
            let no_number = || Outcome::Unknown("the rate max is no number".to_owned());
            let x = factor.of(&self.conditions[index]).number().ok_or_else(no_number)?;
            points.add(x, self.values(figure, index)?);
        }
        Ok(points)
    }

    /// The values of a figure in a condition, or why there are none.
    fn values(&self, figure: &Figure, index: usize) -> Result<TrialValues, Outcome> {
        let unknown = |why: String| Err(Outcome::Unknown(why));
        let Some(metric) = Metric::named(&figure.metric) else {
            return unknown(format!("there is no metric {}", figure.metric));
        };
        if let Some(values) = Who::named(&figure.role).and_then(|who| self.trials[index].values(who, metric)) {
            return Ok(values);
        }
        if let Some(why) = self.lacking(metric, &self.conditions[index]) {
            return Err(Outcome::NotHere(why.to_owned()));
        }
        let senders: Vec<&&HostRow> = self.rows[index].iter().filter(|row| row.role == Role::Sender).collect();
        match senders.first() {
            None => unknown("it was not measured, since the run ended before".to_owned()),
            Some(first) if !senders.iter().any(|row| row.counts_valid) => {
                unknown(format!("no repeat could be used: {}", first.invalid_reason))
            }
            Some(_) => Err(not_measured()),
        }
    }

    /// What the machine lacks for a figure in a condition, if it is that.
    fn lacking(&self, metric: &Metric, condition: &Condition) -> Option<&str> {
        let for_metric = self.limits.iter().find_map(|limit| match limit {
            Limit::KernelCpu(why) => (metric.name.starts_with("cpu_") && metric.name != "cpu_app").then_some(why),
            Limit::Work(why) => (metric.name == "work").then_some(why),
            Limit::NicFilter(_) => None,
        });
        let for_condition = || {
            self.limits.iter().find_map(|limit| match limit {
                Limit::NicFilter(why) => (condition.network.nic == Nic::Filter).then_some(why),
                Limit::KernelCpu(_) | Limit::Work(_) => None,
            })
        };
        for_metric.or_else(for_condition).map(String::as_str)
    }
}

fn not_measured() -> Outcome {
    Outcome::Unknown("not measured".to_owned())
}

/// What the figure of one condition says.
fn amount(claim: &Claim, range: &Range, values: &TrialValues) -> Result<Finding, Outcome> {
    let rounds: Vec<f64> = TrialValues::by_round(&[values]).concat();
    let Estimate { n, mean, ci95, .. } = Estimate::of(&rounds).ok_or_else(not_measured)?;
    // No metric is below 0.
    let ci95 = ci95.map(|(low, high)| if mean < 0.0 { (low, high) } else { (low.max(0.0), high) });
    let scale = Scale::of(words::unit_of(claim), mean, &range.not_to_look_like(ci95));
    let figure = scale.with_interval(scale.with_unit(mean), ci95);
    Ok(Finding::of_effect(range, Effect { n, value: mean, ci95 }, figure).from(&[values], n))
}

/// What the figures of two conditions say, round by round; `whose` says of an amount that it is the second's.
fn compared(
    claim: &Claim,
    by: Comparison,
    range: &Range,
    both: &[&TrialValues; 2],
    whose: &dyn Fn(&str) -> String,
) -> Result<Finding, Outcome> {
    let rounds: Vec<(f64, f64)> = TrialValues::by_round(both).iter().map(|round| (round[0], round[1])).collect();
    if rounds.is_empty() {
        return Err(no_round());
    }
    let others: Vec<f64> = rounds.iter().map(|(_, other)| *other).collect();
    // What varies by factors, as times of messages do, has its usual value there.
    let is_time = Metric::named(&claim.figure.metric).is_some_and(Metric::is_time);
    let usual = if is_time { stats::geometric_mean(&others) } else { None };
    let other = usual.or_else(|| stats::mean(&others)).ok_or_else(not_measured)?;
    let whose = whose(&Scale::of(both[1].unit, other, &[]).with_unit(other));
    let unit = words::unit_of(claim);
    let finding = match by {
        Comparison::Ratio if others.iter().all(|other| *other == 0.0) => {
            return Err(Outcome::Unknown(format!("nothing can be compared with {whose}")));
        }
        Comparison::Ratio => {
            let ratio = Ratio::of(&rounds);
            let ratio = ratio.ok_or_else(|| Outcome::Unknown(format!("{whose} may as well be 0")))?;
            Finding::of_ratio(range, ratio, unit, &whose)
        }
        Comparison::Difference => {
            let effect = paired::difference(&rounds).ok_or_else(not_measured)?;
            let scale = Scale::of(unit, effect.value, &range.not_to_look_like(effect.ci95));
            let figure = scale.with_interval(scale.change(effect.value), effect.ci95);
            Finding::of_effect(range, effect, format!("{figure} against {whose}"))
        }
    };
    Ok(finding.from(both, rounds.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Bound;
    use crate::lab::claim::{Against, Expect, Growth, Selector, Tolerance};
    use crate::lan::SwitchKind;
    use crate::run::condition::HostGroup;
    use crate::run::{Case, Design};
    use crate::units::{Mode, Rate};

    const MESSAGES: f64 = 1000.0;

    fn plan(case: Case) -> MeasurePlan {
        Design { cases: vec![case], trials: 3, seed: 1, try_rates: Vec::new() }.plan().unwrap()
    }

    /// 21 hosts, unicast and broadcast to 4, 8 and 16 receivers.
    fn over_receivers() -> MeasurePlan {
        plan(Case { modes: vec![Mode::Unicast, Mode::Broadcast], receivers: vec![4, 8, 16], ..Case::default() })
    }

    /// One condition.
    fn single() -> MeasurePlan {
        plan(Case { modes: vec![Mode::Unicast], ..Case::default() })
    }

    /// A row for each host in each of so many trials of each condition, filled in by `fill` (trials from 0).
    fn rows(plan: &MeasurePlan, trials: usize, fill: impl Fn(&Condition, usize, &mut HostRow)) -> Vec<HostRow> {
        let mut rows = Vec::new();
        for condition in &plan.conditions {
            for trial in 0..trials {
                for host in 0..condition.hosts() {
                    let (name, role) = (format!("h{}", host + 1), condition.role(host));
                    let mut row = HostRow::new("1f", &condition.name, condition.mode, trial as u32 + 1, &name, role);
                    row.group = condition.group_of(host).map(|group| group.name.clone()).unwrap_or_default();
                    row.duration_s = Some(0.5);
                    row.messages_sent = (role == Role::Sender).then_some(MESSAGES as u64);
                    fill(condition, trial, &mut row);
                    rows.push(row);
                }
            }
        }
        rows
    }

    /// Frames for each message, as a link counts them.
    fn frames(per_message: f64) -> Option<u64> {
        Some((per_message * MESSAGES).round() as u64)
    }

    /// CPU time in µs for each message, as the scheduler counts it.
    fn cpu(per_message: f64) -> Option<u64> {
        Some((per_message * MESSAGES * 1e3).round() as u64)
    }

    fn bound(text: &str) -> Bound {
        Bound::parse(text).unwrap()
    }

    fn modes(modes: &[Mode]) -> Selector {
        Selector::default().and(Factor::Mode, modes.to_vec())
    }

    fn ratio_to(mode: Mode) -> Option<Against> {
        Some(Against { select: modes(&[mode]), by: Comparison::Ratio, metric: None })
    }

    fn claim(metric: &str, role: &str, select: Selector, test: Test) -> Claim {
        Claim {
            statement: "L3".to_owned(),
            says: "so it is".to_owned(),
            figure: Figure { metric: metric.to_owned(), role: role.to_owned() },
            select,
            against: None,
            test,
            expect: Expect::Holds,
        }
    }

    fn judged(claim: &Claim, plan: &MeasurePlan, rows: &[HostRow]) -> ClaimRow {
        judge(std::slice::from_ref(claim), plan, rows, &[]).remove(0)
    }

    /// Verdict, figures and remark.
    fn said(row: &ClaimRow) -> (&str, &str, &str) {
        (&row.verdict, &row.figures, &row.remark)
    }

    #[test]
    fn exact_counts_decide_at_once() {
        let plan = over_receivers();
        let sent = |condition: &Condition, _: usize, row: &mut HostRow| {
            let copies = condition.mode.copies_per_message(condition.count(Role::Receiver));
            row.link_tx_frames = frames(if row.role == Role::Sender { copies as f64 } else { 0.0 });
        };
        let about = Test::About(bound("receivers"), Tolerance::Relative(0.01));
        let claim = claim("link_tx_frames", "sender", modes(&[Mode::Unicast]), about);
        for trials in [1, 2, 5] {
            let row = judged(&claim, &plan, &rows(&plan, trials, sent));
            assert_eq!(row.judged, "frames sent by the sender per message, unicast: about receivers, ± 1 %");
            assert_eq!(said(&row), ("holds", "4.00 with 4 receivers … 16.0 with 16 receivers", ""));
            assert_eq!((row.claim, row.statement.as_str(), row.says.as_str()), (1, "L3", "so it is"));
            assert_eq!((row.expect.as_str(), row.as_expected), ("holds", true));
        }
        // The same of broadcast is wrong at once, and of both modes it holds on the one.
        let wrong = Claim { select: modes(&[Mode::Broadcast]), ..claim.clone() };
        let row = judged(&wrong, &plan, &rows(&plan, 1, sent));
        assert_eq!(said(&row), ("does-not-hold", "1.00 in all 3 conditions", ""));
        assert!(!row.as_expected);
        let expected = Claim { expect: Expect::Fails, ..wrong };
        let row = judged(&expected, &plan, &rows(&plan, 1, sent));
        assert_eq!((row.expect.as_str(), row.as_expected), ("fails", true));
        let both = Claim { select: Selector::default(), ..claim };
        let row = judged(&both, &plan, &rows(&plan, 1, sent));
        assert_eq!(
            said(&row),
            (
                "holds-only-on",
                "holds: 4.00 with 4 receivers … 16.0 with 16 receivers · does not: 1.00 in all 3 conditions",
                "unicast"
            )
        );
        assert!(!row.as_expected);
    }

    #[test]
    fn the_boundary_belongs_to_the_claim() {
        let plan = single();
        let rows = rows(&plan, 3, |_, _, row| row.link_rx_frames = frames(1.01));
        let of = |test| judged(&claim("link_rx_frames", "receiver", Selector::default(), test), &plan, &rows).verdict;
        assert_eq!(of(Test::AtMost(bound("1.01"))), "holds");
        assert_eq!(of(Test::AtMost(bound("1.009"))), "does-not-hold");
        assert_eq!(of(Test::AtLeast(bound("1.01"))), "holds");
        assert_eq!(of(Test::AtLeast(bound("1.011"))), "does-not-hold");
        assert_eq!(of(Test::About(bound("1"), Tolerance::Relative(0.01))), "holds");
        assert_eq!(of(Test::About(bound("1"), Tolerance::Absolute(0.009))), "does-not-hold");
        let row = judged(
            &claim("link_rx_frames", "receiver", Selector::default(), Test::AtMost(bound("1.009"))),
            &plan,
            &rows,
        );
        assert_eq!(row.figures, "1.010", "as many digits as show what is wrong");
    }

    #[test]
    fn a_time_decides_by_its_interval() {
        const SPREAD: [f64; 5] = [3.0, 4.0, 5.0, 3.5, 4.5];
        let plan = single();
        let spread = |trials| {
            let fill = |_: &Condition, trial: usize, row: &mut HostRow| row.cpu_total_ns = cpu(SPREAD[trial]);
            rows(&plan, trials, fill)
        };
        let of = |limit: &str, trials| {
            let claim = claim("cpu_total", "bystander", Selector::default(), Test::AtMost(bound(limit)));
            judged(&claim, &plan, &spread(trials))
        };
        // By SciPy: 4 ± 0.98162; for 0.3 it takes 25 more.
        assert_eq!(said(&of("4.99", 5)), ("holds", "4.00 µs [3.02, 4.98]", ""));
        assert_eq!(said(&of("3.01", 5)), ("does-not-hold", "4.00 µs [3.02, 4.98]", ""));
        let noisy = of("4.3", 5);
        assert_eq!(noisy.judged, "CPU time of each bystander per message: at most 4.3 µs");
        assert_eq!(said(&noisy).2, "too noisy: 25 more repeats would probably decide");
        assert_eq!((noisy.verdict.as_str(), noisy.as_expected), ("undecided", false));
        assert_eq!(said(&of("4", 5)).2, "too near the bound for more repeats to decide");
        assert_eq!(
            said(&of("100", 1)),
            ("undecided", "3.00 µs", "too few repeats for an interval: 2 more repeats would do")
        );
        assert_eq!(of("100", 2).verdict, "holds");
    }

    #[test]
    fn a_ratio_to_the_counterpart() {
        let plan = over_receivers();
        let of = |bystander: [f64; 3], trials| {
            rows(&plan, trials, |condition, trial, row| {
                let broadcast = [5.0, 5.2, 5.4][trial];
                row.cpu_total_ns = cpu(if condition.mode == Mode::Broadcast { broadcast } else { bystander[trial] });
            })
        };
        let select = modes(&[Mode::Unicast]).and(Factor::Receivers, [8usize]);
        let against = |test| Claim {
            against: ratio_to(Mode::Broadcast),
            ..claim("cpu_total", "bystander", select.clone(), test)
        };
        // By hand, of the logarithms: 0.0034962 [0.0009668, 0.0126433].
        let few = against(Test::AtMost(bound("0.05")));
        let row = judged(&few, &plan, &of([0.01, 0.02, 0.03], 3));
        assert_eq!(
            row.judged,
            "CPU time of each bystander per message, unicast, 8 receivers, against broadcast: at most 5 %"
        );
        assert_eq!(said(&row), ("holds", "0.35 % of broadcast's 5.20 µs [0.10 %, 1.26 %]", ""));
        let row = judged(&against(Test::AtMost(bound("0.01"))), &plan, &of([0.01, 0.02, 0.03], 3));
        assert_eq!(row.verdict, "undecided");
        let row = judged(&few, &plan, &of([0.0; 3], 3));
        assert_eq!(said(&row), ("holds", "0 % of broadcast's 5.20 µs", ""));
        // 3.0744 [2.8957, 3.2642].
        let many = against(Test::AtLeast(bound("2.5")));
        let row = judged(&many, &plan, &of([15.0, 16.0, 17.0], 3));
        assert_eq!(said(&row), ("holds", "3.07 times broadcast's 5.20 µs [2.90, 3.26]", ""));
        assert!(row.judged.ends_with("against broadcast: at least 2.5 times"), "{}", row.judged);
        let row = judged(&many, &plan, &of([15.0; 3], 1));
        assert_eq!(row.remark, "too few repeats for an interval: 2 more repeats would do");
    }

    #[test]
    fn times_are_compared_by_geometric_means() {
        let plan = over_receivers();
        let rows = rows(&plan, 3, |condition, trial, row| {
            let us = if condition.mode == Mode::Broadcast { [50, 50, 400][trial] } else { [300, 300, 300][trial] };
            row.latency_p99_ns = Some(us * 1000);
        });
        let select = modes(&[Mode::Unicast]).and(Factor::Receivers, [8usize]);
        let times = Claim {
            against: ratio_to(Mode::Broadcast),
            expect: Expect::HoldsIfDecided,
            ..claim("latency_p99", "receiver", select, Test::AtLeast(bound("1")))
        };
        let row = judged(&times, &plan, &rows);
        // By SciPy: 3 [0.1520, 59.204]; one slow trial counts as one of three.
        assert_eq!(row.figures, "300 % of broadcast's 100 µs [15 %, 5,920 %]");
        assert_eq!(
            (row.verdict.as_str(), row.expect.as_str(), row.as_expected),
            ("undecided", "holds-if-decided", true)
        );
    }

    #[test]
    fn nothing_is_compared_with_nothing() {
        let plan = over_receivers();
        let of = |broadcast: [f64; 2]| {
            let rows = rows(&plan, 2, |condition, trial, row| {
                row.cpu_total_ns = cpu(if condition.mode == Mode::Broadcast { broadcast[trial] } else { 1.0 });
            });
            let claim = Claim {
                against: ratio_to(Mode::Broadcast),
                ..claim("cpu_total", "bystander", modes(&[Mode::Unicast]), Test::AtMost(bound("1")))
            };
            judged(&claim, &plan, &rows)
        };
        let row = of([0.0; 2]);
        assert_eq!(
            (row.verdict.as_str(), row.remark.as_str()),
            ("undecided", "nothing can be compared with broadcast's 0 µs")
        );
        let row = of([0.0, 2.0]);
        assert_eq!((row.verdict.as_str(), row.remark.as_str()), ("undecided", "broadcast's 1.00 µs may as well be 0"));
        let itself = Claim {
            against: ratio_to(Mode::Unicast),
            ..claim(
                "cpu_total",
                "bystander",
                modes(&[Mode::Unicast]).and(Factor::Receivers, [4usize]),
                Test::AtMost(bound("1")),
            )
        };
        let row = judged(&itself, &plan, &[]);
        assert_eq!(row.remark, "unicast-4 could be compared with unicast-8 and with unicast-16");
    }

    #[test]
    fn what_grows_and_what_does_not() {
        let plan = over_receivers();
        let of = |base: fn(usize) -> f64, select: Selector, test: Test, trials| {
            let rows = rows(&plan, trials, |condition, trial, row| {
                let base = if condition.mode == Mode::Unicast { base(condition.count(Role::Receiver)) } else { 5.0 };
                row.cpu_total_ns = cpu(base + off(condition, trial));
            });
            judged(&claim("cpu_total", "sender", select, test), &plan, &rows)
        };
        let unicast = || modes(&[Mode::Unicast]);
        let steep = |k| [10.0, 21.0, 40.0][usize::from(k > 4) + usize::from(k > 8)];
        let level = |k| [5.0, 5.1, 4.9][usize::from(k > 4) + usize::from(k > 8)];
        let slight = |k| [5.0, 5.1, 5.32][usize::from(k > 4) + usize::from(k > 8)];

        // By hand, of a slope for each round: 2.4821 [2.4117, 2.5526], and 0.5 [−0.157, 1.157] for no receiver.
        let grows = |least| Test::GrowsWith(Factor::Receivers, Growth::MoreThan(least));
        let row = of(steep, unicast(), grows(0.0), 3);
        assert_eq!(row.judged, "CPU time of the sender per message, unicast: grows with receivers");
        assert_eq!(said(&row), ("holds", "+2.48 µs per receiver [2.41, 2.55], on top of 0.50 µs [−0.16, 1.16]", ""));
        assert_eq!(of(steep, unicast(), grows(2.3), 3).verdict, "holds");
        assert_eq!(of(steep, unicast(), grows(2.5), 3).verdict, "undecided");
        let row = of(steep, unicast(), grows(2.6), 3);
        assert_eq!(row.verdict, "does-not-hold");
        assert!(row.judged.ends_with("grows by more than 2.6 µs per receiver"), "{}", row.judged);
        // 0.0268 [−0.0436, 0.0972]; it takes 4 more.
        let row = of(slight, unicast(), grows(0.0), 3);
        assert_eq!(row.remark, "too noisy: 4 more repeats would probably decide");
        assert_eq!(row.figures, "+0.03 µs per receiver [−0.04, 0.10], on top of 4.89 µs [4.23, 5.55]");

        // −2.57 % [−19.5 %, 14.3 %] of the mean.
        let flat = |off| Test::FlatIn(Factor::Receivers, off);
        let row = of(level, unicast(), flat(Tolerance::Relative(0.25)), 3);
        assert_eq!(row.judged, "CPU time of the sender per message, unicast: flat over receivers, ± 25 %");
        let figures = "−2.57 % [−19.47 %, 14.33 %] from 4 to 16 receivers, 5.00 µs on average";
        assert_eq!(said(&row), ("holds", figures, ""));
        assert_eq!(of(level, unicast(), flat(Tolerance::Relative(0.1)), 3).verdict, "undecided");
        assert_eq!(of(steep, unicast(), flat(Tolerance::Relative(0.1)), 3).verdict, "does-not-hold");
        assert_eq!(of(level, unicast(), flat(Tolerance::Absolute(1.1)), 3).verdict, "holds");

        // A line for each mode; the one through broadcast is level, as far as can be told.
        let row = of(steep, Selector::default(), grows(0.0), 3);
        assert_eq!(
            row.figures,
            "unicast: +2.48 µs per receiver [2.41, 2.55], on top of 0.50 µs [−0.16, 1.16]; \
             broadcast: 0 µs per receiver [−0.07, 0.07], on top of 5.00 µs [4.34, 5.66]"
        );
        assert_eq!(
            (row.verdict.as_str(), row.remark.as_str()),
            ("undecided", "too near the bound in 1 of 2 series for more repeats to decide")
        );
        let row = of(steep, Selector::default(), grows(1.0), 3);
        assert_eq!((row.verdict.as_str(), row.remark.as_str()), ("holds-only-on", "unicast"));
    }

    /// Noise that is no trial's of a round as well as another's.
    fn off(condition: &Condition, trial: usize) -> f64 {
        let receivers = condition.count(Role::Receiver);
        let other = usize::from(condition.mode != Mode::Unicast);
        [-0.2, 0.0, 0.2][(trial + usize::from(receivers > 4) + usize::from(receivers > 8) + other) % 3]
    }

    #[test]
    fn slopes_are_compared_round_by_round() {
        let plan = over_receivers();
        let rows = |drift: [f64; 3]| {
            rows(&plan, 3, |condition, trial, row| {
                let step =
                    usize::from(condition.count(Role::Receiver) > 4) + usize::from(condition.count(Role::Receiver) > 8);
                let base = if condition.mode == Mode::Unicast { [10.0, 21.0, 40.0] } else { [5.0, 6.0, 8.0] };
                row.cpu_total_ns = cpu(base[step] + off(condition, trial) + drift[trial]);
            })
        };
        let of = |by, growth, drift| {
            let select = modes(&[Mode::Broadcast]);
            let against = Some(Against { select, by, metric: None });
            let grows =
                claim("cpu_total", "sender", modes(&[Mode::Unicast]), Test::GrowsWith(Factor::Receivers, growth));
            judged(&Claim { against, ..grows }, &plan, &rows(drift))
        };
        // By hand: 9.969 [7.455, 13.332].
        let row = of(Comparison::Ratio, Growth::MoreThan(5.0), [0.0; 3]);
        let figures = "9.97 times broadcast's 0.25 µs per receiver [7.45, 13.33]";
        assert_eq!(said(&row), ("holds", figures, ""));
        assert!(row.judged.ends_with(", against broadcast: grows with receivers, more than 5 times as steeply"));
        assert_eq!(of(Comparison::Ratio, Growth::AtMost(0.5), [0.0; 3]).verdict, "does-not-hold");
        let row = of(Comparison::Ratio, Growth::About(10.0, Tolerance::Relative(0.5)), [0.0; 3]);
        assert_eq!(row.verdict, "holds");
        // By hand: 2.2321 [2.1102, 2.3541].
        let row = of(Comparison::Difference, Growth::MoreThan(2.0), [0.0; 3]);
        let figures = "+2.23 µs per receiver [2.11, 2.35] against broadcast's 0.25 µs per receiver";
        assert_eq!(said(&row), ("holds", figures, ""));
        assert!(
            row.judged.ends_with("unicast, minus broadcast: grows by more than 2 µs per receiver"),
            "{}",
            row.judged
        );
        assert_eq!(of(Comparison::Difference, Growth::AtMost(2.0), [0.0; 3]).verdict, "does-not-hold");
        let row = of(Comparison::Difference, Growth::MoreThan(0.0), [0.0; 3]);
        assert!(row.judged.ends_with(", minus broadcast: grows with receivers"), "{}", row.judged);
        // What a round has in common is in neither.
        for by in [Comparison::Ratio, Comparison::Difference] {
            let [still, drifting] = [[0.0; 3], [0.0, 30.0, 70.0]].map(|drift| of(by, Growth::MoreThan(1.0), drift));
            assert_eq!(still, drifting);
        }
    }

    #[test]
    fn a_drift_widens_no_comparison() {
        let plan = over_receivers();
        let rows = |drift: [f64; 3]| {
            rows(&plan, 3, |condition, trial, row| {
                let base = if condition.mode == Mode::Broadcast { 5.0 } else { 15.0 + 0.1 * off(condition, trial) };
                row.cpu_total_ns = cpu(base * drift[trial]);
            })
        };
        let of = |by, test, drift| {
            let against = Some(Against { select: modes(&[Mode::Broadcast]), by, metric: None });
            let select = modes(&[Mode::Unicast]).and(Factor::Receivers, [8usize]);
            judged(&Claim { against, ..claim("cpu_total", "sender", select, test) }, &plan, &rows(drift))
        };
        let about = || Test::About(bound("3"), Tolerance::Relative(0.01));
        let drifts = of(Comparison::Ratio, about(), [1.0, 1.5, 2.5]);
        assert_eq!(drifts.figures, "3.00 times broadcast's 8.33 µs [2.99, 3.01]");
        assert_eq!(drifts.verdict, of(Comparison::Ratio, about(), [1.0; 3]).verdict);
        let row = of(Comparison::Difference, Test::AtLeast(bound("9.9")), [1.0; 3]);
        assert_eq!(said(&row), ("holds", "+10.00 µs [9.95, 10.05] against broadcast's 5.00 µs", ""));
        assert!(row.judged.ends_with(", unicast, 8 receivers, minus broadcast: at least 9.9 µs"), "{}", row.judged);
    }

    #[test]
    fn a_round_that_lacks_one_side_is_left_out_and_told() {
        let plan = over_receivers();
        let rows = |lost: fn(&Condition, usize) -> bool| {
            rows(&plan, 4, |condition, trial, row| {
                let base = if condition.mode == Mode::Broadcast { 5.0 } else { 15.0 };
                // One that would be seen.
                let factor = if trial == 0 { 100.0 } else { 1.0 };
                row.cpu_total_ns = cpu(base * factor * condition.count(Role::Receiver) as f64);
                if lost(condition, trial) {
                    (row.valid, row.counts_valid) = (false, false);
                }
            })
        };
        let select = modes(&[Mode::Unicast]).and(Factor::Receivers, [8usize]);
        let ratio = Claim {
            against: ratio_to(Mode::Broadcast),
            ..claim("cpu_total", "sender", select, Test::AtLeast(bound("2")))
        };
        let line = claim(
            "cpu_total",
            "sender",
            modes(&[Mode::Unicast]),
            Test::GrowsWith(Factor::Receivers, Growth::MoreThan(1.0)),
        );
        let first_of_unicast = |condition: &Condition, trial| condition.name == "unicast-8" && trial == 0;
        let row = judged(&ratio, &plan, &rows(first_of_unicast));
        assert_eq!(said(&row), ("holds", "3.00 times broadcast's 40.0 µs", "6 of 8 repeats count"));
        let row = judged(&line, &plan, &rows(first_of_unicast));
        assert_eq!(said(&row), ("holds", "+15.0 µs per receiver, on top of 0 µs", "9 of 12 repeats count"));
        // Each has repeats that count, and no round has both.
        let never_both = |condition: &Condition, trial| (condition.mode == Mode::Unicast) == (trial < 2);
        let row = judged(&ratio, &plan, &rows(never_both));
        assert_eq!(said(&row), ("undecided", "", "no round has a repeat that counts of all that is compared"));
        let other = |condition: &Condition, trial| (condition.name == "unicast-8") == (trial < 2);
        let row = judged(&line, &plan, &rows(other));
        assert_eq!(row.remark, "no round has a repeat that counts of all that is compared");
    }

    #[test]
    fn lines_through_counts() {
        let plan =
            plan(Case { modes: vec![Mode::Unicast, Mode::Broadcast], receivers: vec![4, 16], ..Case::default() });
        let rows = rows(&plan, 1, |condition, _, row| {
            row.link_tx_frames = frames(condition.mode.copies_per_message(condition.count(Role::Receiver)) as f64);
            row.cpu_total_ns = cpu(1.0);
        });
        let of = |metric, mode, test| judged(&claim(metric, "sender", modes(&[mode]), test), &plan, &rows);
        let grows = || Test::GrowsWith(Factor::Receivers, Growth::MoreThan(0.5));
        let flat = || Test::FlatIn(Factor::Receivers, Tolerance::Relative(0.0));
        let row = of("link_tx_frames", Mode::Unicast, grows());
        assert_eq!(said(&row), ("holds", "+1.00 per receiver, on top of 0", ""));
        assert_eq!(of("link_tx_frames", Mode::Broadcast, grows()).verdict, "does-not-hold");
        let row = of("link_tx_frames", Mode::Broadcast, flat());
        assert_eq!(said(&row), ("holds", "0 % from 4 to 16 receivers, 1.00 on average", ""));
        assert_eq!(of("link_tx_frames", Mode::Unicast, flat()).verdict, "does-not-hold");
        let row = of("cpu_total", Mode::Unicast, flat());
        assert_eq!(row.remark, "too few repeats for an interval: 2 more repeats would do");
        let row = of("link_tx_frames", Mode::Unicast, Test::GrowsWith(Factor::Size, Growth::MoreThan(0.0)));
        assert_eq!(
            (row.verdict.as_str(), row.remark.as_str()),
            ("undecided", "a line needs at least two values of size")
        );
    }

    #[test]
    fn where_it_holds_is_told_by_what_sets_it_apart() {
        let plan = plan(Case {
            modes: vec![Mode::Multicast],
            receivers: vec![1, 4, 16],
            switch: vec![SwitchKind::Snooping, SwitchKind::Flooding, SwitchKind::Hub],
            ..Case::default()
        });
        let of = |reaches: fn(&Condition) -> f64| {
            let rows = rows(&plan, 1, |condition, _, row| row.link_rx_frames = frames(reaches(condition)));
            let none = Test::AtMost(bound("0.02"));
            judged(&claim("link_rx_frames", "bystander", modes(&[Mode::Multicast]), none), &plan, &rows)
        };
        let row = of(|condition| if condition.network.switch == SwitchKind::Snooping { 0.0 } else { 1.0 });
        let figures = "holds: 0 in all 3 conditions · does not: 1.00 in all 6 conditions";
        assert_eq!(said(&row), ("holds-only-on", figures, "snooping switch"));
        let row = of(|condition| (condition.count(Role::Receiver) as f64 - 4.0).max(0.0));
        assert_eq!(row.remark, "1 and 4 receivers");
        // First, last, and the worst of those between.
        let row = of(|condition| match (condition.count(Role::Receiver), condition.network.switch) {
            (1, SwitchKind::Snooping) => 1.0,
            (4, SwitchKind::Flooding) => 7.0,
            _ => 2.0,
        });
        assert_eq!(
            row.figures,
            "snooping switch, 1 receiver: 1.00 … hub, 16 receivers: 2.00; worst: flooding switch, 4 receivers: 7.00"
        );
    }

    #[test]
    fn why_a_figure_is_missing() {
        let filter = Case { modes: vec![Mode::Unicast], nic: Nic::ALL.to_vec(), ..Case::default() };
        let plan = plan(filter);
        let limits = [
            Limit::KernelCpu("no kernel threads".to_owned()),
            Limit::NicFilter("no nf_tables".to_owned()),
            Limit::Work("one CPU".to_owned()),
        ];
        let of = |metric, select: Selector, rows: &[HostRow], limits: &[Limit]| {
            let claim = claim(metric, "bystander", select, Test::AtMost(bound("1")));
            judge(&[claim], &plan, rows, limits).remove(0)
        };
        let plain = rows(&plan, 3, |_, _, row| row.link_rx_frames = frames(0.0));
        let any = Selector::default;
        let row = of("cpu_total", any(), &plain, &limits);
        assert_eq!(said(&row), ("cannot-be-shown", "", "no kernel threads"));
        assert!(row.as_expected);
        assert_eq!(of("work", any(), &plain, &limits).remark, "one CPU");
        let row = of("cpu_app", any(), &plain, &limits[..1]);
        assert_eq!(said(&row), ("undecided", "", "not measured"));
        assert!(!row.as_expected);
        let filtered = any().and(Factor::Nic, [Nic::Filter]);
        assert_eq!(of("nic_filtered", filtered.clone(), &plain, &limits).remark, "no nf_tables");

        // Rows of the one kind of card alone: it holds there, and cannot be shown on the other.
        let half: Vec<HostRow> = plain.iter().filter(|row| !row.condition.contains("filter")).cloned().collect();
        let row = of("link_rx_frames", any(), &half, &limits);
        assert_eq!(
            said(&row),
            ("cannot-be-shown", "0", "in 1 of 2 conditions: no nf_tables; it holds in 1 of 2 conditions")
        );
        let row = of("link_rx_frames", any(), &half, &[]);
        assert_eq!(row.remark, "in 1 of 2 conditions: it was not measured, since the run ended before");

        let lost = rows(&plan, 2, |_, _, row| {
            (row.valid, row.counts_valid) = (false, false);
            row.invalid_reason = "backlog left at the end".to_owned();
        });
        let row = of("link_rx_frames", any(), &lost, &limits[..1]);
        assert_eq!(said(&row), ("undecided", "", "no repeat could be used: backlog left at the end"));
        let none = any().and(Factor::Receivers, [7usize]);
        assert_eq!(of("link_rx_frames", none, &plain, &limits).remark, "no condition of this run is meant by it");
        assert_eq!(of("cpus", any(), &plain, &limits).remark, "there is no metric cpus");
    }

    #[test]
    fn a_rate_that_is_no_number() {
        let plan =
            plan(Case { modes: vec![Mode::Unicast], rate: vec![Rate::Max, Rate::PerSecond(500.0)], ..Case::default() });
        let rows = rows(&plan, 2, |_, _, row| row.cpu_app_ns = cpu(1.0));
        let of = |test| judged(&claim("cpu_app", "sender", Selector::default(), test), &plan, &rows);
        let row = of(Test::AtMost(bound("rate")));
        assert_eq!(
            (row.verdict.as_str(), row.remark.as_str()),
            ("undecided", "in 1 of 2 conditions: the rate is max there, which is no number")
        );
        let row = of(Test::GrowsWith(Factor::Rate, Growth::MoreThan(0.0)));
        assert_eq!(row.remark, "a line needs at least two values of rate");
    }

    #[test]
    fn disturbed_repeats_are_told() {
        let plan = single();
        let rows = rows(&plan, 4, |_, trial, row| {
            (row.valid, row.cpu_total_ns, row.link_rx_frames) =
                (trial == 0, cpu(2.0 + trial as f64 / 100.0), frames(1.0));
        });
        let of =
            |metric| judged(&claim(metric, "receiver", Selector::default(), Test::AtMost(bound("3"))), &plan, &rows);
        let row = of("cpu_total");
        assert_eq!((row.verdict.as_str(), row.remark.as_str()), ("holds", "3 of 4 repeats were disturbed"));
        assert_eq!(of("link_rx_frames").remark, "", "which spoils no count");
    }

    #[test]
    fn claims_on_groups_of_hosts() {
        let group = |name: &str, role, count| HostGroup { name: name.to_owned(), ..HostGroup::new(role, count) };
        let groups =
            vec![group("", Role::Sender, 1), group("near", Role::Receiver, 2), group("far", Role::Receiver, 3)];
        let plan = plan(Case { modes: vec![Mode::Multicast], groups, ..Case::default() });
        let rows =
            rows(&plan, 2, |_, _, row| row.messages_received = frames(if row.group == "far" { 0.5 } else { 1.0 }));
        let of = |role| {
            let all = Test::About(bound("1"), Tolerance::Relative(0.001));
            judged(&claim("delivered", role, Selector::default(), all), &plan, &rows)
        };
        assert_eq!(said(&of("near")), ("holds", "100.0 %", ""));
        assert_eq!(said(&of("far")), ("does-not-hold", "50.0 %", ""));
        assert_eq!(said(&of("receiver")), ("does-not-hold", "70.0 %", ""));
        assert_eq!(
            of("far").judged,
            "share of the messages that reached each host of 'far': about 100 %, ± 0.1 % of that"
        );
    }

    #[test]
    fn what_a_file_holds_never_panics() {
        let plan = over_receivers();
        let tests = || {
            let off = [Tolerance::Relative(f64::NAN), Tolerance::Absolute(f64::INFINITY), Tolerance::Relative(-1.0)];
            let lines = off.map(|off| Test::FlatIn(Factor::Receivers, off));
            let about = off.map(|off| Test::About(bound("receivers"), off));
            let grows =
                [f64::NAN, f64::INFINITY, 0.0].map(|least| Test::GrowsWith(Factor::Receivers, Growth::MoreThan(least)));
            lines.into_iter().chain(about).chain(grows).chain([Test::AtMost(bound("1/(receivers-4)"))])
        };
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e308, 1e-308] {
            let rows = rows(&plan, 2, |_, trial, row| {
                (row.duration_s, row.work_per_s) = (Some(value), Some(if trial == 0 { value } else { 1.0 }));
                (row.cpu_total_ns, row.last_received_s) = (Some(u64::MAX), Some(value));
            });
            for (metric, role) in
                [("work", "bystander"), ("cpu_load", "sender"), ("last_received", "receiver"), ("rate", "sender")]
            {
                for test in tests() {
                    let plain = claim(metric, role, modes(&[Mode::Unicast]), test);
                    let ratio = Claim { against: ratio_to(Mode::Broadcast), ..plain.clone() };
                    for row in judge(&[plain, ratio], &plan, &rows, &[]) {
                        assert!(!row.judged.is_empty() && !row.figures.contains("NaN"), "{row:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_wider_tolerance_never_turns_against_the_claim() {
        let plan = single();
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let rank =
            |row: ClaimRow| ["does-not-hold", "undecided", "holds"].iter().position(|verdict| *verdict == row.verdict);
        let mut seen = [0; 3];
        for _ in 0..300 {
            let (base, spread) = (random() * 5.0, random().powi(3));
            let costs: Vec<f64> = (0..4).map(|_| base + spread * random()).collect();
            let rows = rows(&plan, 4, |_, trial, row| row.cpu_total_ns = cpu(costs[trial]));
            let (limit, off, wider) = (random() * 5.0, random(), random());
            let at = |value: f64| bound(&format!("{value:.6}"));
            for (narrow, wide) in [
                (Test::AtMost(at(limit)), Test::AtMost(at(limit + wider))),
                (Test::AtLeast(at(limit + wider)), Test::AtLeast(at(limit))),
                (
                    Test::About(at(limit), Tolerance::Relative(off)),
                    Test::About(at(limit), Tolerance::Relative(off + wider)),
                ),
            ] {
                let of = |test| {
                    rank(judged(&claim("cpu_total", "receiver", Selector::default(), test), &plan, &rows)).unwrap()
                };
                let (before, after) = (of(narrow), of(wide));
                seen[before] += 1;
                assert!(after >= before, "{costs:?} {limit} {off} {wider}");
            }
        }
        assert!(seen.iter().all(|times| *times > 20), "each verdict was met: {seen:?}");
    }

    #[test]
    fn predictions_beside_what_was_measured() {
        let plan = over_receivers();
        let rows = rows(&plan, 3, |condition, trial, row| {
            row.link_rx_frames = frames(1.0);
            row.cpu_total_ns = cpu(condition.count(Role::Receiver) as f64 + trial as f64);
        });
        let question = |metric: &str| Question {
            ask: "How much?".to_owned(),
            figure: Figure { metric: metric.to_owned(), role: "bystander".to_owned() },
            select: modes(&[Mode::Broadcast]).and(Factor::Receivers, [8usize]),
        };
        let (estimate, unit) = measured(&question("cpu_total"), &plan, &rows).unwrap();
        assert_eq!((estimate.n, estimate.mean, unit), (3, 9.0, "us/message"));
        let row = prediction(2, &question("cpu_total"), Some(5.0), &plan, &rows);
        assert_eq!((row.question, row.guess, row.measured, row.unit.as_str()), (2, Some(5.0), Some(9.0), "us/message"));
        assert!(row.ci95_low.is_some_and(|low| low < 9.0) && row.ci95_high.is_some_and(|high| high > 9.0));
        let row = prediction(1, &question("work"), None, &plan, &rows);
        assert_eq!((row.measured, row.ci95_low, row.unit.as_str()), (None, None, "pieces/s"));
    }
}
