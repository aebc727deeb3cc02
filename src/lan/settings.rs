//! Settings under `/proc/sys/net`: which each namespace gets, and how they are written.

use std::fs;
use std::io;

use super::plan::Plan;
use crate::error::{Error, Result};

/// A setting under `/proc/sys/net` of one namespace: path and value.
pub type Setting = (&'static str, &'static str);

impl Plan {
    /// Settings of the switch's namespace before the bridge exists. Bridged frames are kept from the packet filter: it
    /// would cost a quarter of the packet rate. A snooping bridge joins 224.0.0.106 itself (RFC 4286) and is to be done
    /// with that soon.
    #[must_use]
    pub fn switch_settings(&self) -> Vec<Setting> {
        let mut settings = vec![
            ("bridge/bridge-nf-call-iptables", "0"),
            ("bridge/bridge-nf-call-ip6tables", "0"),
            ("bridge/bridge-nf-call-arptables", "0"),
        ];
        settings.extend(if self.spec.ipv6 { QUIET_IPV6 } else { NO_IPV6 });
        settings.extend(REPORT_SOON);
        settings.extend(self.igmp_setting());
        settings
    }

    /// Settings of the switch's namespace once the bridge exists: its ports are to have no IPv6 of their own.
    #[must_use]
    pub fn port_settings(&self) -> &'static [Setting] {
        if self.spec.ipv6 { &[("ipv6/conf/default/disable_ipv6", "1")] } else { &[] }
    }

    /// Settings of a host's namespace. Any source address is accepted, more than 20 groups can be joined, and a join
    /// is reported (twice, RFC 3376 section 8.1) within 20 ms, so that no report lands in a measurement.
    #[must_use]
    pub fn host_settings(&self) -> Vec<Setting> {
        let mut settings = vec![
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/igmp_max_memberships", "4096"),
        ];
        settings.extend(if self.spec.ipv6 { QUIET_IPV6 } else { NO_IPV6 });
        settings.extend(REPORT_SOON);
        settings.extend(self.igmp_setting());
        settings
    }

    /// Keeps a namespace to IGMP version 2; version 3 is what it speaks unless it hears otherwise.
    fn igmp_setting(&self) -> Option<Setting> {
        (self.spec.igmp.version == 2).then_some(("ipv4/conf/all/force_igmp_version", "2"))
    }
}

/// Milliseconds between the reports of a join, in IGMP version 2 and 3.
const REPORT_SOON: [Setting; 2] = [
    ("ipv4/conf/default/igmpv2_unsolicited_report_interval", "10"),
    ("ipv4/conf/default/igmpv3_unsolicited_report_interval", "10"),
];

const NO_IPV6: &[Setting] = &[("ipv6/conf/all/disable_ipv6", "1")];

/// IPv6 without router solicitations and duplicate detection, and with its group reports over in 20 ms.
const QUIET_IPV6: &[Setting] = &[
    ("ipv6/conf/default/accept_dad", "0"),
    ("ipv6/conf/default/accept_ra", "0"),
    ("ipv6/conf/default/router_solicitations", "0"),
    ("ipv6/conf/default/mldv2_unsolicited_report_interval", "10"),
];

/// Writes settings of the calling thread's namespace. A file that is not there (a kernel without IPv6 or without the
/// bridge's packet filter) needs no setting.
///
/// # Errors
/// What the kernel says about the first it does not take.
pub(super) fn apply(settings: &[Setting]) -> Result<()> {
    for (name, value) in settings {
        let path = format!("/proc/sys/net/{name}");
        match fs::write(&path, value) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(Error::failed(format!("writing {value} to {path}")).because(cause));
            }
            _ => {}
        }
    }
    Ok(())
}
