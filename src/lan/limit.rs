//! What slower links drop.

use std::collections::HashMap;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcMessage, TcStats2};

use super::build::Lan;
use crate::error::Result;

impl Lan {
    /// Frames each host was sent too fast for its slower link ([`super::LanSpec::limit`]): dropped before its
    /// port counted them. `None` for a host without a limit.
    ///
    /// # Errors
    /// When the kernel's counters cannot be read.
    pub fn limit_dropped(&mut self) -> Result<Vec<Option<u64>>> {
        let dropped: HashMap<u32, u64> = self
            .netlink
            .dump(RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()))?
            .into_iter()
            .filter_map(|reply| match reply {
                RouteNetlinkMessage::NewQueueDiscipline(queue) => dropped_by(&queue),
                _ => None,
            })
            .collect();
        Ok(self.hosts().iter().map(|host| dropped.get(&host.port_ifindex).copied()).collect())
    }
}

/// The interface of a token bucket filter, and what that has dropped.
fn dropped_by(queue: &TcMessage) -> Option<(u32, u64)> {
    let is_limit = queue.attributes.iter().any(|attribute| *attribute == TcAttribute::Kind("tbf".to_owned()));
    let statistics = queue.attributes.iter().filter(|_| is_limit).find_map(|attribute| match attribute {
        TcAttribute::Stats2(statistics) => Some(statistics),
        _ => None,
    });
    statistics?.iter().find_map(|part| match part {
        TcStats2::Queue(counters) => Some((queue.header.index.cast_unsigned(), u64::from(counters.drops))),
        _ => None,
    })
}
