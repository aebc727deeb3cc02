//! The hosts' network cards: what a real one drops before its host knows of it, the switch drops at the host's port.
//!
//! A veth has no MAC filter: on a hub every host's kernel would pay for each frame to another. So a chain of rules
//! stands where the bridge forwards (it does not see what the bridge itself sends), and costs a frame the same however
//! many ports there are.
//!
//! A card lets in what a driver would tell it to: broadcast, its own address, and the addresses of the groups its host
//! has joined (`dev_mcast` of its namespace, which holds what the kernel gives a driver). Whenever a host reports a
//! change (IGMP or MLD, which it sends after that list is changed), its card is told. A real card may let in some groups
//! more, as it compares a hash of the address or has room for a few only, and everything while it is promiscuous.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::host::Host;
use crate::error::{Error, Result};
use crate::sys::netns;
use crate::sys::nftables::{self, Expression, Key, NfTables, Refusal};
use crate::sys::packet::Reports;
use crate::sys::proc::ProcFile;

type Mac = [u8; 6];

/// Cards in place, until this value is dropped.
pub(super) struct Cards {
    filters: Arc<Mutex<Filters>>,
    end: Arc<EventFd>,
    listener: Option<JoinHandle<()>>,
}

/// What the cards let in, and the groups their hosts have joined.
struct Filters {
    tables: NfTables,
    /// In the order of the hosts.
    cards: Vec<Card>,
    /// Why the cards do not follow their hosts any more.
    failure: Option<Error>,
}

/// One of them.
struct Card {
    /// The number of the host's port.
    port: u32,
    /// The host's interface.
    link: String,
    /// The host's list of link-layer groups.
    joined: ProcFile,
    /// Those the card lets in.
    groups: BTreeSet<Mac>,
}

const TABLE: &str = "netlab";
const CHAIN: &str = "card";
/// Ports, and what the card there lets in.
const CARDS: &str = "cards";
/// The ports that have one, with a counter of the frames it dropped.
const FILTERED: &str = "filtered";
/// Addresses a card has room for, as all cards together have.
const ROOM: usize = 64;

impl Cards {
    /// Puts a card at every host's port, or says why that cannot be done on this kernel: without nf_tables for bridges,
    /// or with one that does not count by element (before Linux 5.7). To be called in the switch's namespace, when the
    /// hosts' interfaces are up.
    ///
    /// # Errors
    /// When nf_tables is there and fails.
    pub(super) fn install(hosts: &[Host]) -> Result<Result<Cards, String>> {
        match Cards::put(hosts) {
            Ok(cards) => Ok(Ok(cards)),
            Err(Refusal::Unavailable(why)) => Ok(Err(why)),
            Err(Refusal::Failed(error)) => Err(error),
        }
    }

    fn put(hosts: &[Host]) -> Result<Cards, Refusal> {
        const BROADCAST: Mac = [0xff; 6];
        const SMALLEST: usize = 4096;
        let of_each = |key: fn(&Host) -> Vec<u8>| -> Vec<Vec<u8>> { hosts.iter().map(key).collect() };
        let rule = |expressions: &[Expression<'_>]| nftables::new_rule(TABLE, CHAIN, expressions);
        let count = hosts.len();
        let room = (ROOM * count).max(SMALLEST);
        // Whoever joins from here on is heard of.
        let reports = Reports::open().map_err(|cause| Error::failed("listening for reports").because(cause))?;
        let mut tables = NfTables::open()?;
        tables.commit(&[
            nftables::new_table(TABLE),
            nftables::new_set(TABLE, CARDS, Key::InterfaceAndMac, room, false),
            nftables::new_elements(TABLE, CARDS, &of_each(|host| nftables::key(host.port_ifindex, Some(host.mac)))),
            nftables::new_set(TABLE, FILTERED, Key::Interface, count, true),
            nftables::new_elements(TABLE, FILTERED, &of_each(|host| nftables::key(host.port_ifindex, None))),
            nftables::new_forward_chain(TABLE, CHAIN),
            rule(&[Expression::Destination(0), Expression::Equals(0, &BROADCAST), Expression::Accept]),
            rule(&[
                Expression::OutputInterface(0),
                Expression::Destination(1),
                Expression::IsIn(0, CARDS),
                Expression::Accept,
            ]),
            rule(&[Expression::OutputInterface(0), Expression::IsIn(0, FILTERED), Expression::Drop]),
        ])?;
        let end = Arc::new(
            EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .map_err(|cause| Error::failed("making an event counter").because(cause))?,
        );
        // From here on dropping the value takes the rules away.
        let filters = Arc::new(Mutex::new(Filters { tables, cards: Vec::new(), failure: None }));
        let mut cards = Cards { filters, end, listener: None };
        if cards.lock().tables.counters(TABLE, FILTERED)?.len() != count {
            return Err(Refusal::Unavailable("this kernel's nf_tables does not count by element of a set".to_owned()));
        }
        let lists = joined_of(hosts)?;
        cards.lock().cards = lists;
        cards.lock().program(|_| true)?;
        let (filters, end) = (Arc::clone(&cards.filters), Arc::clone(&cards.end));
        let listener = std::thread::Builder::new()
            .name("cards".into())
            .spawn(move || listen(&reports, &filters, &end))
            .map_err(|cause| Error::failed("starting the cards' thread").because(cause))?;
        cards.listener = Some(listener);
        Ok(cards)
    }

    /// Tells every card what its host has joined by now: who leaves may do so without a word (IGMPv2).
    ///
    /// # Errors
    /// When a host's list cannot be read, or the kernel does not take it.
    pub(super) fn program(&mut self) -> Result<()> {
        self.lock().program(|_| true)
    }

    /// Frames each host's card has dropped so far.
    ///
    /// # Errors
    /// When the kernel's list cannot be read, or a card does not follow its host any more.
    pub(super) fn filtered(&mut self) -> Result<Vec<u64>> {
        let mut filters = self.lock();
        if let Some(error) = filters.failure.take() {
            return Err(error);
        }
        let counters = filters.tables.counters(TABLE, FILTERED)?;
        Ok(filters.cards.iter().map(|card| counters.get(&card.port).copied().unwrap_or(0)).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Filters> {
        lock(&self.filters)
    }
}

impl Drop for Cards {
    fn drop(&mut self) {
        // The only failure is an event counter that is full: it wakes the thread as well.
        let _ = self.end.write(1);
        let _ = self.listener.take().map(JoinHandle::join);
        // Nothing to be done about a failure; the namespace takes its rules along.
        let _ = self.lock().tables.commit(&[nftables::delete_table(TABLE)]);
    }
}

impl Filters {
    /// Brings the cards at some ports to what their hosts have joined.
    fn program(&mut self, at: impl Fn(u32) -> bool) -> Result<()> {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        for card in self.cards.iter_mut().filter(|card| at(card.port)) {
            let groups = groups_of(card.joined.read()?, &card.link);
            let key = |mac: &Mac| nftables::key(card.port, Some(*mac));
            joined.extend(groups.difference(&card.groups).map(key));
            left.extend(card.groups.difference(&groups).map(key));
            card.groups = groups;
        }
        let requests = [
            (!joined.is_empty()).then(|| nftables::new_elements(TABLE, CARDS, &joined)),
            (!left.is_empty()).then(|| nftables::delete_elements(TABLE, CARDS, &left)),
        ];
        let requests: Vec<_> = requests.into_iter().flatten().collect();
        if requests.is_empty() {
            return Ok(());
        }
        self.tables.commit(&requests).map_err(|refusal| match refusal {
            Refusal::Failed(error) => error,
            Refusal::Unavailable(why) => Error::failed(format!("telling the network cards who has joined: {why}")),
        })
    }
}

fn lock(filters: &Mutex<Filters>) -> MutexGuard<'_, Filters> {
    filters.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A card for each host, which lets in no group yet.
fn joined_of(hosts: &[Host]) -> Result<Vec<Card>> {
    netns::aside(|| {
        let card = |host: &Host| {
            netns::enter(&host.netns)?;
            let joined = ProcFile::open_net("dev_mcast")?
                .ok_or_else(|| Error::failed("no /proc/net/dev_mcast: it tells which groups a host has joined"))?;
            Ok(Card { port: host.port_ifindex, link: host.name.clone(), joined, groups: BTreeSet::new() })
        };
        hosts.iter().map(card).collect()
    })
}

/// The addresses of an interface's groups in `/proc/net/dev_mcast`: number, name, users, global users, address.
fn groups_of(list: &str, link: &str) -> BTreeSet<Mac> {
    let address = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let [_, name, _, _, address] = fields[..] else { return None };
        let number = u64::from_str_radix(address, 16).ok().filter(|_| name == link && address.len() == 12)?;
        number.to_be_bytes().last_chunk().copied()
    };
    list.lines().filter_map(address).collect()
}

/// Has the cards follow what hosts report, until the end.
fn listen(reports: &Reports, filters: &Mutex<Filters>, end: &EventFd) {
    loop {
        let mut ready = [PollFd::new(reports.as_fd(), PollFlags::POLLIN), PollFd::new(end.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(cause) => {
                lock(filters).failure = Some(Error::failed("waiting for reports").because(cause));
                return;
            }
        }
        if ready[1].any() == Some(true) {
            return;
        }
        let told = reports.take().map_err(|cause| Error::failed("receiving reports").because(cause));
        let mut filters = lock(filters);
        if let Err(error) = told.and_then(|ports| filters.program(|port| ports.contains(&port))) {
            filters.failure = Some(error);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interfaces_groups_are_found_in_the_kernels_list() {
        let list = "4001 h1              1     0     333300000001\n\
                    4001 h1              1     0     01005e000001\n\
                    4001 h1              2     0     01005e010203\n\
                    4002 h11             1     0     01005e7f0001\n\
                    4001 h1              1     0     80000000000000000000\n\
                    4001 h1              1\n";
        let ours = [[1, 0, 0x5e, 0, 0, 1], [1, 0, 0x5e, 1, 2, 3], [0x33, 0x33, 0, 0, 0, 1]];
        assert_eq!(groups_of(list, "h1"), ours.into());
        assert_eq!(groups_of(list, "h11"), [[1, 0, 0x5e, 0x7f, 0, 1]].into());
        assert!(groups_of(list, "h").is_empty() && groups_of("", "h1").is_empty());
    }
}
