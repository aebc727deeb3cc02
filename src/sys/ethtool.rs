//! Offload settings of an interface through the ethtool ioctl.
