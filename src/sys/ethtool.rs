//! Offload settings of an interface through the ethtool ioctl (`SIOCETHTOOL`, `<linux/ethtool.h>`).
//!
//! Features are known by name; their bit numbers differ between kernels, so the names are read first.

use std::ffi::c_char;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::error::{Error, Result};

/// The feature names of this kernel, in bit order.
#[derive(Clone, Debug)]
pub struct Features {
    names: Vec<String>,
}

const GET_STRINGS: u32 = 0x1b;
const GET_STRING_SET_INFO: u32 = 0x37;
const SET_FEATURES: u32 = 0x3b;
const STRING_SET_FEATURES: u32 = 4;
const NAME_BYTES: usize = 32;

impl Features {
    /// Reads the names by any socket of the network namespace `interface` is in.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn read(socket: &impl AsFd, interface: &str) -> Result<Features> {
        let failed = |cause| Error::failed(format!("reading the offload features of {interface}")).because(cause);
        // struct ethtool_sset_info: cmd, reserved, mask (u64) of the sets asked for, one u32 for each.
        let mut info = [GET_STRING_SET_INFO, 0, 0, 0, 0];
        info[2..4].copy_from_slice(&halves(1 << STRING_SET_FEATURES));
        ioctl(socket, interface, &mut info).map_err(failed)?;
        let count = info[4] as usize;
        // struct ethtool_gstrings: cmd, set, count, then 32 bytes a name.
        let mut strings = vec![0u32; 3 + count * NAME_BYTES / 4];
        strings[..3].copy_from_slice(&[GET_STRINGS, STRING_SET_FEATURES, count as u32]);
        ioctl(socket, interface, &mut strings).map_err(failed)?;
        let names = strings[3..].chunks_exact(NAME_BYTES / 4).map(|words| {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).take_while(|b| *b != 0).collect();
            String::from_utf8_lossy(&bytes).into_owned()
        });
        Ok(Features { names: names.collect() })
    }

    /// Switches features on or off in one call, by any socket of the network namespace `interface` is in. `wanted` tells
    /// of each name (`rx-gro`, `tx-tcp-segmentation`, …: those of `ethtool -k`) what it is to be; `None` leaves it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set(&self, socket: &impl AsFd, interface: &str, wanted: impl Fn(&str) -> Option<bool>) -> Result<()> {
        let mut request = self.request(wanted);
        ioctl(socket, interface, &mut request)
            .map_err(|cause| Error::failed(format!("setting the offload features of {interface}")).because(cause))
    }

    /// `struct ethtool_sfeatures`: cmd, number of blocks, then (valid, requested) bits for each 32 features.
    fn request(&self, wanted: impl Fn(&str) -> Option<bool>) -> Vec<u32> {
        let blocks = self.names.len().div_ceil(32);
        let mut request = vec![0; 2 + 2 * blocks];
        request[..2].copy_from_slice(&[SET_FEATURES, blocks as u32]);
        for (bit, name) in self.names.iter().enumerate() {
            let Some(on) = wanted(name) else { continue };
            let (block, mask) = (2 + 2 * (bit / 32), 1 << (bit % 32));
            request[block] |= mask;
            if on {
                request[block + 1] |= mask;
            }
        }
        request
    }
}

/// The two words in which a u64 lies in memory.
fn halves(value: u64) -> [u32; 2] {
    let bytes = value.to_ne_bytes();
    let (low, high) = (bytes.first_chunk().unwrap_or(&[0; 4]), bytes.last_chunk().unwrap_or(&[0; 4]));
    [u32::from_ne_bytes(*low), u32::from_ne_bytes(*high)]
}

/// Runs `SIOCETHTOOL` on `interface` with a command structure laid out in `words`.
fn ioctl(socket: &impl AsFd, interface: &str, words: &mut [u32]) -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    if interface.len() >= request.ifr_name.len() || interface.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(interface.bytes()) {
        *to = from as c_char;
    }
    request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
    // SAFETY: the name is terminated; the data pointer covers the whole structure its first word (the command) asks
    // for, as each caller lays it out, and outlives the call.
    let result = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), libc::SIOCETHTOOL as _, &mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_go_into_the_block_of_their_number() {
        let names = (0..40).map(|n| format!("feature-{n}")).collect();
        let request = Features { names }.request(|name| match name {
            "feature-1" => Some(true),
            "feature-33" => Some(false),
            _ => None,
        });
        assert_eq!(request, [SET_FEATURES, 2, 0b10, 0b10, 0b10, 0]);
    }

    #[test]
    fn the_loopback_has_a_feature_called_rx_gro() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let features = Features::read(&socket, "lo").unwrap();
        assert!(features.names.iter().any(|name| name == "rx-gro"), "{features:?}");
    }

    #[test]
    fn a_missing_interface_is_named() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let error = Features::read(&socket, "no-such-if").unwrap_err();
        assert!(error.to_string().contains("no-such-if"), "{error}");
        assert!(Features::read(&socket, "a-name-too-long-for-linux").is_err());
    }
}
