//! Opening the endpoints of raw delivery.
