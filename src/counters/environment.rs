//! Facts about the machine that decide what its figures mean; part of `run.json`.

use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::sys::proc::first_line;

/// The machine, its kernel and the settings that matter here. `None`: not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// `uname -r`.
    pub kernel_release: Option<String>,
    /// `uname -v`.
    pub kernel_version: Option<String>,
    /// The architecture this program was built for.
    pub architecture: Option<String>,
    /// `model name` of `/proc/cpuinfo`.
    pub cpu_model: Option<String>,
    /// CPUs online, as `/sys/devices/system/cpu/online` lists them (`0-3,6`).
    pub cpus_online: Option<usize>,
    /// Whether the CPUs differ in strength (performance and efficiency cores): equal work then differs in CPU time.
    pub hybrid_cores: Option<bool>,
    /// Frequency scaling governor of CPU 0.
    pub scaling_governor: Option<String>,
    /// The kernel's clock source.
    pub clocksource: Option<String>,
    /// `none`, `voluntary`, `full`, `lazy` or `rt`, with ` (dynamic)` where it can be switched at boot.
    pub preemption: Option<String>,
    /// `CONFIG_IRQ_TIME_ACCOUNTING`: whether interrupt time is kept out of tasks' CPU time.
    pub irq_time_accounting: Option<bool>,
    /// `CONFIG_HZ`.
    pub timer_hz: Option<u32>,
    /// Whether the kernel groups tasks by session (`kernel.sched_autogroup_enabled`).
    pub sched_autogroup: Option<bool>,
    /// `net.core.rmem_max`, in bytes: the largest receive buffer an ordinary user gets.
    pub rmem_max_bytes: Option<u64>,
    /// `net.core.wmem_max`, in bytes.
    pub wmem_max_bytes: Option<u64>,
    /// `net.core.netdev_max_backlog`, in frames.
    pub netdev_max_backlog: Option<u64>,
    /// `net.ipv4.conf.all.rp_filter` of the network namespace: 0 off, 1 strict, 2 loose (RFC 3704).
    pub rp_filter_all: Option<u64>,
    /// What the machine runs in: `virtual machine (VENDOR PRODUCT)`, `WSL2`; `none` where the CPU reports no hypervisor.
    pub virtualization: Option<String>,
    /// Memory the kernel manages, in bytes.
    pub memory_bytes: Option<u64>,
}

impl Environment {
    /// Asks the machine. Sysctls of the network are those of the calling thread's network namespace.
    pub fn read() -> Environment {
        let release = first_line("/proc/sys/kernel/osrelease");
        let version = first_line("/proc/sys/kernel/version");
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let config = release.as_deref().and_then(kernel_config);
        let command_line = first_line("/proc/cmdline").unwrap_or_default();
        Environment {
            architecture: Some(std::env::consts::ARCH.to_owned()),
            cpu_model: cpu_model(&cpuinfo),
            cpus_online: first_line("/sys/devices/system/cpu/online").and_then(|list| count_cpus(&list)),
            hybrid_cores: hybrid_cores(),
            scaling_governor: first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            clocksource: first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            preemption: preemption(config.as_deref(), version.as_deref(), &command_line),
            irq_time_accounting: config.as_deref().map(|config| option_of(config, "IRQ_TIME_ACCOUNTING") == Some("y")),
            timer_hz: config.as_deref().and_then(|config| option_of(config, "HZ")?.parse().ok()),
            sched_autogroup: number("/proc/sys/kernel/sched_autogroup_enabled").map(|enabled| enabled != 0),
            rmem_max_bytes: number("/proc/sys/net/core/rmem_max"),
            wmem_max_bytes: number("/proc/sys/net/core/wmem_max"),
            netdev_max_backlog: number("/proc/sys/net/core/netdev_max_backlog"),
            rp_filter_all: number("/proc/sys/net/ipv4/conf/all/rp_filter"),
            virtualization: virtualization(&cpuinfo, release.as_deref()),
            memory_bytes: memory_bytes(&meminfo),
            kernel_release: release,
            kernel_version: version,
        }
    }
}

fn number(path: &str) -> Option<u64> {
    first_line(path)?.parse().ok()
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    // x86 and others; 32-bit ARM; a Raspberry Pi names only the board.
    ["model name", "Processor", "Model"].into_iter().find_map(|name| field_of(cpuinfo, name)).map(str::to_owned)
}

fn memory_bytes(meminfo: &str) -> Option<u64> {
    field_of(meminfo, "MemTotal")?.strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The first `NAME : VALUE` of a list of such lines.
fn field_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(key, value)| key.trim() == name && !value.trim().is_empty()).map(|(_, value)| value.trim())
}

/// CPUs in a list such as `0-3,6`.
fn count_cpus(list: &str) -> Option<usize> {
    list.split(',').try_fold(0_usize, |count, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        count.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

/// Intel's hybrid CPUs have a PMU of each kind instead of one `cpu`; on ARM and newer kernels CPUs tell their capacity.
fn hybrid_cores() -> Option<bool> {
    let exists = |name: &str| std::path::Path::new("/sys/bus/event_source/devices").join(name).exists();
    if exists("cpu_core") && exists("cpu_atom") {
        return Some(true);
    }
    let capacities: Vec<_> = std::fs::read_dir("/sys/devices/system/cpu")
        .ok()?
        .flatten()
        .filter_map(|entry| first_line(entry.path().join("cpu_capacity").to_str()?))
        .collect();
    match capacities.split_first() {
        Some((first, rest)) => Some(rest.iter().any(|capacity| capacity != first)),
        None => exists("cpu").then_some(false),
    }
}

/// The kernel's build options, from where distributions leave them.
fn kernel_config(release: &str) -> Option<String> {
    let files = [format!("/boot/config-{release}"), format!("/lib/modules/{release}/config")];
    files.iter().find_map(|file| std::fs::read_to_string(file).ok()).or_else(|| {
        // IKCONFIG_PROC. Where there is no gzip the options stay unknown.
        let mut gzip = Command::new("gzip");
        let output = gzip.args(["-dc", "/proc/config.gz"]).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    })
}

/// The value of `CONFIG_NAME=VALUE`.
fn option_of<'a>(config: &'a str, name: &str) -> Option<&'a str> {
    config.lines().find_map(|line| line.strip_prefix("CONFIG_")?.strip_prefix(name)?.strip_prefix('='))
}

/// The model chosen at boot (`preempt=`), else the one built in, else what `uname -v` gives away.
fn preemption(config: Option<&str>, version: Option<&str>, command_line: &str) -> Option<String> {
    const MODELS: [(&str, &str); 5] = [
        ("PREEMPT_RT", "rt"),
        ("PREEMPT_NONE", "none"),
        ("PREEMPT_VOLUNTARY", "voluntary"),
        ("PREEMPT_LAZY", "lazy"),
        ("PREEMPT", "full"),
    ];
    let words: Vec<_> = version.unwrap_or_default().split_whitespace().collect();
    let dynamic = words.contains(&"PREEMPT_DYNAMIC");
    let chosen = command_line.split_whitespace().filter_map(|word| word.strip_prefix("preempt=")).next_back();
    let built_in = || {
        let config = config?;
        MODELS.into_iter().find(|(option, _)| option_of(config, option) == Some("y")).map(|(_, model)| model)
    };
    let named = || match () {
        () if words.contains(&"PREEMPT_RT") => Some("rt"),
        () if words.contains(&"PREEMPT") => Some("full"),
        () => None,
    };
    let model = chosen.filter(|_| dynamic).or_else(built_in).or_else(named);
    match (model, dynamic) {
        (Some(model), true) => Some(format!("{model} (dynamic)")),
        (Some(model), false) => Some(model.to_owned()),
        (None, true) => Some("dynamic".to_owned()),
        (None, false) => None,
    }
}

fn virtualization(cpuinfo: &str, release: Option<&str>) -> Option<String> {
    if release.is_some_and(|release| release.to_ascii_lowercase().contains("microsoft")) {
        return Some("WSL2".to_owned());
    }
    let flags = field_of(cpuinfo, "flags")?; // x86 alone says it here
    if !flags.split_whitespace().any(|flag| flag == "hypervisor") {
        return Some("none".to_owned());
    }
    let maker = ["sys_vendor", "product_name"].map(|name| first_line(&format!("/sys/class/dmi/id/{name}")));
    let maker: Vec<_> = maker.into_iter().flatten().collect();
    Some(if maker.is_empty() { "virtual machine".to_owned() } else { format!("virtual machine ({})", maker.join(" ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_counted() {
        assert_eq!(count_cpus("0-1"), Some(2));
        assert_eq!(count_cpus("0-3,6,8-9"), Some(7));
        for bad in ["", "a", "3-1", "0-", "0-18446744073709551615"] {
            assert_eq!(count_cpus(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn fields_of_proc() {
        assert_eq!(cpu_model("processor\t: 0\nmodel name\t: AMD EPYC\n"), Some("AMD EPYC".to_owned()));
        assert_eq!(cpu_model("processor\t: 0\nBogoMIPS\t: 108.00\n\nModel\t\t: Board 5\n"), Some("Board 5".to_owned()));
        assert_eq!(cpu_model(""), None);
        assert_eq!(memory_bytes("MemTotal:        2048 kB\nMemFree: 1 kB\n"), Some(2 << 20));
        assert_eq!(memory_bytes("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn preemption_models() {
        let config =
            "CONFIG_PREEMPT_BUILD=y\nCONFIG_PREEMPT_NONE=y\n# CONFIG_PREEMPT is not set\nCONFIG_PREEMPT_DYNAMIC=y\n";
        let dynamic = Some("#1 SMP PREEMPT_DYNAMIC @0");
        let said = |config, version, line| preemption(config, version, line);
        assert_eq!(said(Some(config), dynamic, "quiet").as_deref(), Some("none (dynamic)"));
        assert_eq!(said(Some(config), dynamic, "preempt=none preempt=full").as_deref(), Some("full (dynamic)"));
        assert_eq!(said(None, dynamic, "").as_deref(), Some("dynamic"));
        assert_eq!(said(None, Some("#1 SMP PREEMPT_RT Debian"), "preempt=none").as_deref(), Some("rt"));
        assert_eq!(said(Some("CONFIG_PREEMPT=y\n"), Some("#1 SMP PREEMPT"), "").as_deref(), Some("full"));
        assert_eq!(said(None, Some("#1 SMP Debian"), ""), None);
    }

    #[test]
    fn hypervisors() {
        assert_eq!(virtualization("", Some("5.15.90.1-microsoft-standard-WSL2")).as_deref(), Some("WSL2"));
        assert_eq!(virtualization("flags\t: fpu vme\n", Some("6.1.0")).as_deref(), Some("none"));
        assert!(virtualization("flags\t: fpu hypervisor\n", None).unwrap().starts_with("virtual machine"));
        assert_eq!(virtualization("Features\t: fp asimd\n", Some("6.1.0")), None);
    }

    #[test]
    fn this_machine_has_a_kernel_and_memory() {
        let environment = Environment::read();
        assert!(environment.kernel_release.is_some() && environment.memory_bytes > Some(1 << 20), "{environment:?}");
        let json = serde_json::to_string(&environment).unwrap();
        assert_eq!(serde_json::from_str::<Environment>(&json).unwrap(), environment);
    }
}
