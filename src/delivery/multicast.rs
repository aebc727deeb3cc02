//! Opening the endpoints of multicast delivery.
