//! The layers of `src/`: who may use whom. The list is the one `src/lib.rs` draws.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each part, and the parts it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    ("units", &[]),
    ("error", &[]),
    ("feed", &[]),
    ("escaped", &[]),
    ("wire", &["units", "error"]),
    ("sys", &["units", "error"]),
    ("counters", &["wire", "sys", "units", "error"]),
    ("delivery", &["wire", "sys", "units", "error"]),
    ("chat", &["wire", "sys", "units", "error", "feed"]),
    ("lan", &["wire", "sys", "units", "error"]),
    ("router", &["wire", "sys", "units", "error"]),
    ("pubsub", &["wire", "sys", "units", "error", "feed"]),
    ("results", &["counters", "units", "error"]),
    ("report", &["results", "units", "error", "escaped"]),
    ("run", &["chat", "pubsub", "counters", "delivery", "lan", "router", "results", "wire", "sys", "units", "error"]),
    ("lab", &["run", "chat", "results", "lan", "units", "error", "escaped"]),
    (
        "cli",
        &[
            "lab", "run", "report", "results", "lan", "router", "delivery", "pubsub", "counters", "wire", "sys",
            "units", "error", "lab", "run", "report", "results", "lan", "router", "chat", "delivery", "counters",
            "wire", "sys", "units", "error", "feed", "escaped",
        ],
    ),
    ("lib", &[]),
    ("main", &[]),
];

#[test]
fn arrows_point_down() {
    let mut wrong = Vec::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        let part = part_of(&file);
        let (_, allowed) = MAY_USE
            .iter()
            .find(|(name, _)| *name == part)
            .unwrap_or_else(|| panic!("{}: '{part}' is not on the list of layers", file.display()));
        for used in uses(&text) {
            if used != part && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{}: {part} uses {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that point up:\n{}", wrong.join("\n"));
}

#[test]
fn the_layers_have_no_circle() {
    for (index, (name, allowed)) in MAY_USE.iter().enumerate() {
        for used in *allowed {
            let below = MAY_USE.iter().position(|(other, _)| other == used).expect("a part of the list");
            assert!(below < index, "{name} may use {used}, which is listed above it");
        }
    }
}

#[test]
fn unsafe_stays_in_sys() {
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        if part_of(&file) != "sys" {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
            for line in code {
                assert!(!line.contains("unsafe {") && !line.contains("unsafe fn"), "{}: {line}", file.display());
            }
        }
    }
}

/// They panic on an argument, or on any variable of the environment, that is no UTF-8.
#[test]
fn arguments_and_environment_are_not_taken_for_text() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["src", "examples"].iter().flat_map(|folder| sources(&root.join(folder))) {
        let text = fs::read_to_string(&file).unwrap();
        for panics in ["env::args()", "env::vars()", "to_str().unwrap()", "to_str().expect("] {
            let code = text.split("\n#[cfg(test)]").next().unwrap_or_default();
            assert!(!code.contains(panics), "{}: {panics}", file.display());
        }
    }
}

#[test]
fn uses_are_found() {
    let text =
        "use crate::wire::probe;\nuse crate::{error::Error, units};\nlet x = crate::sys::f();\n// crate::cli::no\n";
    let found: Vec<_> = uses(text).into_iter().collect();
    assert_eq!(found, ["error", "sys", "units", "wire"]);
}

/// The parts that a source names as `crate::PART` or in `crate::{PART…, PART…}`, outside comments.
fn uses(text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line, "\n"]).collect();
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut start = 0;
            for (i, c) in list.char_indices() {
                match c {
                    '{' => depth += 1,
                    '}' if depth > 0 => depth -= 1,
                    ',' | '}' if depth == 0 => {
                        found.extend(name_of(&list[start..i]));
                        start = i + 1;
                        if c == '}' {
                            break;
                        }
                    }
                    _ => {}
                }
            }
        } else {
            found.extend(name_of(rest));
        }
    }
    found
}

fn name_of(path: &str) -> Option<String> {
    let name: String = path.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// `src/wire/probe.rs` and `src/wire.rs` belong to `wire`.
fn part_of(file: &Path) -> String {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let first = file.strip_prefix(src).unwrap().components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
