//! Hands the commit being built to `run.json`, where there is one.
#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

use std::path::Path;
use std::process::Command;

fn main() {
    // Without any such line cargo would run this again after every change of a file.
    println!("cargo:rerun-if-changed=build.rs");
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    // Sources unpacked within somebody else's repository have no commit of their own.
    let top = git(here, &["rev-parse", "--show-toplevel"]).and_then(|top| Path::new(&top).canonicalize().ok());
    if top.is_none() || top != here.canonicalize().ok() {
        return;
    }
    if let Some(commit) = git(here, &["rev-parse", "HEAD"]) {
        println!("cargo:rustc-env=NETLAB_GIT_COMMIT={commit}");
    }
    // HEAD changes with the branch, its log with every commit. Naming a file that is not there would mean "always".
    for file in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(here, &["rev-parse", "--git-path", file])
            && here.join(&path).exists()
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
}

/// What git answers; `None` without git, without a repository, or when it refuses.
fn git(dir: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(dir).args(arguments).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !answer.is_empty()).then_some(answer)
}
