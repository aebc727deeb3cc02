//! Ethernet frames of raw broadcast: addresses, EtherType, header, through pnet's packet types.
