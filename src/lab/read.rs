//! From the text of a lab file to a [`Lab`], or to all that is wrong with it.

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::Lab;
use super::factors::each_once;
use super::file::{Case, Factors, LabFile, Measure, Quick};
use super::interpret::Interpreter;
use super::problem::{Found, Problem};
use super::value::{SUSTAINABLE, Several, Span, Spot, Table, Text};
use crate::run::Refused;
use crate::run::design::USUAL_TRIALS;
use crate::run::{Design, MeasurePlan};
use crate::units::Rate;

/// Trials with `--quick` where the lab does not say what that changes.
const QUICK_TRIALS: u32 = 3;
/// More cases than these nobody wants to wait for.
const MOST_CASES: usize = 100;

/// Reads the lab called `name` from the text of its file.
///
/// # Errors
/// All that is wrong with it, in the order of the file.
pub fn read(name: &str, text: &[u8]) -> Result<Lab, Vec<Problem>> {
    let mut found = Found::default();
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let valid = std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default();
            found.add(&(valid.len()..valid.len()), "this is no UTF-8; save the file as UTF-8 text");
            return Err(found.problems(valid));
        }
    };
    let lab = Reader { text, found: &mut found }.lab(name);
    match lab {
        Some(lab) if found.is_empty() => Ok(lab),
        _ => Err(found.problems(text)),
    }
}

/// A lab file but for its claims and questions.
struct Head {
    title: Option<String>,
    lecture: Option<String>,
    /// As it is, and with `--quick`.
    designs: Option<[(Design, MeasurePlan); 2]>,
}

struct Reader<'a> {
    text: &'a str,
    found: &'a mut Found,
}

impl<'a> Reader<'a> {
    /// `None`, or something found, where the file is not right.
    fn lab(mut self, name: &str) -> Option<Lab> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            self.found.add_error(self.text, error, &[]);
        }
        if !errors.is_empty() {
            return None;
        }
        let (span, mut root) = (root.span(), root.into_inner());
        // Each by itself, so that one that is wrong does not hide another.
        let claims = self.each(take_list(&mut root, "claim"));
        let questions = self.each(take_list(&mut root, "question"));
        let rest = self.table::<LabFile>(Spanned::new(span, DeValue::Table(root)));
        let head = rest.map(|rest| self.head(rest));
        let plans = head.as_ref().and_then(|head| head.designs.as_ref()).map(|[full, quick]| [&full.1, &quick.1]);
        let mut interpreter = Interpreter { plans, found: &mut *self.found };
        let claims = interpreter.claims(&claims);
        let questions = interpreter.questions(&questions);
        let Head { title, lecture, designs } = head?;
        let [(design, _), (quick, _)] = designs?;
        Some(Lab { name: name.to_owned(), title: title?, lecture: lecture?, design, quick, claims, questions })
    }

    /// All but claims and questions.
    fn head(&mut self, file: LabFile) -> Head {
        let title = self.needed(file.title, "title = \"…\", the lab in a few words");
        let lecture = self.needed(file.lecture, "lecture = \"…\", the sentence of the lecture that is put to the test");
        Head { title, lecture, designs: self.designs(file.measure, file.quick) }
    }

    /// What is measured, and what is measured with `--quick`.
    fn designs(
        &mut self,
        measure: Option<Table<Measure>>,
        quick: Option<Table<Quick>>,
    ) -> Option<[(Design, MeasurePlan); 2]> {
        let Table { value: measure, span: place } = measure.unwrap_or(Table { value: Measure::default(), span: 0..0 });
        let full = self.design(&measure, None, &place)?;
        let usual_quick = || Quick {
            trials: Some(Spot { value: full.0.trials.min(QUICK_TRIALS), span: place.clone() }),
            ..Quick::default()
        };
        let quick = quick.map_or_else(usual_quick, |quick| quick.value);
        let quick = self.design(&measure, Some(&quick), &place)?;
        Some([full, quick])
    }

    fn needed(&mut self, text: Option<Spot<Text>>, what: &str) -> Option<String> {
        if text.is_none() {
            self.found.add(&(0..0), format!("the file needs {what}"));
        }
        text.map(|text| text.value.0)
    }

    /// Reads each of a list of tables.
    fn each<T: Deserialize<'a>>(&mut self, list: Vec<Spanned<DeValue<'a>>>) -> Vec<Table<T>> {
        let read = |table: Spanned<DeValue<'a>>| Some(Table { span: table.span(), value: self.table(table)? });
        list.into_iter().filter_map(read).collect()
    }

    /// Reads a table. What is wrong is told and taken out, and the rest read again, until all is told.
    fn table<T: Deserialize<'a>>(&mut self, mut value: Spanned<DeValue<'a>>) -> Option<T> {
        let mut taken = Vec::new();
        while !self.found.is_enough() {
            match T::deserialize(ValueDeserializer::from(value.clone())) {
                Ok(table) => return taken.is_empty().then_some(table),
                Err(error) => {
                    self.found.add_error(self.text, &error, &taken);
                    taken.push(take_out(&mut value, &error.span()?)?);
                }
            }
        }
        None
    }

    /// What `measure` describes, with what `quick` changes, and its plan. `place` is where the table stands.
    fn design(&mut self, measure: &Measure, quick: Option<&Quick>, place: &Span) -> Option<(Design, MeasurePlan)> {
        let before = self.found.len();
        let base = measure.clone().factors();
        let over = quick.cloned().map(Quick::factors);
        base.check(self.found);
        let base = match &over {
            Some(over) => {
                over.check(self.found);
                base.under(over)
            }
            None => base,
        };
        let cases = measure.case.as_deref().unwrap_or_default();
        let mut named: Vec<(String, Factors)> = vec![(String::new(), base.clone())];
        if !cases.is_empty() {
            named = self.cases(cases, &base);
        }
        let try_rates = self.try_rates(measure, quick, &named);
        let trials = quick.and_then(|quick| quick.trials.as_ref()).or(measure.trials.as_ref());
        let mut design = Design {
            cases: named.iter().map(|(name, factors)| factors.case(name)).collect(),
            trials: trials.map_or(USUAL_TRIALS, |trials| trials.value),
            seed: 0,
            try_rates,
        };
        if let Some(&highest) = design.try_rates.first() {
            design.cases.iter_mut().for_each(|case| case.rate = vec![Rate::PerSecond(highest)]);
        }
        if self.found.len() > before {
            return None;
        }
        match design.plan() {
            Ok(plan) => Some((design, plan)),
            Err(refused) => {
                let place = trials.filter(|_| refused.factor == "trials").map_or(place, |trials| &trials.span);
                self.refused(&design, &named, refused, quick.is_some(), place);
                None
            }
        }
    }

    /// The cases, each over what all have in common.
    fn cases(&mut self, cases: &[Table<Case>], base: &Factors) -> Vec<(String, Factors)> {
        if let Some(beyond) = cases.get(MOST_CASES) {
            self.found.add(&beyond.span, format!("these are too many cases; {MOST_CASES} are the most"));
        }
        let names = cases.iter().map(|case| case.value.name.clone()).collect();
        each_once(&Several(names), self.found);
        let cases = cases.iter().take(MOST_CASES).map(|case| {
            let case = case.value.clone();
            let name = case.name.value.0.clone();
            let own = case.factors();
            own.check(self.found);
            (name, base.clone().under(&own))
        });
        cases.collect()
    }

    /// The rates to try, the highest first; none where the rate is given.
    fn try_rates(&mut self, measure: &Measure, quick: Option<&Quick>, cases: &[(String, Factors)]) -> Vec<f64> {
        let own = quick.map_or(&measure.r#try, |quick| &quick.r#try);
        let Some(sustainable) = cases.iter().find(|(_, factors)| factors.is_sustainable()) else {
            if let Some(Several(rates)) = own {
                self.found.add(&rates[0].span, format!("rates are tried where rate = \"{SUSTAINABLE}\" alone"));
            }
            return Vec::new();
        };
        for (name, factors) in cases.iter().filter(|(_, factors)| !factors.is_sustainable()) {
            let place = factors.rates().next().or(sustainable.1.rates().next()).map_or(0..0, |rate| rate.span.clone());
            let what = format!("the rate is found out for all cases together; {name} cannot have one of its own");
            self.found.add(&place, what);
        }
        let Some(Several(rates)) = own.as_ref().or(measure.r#try.as_ref()) else {
            let place = sustainable.1.rates().next().map_or(0..0, |rate| rate.span.clone());
            self.found.add(&place, "say which rates to try: try = [2000, 1000, 500]");
            return Vec::new();
        };
        let mut highest_first = Vec::new();
        for rate in rates {
            match rate.value {
                Rate::PerSecond(rate) => highest_first.push(rate),
                Rate::Max => self.found.add(&rate.span, "max is no rate to try; write messages a second such as 2000"),
            }
        }
        highest_first.sort_by(|a, b| b.total_cmp(a));
        highest_first.dedup();
        highest_first
    }

    /// Tells why there is no plan, for each case that can have none.
    fn refused(&mut self, design: &Design, cases: &[(String, Factors)], refused: Refused, quick: bool, place: &Span) {
        let mut told = false;
        for (case, (name, factors)) in design.cases.iter().zip(cases) {
            let alone = Design { cases: vec![case.clone()], ..design.clone() };
            if let Err(refused) = alone.plan() {
                told = true;
                let of_case = if name.is_empty() { String::new() } else { format!(" (case {name})") };
                let place = factors.place_of(&refused).unwrap_or_else(|| place.clone());
                self.found.add(&place, format!("{refused}{of_case}{}", with_quick(quick)));
            }
        }
        if !told {
            self.found.add(place, format!("{refused}{}", with_quick(quick)));
        }
    }
}

/// Said of what is wrong with `--quick` alone.
pub(super) fn with_quick(quick: bool) -> &'static str {
    if quick { " (with --quick)" } else { "" }
}

/// Takes the tables of a list out of the file; none where there is something else under the key.
fn take_list<'a>(root: &mut DeTable<'a>, key: &str) -> Vec<Spanned<DeValue<'a>>> {
    let is_list = root.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Array(_)));
    match is_list.then(|| root.remove(key)).flatten().map(Spanned::into_inner) {
        Some(DeValue::Array(list)) => list.into_iter().collect(),
        _ => Vec::new(),
    }
}

/// Takes out the innermost key with its value, or the table of a list, that stands at `span`. Gives the key; `None` where
/// nothing stands there.
fn take_out(value: &mut Spanned<DeValue<'_>>, span: &Span) -> Option<String> {
    let holds = |outer: &Span| outer.start <= span.start && span.end <= outer.end;
    match value.get_mut() {
        DeValue::Table(table) => {
            if let Some(key) = table.iter_mut().find_map(|(_, value)| take_out(value, span)) {
                return Some(key);
            }
            let at = table.iter().find(|(key, value)| holds(&key.span()) || holds(&value.span()));
            let key = at.map(|(key, _)| key.clone())?;
            table.remove(&key).map(|_| key.into_inner().into_owned())
        }
        DeValue::Array(list) => {
            let is_table = |value: &Spanned<DeValue<'_>>| matches!(value.get_ref(), DeValue::Table(_));
            let within = list.iter_mut().filter(|value| is_table(value)).find_map(|value| take_out(value, span));
            if within.is_some() {
                return within;
            }
            let all = list.len();
            *list = list.iter().filter(|value| !is_table(value) || value.span() != *span).cloned().collect();
            (list.len() < all).then(String::new)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::Bound;
    use crate::lab::claim::{Comparison, Expect, Growth, Selector, Test, Tolerance};
    use crate::lab::library::LABS;
    use crate::lan::{Nic, SwitchKind};
    use crate::results::factor::Factor;
    use crate::run::design::Case as RunCase;
    use crate::units::{Mode, Role};
    use std::time::Duration;

    /// What every file begins with, two lines.
    const HEAD: &str = "title = \"T\"\nlecture = \"L\"\n";
    const CLAIM: &str = "[[claim]]\nsays = \"S\"\nmetric = \"link_tx_frames\"\nrole = \"sender\"\n";

    fn lab(rest: &str) -> Lab {
        read("x", format!("{HEAD}{rest}").as_bytes()).unwrap_or_else(|problems| panic!("{rest}\n{problems:#?}"))
    }

    #[test]
    fn a_file_that_says_nothing_measures_what_is_usual() {
        let lab = lab("");
        let usual = RunCase { receivers: vec![4, 16], ..RunCase::default() };
        let design = Design { cases: vec![usual], trials: USUAL_TRIALS, seed: 0, try_rates: Vec::new() };
        assert_eq!(lab.design, design);
        assert_eq!(lab.quick, Design { trials: 3, ..design });
        assert_eq!((lab.title.as_str(), lab.lecture.as_str(), lab.claims.len()), ("T", "L", 0));
    }

    #[test]
    fn every_key_is_read() {
        let lab = lab(r#"
            [measure]
            modes = ["multicast", "unicast"]
            hosts = [9, 11]
            receivers = 3
            switch = ["hub", "no-querier-quiet"]
            nic = "filter"
            rate = [500, "10k", "max", 0.5]
            size = [64, "8k"]
            duration = "2s"
            trials = 7
            ttl = [1, 255]
            group = "239.9.9.9"
            source_specific = true
            igmp = [2, { version = 3, last_member_interval = "50ms", membership_interval = "3s" }]
            loss_expected = true
            "#);
        let case = &lab.design.cases[0];
        assert_eq!(case.modes, [Mode::Multicast, Mode::Unicast]);
        assert_eq!((&case.hosts[..], &case.receivers[..]), (&[9, 11][..], &[3][..]));
        assert_eq!(case.switch, [SwitchKind::Hub, SwitchKind::Quiet]);
        assert_eq!(case.nic, [Nic::Filter]);
        let rates = [Rate::PerSecond(500.0), Rate::PerSecond(10_000.0), Rate::Max, Rate::PerSecond(0.5)];
        assert_eq!(case.rate, rates);
        assert_eq!((&case.size[..], case.duration), (&[64, 8192][..], Duration::from_secs(2)));
        assert_eq!((&case.ttl[..], case.group[0].to_string()), (&[1, 255][..], "239.9.9.9".to_owned()));
        assert_eq!((case.igmp[0].version, case.igmp[0].membership_interval), (2, None));
        assert_eq!(case.igmp[1].last_member_interval, Duration::from_millis(50));
        assert_eq!(case.igmp[1].membership_interval, Some(Duration::from_secs(3)));
        assert!(case.source_specific && case.loss_expected && !case.ipv6);
        assert_eq!(lab.design.trials, 7);
    }

    #[test]
    fn groups_flows_and_queriers() {
        let lab = lab(r#"
            [measure]
            duration = "1s"
            [[measure.groups]]
            role = "sender"
            [[measure.groups]]
            name = "slow"
            role = "receiver"
            count = 3
            busy = "50us"
            joins_at = "200ms"
            leaves_at = "700ms"
            [[measure.groups]]
            name = "far"
            role = "bystander"
            lan = 2
            member_of = "239.129.1.1"
            link_limit = "10M"
            works = true
            [[measure.groups]]
            name = "near"
            role = "bystander"
            lan = 2
            [measure.flow]
            from = "far"
            to = "near"
            rate = 100
            size = 64
            [measure.querier]
            interval = "1s"
            stops_at = "600ms"
            "#);
        let case = &lab.design.cases[0];
        let [sender, slow, far, _] = &case.groups[..] else { panic!("{:?}", case.groups) };
        assert_eq!((sender.role, sender.count, sender.lan), (Role::Sender, 1, 1));
        assert_eq!((slow.name.as_str(), slow.count, slow.busy), ("slow", 3, Duration::from_micros(50)));
        assert_eq!(slow.joins_at.zip(slow.leaves_at), Some((Duration::from_millis(200), Duration::from_millis(700))));
        assert_eq!((far.lan, far.link_limit, far.works), (2, Some(10_000_000), true));
        let flow = case.flow.as_ref().unwrap();
        assert_eq!((flow.from.as_str(), flow.to.as_deref(), flow.size), ("far", Some("near"), 64));
        let querier = case.querier.as_ref().unwrap();
        assert_eq!((querier.interval, querier.stops_at), (Duration::from_secs(1), Some(Duration::from_millis(600))));
    }

    #[test]
    fn quick_goes_over_what_all_cases_have_in_common_and_under_their_own() {
        let lab = lab(r#"
            [measure]
            hosts = 9
            receivers = [2, 4]
            duration = "1s"
            [[measure.case]]
            name = "a"
            [[measure.case]]
            name = "b"
            duration = "2s"
            receivers = 6
            [quick]
            duration = "300ms"
            receivers = 2
            trials = 4
            "#);
        let of = |design: &Design| {
            let cases = design.cases.iter();
            cases.map(|case| (case.name.clone(), case.receivers.clone(), case.duration.as_millis())).collect::<Vec<_>>()
        };
        assert_eq!(of(&lab.design), [("a".to_owned(), vec![2, 4], 1000), ("b".to_owned(), vec![6], 2000)]);
        assert_eq!(of(&lab.quick), [("a".to_owned(), vec![2], 300), ("b".to_owned(), vec![6], 2000)]);
        assert_eq!((lab.design.trials, lab.quick.trials), (USUAL_TRIALS, 4));
    }

    #[test]
    fn groups_and_numbers_of_hosts_replace_each_other() {
        let lab = lab(r#"
            [measure]
            hosts = 9
            receivers = 2
            [[measure.case]]
            name = "numbers"
            [[measure.case]]
            name = "groups"
            groups = [{ role = "sender" }, { role = "receiver", count = 5 }]
            "#);
        let plan = lab.design.plan().unwrap();
        let hosts: Vec<_> = plan.conditions.iter().map(|c| (c.case.as_str(), c.hosts())).collect();
        assert!(hosts.contains(&("numbers", 9)) && hosts.contains(&("groups", 6)), "{hosts:?}");
    }

    #[test]
    fn a_rate_to_be_found_out() {
        let lab = lab("[measure]\nrate = \"sustainable\"\ntry = [200, 1000, \"2k\"]\n[quick]\ntry = [100]\n");
        assert_eq!(lab.design.try_rates, [2000.0, 1000.0, 200.0]);
        assert_eq!(lab.design.cases[0].rate, [Rate::PerSecond(2000.0)]);
        assert_eq!(lab.quick.try_rates, [100.0]);
    }

    #[test]
    fn claims_and_questions() {
        let tests = [
            "at_most = 0.5",
            "at_least = \"2*receivers\"",
            "about = 1",
            "about = 1\nwithin = 0.2\nwhere = { mode = \"unicast\", receivers = [4, 16] }\n\
             against = { mode = \"multicast\" }",
            "grows_with = \"receivers\"\nby_at_least = 0.9",
            "grows_with = \"receivers\"\nby_at_most = 0.1\nagainst = { mode = \"multicast\" }\n\
             where = { mode = \"unicast\" }",
            "grows_with = \"receivers\"\nby_about = 1\nminus = { mode = \"multicast\" }\n\
             where = { mode = \"unicast\" }",
            "flat_in = \"receivers\"",
            "flat_in = \"receivers\"\nwithin = \"5 %\"\nexpect = \"fails\"",
        ];
        let text: String = tests.iter().map(|test| format!("{CLAIM}{test}\n")).collect();
        let lab = lab(&format!(
            "{text}statement = \"L3  L8\"\n\
             [[question]]\nask = \"Q\"\nmetric = \"link_tx_frames\"\nrole = \"sender\"\n\
             where = {{ mode = \"unicast\", receivers = 4 }}\n"
        ));
        let bound = |text: &str| Bound::parse(text).unwrap();
        let tests: Vec<&Test> = lab.claims.iter().map(|claim| &claim.test).collect();
        assert_eq!(
            tests,
            [
                &Test::AtMost(bound("0.5")),
                &Test::AtLeast(bound("2*receivers")),
                &Test::About(bound("1"), Tolerance::Relative(0.01)),
                &Test::About(bound("1"), Tolerance::Absolute(0.2)),
                &Test::GrowsWith(Factor::Receivers, Growth::MoreThan(0.9)),
                &Test::GrowsWith(Factor::Receivers, Growth::AtMost(0.1)),
                &Test::GrowsWith(Factor::Receivers, Growth::About(1.0, Tolerance::Relative(0.01))),
                &Test::FlatIn(Factor::Receivers, Tolerance::Relative(0.1)),
                &Test::FlatIn(Factor::Receivers, Tolerance::Relative(0.05)),
            ]
        );
        let last = &lab.claims[8];
        assert_eq!((last.statement.as_str(), last.expect), ("L3 L8", Expect::Fails));
        let ratio = &lab.claims[3];
        let unicast = Selector::default().and(Factor::Mode, [Mode::Unicast]);
        assert_eq!(ratio.select, unicast.and(Factor::Receivers, [4usize, 16]));
        let compared: Vec<_> = lab.claims.iter().filter_map(|claim| claim.against.as_ref()).collect();
        assert!(compared.iter().all(|against| against.select.values(Factor::Mode) == [Mode::Multicast.into()]));
        let by: Vec<_> = compared.iter().map(|against| against.by).collect();
        assert_eq!(by, [Comparison::Ratio, Comparison::Ratio, Comparison::Difference]);
        assert_eq!((lab.questions.len(), lab.questions[0].select.values(Factor::Receivers)), (1, &[4usize.into()][..]));
    }

    /// The problems of a file, as `line:column: …`; lines are counted from the first of `rest`.
    fn problems(rest: &str) -> Vec<String> {
        let problems = read("x", format!("{HEAD}{rest}").as_bytes()).expect_err(rest);
        let counted = |problem: Problem| Problem { line: problem.line.saturating_sub(2), ..problem };
        problems.into_iter().map(|problem| counted(problem).to_string()).collect()
    }

    #[track_caller]
    fn assert_problems(cases: &[(&str, &[&str])]) {
        for (text, expected) in cases {
            let found = problems(text);
            let right = found.len() == expected.len() && found.iter().zip(*expected).all(|(f, e)| f.starts_with(e));
            assert!(right, "{text}\nfound    {found:#?}\nexpected {expected:#?}");
        }
    }

    #[test]
    fn wrong_syntax_and_wrong_keys() {
        assert_problems(&[
            ("x = [1,\n", &["1:8: unclosed array"]),
            ("x = \n", &["1:5: string values must be quoted"]),
            ("title = \"again\"\n", &["1:1: duplicate key"]),
            ("x = \"\\q\"\n", &["1:7: "]),
            ("a.b = 1\na = 2\n", &["2:1: "]),
            ("[mesure]\n", &["1:2: unknown key 'mesure'; did you mean 'measure'?"]),
            ("[measure]\nrecievers = 4\n", &["2:1: unknown key 'recievers'; did you mean 'receivers'?"]),
            ("[measure]\nxyz = 4\n", &["2:1: unknown key 'xyz'; the keys here are trials, try, case, modes, hosts, "]),
            ("[measure]\ngroups = [{ role = \"sender\", colour = 1 }]\n", &["2:30: unknown key 'colour'; the keys"]),
            ("[quick]\ncase = []\n", &["2:1: unknown key 'case'"]),
            ("[measure]\n[[measure.case]]\nhosts = 5\n", &["2:1: name is missing here"]),
            (&format!("{CLAIM}abuot = 1\n"), &["5:1: unknown key 'abuot'; did you mean 'about'?"]),
            (
                &format!("{CLAIM}about = 1\nwhere = {{ modes = \"unicast\" }}\n"),
                &["6:11: unknown key 'modes'; did you mean 'mode'?"],
            ),
        ]);
    }

    #[test]
    fn wrong_values() {
        assert_problems(&[
            ("measure = 5\n", &["1:11: 5 stands here instead of a table of what is measured"]),
            ("claim = 5\n", &["1:9: 5 stands here instead of a list of tables"]),
            ("claim = [5]\n", &["1:10: 5 stands here instead of a table of a claim"]),
            ("[measure]\nhosts = \"many\"\n", &["2:9: 'many' is no whole number; write one such as 4, without quotes"]),
            ("[measure]\nhosts = [5, -1]\n", &["2:13: -1 is out of range"]),
            ("[measure]\nhosts = [5, [6]]\n", &["2:9: one value alone is possible here, no list"]),
            ("[measure]\nhosts = []\n", &["2:9: the list is empty; name a value"]),
            ("[measure]\nhosts = [5, 6, 5]\n", &["2:16: this value is in the list twice; leave it out"]),
            ("[measure]\nhosts = { a = 1 }\n", &["2:9: no table is possible here"]),
            ("[measure]\ntrials = [1, 2]\n", &["2:10: one value alone is possible here, no list"]),
            ("[measure]\nttl = 256\n", &["2:7: 256 is out of range"]),
            (
                "[measure]\nmodes = [\"unicast\", \"anycast\"]\n",
                &["2:21: unknown mode 'anycast'; the modes are unicast, broadcast"],
            ),
            ("[measure]\nswitch = \"router\"\n", &["2:10: unknown switch 'router'; the switches are snooping, "]),
            ("[measure]\nnic = 1\n", &["2:7: unknown network card '1'; the cards are promiscuous, filter"]),
            ("[measure]\nrate = \"fast\"\n", &["2:8: 'fast' is not a rate; write messages a second such as 500"]),
            ("[measure]\nrate = [500, nan]\n", &["2:14: 'NaN' is not a rate"]),
            ("[measure]\nrate = 1e400\n", &["2:8: floating-point number overflowed"]),
            ("[measure]\nsize = \"8z\"\n", &["2:8: '8z' is not a size"]),
            ("[measure]\nduration = 5\n", &["2:12: '5' is not a duration; write a duration such as 500ms"]),
            ("[measure]\nduration = 1979-05-27\n", &["2:12: no table is possible here"]),
            ("[measure]\nipv6 = \"yes\"\n", &["2:8: 'yes' is neither yes nor no; write true or false"]),
            ("[measure]\ngroup = \"everybody\"\n", &["2:9: 'everybody' is no address"]),
            ("[measure]\nigmp = { version = 3, last = \"1s\" }\n", &["2:23: unknown key 'last'"]),
            ("[measure]\nigmp = [2, 4]\n", &["2:12: igmp 4: IGMP is measured in versions 2 and 3"]),
            (&format!("{CLAIM}about = true\n"), &["5:9: 'true' is no number"]),
            (
                &format!("{CLAIM}grows_with = \"mode\"\n"),
                &["5:14: unknown factor 'mode'; write receivers, hosts, rate, burst, size, ttl"],
            ),
            (&format!("{CLAIM}about = 1\nexpect = \"maybe\"\n"), &["6:10: unknown expectation 'maybe'; write holds"]),
            (
                &format!("{CLAIM}about = 1\nwithin = \"much\"\n"),
                &["6:10: 'much' is no tolerance; write a share such as"],
            ),
        ]);
    }

    /// At the value, or else at the table.
    #[test]
    fn designs_that_cannot_be() {
        let with_3_hosts = "with 3 hosts there can be 1 to 2 receivers, since one host sends";
        assert_problems(&[
            ("[measure]\nhosts = 1\n", &["2:9: hosts 1: a LAN has 2 to 1023 hosts"]),
            ("[measure]\nhosts = 3\nreceivers = [1, 5]\n", &[&format!("3:17: receivers 5: {with_3_hosts}")]),
            ("[measure]\nreceivers = 4\nhosts = 3\n", &["2:13: receivers 4:"]),
            ("[measure]\nsize = [64, 2000]\n", &["2:13: size 2000: a raw Ethernet frame holds at most 1500 bytes"]),
            ("[measure]\nttl = 0\n", &["2:7: ttl 0:"]),
            ("[measure]\ntrials = 0\n", &["2:10: trials 0:"]),
            ("[measure]\ntrials = 4000000000\n", &["2:10: trials 4000000000: 10000 are the most"]),
            ("[measure]\nduration = \"9000000000years\"\n", &["2:12: duration "]),
            ("[measure]\nmodes = \"broadcast\"\nipv6 = true\n", &["2:9: modes: nothing is left to measure"]),
            ("[measure]\ngroup = \"10.0.0.1\"\n", &["2:9: group 10.0.0.1: is no group address"]),
            (
                "[measure]\ngroups = [{ role = \"sender\" }, { role = \"bystander\" }]\n",
                &["2:11: groups: at least one group has the role receiver"],
            ),
            (
                "[measure]\n[[measure.groups]]\nrole = \"sender\"\n[[measure.groups]]\nname = \"b\"\n\
                 role = \"bystander\"\nbusy = \"1s\"\n",
                &["4:1: groups b: receivers alone are busy"],
            ),
            (
                "[measure]\n[measure.querier]\ninterval = \"1s\"\nstops_at = \"1m\"\n",
                &["2:1: querier: it stops within the duration"],
            ),
            ("[measure]\nhosts = 3\ngroups = [{ role = \"sender\" }]\n", &["2:9: groups say already who the hosts"]),
            (
                "[measure]\ngroups = [{ role = \"sender\" }, { role = \"receiver\", name = \"sender\" }]\n",
                &["2:60: 'sender' has a meaning of its own in claims"],
            ),
            (
                "[measure]\nreceivers = 3\n[[measure.case]]\nname = \"a\"\n[[measure.case]]\nname = \"b\"\nhosts = 3\n",
                &[&format!("2:13: receivers 3: {with_3_hosts} (case b)")],
            ),
            (
                "[measure]\n[[measure.case]]\nname = \"a\"\nttl = 0\n[[measure.case]]\nname = \"b\"\nttl = [2, 0]\n",
                &["4:7: ttl 0:", "7:11: ttl 0:"],
            ),
            (
                "[measure]\n[[measure.case]]\nname = \"a\"\n[[measure.case]]\nname = \"a\"\n",
                &["5:8: this value is in the list twice"],
            ),
            (
                "[measure]\n[[measure.case]]\nname = \"a b\"\n[[measure.case]]\nname = \"a-b\"\n",
                &["1:1: case broadcast-16-a-b: is the name of two different cases"],
            ),
            (
                "[measure]\nreceivers = 4\n[quick]\nhosts = 3\n",
                &[&format!("2:13: receivers 4: {with_3_hosts} (with --quick)")],
            ),
        ]);
    }

    #[test]
    fn rates_that_cannot_be_found_out() {
        assert_problems(&[
            ("[measure]\nrate = \"sustainable\"\n", &["2:8: say which rates to try"]),
            ("[measure]\ntry = [500]\n", &["2:8: rates are tried where rate = \"sustainable\" alone"]),
            ("[measure]\nrate = [\"sustainable\", 500]\ntry = 500\n", &["2:9: sustainable stands alone"]),
            ("[measure]\nrate = \"sustainable\"\ntry = [500, \"max\"]\n", &["3:13: max is no rate to try"]),
            (
                "[measure]\nrate = \"sustainable\"\ntry = 500\n[[measure.case]]\nname = \"a\"\nrate = 50\n\
                 [[measure.case]]\nname = \"b\"\n",
                &["6:8: the rate is found out for all cases together; a cannot"],
            ),
        ]);
    }

    #[test]
    fn claims_and_questions_that_cannot_be() {
        assert_problems(&[
            (CLAIM, &["1:1: a claim needs one of at_most, at_least, about, grows_with, flat_in"]),
            (&format!("{CLAIM}about = 1\nat_most = 2\n"), &["5:9: a claim has one test alone"]),
            (&format!("{CLAIM}about = 1\nby_at_least = 2\n"), &["6:15: by_at_least goes with grows_with"]),
            (&format!("{CLAIM}about = 1\nby_at_most = 2\n"), &["6:14: by_at_most goes with grows_with"]),
            (
                &format!("{CLAIM}grows_with = \"receivers\"\nby_at_most = 2\nby_about = 1\n"),
                &["7:12: a claim has one bound of a slope alone; make a claim of its own of this one"],
            ),
            (
                &format!("{CLAIM}grows_with = \"receivers\"\nagainst = {{ mode = \"multicast\" }}\n"),
                &["1:1: say how many times as steep: by_at_least, by_at_most or by_about"],
            ),
            (
                &format!("{CLAIM}about = 1\nagainst = {{ receivers = 4 }}\nminus = {{ receivers = 4 }}\n"),
                &["7:9: against is a ratio, minus a difference: leave out one of them"],
            ),
            (&format!("{CLAIM}at_most = 1\nwithin = 2\n"), &["6:10: within goes with about, by_about and flat_in"]),
            (
                &format!("{CLAIM}about = 1\nwhere = {{ mode = \"unicast\", receivers = [4, 7] }}\n"),
                &["6:45: no condition has the number of receivers 7; there are 4, 16"],
            ),
            (
                &format!("{CLAIM}about = 1\nwhere = {{ case = \"a\" }}\n"),
                &["6:18: no condition has the case a; no case has a name"],
            ),
            (
                &format!("[quick]\nreceivers = 16\n{CLAIM}about = 1\nwhere = {{ receivers = 4 }}\n"),
                &["8:9: no condition has all of these (with --quick)"],
            ),
            (
                &format!("{CLAIM}about = 1\nagainst = {{ rate = 7 }}\n"),
                &["6:20: no condition has the rate 7; there are 2000"],
            ),
            (
                &format!("[measure]\nrate = \"sustainable\"\ntry = 500\n{CLAIM}about = 1\nwhere = {{ rate = 500 }}\n"),
                &["9:18: the rate is found out"],
            ),
            (
                "[[question]]\nask = \"Q\"\nmetric = \"link_tx_frames\"\nrole = \"sender\"\n",
                &["1:1: a question is about one condition alone; this selects unicast-4, broadcast-4, \
                   raw-broadcast-4 and 5 more"],
            ),
        ]);
    }

    #[test]
    fn all_is_told_in_one_go() {
        let text = format!(
            "[measure]\nhosts = 1\n{CLAIM}about = 1\nat_most = 1\n[[claim]]\nsays = 5\nmetric = \"m\"\nrole = \"r\"\n\
             abuot = [1]\n{CLAIM}"
        );
        assert_problems(&[(
            &text,
            &[
                "2:9: hosts 1",
                "7:9: a claim has one test",
                "10:8: 5 is no text",
                "13:1: unknown key",
                "14:1: a claim needs",
            ],
        )]);
    }

    #[test]
    fn without_a_heading_it_is_no_lab() {
        let found: Vec<_> = read("x", b"").unwrap_err().into_iter().map(|problem| problem.to_string()).collect();
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("1:1: the file needs title = "), "{found:?}");
        assert!(found[1].starts_with("1:1: the file needs lecture = "), "{found:?}");
    }

    #[test]
    fn hostile_files_are_refused() {
        let mut hostile: Vec<Vec<u8>> = vec![
            b"\xff\xfe\x00".to_vec(),
            b"title = \"\xc3\"".to_vec(),
            b"title = \"\0\"\n\0\0".to_vec(),
            vec![0; 100_000],
            b"x = ".iter().copied().chain(vec![b'['; 200_000]).collect(),
            b"x = ".iter().chain(b"{a=".iter().cycle().take(199_999)).copied().collect(),
            b"a.".iter().cycle().take(200_000).chain(b"a = 1").copied().collect(),
            vec![b'['; 200_000],
            b"x = ".iter().copied().chain(vec![b'9'; 200_000]).collect(),
            b"title = \"".iter().copied().chain(vec![b'x'; 200_000]).chain([b'"']).collect(),
        ];
        let many = |line: fn(usize) -> String| (0..5_000).map(line).collect::<String>();
        let list = |most: usize| (2..most).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        for text in [
            many(|n| format!("key{n} = {n}\n")),
            many(|_| "[[claim]]\n".to_owned()),
            many(|_| CLAIM.to_owned()),
            format!("[measure]\nhosts = [{}]\n", list(50_000)),
            format!("[measure]\nreceivers = [{0}]\nsize = [{0}]\nhosts = [{0}]\n", list(900)),
            many(|n| format!("[[measure.groups]]\nname = \"{n}\"\nrole = \"receiver\"\ncount = 4294967295\n")),
            many(|n| format!("[[measure.case]]\nname = \"{n}\"\nttl = 0\n")),
        ] {
            hostile.push(format!("{HEAD}{text}").into_bytes());
        }
        for text in hostile {
            let problems = read("x", &text).expect_err("it is no lab");
            assert!((1..=20).contains(&problems.len()), "{problems:?}");
            assert!(problems.iter().all(|problem| problem.what.chars().count() <= 301));
        }
    }

    /// Whatever is done to a lab, it is read or refused, and what is wrong has a place in it.
    #[test]
    fn mutated_labs_are_read_or_refused() {
        const WORDS: &str = "nan -1 1e308 99999999999999999999 \"\" [ ] { } = # \" ''' \0 é . [[claim]] [measure] \n \
                             [[measure.case]] true \"max\" 0 , ";
        let words: Vec<&str> = WORDS.split(' ').collect();
        let mut state = 0x5eed_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound.max(1)
        };
        let mut right = 0;
        for round in 0..3000 {
            let mut text = LABS[round % LABS.len()].toml.as_bytes().to_vec();
            for _ in 0..=below(3) {
                let from = below(text.len());
                let to = (from + below(40)).min(text.len());
                match below(5) {
                    0 => text[from] = below(256) as u8,
                    1 => drop(text.drain(from..to)),
                    2 => {
                        let (chunk, at) = (text[from..to].to_vec(), below(text.len()));
                        text.splice(at..at, chunk);
                    }
                    3 if round % 10 == 0 => text.truncate(to.max(1)),
                    _ => drop(text.splice(from..to.min(from + 3), words[below(words.len())].bytes())),
                }
            }
            match read("x", &text) {
                Ok(lab) => {
                    right += 1;
                    assert!(lab.design.plan().is_ok() && lab.quick.plan().is_ok());
                }
                Err(problems) => {
                    let lines = text.split(|byte| *byte == b'\n').count();
                    assert!(!problems.is_empty());
                    assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line)), "{problems:?}");
                }
            }
        }
        assert!((100..2900).contains(&right), "{right} of 3000 could be read");
    }
}
