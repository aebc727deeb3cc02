//! The boundary to the operating system, and the only place with `unsafe` code.
#![allow(unsafe_code, reason = "system calls the libraries do not wrap; each block says why it is sound")]

pub mod affinity;
pub mod clock;
pub mod cpu;
pub mod ethtool;
pub mod interface;
pub mod mmsg;
pub mod mroute;
pub mod neighbour;
pub mod netlink;
pub mod netns;
pub mod nftables;
pub mod packet;
pub mod proc;
pub mod socket;
