//! Which CPU does a host's receive work: receive packet steering (`Documentation/networking/scaling.rst`).
//!
//! A virtual link without a receive thread of its own has its receive work done by the CPU that sends. For a host that is
//! to feel its own receive work alone, its link hands that work on to a CPU of its choice, which it interrupts as a network
//! card would.
//!
//! A queue's `rps_cpus` in sysfs takes root, but a namespace's default for the queues made in it does not
//! (`net.core.rps_default_mask`, a namespace's own since Linux 6.3).

use std::collections::BTreeMap;
use std::fs;
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

/// CPUs for the receive work of some hosts, and those that are left to everything else.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Steering {
    of_host: BTreeMap<usize, usize>,
    others: Vec<usize>,
}

impl Steering {
    /// Deals `cpus` out: each of `hosts` gets one in turn, but never the first.
    ///
    /// # Errors
    /// Why not, in words, when there are too few CPUs.
    pub(super) fn plan(hosts: &[usize], cpus: &[usize]) -> Result<Steering, String> {
        let own = cpus.get(1..).unwrap_or_default();
        if own.is_empty() {
            return Err("it takes 2 CPUs, one of them for the host alone, and there is 1".to_owned());
        }
        let of_host: BTreeMap<_, _> = hosts.iter().copied().zip(own.iter().copied().cycle()).collect();
        let others = cpus.iter().copied().filter(|cpu| !of_host.values().any(|own| own == cpu)).collect();
        Ok(Steering { of_host, others })
    }

    /// The CPU that does this host's receive work; `None` when that is left to chance.
    pub fn cpu_of(&self, host: usize) -> Option<usize> {
        self.of_host.get(&host).copied()
    }

    /// The CPUs that do no host's receive work in particular; none where nothing is steered.
    pub fn others(&self) -> &[usize] {
        &self.others
    }

    /// Has the queues of interfaces made from now on in the calling thread's namespace, which is to be that of `host`,
    /// hand their work to its CPU.
    ///
    /// # Errors
    /// Why not, in words.
    pub(super) fn prepare(&self, host: usize) -> Result<(), String> {
        const DEFAULT: &str = "/proc/sys/net/core/rps_default_mask";
        let Some(cpu) = self.cpu_of(host) else { return Ok(()) };
        fs::write(DEFAULT, mask(cpu)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => "receive work is steered to a CPU by Linux 6.3 and later only".to_owned(),
            _ => format!("writing {} to {DEFAULT}: {error}", mask(cpu)),
        })
    }

    /// Whether the interface of `host` does hand its work to that CPU, by the sysfs of its namespace.
    ///
    /// # Errors
    /// Why it does not, in words.
    pub(super) fn verify(&self, host: usize, sysfs: &Result<OwnedFd, String>, interface: &str) -> Result<(), String> {
        let Some(cpu) = self.cpu_of(host) else { return Ok(()) };
        // Not by /sys/class/net: see where threads are started.
        let path = format!("devices/virtual/net/{interface}/queues/rx-0/rps_cpus");
        let mut is = String::new();
        openat(sysfs.as_ref()?, path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(std::io::Error::from)
            .and_then(|file| fs::File::from(file).read_to_string(&mut is))
            .map_err(|error| format!("reading /sys/{path}: {error}"))?;
        let digits = |mask: &str| mask.trim().replace(',', "").trim_start_matches('0').to_owned();
        if digits(&is) == digits(&mask(cpu)) {
            Ok(())
        } else {
            Err(format!("the kernel steers receive work of {interface} to the CPUs {}, not {}", is.trim(), mask(cpu)))
        }
    }
}

/// A set of one CPU as the kernel writes it: hexadecimal digits, 32 CPUs between commas.
fn mask(cpu: usize) -> String {
    format!("{:x}{}", 1_u32 << (cpu % 32), ",00000000".repeat(cpu / 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpus_are_dealt_out() {
        let of = |hosts: &[usize], cpus: &[usize]| Steering::plan(hosts, cpus).unwrap();
        let two = of(&[3, 5], &[0, 1]);
        assert_eq!((two.cpu_of(3), two.cpu_of(5), two.cpu_of(4), two.others()), (Some(1), Some(1), None, &[0][..]));
        let four = of(&[3, 5], &[0, 2, 4, 6]);
        assert_eq!((four.cpu_of(3), four.cpu_of(5), four.others()), (Some(2), Some(4), &[0, 6][..]));
        assert!(Steering::plan(&[3], &[0]).unwrap_err().contains("2 CPUs"));
    }

    #[test]
    fn masks_are_written_as_the_kernel_reads_them() {
        assert_eq!([0, 1, 5, 31].map(mask), ["1", "2", "20", "80000000"]);
        assert_eq!([32, 65].map(mask), ["1,00000000", "2,00000000,00000000"]);
    }
}
