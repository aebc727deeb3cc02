//! Shells of the person's own, whose prompt says where in the virtual LAN one is: `[switch]`, `[h2]`.
//!
//! Each reads its usual files first. What it reads then lies in the LAN's folder in memory; a shell that is none of these
//! is started as it is.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

/// Where one is, for whoever makes a prompt.
const HERE: &str = "NETLAB_HERE";

/// Prefixes the prompt before it is shown, as often as something else sets it.
const BASH: &str = r#"[ -r ~/.bashrc ] && . ~/.bashrc
netlab_prompt() { case $PS1 in "[$NETLAB_HERE] "*) ;; *) PS1="[$NETLAB_HERE] $PS1" ;; esac; }
PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}netlab_prompt"
"#;

/// Zsh looks for its files in `ZDOTDIR`: each of these two hands over to the person's.
const ZSH_ENV: &str = r#"ZDOTDIR=${NETLAB_ZDOTDIR:-$HOME}
[[ -r $ZDOTDIR/.zshenv ]] && . "$ZDOTDIR/.zshenv"
NETLAB_ZDOTDIR=$ZDOTDIR
ZDOTDIR=$NETLAB_LAN
"#;
const ZSH: &str = r#"ZDOTDIR=$NETLAB_ZDOTDIR
[[ -r $ZDOTDIR/.zshrc ]] && . "$ZDOTDIR/.zshrc"
netlab_prompt() { [[ $PS1 == "[$NETLAB_HERE] "* ]] || PS1="[$NETLAB_HERE] $PS1" }
precmd_functions+=(netlab_prompt)
"#;

const FISH: &str = "functions --copy fish_prompt netlab_prompt; \
                    function fish_prompt; echo -n \"[$NETLAB_HERE] \"; netlab_prompt; end";

/// What an interactive POSIX shell reads: the file that `ENV` names.
const POSIX: &str = r#"[ -r "$NETLAB_ENV" ] && . "$NETLAB_ENV"
PS1="[$NETLAB_HERE] ${PS1:-$ }"
"#;

/// Puts what shells read into the LAN's folder.
pub(super) fn prepare(folder: &Path) -> io::Result<()> {
    [("bashrc", BASH), (".zshenv", ZSH_ENV), (".zshrc", ZSH), ("shrc", POSIX)]
        .into_iter()
        .try_for_each(|(name, text)| fs::write(folder.join(name), text))
}

/// The person's shell.
pub(super) fn usual() -> OsString {
    env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into())
}

/// Has `command`, where it is a shell without arguments, say `here` in its prompt. `folder` is that of the LAN.
pub(super) fn at(command: &mut Command, here: &OsStr, folder: &Path) {
    command.env(HERE, here);
    if command.get_args().next().is_some() {
        return;
    }
    match Path::new(command.get_program()).file_name().and_then(OsStr::to_str) {
        Some("bash") => {
            command.arg("--rcfile").arg(folder.join("bashrc"));
        }
        Some("zsh") => {
            // In a shell within a shell that is the person's own already.
            if let Some(own) = env::var_os("ZDOTDIR") {
                command.env("NETLAB_ZDOTDIR", own);
            }
            command.env("ZDOTDIR", folder);
        }
        Some("fish") => {
            command.args(["--init-command", FISH]);
        }
        Some("sh" | "dash" | "ash" | "ksh" | "mksh" | "yash") => {
            let ours = folder.join("shrc");
            if let Some(own) = env::var_os("ENV").filter(|own| *own != *ours) {
                command.env("NETLAB_ENV", own);
            }
            command.env("ENV", ours);
        }
        _ => {}
    }
}
