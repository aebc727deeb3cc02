//! CPU time of tasks and of the machine: schedstat, /proc/uptime.
