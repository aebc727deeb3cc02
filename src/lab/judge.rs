//! Claims and predictions held against the rows of a run.

use super::aspect::Aspect;
use super::claim::{Claim, Expect, Factor, Figure, Question, Test};
use super::comparison;
use super::line::Points;
use super::verdict::{Finding, Outcome, Precision, Range, Verdict};
use super::words::{self, Findings};
use crate::lan::Nic;
use crate::results::figure::Scale;
use crate::results::metric::Metric;
use crate::results::row::{ClaimRow, HostRow, PredictionRow};
use crate::results::stats::{Estimate, Ratio};
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
                Findings { all: selected.iter().map(finding).collect(), swept: Vec::<Aspect>::new() }
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
            expect: if claim.expect == Expect::Fails { "fails" } else { "holds" }.to_owned(),
            verdict: verdict.as_str().to_owned(),
            as_expected: verdict.is_as_expected(claim.expect),
            figures: findings.figures(verdict),
            remark,
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
            let values = self.values(&claim.figure, index)?;
            match &claim.against {
                None => self.amount(claim, &range, &values),
                Some(against) => {
                    let other = comparison::counterpart(self.conditions, index, &claim.select, against);
                    let other = other.map_err(Outcome::Unknown)?;
                    let others = self.values(&claim.figure, other)?;
                    let whose = |amount: &str| words::of_counterpart(against, &self.conditions[other], amount);
                    self.ratio(claim, &range, &values, &others, &whose)
                }
            }
        };
        finding().unwrap_or_else(Finding::without_figure)
    }

    fn amount(&self, claim: &Claim, range: &Range, values: &TrialValues) -> Result<Finding, Outcome> {
        let estimate = Estimate::of(&repeated(values)).ok_or_else(not_measured)?;
        // No metric is below 0.
        let interval =
            estimate.ci95.map(|(low, high)| if estimate.mean < 0.0 { (low, high) } else { (low.max(0.0), high) });
        let trials = values.values.len();
        let outcome = interval.map_or_else(
            || Outcome::too_few(trials),
            |interval| {
                let precision = Precision { trials, df: estimate.n - 1, df_per_trial: 1 };
                Outcome::of(range, estimate.mean, interval, precision, |value| value)
            },
        );
        let scale = Scale::of(words::unit_of(claim), estimate.mean, &range.not_to_look_like(interval));
        Ok(Finding {
            outcome,
            figure: scale.with_interval(scale.with_unit(estimate.mean), interval),
            margin: range.margin(estimate.mean),
            trials,
            doubtful: values.doubtful,
        })
    }

    fn ratio(
        &self,
        claim: &Claim,
        range: &Range,
        values: &TrialValues,
        others: &TrialValues,
        whose: &dyn Fn(&str) -> String,
    ) -> Result<Finding, Outcome> {
        let other = Estimate::of(&others.values).ok_or_else(not_measured)?.mean;
        let amount = Scale::of(others.unit, other, &[]).with_unit(other);
        let of_zero = || Outcome::Unknown(format!("nothing can be compared with {}", whose(&amount)));
        let ratio = Ratio::of(&repeated(values), &repeated(others)).ok_or_else(of_zero)?;
        let trials = values.values.len().min(others.values.len());
        let outcome = match ratio.ci95 {
            Some(interval) => {
                let df = (values.values.len() + others.values.len()).saturating_sub(2).max(1);
                Outcome::of(range, ratio.ratio, interval, Precision { trials, df, df_per_trial: 2 }, f64::ln)
            }
            None if trials < 2 => Outcome::too_few(trials),
            None => Outcome::Unknown(format!("{} may as well be 0", whose(&amount))),
        };
        let scale = Scale::of(words::unit_of(claim), ratio.ratio, &range.not_to_look_like(ratio.ci95));
        let of = if words::unit_of(claim) == "ratio" { " of" } else { "" };
        let figure = format!("{}{of} {}", scale.with_unit(ratio.ratio), whose(&amount));
        Ok(Finding {
            outcome,
            figure: scale.with_interval(figure, ratio.ci95),
            margin: range.margin(ratio.ratio),
            trials: values.values.len() + others.values.len(),
            doubtful: values.doubtful + others.doubtful,
        })
    }

    /// What the conditions on a line say of a claim about the line.
    fn along(&self, claim: &Claim, line: &[usize], factor: Factor) -> Finding {
        let finding = || {
            if claim.against.is_some() {
                return Err(Outcome::Unknown("a line goes through figures, not through ratios".to_owned()));
            }
            if !comparison::varies(self.conditions, line, factor) {
                return Err(Outcome::Unknown(format!("a line needs at least two values of {factor}")));
            }
            let mut points = Points::of(line.len());
            for &index in line {
                let no_number = || Outcome::Unknown("the rate max is no number".to_owned());
                let x = factor.of(&self.conditions[index]).ok_or_else(no_number)?;
                points.add(x, &self.values(&claim.figure, index)?);
            }
            let unit = words::unit_of(claim);
            let finding = match claim.test {
                Test::GrowsWith(_, least) => points.grow(factor, least, unit),
                Test::FlatIn(_, tolerance) => points.stay(factor, tolerance, unit),
                Test::AtMost(_) | Test::AtLeast(_) | Test::About(..) => None,
            };
            finding.ok_or_else(not_measured)
        };
        finding().unwrap_or_else(Finding::without_figure)
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
        if let Some(why) = self.limits.iter().find_map(|limit| explains(limit, metric, &self.conditions[index])) {
            return Err(Outcome::NotHere(why));
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
}

/// What a machine lacks for this figure in this condition, if it is that.
fn explains(limit: &Limit, metric: &Metric, condition: &Condition) -> Option<String> {
    let (why, is_it) = match limit {
        Limit::KernelCpu(why) => (why, metric.name.starts_with("cpu_") && metric.name != "cpu_app"),
        Limit::NicFilter(why) => (why, condition.network.nic == Nic::Filter),
        Limit::Work(why) => (why, metric.name == "work"),
    };
    is_it.then(|| why.clone())
}

fn not_measured() -> Outcome {
    Outcome::Unknown("not measured".to_owned())
}

/// A count is exact: one trial tells as much of it as two that are alike.
fn repeated(values: &TrialValues) -> Vec<f64> {
    match values.values[..] {
        [only] if values.is_count => vec![only, only],
        _ => values.values.clone(),
    }
}
