//! The hosts' network cards: what a real one drops before its host knows of it, the switch drops at the host's port.
//!
//! A veth has no MAC filter: on a hub every host's kernel would pay for each frame to another. So a chain of rules
//! stands where the bridge forwards (it does not see what the bridge itself sends), and costs a frame the same however
//! many ports there are.

use super::plan::Plan;
use crate::error::Result;
use crate::sys::nftables::{self, Expression, Key, NfTables, Refusal};

/// Cards in place, until this value is dropped.
pub(super) struct Cards {
    tables: NfTables,
    /// The hosts' ports, in their order.
    ports: Vec<u32>,
}

const TABLE: &str = "netlab";
const CHAIN: &str = "card";
/// Port and address of each card.
const CARDS: &str = "cards";
/// The ports that have one, with a counter of the frames it dropped.
const FILTERED: &str = "filtered";

impl Cards {
    /// Puts a card at every host's port, or says why that cannot be done on this kernel: without nf_tables for bridges,
    /// or with one that does not count by element (before Linux 5.7). To be called in the switch's namespace.
    ///
    /// # Errors
    /// When nf_tables is there and fails.
    pub(super) fn install(plan: &Plan) -> Result<Result<Cards, String>> {
        match Cards::put(plan) {
            Ok(cards) => Ok(Ok(cards)),
            Err(Refusal::Unavailable(why)) => Ok(Err(why)),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    fn put(plan: &Plan) -> Result<Cards, Refusal> {
        const GROUP_BIT: [u8; 6] = [1, 0, 0, 0, 0, 0];
        let of_each = |key: fn(u32, [u8; 6]) -> Vec<u8>| -> Vec<Vec<u8>> {
            plan.hosts.iter().map(|host| key(host.port.index, host.link.mac)).collect()
        };
        let rule = |expressions: &[Expression<'_>]| nftables::new_rule(TABLE, CHAIN, expressions);
        let count = plan.hosts.len();
        let mut tables = NfTables::open()?;
        tables.commit(&[
            nftables::new_table(TABLE),
            nftables::new_set(TABLE, CARDS, Key::InterfaceAndMac, count, false),
            nftables::new_elements(TABLE, CARDS, &of_each(|port, mac| nftables::key(port, Some(mac)))),
            nftables::new_set(TABLE, FILTERED, Key::Interface, count, true),
            nftables::new_elements(TABLE, FILTERED, &of_each(|port, _| nftables::key(port, None))),
            nftables::new_forward_chain(TABLE, CHAIN),
            // Broadcast and groups: a card has a filter for these too, but one that is too small for many.
            rule(&[
                Expression::Destination(0),
                Expression::And(0, &GROUP_BIT),
                Expression::Equals(0, &GROUP_BIT),
                Expression::Accept,
            ]),
            rule(&[
                Expression::OutputInterface(0),
                Expression::Destination(1),
                Expression::IsIn(0, CARDS),
                Expression::Accept,
            ]),
            rule(&[Expression::OutputInterface(0), Expression::IsIn(0, FILTERED), Expression::Drop]),
        ])?;
        let mut cards = Cards { tables, ports: plan.hosts.iter().map(|host| host.port.index).collect() };
        match cards.tables.counters(TABLE, FILTERED)?.len() {
            counters if counters == count => Ok(cards),
            _ => Err(Refusal::Unavailable("this kernel's nf_tables does not count by element of a set".to_owned())),
        }
    }

    /// Frames each host's card has dropped so far.
    ///
    /// # Errors
    /// When the kernel's list cannot be read.
    pub(super) fn filtered(&mut self) -> Result<Vec<u64>> {
        let counters = self.tables.counters(TABLE, FILTERED)?;
        Ok(self.ports.iter().map(|port| counters.get(port).copied().unwrap_or(0)).collect())
    }
}

impl Drop for Cards {
    fn drop(&mut self) {
        // Nothing to be done about a failure; the namespace takes its rules along.
        let _ = self.tables.commit(&[nftables::delete_table(TABLE)]);
    }
}
