//! A blocking rtnetlink and generic netlink socket.
