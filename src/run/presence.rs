//! Joining and leaving a group while the messages flow, and what still comes over the link after leaving.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::protocol::Window;
use crate::delivery::Inlet;
use crate::error::{Error, Result};
use crate::sys::clock::{self, RealtimeOffset};
use crate::sys::interface::Interface;
use crate::sys::mmsg::ReceiveBatch;
use crate::sys::{packet, socket};
use crate::wire::ethernet::MacAddress;

/// When a receiver is a member of its group, from the start of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// It joins; `None`: it has joined before.
    pub joins_at: Option<Duration>,
    /// It leaves; `None`: not within the window.
    pub leaves_at: Option<Duration>,
    /// It is back after leaving; `None`: not within the window.
    pub returns_at: Option<Duration>,
}

impl Presence {
    /// Whether it is a member all the time.
    pub fn is_whole(&self) -> bool {
        self.joins_at.is_none() && self.leaves_at.is_none()
    }
}

/// What came of it; times are `CLOCK_MONOTONIC` in ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PresenceReport {
    /// Just before it asked to join, the first time.
    pub joined_ns: Option<u64>,
    /// What it saw after it left, when it did.
    pub left: Option<Left>,
}

/// The host's link after its program left the group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Left {
    /// Just after the call to leave returned.
    pub at_ns: u64,
    /// Frames of the group that came in by the link after that.
    pub frames: u64,
    /// When the last of them did, by the kernel's timestamp.
    pub last_frame_ns: Option<u64>,
    /// Whether none of them was missed for want of buffer.
    pub complete: bool,
}

/// Joins, leaves and joins again `inlet`'s group at the times of `presence`, and watches the host's link from leaving until
/// then, or until `stop` is set.
///
/// # Errors
/// When the kernel refuses to join or to leave, or to show the link's frames.
pub(super) fn keep(
    inlet: &Inlet,
    presence: Presence,
    interface: &str,
    window: Window,
    stop: &AtomicBool,
) -> Result<PresenceReport> {
    clock::wake_precisely();
    let mut report = PresenceReport::default();
    if let Some(joins_at) = presence.joins_at {
        sleep_until(window.at_ns(joins_at));
        report.joined_ns = Some(clock::monotonic_ns());
        inlet.join()?;
    }
    if let Some(leaves_at) = presence.leaves_at {
        sleep_until(window.at_ns(leaves_at));
        // Not earlier: every frame that is watched costs the host something.
        let link = Link::watch(inlet, interface)?;
        inlet.leave()?;
        let returns_ns = presence.returns_at.map_or(u64::MAX, |returns_at| window.at_ns(returns_at));
        report.left = Some(link.frames_between(clock::monotonic_ns(), returns_ns, stop)?);
        if returns_ns < u64::MAX && !stop.load(Ordering::Relaxed) {
            sleep_until(returns_ns);
            inlet.join()?;
        }
        // Not before: closing it takes the kernel a while.
        drop(link);
    }
    Ok(report)
}

/// A signal may end a sleep early.
pub(super) fn sleep_until(deadline_ns: u64) {
    while clock::monotonic_ns() < deadline_ns {
        clock::sleep_until(deadline_ns);
    }
}

/// The frames of a group that come in by a link.
struct Link {
    socket: socket2::Socket,
    interface: String,
}

/// How long the watch may wait in the kernel before it looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(20);
const BATCH: usize = 64;

impl Link {
    fn watch(inlet: &Inlet, interface: &str) -> Result<Link> {
        let failed = |error| Error::failed(format!("watching the frames on {interface}")).because(error);
        let group = inlet.groups().first().copied();
        let (Some(group), Some(MacAddress(mac))) = (group, group.and_then(MacAddress::of_group)) else {
            return Err(Error::failed("watching for the frames of a group: there is no group"));
        };
        let link = Interface::named(interface)?;
        let socket = packet::open_group(&link, mac, group.is_ipv6()).map_err(failed)?;
        socket::tell_times_and_drops(&socket).map_err(failed)?;
        socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        Ok(Link { socket, interface: interface.to_owned() })
    }

    /// Counts those that came after `at_ns`, until `end_ns` or until `stop` is set, and no more are waiting.
    fn frames_between(&self, at_ns: u64, end_ns: u64, stop: &AtomicBool) -> Result<Left> {
        let mut batch = ReceiveBatch::new(BATCH, packet::GROUP_FRAME_LEN);
        let mut left = Left { at_ns, ..Left::default() };
        loop {
            let stopping = stop.load(Ordering::Relaxed) || clock::monotonic_ns() >= end_ns;
            match batch.receive(self.socket.as_fd(), BATCH) {
                Ok(_) => {
                    let offset = RealtimeOffset::read();
                    let times = batch.datagrams().filter_map(|frame| frame.kernel_realtime_ns);
                    for time_ns in times.map(|time_ns| offset.to_monotonic(time_ns)).filter(|&time| time > at_ns) {
                        left.frames += 1;
                        left.last_frame_ns = left.last_frame_ns.max(Some(time_ns));
                    }
                }
                Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {
                    if stopping {
                        left.complete = packet::take_drops(&self.socket) == Some(0);
                        return Ok(left);
                    }
                }
                Err(error) => {
                    return Err(Error::failed(format!("watching the frames on {}", self.interface)).because(error));
                }
            }
        }
    }
}
