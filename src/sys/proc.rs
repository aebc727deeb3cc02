//! Files under /proc, always of the calling thread's own network namespace.
