//! The labs that are part of the program: `labs/NAME.toml`, each with a handout `labs/NAME.md`.

use super::problem::{Problem, nearest};
use super::{Lab, read};

/// A lab that is built in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BuiltIn {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its file.
    pub toml: &'static str,
    /// What students read, in Markdown.
    pub handout: &'static str,
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        /// All of them, in the order in which they are listed.
        pub const LABS: &[BuiltIn] = &[$(BuiltIn {
            name: $name,
            toml: include_str!(concat!("../../labs/", $name, ".toml")),
            handout: include_str!(concat!("../../labs/", $name, ".md")),
        }),*];
    };
}

built_in![
    "one-to-many",
    "hub-or-switch",
    "broadcast-load",
    "what-a-frame-costs",
    "two-hundred-users",
    "snooping",
    "broadcast-domain",
    "raw-frames",
    "join-and-leave",
    "source-specific",
    "ipv6-no-broadcast",
    "ttl-and-scope",
    "same-mac",
    "overload",
    "chat-relay",
    "pubsub-broker",
    "distance",
];

impl BuiltIn {
    /// Reads it.
    ///
    /// # Errors
    /// As [`read()`]; the tests see to it that there are none.
    pub fn lab(&self) -> Result<Lab, Vec<Problem>> {
        read(self.name, self.toml.as_bytes())
    }
}

/// The lab of this name.
pub fn find(name: &str) -> Option<&'static BuiltIn> {
    LABS.iter().find(|lab| lab.name == name)
}

/// The name of a lab that somebody who wrote `name` may have meant.
pub fn nearest_name(name: &str) -> Option<&'static str> {
    nearest(name, LABS.iter().map(|lab| lab.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_lab_of_the_folder_is_built_in_and_has_a_handout() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("labs");
        let with = |extension: &str| -> BTreeSet<String> {
            let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
            let files = files.filter(|path| path.extension().is_some_and(|found| found == extension));
            files.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
        };
        let built_in: BTreeSet<String> = LABS.iter().map(|lab| lab.name.to_owned()).collect();
        assert_eq!(with("toml"), built_in);
        assert_eq!(with("md"), built_in);
        assert_eq!(built_in.len(), LABS.len(), "a name is there twice");
    }

    #[test]
    fn every_lab_is_right() {
        for built_in in LABS {
            let lab = built_in.lab().unwrap_or_else(|problems| panic!("{}: {problems:#?}", built_in.name));
            assert_eq!(lab.name, built_in.name);
            assert!(!lab.claims.is_empty(), "{} claims nothing", lab.name);
            let quick = lab.quick.plan().unwrap().expected_time();
            assert!(quick.as_secs() < 30, "{} takes {quick:?} with --quick", lab.name);
            let first = built_in.handout.lines().next().unwrap_or_default();
            assert_eq!(first, format!("# {}", lab.title), "{}: the handout's heading", lab.name);
            assert!(built_in.toml.starts_with("#:schema schema.json\n"), "{}", lab.name);
        }
    }

    #[test]
    fn names_that_look_alike() {
        assert_eq!(nearest_name("one-to-mani"), Some("one-to-many"));
        assert_eq!(nearest_name("zzz"), None);
    }
}
