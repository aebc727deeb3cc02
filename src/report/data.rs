//! A result folder as the report sees it: conditions in groups that differ in nothing but the mode.

use std::collections::BTreeSet;
use std::path::Path;

use super::facts::Facts;
use crate::error::Result;
use crate::results::row::{ClaimRow, ConditionRow, HostRow, PredictionRow, Row, SampleRow, SummaryRow};
use crate::results::setting::Setting;
use crate::results::store::{METADATA_FILE, Store};
use crate::results::summary::{ALL, summarize};
use crate::units::{Mode, Rate, Role};

/// A run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) hosts: Vec<HostRow>,
    pub(super) samples: Vec<SampleRow>,
    /// In the order of the tables.
    pub(super) groups: Vec<Group>,
    /// Empty without `claims.csv`.
    pub(super) claims: Vec<ClaimRow>,
    /// Empty without `predictions.csv`.
    pub(super) predictions: Vec<PredictionRow>,
    /// `None` without `run.json`.
    pub(super) facts: Option<Facts>,
    /// Whether there was a `conditions.csv`; else the conditions are what `hosts.csv` shows of them.
    pub(super) conditions_known: bool,
    /// Files of the run that are there.
    pub(super) files: Vec<&'static str>,
}

/// Conditions that differ in nothing but the mode, one for each mode.
#[derive(Debug)]
pub(super) struct Group {
    /// From 1, in the order of the tables; names its drawings.
    pub(super) number: usize,
    /// The lab's name for the case and in what else it differs from other groups; the setting in words where it differs
    /// in nothing.
    pub(super) heading: String,
    /// The setting in words, where the heading is something else.
    pub(super) label: Option<String>,
    /// As the tables on the terminal have it.
    pub(super) setting: Setting,
    /// In the order of [`Setting::modes`].
    pub(super) conditions: Vec<ConditionRow>,
    /// What was measured in them, so that [`results::summary::find`](crate::results::summary::find) finds it.
    pub(super) summary: Vec<SummaryRow>,
}

impl Run {
    /// Reads a result folder. Only `hosts.csv` has to be there.
    ///
    /// # Errors
    /// Usage, with file and line, when a file is malformed or it is no result folder.
    pub(super) fn read(dir: &Path) -> Result<Run> {
        let mut hosts = Store::read::<HostRow>(dir)?;
        for row in &mut hosts {
            // Tables from before there was the column lack it; what is all valid has valid counts.
            row.counts_valid |= row.valid;
        }
        let known = Store::read_if_there::<ConditionRow>(dir)?;
        let facts = Facts::read(dir)?;
        let mut summary = summarize(&hosts);
        // How much of the machine's CPU time is accounted for, the hosts' rows don't tell.
        let stored = Store::read_if_there::<SummaryRow>(dir)?.unwrap_or_default();
        summary.extend(stored.into_iter().filter(|row| row.role == ALL && row.metric == "closure"));

        let conditions_known = known.is_some();
        let mut conditions = known.unwrap_or_default();
        conditions.extend(derived(&hosts, &conditions, facts.as_ref()));
        let files = [
            HostRow::FILE,
            SampleRow::FILE,
            SummaryRow::FILE,
            ConditionRow::FILE,
            ClaimRow::FILE,
            PredictionRow::FILE,
            METADATA_FILE,
        ];
        Ok(Run {
            groups: groups(conditions, &summary),
            hosts,
            samples: Store::read_if_there(dir)?.unwrap_or_default(),
            claims: Store::read_if_there(dir)?.unwrap_or_default(),
            predictions: Store::read_if_there(dir)?.unwrap_or_default(),
            facts,
            conditions_known,
            files: files.into_iter().filter(|file| dir.join(file).exists()).collect(),
        })
    }

    /// What the run is called.
    pub(super) fn title(&self) -> &str {
        self.facts.as_ref().and_then(Facts::lab_title).unwrap_or("netlab measure")
    }

    /// All conditions, in the order of the tables.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (&Group, &ConditionRow)> {
        self.groups.iter().flat_map(|group| group.conditions.iter().map(move |condition| (group, condition)))
    }

    /// The modes that occur, in the order of the tables.
    pub(super) fn modes(&self) -> Vec<Mode> {
        let modes: BTreeSet<Mode> = self.conditions().map(|(_, condition)| condition.mode).collect();
        modes.into_iter().collect()
    }
}

impl Group {
    /// The metrics of a condition.
    pub(super) fn figures(&self, mode: Mode, role: &str, metric: &str) -> Option<&SummaryRow> {
        crate::results::summary::find(&self.summary, mode, role, metric)
    }

    /// The modes in which there are hosts of a role that packets may end at.
    pub(super) fn modes_of(&self, role: Role) -> Vec<Mode> {
        let has = |mode: &Mode| self.setting.listeners(*mode).contains(&role);
        self.setting.modes.iter().copied().filter(has).collect()
    }

    /// Heading and setting in words, for what stands alone.
    pub(super) fn full_heading(&self) -> String {
        let case = self.conditions.first().map_or("", |first| first.case.as_str());
        match &self.label {
            Some(label) if case.is_empty() => label.clone(),
            Some(label) => format!("{case}{PART}{label}"),
            None => self.heading.clone(),
        }
    }
}

/// What `hosts.csv` shows of conditions that are not listed.
fn derived(hosts: &[HostRow], listed: &[ConditionRow], facts: Option<&Facts>) -> Vec<ConditionRow> {
    let mut found: Vec<ConditionRow> = Vec::new();
    for row in hosts {
        let same = |other: &ConditionRow| other.condition == row.condition && other.mode == row.mode;
        if listed.iter().any(same) {
            continue;
        }
        match found.iter_mut().find(|other| same(other)) {
            Some(condition) => condition.trials = condition.trials.max(row.trial),
            None => found.push(condition_of(row, hosts, facts)),
        }
    }
    // Trials are taken in random order.
    let order = |a: &ConditionRow, b: &ConditionRow| {
        let key = |row: &ConditionRow| (row.hosts, row.receivers, row.size_bytes, row.lans);
        let rate = |row: &ConditionRow| row.offered_rate.unwrap_or(f64::INFINITY);
        key(a).cmp(&key(b)).then(rate(a).total_cmp(&rate(b))).then(a.mode.cmp(&b.mode))
    };
    found.sort_by(order);
    let first = listed.iter().map(|row| row.setting).max().unwrap_or(0) + 1;
    let mut settings: Vec<ConditionRow> = Vec::new();
    for row in &mut found {
        let same = |other: &ConditionRow| order(&ConditionRow { mode: row.mode, ..other.clone() }, row).is_eq();
        let index = settings.iter().position(same).unwrap_or_else(|| {
            settings.push(row.clone());
            settings.len() - 1
        });
        row.setting = first.saturating_add(index as u32);
    }
    found
}

/// A condition as its rows have it; those of its first trial are counted.
fn condition_of(first: &HostRow, hosts: &[HostRow], facts: Option<&Facts>) -> ConditionRow {
    let of_trial =
        |row: &&HostRow| row.condition == first.condition && row.mode == first.mode && row.trial == first.trial;
    let rows: Vec<&HostRow> = hosts.iter().filter(of_trial).collect();
    let count = |role| rows.iter().filter(|row| row.role == role).count() as u64;
    let (receivers, bystanders) = (count(Role::Receiver), count(Role::Bystander));
    let plan = |key: &str| facts.and_then(|facts| facts.plan.get(key));
    ConditionRow {
        condition: first.condition.clone(),
        mode: first.mode,
        setting: 0,
        label: String::new(),
        case: String::new(),
        hosts: count(Role::Sender) + count(Role::Server) + receivers + bystanders,
        receivers,
        bystanders,
        switch: plan("switch").and_then(|switch| switch.as_str()).unwrap_or_default().to_owned(),
        nic: String::new(),
        lans: rows.iter().map(|row| row.lan).max().unwrap_or(1).max(1).into(),
        ipv6: plan("ipv6").and_then(serde_json::Value::as_bool).unwrap_or(false),
        offered_rate: first.offered_rate,
        size_bytes: first.size_bytes.unwrap_or(0),
        duration_s: first.duration_s.unwrap_or(0.0),
        trials: first.trial,
        ttl: None,
        group_address: String::new(),
        relay: String::new(),
        qos: None,
        distance_s: 0.0,
        igmp: String::new(),
        broadcast_address: String::new(),
        burst: 1,
        attribution: String::new(),
    }
}

/// Puts conditions of one setting together. A mode that a setting has twice begins another group.
fn groups(conditions: Vec<ConditionRow>, summary: &[SummaryRow]) -> Vec<Group> {
    let mut lists: Vec<Vec<ConditionRow>> = Vec::new();
    for condition in conditions {
        let fits = |list: &&mut Vec<ConditionRow>| {
            list.first().is_some_and(|first| first.setting == condition.setting)
                && list.iter().all(|other| other.mode != condition.mode)
        };
        match lists.iter_mut().find(fits) {
            Some(list) => list.push(condition),
            None => lists.push(vec![condition]),
        }
    }
    lists.sort_by_key(|list| list.first().map(|first| first.setting));
    let group = |(index, mut conditions): (usize, Vec<ConditionRow>)| {
        conditions.sort_by_key(|condition| condition.mode);
        let setting = setting_of(&conditions)?;
        let first = conditions.first()?;
        let heading = if first.label.is_empty() { setting.to_string() } else { first.label.clone() };
        let of_group = |row: &&SummaryRow| {
            conditions.iter().any(|condition| condition.condition == row.condition && condition.mode == row.mode)
        };
        let summary = summary.iter().filter(of_group).cloned().collect();
        Some(Group { number: index + 1, heading, label: None, setting, conditions, summary })
    };
    let mut groups: Vec<Group> = lists.into_iter().enumerate().filter_map(group).collect();
    shorten_headings(&mut groups);
    groups
}

/// Between the parts of a setting in words.
const PART: &str = " · ";

/// From the whole setting in words to the case and those parts in which the groups of that case differ.
fn shorten_headings(groups: &mut [Group]) {
    let case = |group: &Group| group.conditions.first().map_or_else(String::new, |first| first.case.clone());
    let labels: Vec<(String, String)> = groups.iter().map(|group| (case(group), group.heading.clone())).collect();
    for (group, (case, label)) in groups.iter_mut().zip(&labels) {
        let others = || labels.iter().filter(|(other, _)| other == case).map(|(_, label)| label);
        let differs = |part: &&str| others().any(|other| !other.split(PART).any(|its| its == *part));
        // Repeats say nothing of what was measured.
        let says = |part: &&str| !part.ends_with(" repeats") && !part.ends_with(" repeat");
        let parts: Vec<&str> = label.split(PART).filter(differs).filter(says).collect();
        let heading: Vec<&str> = [case.as_str()].into_iter().filter(|case| !case.is_empty()).chain(parts).collect();
        if !heading.is_empty() {
            group.heading = heading.join(PART);
            group.label = Some(label.clone());
        }
    }
}

fn setting_of(conditions: &[ConditionRow]) -> Option<Setting> {
    let first = conditions.first()?;
    Some(Setting {
        case: String::new(),
        hosts: first.hosts as usize,
        receivers: first.receivers as usize,
        rate: first.offered_rate.map_or(Rate::Max, Rate::PerSecond),
        size_bytes: first.size_bytes as usize,
        trials: conditions.iter().map(|condition| condition.trials).max().unwrap_or(0),
        switch: switch_in_words(&first.switch, first.ipv6),
        modes: conditions.iter().map(|condition| condition.mode).collect(),
    })
}

/// A host of a role, as figures are for one: `each receiver`, but `the server`.
pub(super) fn each(role: Role) -> String {
    match role {
        Role::Receiver | Role::Bystander => format!("each {role}"),
        Role::Sender | Role::Server | Role::Switch | Role::Router => format!("the {role}"),
    }
}

/// A switch as headings have it.
pub(super) fn switch_in_words(switch: &str, ipv6: bool) -> String {
    match switch {
        "" => "switch not recorded".to_owned(),
        "snooping" => format!("switch with {} snooping", if ipv6 { "MLD" } else { "IGMP" }),
        "flooding" => "switch without snooping".to_owned(),
        "no-querier" => "snooping switch without a querier".to_owned(),
        "no-querier-quiet" => "snooping switch without a querier that floods no groups".to_owned(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(condition: &str, mode: Mode, trial: u32, host: &str, role: Role) -> HostRow {
        HostRow {
            size_bytes: Some(64),
            offered_rate: Some(2000.0),
            ..HostRow::new("1f", condition, mode, trial, host, role)
        }
    }

    fn lan(condition: &str, mode: Mode, trial: u32, receivers: usize) -> Vec<HostRow> {
        let role = |host| match host {
            1 => Role::Sender,
            h if h <= 1 + receivers => Role::Receiver,
            _ => Role::Bystander,
        };
        (1..=5).map(|host| row(condition, mode, trial, &format!("h{host}"), role(host))).collect()
    }

    #[test]
    fn conditions_of_an_older_run_are_derived() {
        let hosts = [
            lan("broadcast-3", Mode::Broadcast, 1, 3),
            lan("unicast-1", Mode::Unicast, 2, 1),
            lan("broadcast-1", Mode::Broadcast, 1, 1),
            lan("unicast-1", Mode::Unicast, 1, 1),
        ]
        .concat();
        let facts = Facts { plan: serde_json::json!({"switch": "flooding"}), ..Facts::default() };
        let groups = groups(derived(&hosts, &[], Some(&facts)), &summarize(&hosts));
        let told: Vec<_> = groups.iter().map(|group| (group.number, group.full_heading())).collect();
        let heading = |k: usize, bystanders, trials| {
            format!(
                "1 sender · {k} receiver{} · {bystanders} · 2,000 messages/s · 64 B · {trials} · switch without snooping",
                if k == 1 { "" } else { "s" }
            )
        };
        assert_eq!(told, [(1, heading(1, "3 bystanders", "2 repeats")), (2, heading(3, "1 bystander", "1 repeat"))]);
        let short: Vec<_> = groups.iter().map(|group| group.heading.as_str()).collect();
        assert_eq!(short, ["1 receiver · 3 bystanders", "3 receivers · 1 bystander"]);
        assert_eq!(groups[0].setting.modes, [Mode::Unicast, Mode::Broadcast]);
        let names: Vec<_> = groups[0].conditions.iter().map(|condition| condition.condition.as_str()).collect();
        assert_eq!(names, ["unicast-1", "broadcast-1"]);
    }

    #[test]
    fn a_mode_twice_in_a_setting_is_kept_apart() {
        let hosts = [lan("a", Mode::Unicast, 1, 2), lan("b", Mode::Unicast, 1, 2)].concat();
        let groups = groups(derived(&hosts, &[], None), &summarize(&hosts));
        assert_eq!(groups.len(), 2);
        assert!(groups.iter().all(|group| group.heading.ends_with("switch not recorded")));
    }

    #[test]
    fn listed_conditions_stay_as_they_are_and_others_follow() {
        let hosts = [lan("a", Mode::Unicast, 1, 2), lan("b", Mode::Multicast, 1, 2)].concat();
        let mut listed = derived(&hosts[..5], &[], None);
        listed[0].case = "quiet".to_owned();
        let conditions = [listed.clone(), derived(&hosts, &listed, None)].concat();
        let groups = groups(conditions, &summarize(&hosts));
        assert_eq!(groups.iter().map(|group| group.heading.as_str()).next(), Some("quiet"));
        assert!(groups[0].label.as_deref().is_some_and(|label| label.starts_with("1 sender")));
        assert_eq!(groups[1].conditions[0].condition, "b");
    }

    #[test]
    fn groups_of_one_case_are_told_apart() {
        let case = |name: &str, setting: u32, rate: f64| ConditionRow {
            case: name.to_owned(),
            setting,
            offered_rate: Some(rate),
            ..derived(&lan("a", Mode::Unicast, 1, 2), &[], None).remove(0)
        };
        let rows = vec![case("rate", 1, 500.0), case("rate", 2, 2000.0), case("work", 3, 40.0)];
        let groups = groups(rows, &[]);
        let told: Vec<_> = groups.iter().map(|group| group.heading.as_str()).collect();
        assert_eq!(told, ["rate · 500 messages/s", "rate · 2,000 messages/s", "work"]);
        assert!(groups[2].full_heading().starts_with("work · 1 sender · 2 receivers"));
    }

    #[test]
    fn nothing_measured_is_no_group() {
        assert!(groups(derived(&[], &[], None), &[]).is_empty());
    }
}
