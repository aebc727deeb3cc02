//! Socket options, addresses of interfaces.
