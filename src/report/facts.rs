//! What a report takes from `run.json`: as much of it as is there, whichever netlab of the same schema wrote it.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::error::Result;
use crate::results::metadata::{Calibration, Control};
use crate::results::read;
use crate::results::store::METADATA_FILE;

/// A run but for its figures. Fields are those of [`RunMetadata`](crate::results::metadata::RunMetadata); what an
/// earlier or a later netlab did not write is empty.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Facts {
    pub(super) netlab_version: Option<String>,
    pub(super) git_commit: Option<String>,
    pub(super) command_line: Vec<String>,
    pub(super) seed: Option<u64>,
    pub(super) run_id: Option<String>,
    pub(super) started: Option<String>,
    pub(super) ended: Option<String>,
    /// `running`, `complete`, `interrupted` or `failed`.
    pub(super) status: Option<String>,
    pub(super) plan: Value,
    pub(super) lan: Value,
    pub(super) environment: Value,
    pub(super) calibration: Option<Calibration>,
    pub(super) control: Option<Control>,
    pub(super) warnings: Vec<Told>,
}

/// A warning in the words of the netlab that gave it.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    pub(super) message: String,
    pub(super) advice: String,
}

impl Facts {
    /// Reads them; `None` without the file.
    ///
    /// # Errors
    /// Usage, with file and line, when the file cannot be read, is malformed, or is of a later netlab.
    pub(super) fn read(dir: &Path) -> Result<Option<Facts>> {
        let path = dir.join(METADATA_FILE);
        if path.exists() { read::metadata(&path).map(Some) } else { Ok(None) }
    }

    /// The lab's title, where it was one.
    pub(super) fn lab_title(&self) -> Option<&str> {
        self.plan.get("lab")?.get("title")?.as_str().filter(|title| !title.trim().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn of(text: &str) -> Result<Option<Facts>> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(METADATA_FILE), text).unwrap();
        Facts::read(dir.path())
    }

    #[test]
    fn an_unknown_warning_and_missing_fields_are_no_obstacle() {
        let facts = of(r#"{"plan": {"lab": {"title": "Who pays?"}}, "new": 1, "calibration": null,
            "warnings": [{"code": "of-tomorrow", "x": 1, "message": "Too hot.", "advice": "Cool it."}]}"#);
        let facts = facts.unwrap().unwrap();
        assert_eq!(facts.lab_title(), Some("Who pays?"));
        assert_eq!(facts.warnings, [Told { message: "Too hot.".to_owned(), advice: "Cool it.".to_owned() }]);
        assert_eq!(of("{}").unwrap(), Some(Facts::default()));
        assert_eq!(Facts::read(Path::new("/nowhere")).unwrap(), None);
    }

    #[test]
    fn what_is_no_json_is_named_with_its_line() {
        let error = of("{\n\"plan\": nonsense}").unwrap_err();
        assert!(error.to_string().contains("run.json:2: "), "{error}");
    }
}
