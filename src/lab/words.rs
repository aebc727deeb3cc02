//! What is judged, and the figures of it, in words: for a table in the terminal and a page on the wall.

use super::bound::Bound;
use super::claim::{Against, Claim, Comparison, Figure, Growth, Selector, Test, Tolerance};
use super::telling;
use super::verdict::{Finding, Outcome, Verdict};
use crate::results::factor::{Factor, Value};
use crate::results::figure;
use crate::results::metric::Metric;
use crate::results::trial::Who;
use crate::run::Condition;

/// What a claim judges: `frames sent by the sender per message, unicast: about receivers, ± 1 %`.
pub fn judged(claim: &Claim) -> String {
    let mut words = figure_in_words(&claim.figure);
    let select = telling::selector_in_words(&claim.select);
    if !select.is_empty() {
        words += &format!(", {select}");
    }
    if let Some(Against { select, by, metric }) = &claim.against {
        let beside = match by {
            Comparison::Ratio => "against",
            Comparison::Difference => "minus",
        };
        let select = telling::selector_in_words(select);
        let other = metric.as_ref().map(|_| figure_in_words(&claim.other_figure()));
        let other = other.map_or_else(String::new, |other| format!("{other}, "));
        words += &format!(", {beside} {other}{}", if select.is_empty() { "any" } else { &select });
    }
    format!("{words}: {}", test_in_words(&claim.test, unit_of(claim), is_ratio(claim)))
}

fn figure_in_words(figure: &Figure) -> String {
    match (Metric::named(&figure.metric), Who::named(&figure.role)) {
        (Some(metric), Some(who)) => metric.in_words(who),
        _ => format!("{} of {}", figure.metric, figure.role),
    }
}

fn is_ratio(claim: &Claim) -> bool {
    claim.against.as_ref().is_some_and(|against| against.by == Comparison::Ratio)
}

/// The unit of what is compared with the bound: the metric's, or that of a ratio.
pub fn unit_of(claim: &Claim) -> &'static str {
    let bound = match &claim.test {
        Test::AtMost(bound) | Test::AtLeast(bound) | Test::About(bound, _) => bound.constant(),
        Test::GrowsWith(_, Growth::MoreThan(growth) | Growth::AtMost(growth) | Growth::About(growth, _)) => {
            Some(*growth)
        }
        Test::FlatIn(..) => None,
    };
    match bound {
        // A part is read best in percent, a multiple as one.
        Some(bound) if is_ratio(claim) && bound <= 1.0 => "ratio",
        _ if is_ratio(claim) => "times",
        _ => Metric::named(&claim.figure.metric).map_or("", |metric| metric.unit),
    }
}

fn test_in_words(test: &Test, unit: &str, is_ratio: bool) -> String {
    let is_share = figure::chosen(unit, 1.0).ends_with('%');
    let bound_in_words = |bound: &Bound| match bound.constant() {
        Some(value) => figure::chosen(unit, value),
        None if is_share => bound.to_string(),
        None => format!("{bound}{}", unit_alone(unit)),
    };
    let tolerance_in_words = |tolerance: &Tolerance| match *tolerance {
        Tolerance::Relative(share) if is_share => format!("± {} of that", figure::chosen("ratio", share)),
        Tolerance::Relative(share) => format!("± {}", figure::chosen("ratio", share)),
        Tolerance::Absolute(amount) if is_share => format!("± {} points", figure::chosen("", amount * 100.0)),
        Tolerance::Absolute(amount) => format!("± {}", figure::chosen(unit, amount)),
    };
    match test {
        Test::AtMost(bound) => format!("at most {}", bound_in_words(bound)),
        Test::AtLeast(bound) => format!("at least {}", bound_in_words(bound)),
        Test::About(bound, tolerance) => {
            format!("about {}, {}", bound_in_words(bound), tolerance_in_words(tolerance))
        }
        Test::GrowsWith(factor, Growth::MoreThan(least)) if *least == 0.0 => {
            format!("grows with {}", factor_in_words(*factor))
        }
        Test::GrowsWith(factor, growth) => {
            let (step, noun) = factor.step();
            let (bound, amount, off) = match growth {
                Growth::MoreThan(least) => ("more than", least, None),
                Growth::AtMost(most) => ("at most", most, None),
                Growth::About(growth, tolerance) => ("about", growth, Some(tolerance)),
            };
            let off = off.map_or_else(String::new, |off| format!(", {}", tolerance_in_words(off)));
            if is_ratio {
                let amount = figure::chosen(unit, *amount);
                return format!("grows with {}, {bound} {amount} as steeply{off}", factor_in_words(*factor));
            }
            format!("grows by {bound} {} per {noun}{off}", figure::chosen(unit, amount * step))
        }
        Test::FlatIn(factor, tolerance) => {
            format!("flat over {}, {}", factor_in_words(*factor), tolerance_in_words(tolerance))
        }
    }
}

/// The unit beside an expression, whose value is in it.
fn unit_alone(unit: &str) -> &'static str {
    match unit {
        "us/message" | "us/wake-up" => " µs",
        "ns" => " ns",
        "s" => " s",
        "times" => " times",
        _ => "",
    }
}

fn factor_in_words(factor: Factor) -> &'static str {
    factor.about().number.map_or(factor.about().key, |number| number.in_words)
}

/// `from 4 to 32 receivers`
pub fn from_to(factor: Factor, first: f64, last: f64) -> String {
    let first = figure::count(first);
    match factor {
        Factor::Ttl => format!("from TTL {first} to {}", figure::count(last)),
        _ => format!("from {first} to {}", factor.in_words(&[Value::Number(last)], &[])),
    }
}

/// What a ratio is of: `broadcast's 5.21 µs`, `5.21 µs (hub)`.
pub fn of_counterpart(against: &Selector, counterpart: &Condition, amount: &str) -> String {
    let named: Vec<Factor> = against.factors().collect();
    match named[..] {
        [Factor::Mode] => format!("{}'s {amount}", counterpart.mode),
        _ => format!("{amount} ({})", telling::condition_in_words(counterpart, &named)),
    }
}

/// Findings with the conditions they stand for, to be put into words.
pub struct Findings<'a> {
    /// In the order of the plan; each with the condition it is about, or the first on its line.
    pub all: Vec<(&'a Condition, Finding)>,
    /// Factors that vary along a line.
    pub swept: Vec<Factor>,
}

impl Findings<'_> {
    /// The figures of all of them; of many, the first, the last and the worst.
    pub fn figures(&self, verdict: Verdict) -> String {
        let told = |outcome: Option<Outcome>| {
            let with_figure = self.all.iter().filter(|(_, finding)| !finding.figure.is_empty());
            let wanted = with_figure.filter(|(_, finding)| outcome.as_ref().is_none_or(|o| finding.outcome == *o));
            self.told(&wanted.collect::<Vec<_>>())
        };
        match verdict {
            Verdict::HoldsOnlyOn => {
                format!("holds: {} · does not: {}", told(Some(Outcome::Holds)), told(Some(Outcome::Fails)))
            }
            _ => told(None),
        }
    }

    fn told(&self, findings: &[&(&Condition, Finding)]) -> String {
        let (first, last) = match findings {
            [] => return String::new(),
            [(_, only)] => return only.figure.clone(),
            [(_, first), .., (_, last)] => (first, last),
        };
        if findings.iter().all(|(_, finding)| finding.figure == first.figure) {
            let them = if self.swept.is_empty() { "conditions" } else { "series" };
            return format!("{} in all {} {them}", first.figure, findings.len());
        }
        let conditions: Vec<&Condition> = findings.iter().map(|(condition, _)| *condition).collect();
        let by: Vec<Factor> = telling::telling(&conditions, &self.swept);
        let is_number = !by.is_empty() && by.iter().all(|factor| factor.about().number.is_some());
        let one = |(condition, finding): &(&Condition, Finding)| {
            let place = telling::condition_in_words(condition, &by);
            if is_number { format!("{} with {place}", finding.figure) } else { format!("{place}: {}", finding.figure) }
        };
        let separator = if is_number { " and " } else { "; " };
        let ends = |between: &str| format!("{}{between}{}", one(findings[0]), one(findings[findings.len() - 1]));
        if findings.len() == 2 {
            return ends(separator);
        }
        let within = &findings[1..findings.len() - 1];
        let worst = within.iter().min_by(|(_, a), (_, b)| a.margin.total_cmp(&b.margin));
        let worst = worst.filter(|(_, worst)| worst.margin < first.margin.min(last.margin));
        ends(" … ") + &worst.map_or_else(String::new, |worst| format!("; worst: {}", one(worst)))
    }

    /// Where it holds only, how many more repeats it would take, or why it cannot be told; empty where all is said.
    pub fn remark(&self, verdict: Verdict) -> String {
        let mut remarks = Vec::new();
        match verdict {
            Verdict::HoldsOnlyOn => {
                let with = |outcome: Outcome| {
                    let these = self.all.iter().filter(move |(_, finding)| finding.outcome == outcome);
                    these.map(|(condition, _)| *condition).collect::<Vec<_>>()
                };
                remarks.push(telling::in_common(&with(Outcome::Holds), &with(Outcome::Fails), &self.swept));
                remarks.extend(self.open().map(|open| format!("not to be told {open}")));
            }
            Verdict::DoesNotHold => remarks.extend(self.open().map(|open| format!("not to be told {open}"))),
            Verdict::Undecided => remarks.extend(self.why_open()),
            Verdict::CannotBeShown => remarks.extend(self.why_not_here()),
            Verdict::Holds => {}
        }
        let total = |of: fn(&Finding) -> usize| self.all.iter().map(|(_, finding)| of(finding)).sum::<usize>();
        let (trials, run, doubtful) = (total(|of| of.trials), total(|of| of.run), total(|of| of.doubtful));
        if trials < run {
            remarks.push(format!("{trials} of {run} repeats count"));
        }
        if doubtful > 0 {
            remarks.push(format!("{doubtful} of {trials} repeats were disturbed"));
        }
        remarks.join("; ")
    }

    /// How many more trials of each condition would probably decide what is undecided; `None` where nothing is, or no number
    /// of them would.
    pub fn more_trials(&self, verdict: Verdict) -> Option<u32> {
        let open = self.all.iter().filter_map(|(_, finding)| match finding.outcome {
            Outcome::Holds | Outcome::Fails => None,
            Outcome::Noisy(more) => Some(more),
            Outcome::TooFew(more) => Some(Some(more)),
            Outcome::Unknown(_) | Outcome::NotHere(_) => Some(None),
        });
        let each = open.collect::<Option<Vec<usize>>>().filter(|_| verdict == Verdict::Undecided)?;
        each.into_iter().max().and_then(|more| u32::try_from(more).ok())
    }

    /// `in 2 of 8 conditions` that neither hold nor fail.
    fn open(&self) -> Option<String> {
        let is_open = |finding: &Finding| !matches!(finding.outcome, Outcome::Holds | Outcome::Fails);
        let open = self.all.iter().filter(|(_, finding)| is_open(finding)).count();
        (open > 0).then(|| self.in_some(open))
    }

    fn in_some(&self, some: usize) -> String {
        let them = if self.swept.is_empty() { "conditions" } else { "series" };
        format!("in {some} of {} {them}", self.all.len())
    }

    fn why_open(&self) -> Vec<String> {
        let (mut noisy, mut too_few) = (Vec::new(), Vec::new());
        let mut unknown: Vec<&str> = Vec::new();
        for (_, finding) in &self.all {
            match &finding.outcome {
                Outcome::Noisy(more) => noisy.push(*more),
                Outcome::TooFew(more) => too_few.push(*more),
                Outcome::Unknown(why) | Outcome::NotHere(why) => unknown.push(why),
                Outcome::Holds | Outcome::Fails => {}
            }
        }
        let mut reasons = self.counted(&unknown);
        let more = |count: usize| format!("{count} more repeat{}", if count == 1 { "" } else { "s" });
        if let Some(most) = too_few.iter().max() {
            reasons.push(format!("too few repeats for an interval: {} would do", more(*most)));
        }
        if !noisy.is_empty() {
            let some = noisy.len();
            let place = if some < self.all.len() { format!(" {}", self.in_some(some)) } else { String::new() };
            reasons.push(match noisy.into_iter().collect::<Option<Vec<usize>>>() {
                Some(each) => {
                    let most = each.into_iter().max().unwrap_or(1);
                    format!("too noisy{place}: {} would probably decide", more(most))
                }
                None => format!("too near the bound{place} for more repeats to decide"),
            });
        }
        reasons
    }

    fn why_not_here(&self) -> Vec<String> {
        let why = self.all.iter().filter_map(|(_, finding)| match &finding.outcome {
            Outcome::NotHere(why) => Some(why.as_str()),
            _ => None,
        });
        let mut reasons = self.counted(&why.collect::<Vec<_>>());
        let holds = self.all.iter().filter(|(_, finding)| finding.outcome == Outcome::Holds).count();
        if holds > 0 {
            reasons.push(format!("it holds {}", self.in_some(holds)));
        }
        reasons
    }

    /// The first reasons, each with how many conditions it is the reason in.
    fn counted(&self, reasons: &[&str]) -> Vec<String> {
        const MOST: usize = 2;
        let mut once: Vec<&str> = Vec::new();
        for reason in reasons {
            if !once.contains(reason) {
                once.push(reason);
            }
        }
        let with_count = |reason: &&str| {
            let times = reasons.iter().filter(|other| *other == reason).count();
            if times < self.all.len() { format!("{}: {reason}", self.in_some(times)) } else { (*reason).to_owned() }
        };
        let mut told: Vec<String> = once.iter().take(MOST).map(with_count).collect();
        if once.len() > MOST {
            told.push(format!("and {} more such", once.len() - MOST));
        }
        told
    }
}
