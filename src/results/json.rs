//! The same as the tables for machines: one object a condition, and one for the run.

use serde_json::{Map, Value, json};

use super::metadata::RunMetadata;
use super::row::SummaryRow;
use super::setting::Setting;
use super::summary;
use crate::units::Mode;

/// What was measured in one condition. Keys are those of the CSV files; under `metrics` stand the roles, under each its
/// metrics as in `summary.csv`. `null` is "not measured". `summary` as for [`table`](super::table::table).
pub fn condition_json(setting: &Setting, mode: Mode, rows: &[SummaryRow], accounted: Option<f64>) -> Value {
    let mut metrics: Map<String, Value> = Map::new();
    for row in rows.iter().filter(|row| row.mode == mode) {
        let role = metrics.entry(row.role.clone()).or_insert_with(|| json!({}));
        role[&row.metric] = json!({
            "unit": row.unit, "n": row.n, "median": row.median, "mean": row.mean,
            "ci95_low": row.ci95_low, "ci95_high": row.ci95_high, "cv": row.cv, "doubtful": row.doubtful,
        });
    }
    json!({
        "event": "condition",
        "condition": rows.iter().find(|row| row.mode == mode).map(|row| &row.condition),
        "mode": mode,
        "case": setting.case,
        "hosts": setting.hosts,
        "receivers": setting.receivers,
        "bystanders": setting.bystanders(mode),
        "switch": setting.switch,
        "size_bytes": setting.size_bytes,
        "offered_rate": setting.rate.per_second(),
        "trials": setting.trials,
        "valid_trials": summary::valid_trials(rows, mode),
        "accounted_for": accounted,
        "metrics": metrics,
    })
}

/// The last object of a run: how it ended, and where its files are (`folder`).
pub fn run_json(metadata: &RunMetadata, folder: &str, conditions: usize) -> Value {
    let warnings: Vec<Value> = metadata
        .warnings
        .iter()
        .map(|warning| json!({"code": warning.code(), "message": warning.to_string(), "advice": warning.advice()}))
        .collect();
    json!({
        "event": "summary",
        "run_id": metadata.run_id,
        "status": metadata.status,
        "started": metadata.started,
        "ended": metadata.ended,
        "seed": metadata.seed,
        "conditions": conditions,
        "folder": folder,
        "warnings": warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::metadata::{Status, Warning};
    use crate::units::Rate;

    #[test]
    fn a_condition_by_role_and_metric() {
        let setting = Setting {
            case: String::new(),
            hosts: 8,
            receivers: 4,
            rate: Rate::Max,
            size_bytes: 64,
            trials: 3,
            switch: "hub".to_owned(),
            modes: vec![Mode::Unicast, Mode::Multicast],
        };
        let rows: Vec<SummaryRow> = [
            SummaryRow::of("uni", Mode::Unicast, "sender", "rate", "messages/s", &[4.0, 4.0]),
            SummaryRow::of("multi", Mode::Multicast, "sender", "rate", "messages/s", &[1.0]),
        ]
        .into_iter()
        .flatten()
        .collect();
        assert_eq!(
            condition_json(&setting, Mode::Unicast, &rows, Some(0.96)),
            json!({
                "event": "condition", "condition": "uni", "mode": "unicast", "case": "", "hosts": 8, "receivers": 4, "bystanders": 3, "switch": "hub",
                "size_bytes": 64, "offered_rate": null, "trials": 3, "valid_trials": 2, "accounted_for": 0.96,
                "metrics": {"sender": {"rate": {
                    "unit": "messages/s", "n": 2, "median": 4.0, "mean": 4.0,
                    "ci95_low": 4.0, "ci95_high": 4.0, "cv": 0.0, "doubtful": 0,
                }}},
            })
        );
        let chat = condition_json(&setting, Mode::Chat, &rows, None);
        assert_eq!(chat["bystanders"], 2, "one is the server");
        let none = condition_json(&setting, Mode::Broadcast, &rows, None);
        assert_eq!(
            (&none["condition"], &none["valid_trials"], &none["metrics"]),
            (&Value::Null, &json!(0), &json!({}))
        );
    }

    #[test]
    fn the_run_with_its_warnings() {
        let mut metadata = RunMetadata::start("1f", 7, Vec::new());
        metadata.warn(Warning::HostLost { host: "h3".to_owned() });
        metadata.end(Status::Complete);
        let value = run_json(&metadata, "results/x", 8);
        assert_eq!(value["event"], "summary");
        assert_eq!((&value["status"], &value["conditions"]), (&json!("complete"), &json!(8)));
        assert_eq!(value["warnings"][0]["code"], "host-lost");
        assert_eq!(value["folder"], "results/x");
    }
}
