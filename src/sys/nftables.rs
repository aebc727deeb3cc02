//! nf_tables for bridges over nfnetlink: tables, sets, chains and rules, put in place all together or not at all.
//!
//! Wire form: `struct nlmsghdr`, `struct nfgenmsg` (4 bytes: family, version, resource in network byte order),
//! attributes (`linux/netfilter/nf_tables.h`), whose numbers are in network byte order. A batch lies between two messages
//! of its own (`linux/netfilter/nfnetlink.h`).

use std::collections::HashMap;

use netlink_packet_core::{NLA_F_NESTED, NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::errno::Errno;

use super::netlink::{Failure, Netlink, attribute, attributes, push_attribute};
use crate::error::{Error, Result};

/// The rules of a network namespace. It belongs to the namespace the calling thread was in when it was opened, for good.
pub struct NfTables {
    netlink: Netlink,
    family: u8,
}

/// Why a batch was not carried out.
#[derive(Debug)]
pub enum Refusal {
    /// This kernel has not got what it takes, or does not give it to us; why.
    Unavailable(String),
    /// Something went wrong.
    Failed(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

/// One message of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    name: &'static str,
    kind: u8,
    flags: u16,
    attributes: Vec<u8>,
}

/// The type of a set's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// An interface's number.
    Interface,
    /// An interface's number and an Ethernet address.
    InterfaceAndMac,
}

/// A step of a rule. Registers are numbered from 0, of 4 bytes each. A rule ends where a comparison or a look-up fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expression<'a> {
    /// Loads the number of the interface the frame is to leave by into a register.
    OutputInterface(u32),
    /// Loads the Ethernet destination address into a register and the next.
    Destination(u32),
    /// Ands a register, and those after it, with a mask of 1 to 16 bytes.
    And(u32, &'a [u8]),
    /// Compares a register, and those after it, with a value of 1 to 16 bytes.
    Equals(u32, &'a [u8]),
    /// Looks a register, and those after it, up in a set of the table; counts in the element found.
    IsIn(u32, &'a str),
    /// Lets the frame pass.
    Accept,
    /// Drops it.
    Drop,
}

const NFPROTO_BRIDGE: u8 = 7;
const NFNL_SUBSYS_NFTABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEWTABLE: u8 = 0;
const DELTABLE: u8 = 2;
const NEWCHAIN: u8 = 3;
const NEWRULE: u8 = 6;
const NEWSET: u8 = 9;
const NEWSETELEM: u8 = 12;
const GETSETELEM: u8 = 13;
const DELSETELEM: u8 = 14;
/// `NFTA_LIST_ELEM`, of any list.
const LIST_ELEMENT: u16 = 1;
/// `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const EXPRESSION_NAME: u16 = 1;
const EXPRESSION_DATA: u16 = 2;
/// `NFTA_SET_ELEM_LIST_TABLE`, `_SET`, `_ELEMENTS`.
const ELEMENTS_TABLE: u16 = 1;
const ELEMENTS_SET: u16 = 2;
const ELEMENTS_LIST: u16 = 3;
/// `NFTA_SET_ELEM_KEY`, `NFTA_SET_ELEM_EXPR`.
const ELEMENT_KEY: u16 = 1;
const ELEMENT_EXPRESSION: u16 = 7;
/// `NFTA_DATA_VALUE`.
const DATA_VALUE: u16 = 1;
/// `NFTA_COUNTER_PACKETS`.
const COUNTER_PACKETS: u16 = 2;

impl NfTables {
    /// Opens a NETLINK_NETFILTER socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// Unavailable where the kernel has no nfnetlink.
    pub fn open() -> Result<NfTables, Refusal> {
        match Netlink::open_raw(NETLINK_NETFILTER) {
            Ok(netlink) => Ok(NfTables { netlink, family: NFPROTO_BRIDGE }),
            Err(cause) if cause.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
                Err(Refusal::Unavailable("this kernel has no nfnetlink".to_owned()))
            }
            Err(cause) => Err(Error::failed("opening a netlink socket").because(cause).into()),
        }
    }

    /// Carries out all the requests, or none.
    ///
    /// # Errors
    /// Unavailable for what a kernel says that lacks nf_tables, its bridge family or an expression, or keeps them from
    /// this user; failed for anything else.
    pub fn commit(&mut self, requests: &[Request]) -> Result<(), Refusal> {
        let mut bytes = Vec::new();
        let begin = self.netlink.append_raw(&mut bytes, BATCH_BEGIN, 0, &header(0, NFNL_SUBSYS_NFTABLES));
        let mut last = begin;
        for (index, request) in requests.iter().enumerate() {
            // Failures are reported unasked; and the end of a batch is acknowledged by new kernels only.
            let flags = request.flags | if index + 1 == requests.len() { NLM_F_ACK } else { 0 };
            let payload = [&header(self.family, 0)[..], &request.attributes].concat();
            last = self.netlink.append_raw(&mut bytes, message_type(request.kind), flags, &payload);
        }
        self.netlink.append_raw(&mut bytes, BATCH_END, 0, &header(0, NFNL_SUBSYS_NFTABLES));
        self.netlink.send(&bytes)?;
        let Some((sequence, failure)) = self.netlink.acknowledged(begin, last)? else { return Ok(()) };
        let index = sequence.wrapping_sub(begin) as usize;
        Err(refusal(index.checked_sub(1).and_then(|index| requests.get(index)).map(|request| request.name), &failure))
    }

    /// The packet counters of a set of [`Key::Interface`], by interface. An element without a counter is left out.
    ///
    /// # Errors
    /// When the set cannot be listed.
    pub fn counters(&mut self, table: &str, set: &str) -> Result<HashMap<u32, u64>> {
        let mut request = header(self.family, 0).to_vec();
        push_name(&mut request, ELEMENTS_TABLE, table);
        push_name(&mut request, ELEMENTS_SET, set);
        let mut found = HashMap::new();
        for (_, reply) in self.netlink.dump_raw(message_type(GETSETELEM), &request)? {
            let lists = attributes(reply.get(4..).unwrap_or_default()).filter(|(kind, _)| *kind == ELEMENTS_LIST);
            found.extend(lists.flat_map(|(_, list)| attributes(list)).filter_map(|(_, element)| counter(element)));
        }
        Ok(found)
    }
}

/// Makes a table.
#[must_use]
pub fn new_table(name: &str) -> Request {
    const NAME: u16 = 1;
    let mut attributes = Vec::new();
    push_name(&mut attributes, NAME, name);
    Request { name: "a table", kind: NEWTABLE, flags: NLM_F_CREATE | NLM_F_EXCL, attributes }
}

/// Deletes a table with all that is in it.
#[must_use]
pub fn delete_table(name: &str) -> Request {
    Request { name: "to delete a table", kind: DELTABLE, flags: 0, ..new_table(name) }
}

/// Makes a set for up to `size` elements (so that the kernel chooses a hash table); `counting`: each has a counter.
#[must_use]
pub fn new_set(table: &str, name: &str, key: Key, size: usize, counting: bool) -> Request {
    const TABLE: u16 = 1;
    const NAME: u16 = 2;
    const KEY_TYPE: u16 = 4;
    const KEY_LENGTH: u16 = 5;
    const DESCRIPTION: u16 = 9;
    const DESCRIPTION_SIZE: u16 = 1;
    const ID: u16 = 10;
    const USERDATA: u16 = 13;
    const EXPRESSION: u16 = 17;
    // What `nft list` calls iface_index, and iface_index . ether_addr: its own numbers, 6 bits each.
    const IFACE_INDEX: u32 = 20;
    const ETHER_ADDR: u32 = 9;
    let (key_type, length) = match key {
        Key::Interface => (IFACE_INDEX, 4),
        Key::InterfaceAndMac => (IFACE_INDEX << 6 | ETHER_ADDR, 12),
    };
    let mut attributes = Vec::new();
    push_name(&mut attributes, TABLE, table);
    push_name(&mut attributes, NAME, name);
    push_u32(&mut attributes, KEY_TYPE, key_type);
    push_u32(&mut attributes, KEY_LENGTH, length);
    push_nested(&mut attributes, DESCRIPTION, |list| push_u32(list, DESCRIPTION_SIZE, size as u32));
    push_u32(&mut attributes, ID, key_type); // asked for, but used only by rules that do not name their set
    if key == Key::Interface {
        // A note for `nft list`, or it would show the numbers byte by byte reversed: type 0 (the key's byte order),
        // length 4, 1 for the host's.
        push_attribute(&mut attributes, USERDATA, &[&[0, 4][..], &1u32.to_ne_bytes()].concat());
    }
    if counting {
        push_nested(&mut attributes, EXPRESSION, |expression| push_name(expression, EXPRESSION_NAME, "counter"));
    }
    Request { name: "a set", kind: NEWSET, flags: NLM_F_CREATE | NLM_F_EXCL, attributes }
}

/// Puts elements ([`key`]) into a set.
#[must_use]
pub fn new_elements(table: &str, set: &str, keys: &[Vec<u8>]) -> Request {
    let mut attributes = Vec::new();
    push_name(&mut attributes, ELEMENTS_TABLE, table);
    push_name(&mut attributes, ELEMENTS_SET, set);
    push_nested(&mut attributes, ELEMENTS_LIST, |list| {
        for key in keys {
            push_nested(list, LIST_ELEMENT, |element| push_value(element, ELEMENT_KEY, key));
        }
    });
    Request { name: "elements of a set", kind: NEWSETELEM, flags: NLM_F_CREATE | NLM_F_EXCL, attributes }
}

/// Takes elements ([`key`]) out of a set.
#[must_use]
pub fn delete_elements(table: &str, set: &str, keys: &[Vec<u8>]) -> Request {
    let attributes = new_elements(table, set, keys).attributes;
    Request { name: "to delete elements of a set", kind: DELSETELEM, flags: 0, attributes }
}

/// An element of a set: as [`Key::InterfaceAndMac`] or, without `mac`, as [`Key::Interface`].
#[must_use]
pub fn key(interface: u32, mac: Option<[u8; 6]>) -> Vec<u8> {
    let mut key = interface.to_ne_bytes().to_vec();
    // Each part fills whole registers.
    key.extend(mac.into_iter().flat_map(|mac| mac.into_iter().chain([0, 0])));
    key
}

/// Makes a chain of rules for frames that a bridge forwards from port to port; those no rule decides on pass.
#[must_use]
pub fn new_forward_chain(table: &str, name: &str) -> Request {
    const TABLE: u16 = 1;
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const HOOK_NUMBER: u16 = 1;
    const HOOK_PRIORITY: u16 = 2;
    const TYPE: u16 = 7;
    const NF_BR_FORWARD: u32 = 2;
    let mut attributes = Vec::new();
    push_name(&mut attributes, TABLE, table);
    push_name(&mut attributes, NAME, name);
    push_nested(&mut attributes, HOOK, |hook| {
        push_u32(hook, HOOK_NUMBER, NF_BR_FORWARD);
        push_u32(hook, HOOK_PRIORITY, 0);
    });
    push_name(&mut attributes, TYPE, "filter");
    Request { name: "a chain", kind: NEWCHAIN, flags: NLM_F_CREATE | NLM_F_EXCL, attributes }
}

/// Appends a rule to a chain.
#[must_use]
pub fn new_rule(table: &str, chain: &str, expressions: &[Expression<'_>]) -> Request {
    const TABLE: u16 = 1;
    const CHAIN: u16 = 2;
    const EXPRESSIONS: u16 = 4;
    let mut attributes = Vec::new();
    push_name(&mut attributes, TABLE, table);
    push_name(&mut attributes, CHAIN, chain);
    push_nested(&mut attributes, EXPRESSIONS, |list| {
        for expression in expressions {
            push_nested(list, LIST_ELEMENT, |element| {
                push_name(element, EXPRESSION_NAME, expression.name());
                push_nested(element, EXPRESSION_DATA, |data| expression.push(data));
            });
        }
    });
    Request { name: "a rule", kind: NEWRULE, flags: NLM_F_CREATE | NLM_F_APPEND, attributes }
}

impl Expression<'_> {
    /// The kernel's name of it.
    fn name(&self) -> &'static str {
        match self {
            Expression::OutputInterface(_) => "meta",
            Expression::Destination(_) => "payload",
            Expression::And(..) => "bitwise",
            Expression::Equals(..) => "cmp",
            Expression::IsIn(..) => "lookup",
            Expression::Accept | Expression::Drop => "immediate",
        }
    }

    /// Its attributes.
    fn push(&self, data: &mut Vec<u8>) {
        /// `NFT_REG32_00`.
        const FIRST_REGISTER: u32 = 8;
        match *self {
            Expression::OutputInterface(register) => {
                const OIF: u32 = 5;
                push_u32(data, 1, FIRST_REGISTER + register); // NFTA_META_DREG
                push_u32(data, 2, OIF); // _KEY
            }
            Expression::Destination(register) => {
                push_u32(data, 1, FIRST_REGISTER + register); // NFTA_PAYLOAD_DREG
                push_u32(data, 2, 0); // _BASE: the link layer's header
                push_u32(data, 3, 0); // _OFFSET
                push_u32(data, 4, 6); // _LEN
            }
            Expression::And(register, mask) => {
                push_u32(data, 1, FIRST_REGISTER + register); // NFTA_BITWISE_SREG
                push_u32(data, 2, FIRST_REGISTER + register); // _DREG
                push_u32(data, 3, mask.len() as u32); // _LEN
                push_value(data, 4, mask); // _MASK
                push_value(data, 5, &vec![0; mask.len()]); // _XOR
            }
            Expression::Equals(register, value) => {
                push_u32(data, 1, FIRST_REGISTER + register); // NFTA_CMP_SREG
                push_u32(data, 2, 0); // _OP: equal
                push_value(data, 3, value); // _DATA
            }
            Expression::IsIn(register, set) => {
                push_name(data, 1, set); // NFTA_LOOKUP_SET
                push_u32(data, 2, FIRST_REGISTER + register); // _SREG
            }
            Expression::Accept | Expression::Drop => {
                const VERDICT: u16 = 2;
                push_u32(data, 1, 0); // NFTA_IMMEDIATE_DREG: the verdict's register
                push_nested(data, 2, |value| {
                    let code = u32::from(*self == Expression::Accept); // NF_ACCEPT is 1, NF_DROP 0
                    push_nested(value, VERDICT, |verdict| push_u32(verdict, 1, code));
                });
            }
        }
    }
}

/// `struct nfgenmsg`.
fn header(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

fn message_type(kind: u8) -> u16 {
    NFNL_SUBSYS_NFTABLES << 8 | u16::from(kind)
}

/// Which of a kernel's refusals mean that it has not got what was asked for. `name`: the request; `None` for the batch.
fn refusal(name: Option<&str>, failure: &Failure) -> Refusal {
    let errno = failure.errno;
    // Depending on the kernel, the family is looked up for the table or for the first chain.
    let lacks_family = matches!(name, Some("a chain" | "a table"));
    match (name, errno) {
        (None, Errno::EOPNOTSUPP) => Refusal::Unavailable("this kernel has no nf_tables".to_owned()),
        (_, Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT) if lacks_family => Refusal::Unavailable(
            "this kernel's nf_tables has no bridge family (its option NF_TABLES_BRIDGE)".to_owned(),
        ),
        (_, Errno::ENOENT | Errno::EOPNOTSUPP | Errno::EPERM | Errno::EACCES) => Refusal::Unavailable(format!(
            "this kernel's nf_tables refuses {}{}: {errno}",
            name.unwrap_or("a batch"),
            failure.sentence
        )),
        _ => {
            let operation = format!("asking nf_tables for {}{}", name.unwrap_or("a batch"), failure.sentence);
            Refusal::Failed(Error::failed(operation).because(errno))
        }
    }
}

/// The interface and the packet counter of a set's element.
fn counter(element: &[u8]) -> Option<(u32, u64)> {
    let key = attribute(attribute(element, ELEMENT_KEY)?, DATA_VALUE)?;
    let data = attribute(attribute(element, ELEMENT_EXPRESSION)?, EXPRESSION_DATA)?;
    let packets = attribute(data, COUNTER_PACKETS)?;
    Some((u32::from_ne_bytes(*key.first_chunk()?), u64::from_be_bytes(*packets.first_chunk()?)))
}

fn push_u32(bytes: &mut Vec<u8>, kind: u16, value: u32) {
    push_attribute(bytes, kind, &value.to_be_bytes());
}

fn push_name(bytes: &mut Vec<u8>, kind: u16, name: &str) {
    push_attribute(bytes, kind, &[name.as_bytes(), b"\0"].concat());
}

fn push_value(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    push_nested(bytes, kind, |data| push_attribute(data, DATA_VALUE, value));
}

fn push_nested(bytes: &mut Vec<u8>, kind: u16, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut nested = Vec::new();
    fill(&mut nested);
    push_attribute(bytes, kind | NLA_F_NESTED, &nested);
}

#[cfg(test)]
#[cfg(target_endian = "little")]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named() {
        let request = new_table("lab");
        assert_eq!((request.kind, request.flags), (0, 0x600), "NLM_F_CREATE | NLM_F_EXCL");
        assert_eq!(request.attributes, *b"\x08\0\x01\0lab\0");
        assert_eq!(message_type(request.kind), 0x0a00);
        assert_eq!(header(NFPROTO_BRIDGE, 0), [7, 0, 0, 0]);
        assert_eq!(header(0, NFNL_SUBSYS_NFTABLES), [0, 0, 0, 10]);
        assert_eq!(delete_table("lab").attributes, request.attributes);
        assert_eq!(delete_table("lab").kind, 2);
    }

    #[test]
    fn a_set_says_its_keys_and_that_it_counts() {
        let counting = new_set("lab", "s", Key::Interface, 3, true);
        assert_eq!(
            counting.attributes,
            *b"\x08\0\x01\0lab\0\
               \x06\0\x02\0s\0\0\0\
               \x08\0\x04\0\0\0\0\x14\
               \x08\0\x05\0\0\0\0\x04\
               \x0c\0\x09\x80\x08\0\x01\0\0\0\0\x03\
               \x08\0\x0a\0\0\0\0\x14\
               \x0a\0\x0d\0\0\x04\x01\0\0\0\0\0\
               \x10\0\x11\x80\x0c\0\x01\0counter\0"
        );
        let plain = new_set("lab", "s", Key::InterfaceAndMac, 3, false);
        assert_eq!(plain.attributes[16..32], *b"\x08\0\x04\0\0\0\x05\x09\x08\0\x05\0\0\0\0\x0c");
        assert_eq!(plain.attributes.len(), counting.attributes.len() - 28);
    }

    #[test]
    fn elements_fill_whole_registers() {
        assert_eq!(key(0x7d1, None), [0xd1, 7, 0, 0]);
        assert_eq!(key(0x7d1, Some([2, 0x4e, 0x4c, 0, 0, 1])), [0xd1, 7, 0, 0, 2, 0x4e, 0x4c, 0, 0, 1, 0, 0]);
        let request = new_elements("lab", "s", &[key(0x7d1, None), key(0x7d2, None)]);
        assert_eq!(request.kind, 12);
        assert_eq!(
            request.attributes,
            *b"\x08\0\x01\0lab\0\
               \x06\0\x02\0s\0\0\0\
               \x24\0\x03\x80\
               \x10\0\x01\x80\x0c\0\x01\x80\x08\0\x01\0\xd1\x07\0\0\
               \x10\0\x01\x80\x0c\0\x01\x80\x08\0\x01\0\xd2\x07\0\0"
        );
        let gone = delete_elements("lab", "s", &[key(0x7d1, None), key(0x7d2, None)]);
        assert_eq!((gone.kind, gone.flags, gone.attributes), (14, 0, request.attributes));
    }

    #[test]
    fn a_chain_hooks_into_the_bridges_forwarding() {
        let request = new_forward_chain("lab", "c");
        assert_eq!(request.kind, 3);
        assert_eq!(
            request.attributes,
            *b"\x08\0\x01\0lab\0\
               \x06\0\x03\0c\0\0\0\
               \x14\0\x04\x80\x08\0\x01\0\0\0\0\x02\x08\0\x02\0\0\0\0\0\
               \x0b\0\x07\0filter\0\0"
        );
    }

    #[test]
    fn a_rule_is_a_list_of_expressions() {
        let request = new_rule("lab", "c", &[Expression::OutputInterface(0), Expression::Accept]);
        assert_eq!((request.kind, request.flags), (6, 0xc00), "NLM_F_CREATE | NLM_F_APPEND");
        assert_eq!(
            request.attributes,
            *b"\x08\0\x01\0lab\0\
               \x06\0\x02\0c\0\0\0\
               \x58\0\x04\x80\
               \x24\0\x01\x80\x09\0\x01\0meta\0\0\0\0\x14\0\x02\x80\x08\0\x01\0\0\0\0\x08\x08\0\x02\0\0\0\0\x05\
               \x30\0\x01\x80\x0e\0\x01\0immediate\0\0\0\
               \x1c\0\x02\x80\x08\0\x01\0\0\0\0\0\x10\0\x02\x80\x0c\0\x02\x80\x08\0\x01\0\0\0\0\x01"
        );
    }

    #[test]
    fn expressions_hold_what_the_kernel_asks_for() {
        let data = |expression: Expression<'_>| {
            let mut data = Vec::new();
            expression.push(&mut data);
            (expression.name(), data)
        };
        assert_eq!(
            data(Expression::Destination(1)),
            (
                "payload",
                b"\x08\0\x01\0\0\0\0\x09\x08\0\x02\0\0\0\0\0\x08\0\x03\0\0\0\0\0\x08\0\x04\0\0\0\0\x06".to_vec()
            )
        );
        assert_eq!(
            data(Expression::And(0, &[1, 0])),
            (
                "bitwise",
                b"\x08\0\x01\0\0\0\0\x08\x08\0\x02\0\0\0\0\x08\x08\0\x03\0\0\0\0\x02\
                  \x0c\0\x04\x80\x06\0\x01\0\x01\0\0\0\x0c\0\x05\x80\x06\0\x01\0\0\0\0\0"
                    .to_vec()
            )
        );
        assert_eq!(
            data(Expression::Equals(0, &[1])),
            ("cmp", b"\x08\0\x01\0\0\0\0\x08\x08\0\x02\0\0\0\0\0\x0c\0\x03\x80\x05\0\x01\0\x01\0\0\0".to_vec())
        );
        assert_eq!(data(Expression::IsIn(0, "s")), ("lookup", b"\x06\0\x01\0s\0\0\0\x08\0\x02\0\0\0\0\x08".to_vec()));
        assert_eq!(
            data(Expression::Drop),
            ("immediate", b"\x08\0\x01\0\0\0\0\0\x10\0\x02\x80\x0c\0\x02\x80\x08\0\x01\0\0\0\0\0".to_vec())
        );
    }

    #[test]
    fn an_elements_counter_is_found_among_its_attributes() {
        let element = b"\x0c\0\x01\x80\x08\0\x01\0\xd1\x07\0\0\
            \x2c\0\x07\x80\x0c\0\x01\0counter\0\
            \x1c\0\x02\x80\x0c\0\x01\0\0\0\0\0\0\0\x10\0\x0c\0\x02\0\0\0\0\0\0\0\x01\x02";
        assert_eq!(counter(element), Some((0x7d1, 0x102)));
        for cut in 0..element.len() {
            assert_eq!(counter(&element[..cut]), None, "of {cut} bytes");
        }
    }

    #[test]
    fn what_a_kernel_lacks_is_no_failure() {
        let of = |name, errno| match refusal(name, &Failure { sentence: ": so it is".to_owned(), errno }) {
            Refusal::Unavailable(why) => why,
            Refusal::Failed(error) => format!("failed: {error}"),
        };
        assert_eq!(of(None, Errno::EOPNOTSUPP), "this kernel has no nf_tables");
        for (name, errno) in [
            ("a chain", Errno::EOPNOTSUPP),
            ("a chain", Errno::ENOENT),
            ("a table", Errno::EAFNOSUPPORT),
            ("a table", Errno::EOPNOTSUPP),
        ] {
            assert!(of(Some(name), errno).contains("no bridge family"), "{name} {errno}");
        }
        assert_eq!(
            of(Some("a rule"), Errno::ENOENT),
            "this kernel's nf_tables refuses a rule: so it is: ENOENT: No such file or directory"
        );
        assert!(of(None, Errno::EPERM).starts_with("this kernel's nf_tables refuses a batch"));
        assert!(of(Some("a rule"), Errno::EINVAL).starts_with("failed: asking nf_tables for a rule: so it is: EINVAL"));
    }
}
