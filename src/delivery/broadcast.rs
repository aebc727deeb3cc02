//! Opening the endpoints of broadcast delivery.
