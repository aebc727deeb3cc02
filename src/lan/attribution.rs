//! Whether CPU time can be attributed to hosts; and off and on again, for the calibration.

use super::build::Lan;
use super::cable::cables;
use super::threads::{self, NapiThread};
use crate::error::{Error, Result};
use crate::sys::netlink::Netlink;
use crate::sys::netns;

/// Whether the kernel's receive work can be told apart host by host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribution {
    /// Each end of each veth has a NAPI thread of its own.
    NapiThreads,
    /// It cannot; why.
    AppOnly(String),
}

impl Lan {
    /// Whether CPU time can be attributed to hosts.
    pub fn attribution(&self) -> &Attribution {
        &self.attribution
    }

    /// The NAPI threads of all interfaces; empty without attribution.
    ///
    /// # Errors
    /// When netlink and `/proc` both fail to name them.
    pub fn napi_threads(&self) -> Result<Vec<NapiThread>> {
        match self.attribution {
            Attribution::NapiThreads => threads::find(self.cables(), &self.napi_ids),
            Attribution::AppOnly(_) => Ok(Vec::new()),
        }
    }

    /// Switches attribution off (plain veth: no NAPI threads, GRO off) or on again, for the calibration. The threads
    /// are new ones after that.
    ///
    /// # Errors
    /// When the kernel refuses, or when the LAN never had attribution.
    pub fn set_attribution(&mut self, on: bool) -> Result<()> {
        if !self.threadable {
            return match (&self.attribution, on) {
                (Attribution::AppOnly(why), true) => Err(Error::failed(format!("no NAPI threads here: {why}"))),
                _ => Ok(()),
            };
        }
        let Some(features) = &self.features else { return Ok(()) };
        let gro = |name: &str| (name == "rx-gro").then_some(on);
        for cable in self.cables() {
            features.set(&self.netlink, cable.port, gro)?;
        }
        netns::aside(|| {
            cables(&self.hosts, self.router.as_ref()).try_for_each(|cable| {
                netns::enter(cable.netns)?;
                features.set(&Netlink::route()?, cable.link, gro)
            })
        })?;
        self.napi_ids.extend(threads::ids(self.places()));
        self.attribution = if on { Attribution::NapiThreads } else { Attribution::AppOnly("switched off".to_owned()) };
        self.await_links()
    }

    /// Looks for the NAPI threads that have been started, or not, and takes note of what follows.
    pub(super) fn find_threads(&mut self, started: Result<(), String>) {
        self.napi_ids = threads::ids(self.places());
        let were_started = started.is_ok();
        self.attribution = match started.and_then(|()| {
            threads::find(self.cables(), &self.napi_ids)
                .map_err(|why| format!("{why} (a container with a PID namespace of its own hides them)"))
        }) {
            Ok(_) => Attribution::NapiThreads,
            Err(why) => Attribution::AppOnly(why),
        };
        if let (true, Attribution::AppOnly(why)) =
            (were_started && !self.plan.spec.own_cpu.is_empty(), &self.attribution)
        {
            // What cannot be seen is not switched off either, and runs where it likes.
            self.steering = Err(format!("threads that are out of reach do the receive work: {why}"));
        }
        self.threadable = self.attribution == Attribution::NapiThreads;
    }
}
