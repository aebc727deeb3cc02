//! From the tables of claims and questions to what they mean, held against the conditions they speak of.

use super::claim::{Against, Claim, Comparison, Expect, Figure, Growth, Question, Selector, Test, Tolerance};
use super::file;
use super::problem::Found;
use super::read::with_quick;
use super::value::{Several, Span, Spot, Table, Text};
use crate::results::factor::{Factor, Value};
use crate::run::{Condition, MeasurePlan};

/// How far off `about` may be, unless said.
const ABOUT: Tolerance = Tolerance::Relative(0.01);
/// How far off `flat_in` may be, unless said.
const FLAT: Tolerance = Tolerance::Relative(0.1);
/// More questions nobody answers.
const MOST_QUESTIONS: usize = 3;
/// More claims nobody reads.
const MOST_CLAIMS: usize = 100;

/// Checks what is claimed and asked.
pub struct Interpreter<'a> {
    /// What is measured, and what is measured with `--quick`; `None` where that is not known, since it is wrong itself.
    pub plans: Option<[&'a MeasurePlan; 2]>,
    /// Takes what is wrong.
    pub found: &'a mut Found,
}

impl<'a> Interpreter<'a> {
    /// The claims nothing is wrong with.
    pub fn claims(&mut self, claims: &[Table<file::Claim>]) -> Vec<Claim> {
        if let Some(beyond) = claims.get(MOST_CLAIMS) {
            self.found.add(&beyond.span, format!("{MOST_CLAIMS} claims are the most; leave this one out"));
        }
        claims.iter().take(MOST_CLAIMS).filter_map(|claim| self.claim(claim)).collect()
    }

    /// The questions nothing is wrong with.
    pub fn questions(&mut self, questions: &[Table<file::Question>]) -> Vec<Question> {
        if let Some(beyond) = questions.get(MOST_QUESTIONS) {
            self.found.add(&beyond.span, format!("{MOST_QUESTIONS} questions are the most; leave this one out"));
        }
        questions.iter().take(MOST_QUESTIONS).filter_map(|question| self.question(question)).collect()
    }

    fn claim(&mut self, table: &Table<file::Claim>) -> Option<Claim> {
        let (claim, place, before) = (&table.value, table.span.clone(), self.found.len());
        let test = self.test(claim, &place);
        let figure = figure(&claim.metric, &claim.role);
        let select = self.selector(claim.r#where.as_ref());
        let tables = [(&claim.against, Comparison::Ratio), (&claim.minus, Comparison::Difference)];
        let mut tables = tables.into_iter().filter_map(|(table, by)| Some((table.as_ref()?, by)));
        let compared = tables.next();
        if let Some((second, _)) = tables.next() {
            self.found.add(&second.span, "against is a ratio, minus a difference: leave out one of them");
        }
        let metric = claim.against_metric.as_ref().map(|metric| metric.value.0.clone());
        if let (Some(metric), None) = (&claim.against_metric, compared) {
            self.found.add(&metric.span, "against_metric goes with against or minus");
        }
        let against = compared.map(|(table, by)| Some(Against { select: self.selector(Some(table))?, by, metric }));
        if let Some(select) = &select {
            let place = claim.r#where.as_ref().map_or(&place, |table| &table.span);
            self.selects_some(select, place);
        }
        if let (Some(Some(against)), Some((table, _))) = (&against, compared) {
            self.selects_some(&against.select, &table.span);
        }
        let claim = Claim {
            statement: claim.statement.as_ref().map_or(String::new(), |statement| statement.value.0.clone()),
            says: claim.says.value.0.clone(),
            figure,
            select: select?,
            against: match against {
                Some(against) => Some(against?),
                None => None,
            },
            test: test?,
            expect: claim.expect.as_ref().map_or(Expect::default(), |expect| expect.value),
        };
        if self.found.len() == before {
            self.can_be(|plan| claim.check(plan), &place);
        }
        Some(claim)
    }

    fn question(&mut self, table: &Table<file::Question>) -> Option<Question> {
        let question = &table.value;
        let figure = figure(&question.metric, &question.role);
        let select = self.selector(question.r#where.as_ref())?;
        let place = question.r#where.as_ref().map_or(&table.span, |table| &table.span);
        for (plan, is_quick) in self.both() {
            let names: Vec<&str> = selected(plan, &select).map(|condition| condition.name.as_str()).collect();
            if names.len() != 1 {
                let which = if names.is_empty() { "none".to_owned() } else { some_of(&names) };
                let what =
                    format!("a question is about one condition alone; this selects {which}{}", with_quick(is_quick));
                self.found.add(place, what);
                return None;
            }
        }
        let question = Question { ask: question.ask.value.0.clone(), figure, select };
        self.can_be(|plan| question.check(plan), &table.span);
        Some(question)
    }

    /// The one test a claim has.
    fn test(&mut self, claim: &file::Claim, place: &Span) -> Option<Test> {
        let within = claim.within.as_ref();
        let tolerance = |usual| within.map_or(usual, |within| within.value);
        let growths = [
            ("by_at_least", claim.by_at_least.as_ref().map(|by| (&by.span, Growth::MoreThan(by.value)))),
            ("by_at_most", claim.by_at_most.as_ref().map(|by| (&by.span, Growth::AtMost(by.value)))),
            ("by_about", claim.by_about.as_ref().map(|by| (&by.span, Growth::About(by.value, tolerance(ABOUT))))),
        ];
        let mut growths = growths.into_iter().filter_map(|(key, growth)| Some((key, growth?)));
        let by = growths.next();
        if let Some((_, (second, _))) = growths.next() {
            self.found.add(second, "a claim has one bound of a slope alone; make a claim of its own of this one");
        }
        let growth = by.map_or(Growth::MoreThan(0.0), |(_, (_, growth))| growth);
        let tests = [
            claim.at_most.as_ref().map(|at_most| (&at_most.span, Test::AtMost(at_most.value.clone()))),
            claim.at_least.as_ref().map(|at_least| (&at_least.span, Test::AtLeast(at_least.value.clone()))),
            claim.about.as_ref().map(|about| (&about.span, Test::About(about.value.clone(), tolerance(ABOUT)))),
            claim.grows_with.as_ref().map(|factor| (&factor.span, Test::GrowsWith(factor.value, growth))),
            claim.flat_in.as_ref().map(|factor| (&factor.span, Test::FlatIn(factor.value, tolerance(FLAT)))),
        ];
        let mut tests = tests.into_iter().flatten();
        let Some((_, test)) = tests.next() else {
            self.found.add(place, "a claim needs one of at_most, at_least, about, grows_with, flat_in");
            return None;
        };
        if let Some((second, _)) = tests.next() {
            self.found.add(second, "a claim has one test alone; make a claim of its own of this one");
        }
        let grows = matches!(test, Test::GrowsWith(..));
        match by {
            Some((key, (place, _))) if !grows => self.found.add(place, format!("{key} goes with grows_with")),
            None if grows && claim.against.is_some() => {
                self.found.add(place, "say how many times as steep: by_at_least, by_at_most or by_about");
            }
            _ => {}
        }
        let is_about = matches!(test, Test::About(..) | Test::FlatIn(..) | Test::GrowsWith(_, Growth::About(..)));
        if let Some(within) = within.filter(|_| !is_about) {
            self.found.add(&within.span, "within goes with about, by_about and flat_in");
        }
        Some(test)
    }

    /// What a table selects by; `None` where a value is no condition's.
    fn selector(&mut self, table: Option<&Table<file::Selector>>) -> Option<Selector> {
        let Some(table) = table.map(|table| &table.value) else { return Some(Selector::default()) };
        let [plan, _] = self.plans?;
        if let (Some(Several(rates)), false) = (&table.rate, plan.try_rates.is_empty()) {
            self.found.add(&rates[0].span, "the rate is found out, so nothing can be selected by it");
            return None;
        }
        let mut selector = Selector::default();
        let mut all_known = true;
        for factor in Factor::ALL {
            let spots = table.spots(factor);
            all_known &= self.known(factor, &spots);
            selector = selector.and(factor, spots.into_iter().map(|spot| spot.value));
        }
        all_known.then_some(selector)
    }

    /// Whether each of the `wanted` values is what some condition is.
    fn known(&mut self, factor: Factor, wanted: &[Spot<Value>]) -> bool {
        let Some([plan, _]) = self.plans.filter(|_| !wanted.is_empty()) else { return true };
        let mut all: Vec<Value> = Vec::new();
        for value in plan.conditions.iter().map(|condition| factor.of(condition)) {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        let mut known = true;
        for Spot { value, span } in wanted.iter().filter(|spot| !all.contains(&spot.value)) {
            let there = if all == [Value::from("")] {
                "no case has a name".to_owned()
            } else {
                let all: Vec<String> = all.iter().map(|value| factor.spelled(value)).collect();
                format!("there are {}", all.join(", "))
            };
            let what = format!("no condition has the {} {}; {there}", factor.about().noun, factor.spelled(value));
            self.found.add(span, what);
            known = false;
        }
        known
    }

    /// Both plans, and whether it is that of `--quick`.
    fn both(&self) -> impl Iterator<Item = (&'a MeasurePlan, bool)> + use<'a> {
        self.plans.into_iter().flat_map(|[plan, quick]| [(plan, false), (quick, true)])
    }

    fn selects_some(&mut self, select: &Selector, place: &Span) {
        for (plan, is_quick) in self.both() {
            if selected(plan, select).next().is_none() {
                let what = format!("no condition has all of these{}; leave one out", with_quick(is_quick));
                self.found.add(place, what);
                return;
            }
        }
    }

    /// Whether both plans can do what `check` asks of them.
    fn can_be(&mut self, check: impl Fn(&MeasurePlan) -> Result<(), String>, place: &Span) {
        let why = self.both().find_map(|(plan, is_quick)| check(plan).err().map(|why| (why, is_quick)));
        if let Some((why, is_quick)) = why {
            self.found.add(place, format!("{why}{}", with_quick(is_quick)));
        }
    }
}

fn figure(metric: &Spot<Text>, role: &Spot<Text>) -> Figure {
    Figure { metric: metric.value.0.clone(), role: role.value.0.clone() }
}

fn selected<'a>(plan: &'a MeasurePlan, select: &'a Selector) -> impl Iterator<Item = &'a Condition> {
    plan.conditions.iter().filter(|condition| select.matches(condition))
}

/// The first few names and how many more there are.
fn some_of(names: &[&str]) -> String {
    const FEW: usize = 3;
    let first = names.iter().take(FEW).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(FEW) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}
