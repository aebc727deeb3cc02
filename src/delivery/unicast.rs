//! Opening the endpoints of unicast delivery.
